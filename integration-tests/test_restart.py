"""weftd starts while the API server is away: what the weftd before it knew serves, shown as old as it is, until the
API server has told everything anew."""

import contextlib
import json
import os
import random
import subprocess
import time

import kube_double
import pytest
from harness.poll import wait_for
from harness.shop import NAMESPACE, Shop
from kube_double import KubeDouble

MODES = ("weft",)
WEB, WEB_IP = "/svc/shop/web/80", "10.96.0.10"
WAIT_S = 20
BACKOFF_MOST_S = 5


@pytest.fixture
def shop(cluster):
    """Two clients that are meshed and fail closed, a service of two pods that are not on this node."""
    with KubeDouble() as api:
        made = Shop(cluster, api)
        processes = []
        try:
            made.service("web", WEB_IP, ["web-a", "web-b"])
            for name in ("client", "other"):
                processes.append(made.sandbox(name))
                made.tell(name, annotations={"weft.io/on-proxy-death": "closed"})
            made.sandboxes = dict(zip(("client", "other"), processes, strict=True))
            made.weftd.start()
            made.wait_captured("client", WAIT_S)
            made.wait_captured("other", WAIT_S)
            yield made
        finally:
            for process in processes:
                process.stop()
            made.close()


def known_file(shop):
    return shop.weftd.socket + ".known"


def read_known(shop):
    with contextlib.suppress(FileNotFoundError), open(known_file(shop), encoding="utf-8", errors="replace") as file:
        return file.read()
    return ""


def wait_kept(shop):
    """The file has every object as it is."""
    def is_kept():
        text = read_known(shop)
        return all(f'"resourceVersion":"{item["metadata"]["resourceVersion"]}"' in text
                   for kind in kube_double.KINDS for item in shop.api.items(kind).values())  # fmt: skip

    wait_for(is_kept, "the file to have everything", WAIT_S)


def restart(shop, fault="reset", end="kill"):
    """With the API server away, unless fault is None. What the file has is known then."""
    wait_kept(shop)
    getattr(shop.weftd, end)()
    shop.api.fault = fault
    shop.weftd.start()


def watches(shop):
    return shop.weftd.json("/kubernetes.json")["watches"].values()


def known(shop):
    return shop.weftd.json("/kubernetes.json")["known"]


def is_told(shop):
    return max(watch["stale_seconds"] for watch in watches(shop)) == 0


def come_back(shop):
    shop.api.fault = None
    wait_for(lambda: is_told(shop), "the API server's word", BACKOFF_MOST_S + 3)


# ---- the API server is away ----


@pytest.mark.parametrize(("end", "fault"), [("kill", "reset"), ("kill", "stall"), ("kill", "error"),
                                            ("kill", "garbage"), ("terminate", "reset")])  # fmt: skip
def test_a_restart_serves_what_was_known(shop, end, fault):
    restart(shop, fault, end)
    shop.wait_captured("client", WAIT_S)
    assert set(shop.answers("client", WEB_IP)) == {"web-a", "web-b"}
    assert set(shop.answers("other", WEB_IP)) == {"web-a", "web-b"}
    assert all(watch["is_recalled"] and watch["lists"] == 0 for watch in watches(shop))
    assert known(shop)["was_used"]
    come_back(shop)
    assert not any(watch["is_recalled"] for watch in watches(shop))
    shop.serve("web", ["web-b"])
    wait_for(lambda: shop.endpoints(WEB) == shop.addresses(["web-b"]), "the endpoints", WAIT_S)
    assert shop.answers("client", WEB_IP) == {"web-b": 20}


def test_its_age_is_shown(shop):
    wait_kept(shop)
    shop.weftd.terminate()
    shop.api.fault = "reset"
    time.sleep(3)
    shop.weftd.start()
    assert all(3 < watch["stale_seconds"] < 60 for watch in watches(shop))
    assert all(3 < watch["byte_age_seconds"] < 60 for watch in watches(shop))
    metrics = shop.weftd.metrics()
    for kind in kube_double.KINDS:
        assert metrics.sum("weft_kubernetes_stale_seconds", kind=kind) > 3
        assert metrics.sum("weft_kubernetes_watch_age_seconds", kind=kind) > 3
    done = shop.weftd.cli("check", "--json", "--pin-dir", shop.weftd.pin_dir, check=False)
    checks = {line["name"]: line for line in json.loads(done.stdout)["checks"]}
    assert checks["watch-endpoints"]["result"] == "warn"
    assert "still serves" in checks["watch-endpoints"]["found"]


def test_restarts_in_a_row_keep_the_age(shop):
    restart(shop)
    first = max(watch["stale_seconds"] for watch in watches(shop))
    shop.weftd.kill()
    shop.weftd.start()
    shop.weftd.terminate()
    time.sleep(1)
    shop.weftd.start()
    assert min(watch["stale_seconds"] for watch in watches(shop)) > first + 1
    assert set(shop.answers("client", WEB_IP)) == {"web-a", "web-b"}


def test_a_pod_whose_sandbox_went_meanwhile_is_not_believed(shop):
    wait_kept(shop)
    shop.weftd.kill()
    shop.sandboxes["other"].stop()
    shop.api.fault = "reset"
    shop.weftd.start()
    shop.wait_captured("client", WAIT_S)
    assert not shop.is_captured("other")
    assert "no process" in shop.shown("other")["problem"]


def test_a_pod_that_the_file_lacks_and_that_fails_closed_stays_closed(shop):
    wait_kept(shop)
    older = read_known(shop)
    process = shop.sandbox("late")
    try:
        shop.tell("late", annotations={"weft.io/on-proxy-death": "closed"})
        shop.wait_captured("late", WAIT_S)
        shop.weftd.kill()
        with open(known_file(shop), "w", encoding="utf-8") as file:
            file.write(older)
        shop.api.fault = "reset"
        shop.weftd.start()
        shop.wait_captured("client", WAIT_S)
        with pytest.raises(ConnectionRefusedError):
            shop.get("late", WEB_IP)
        come_back(shop)
        shop.wait_captured("late", WAIT_S)
        assert shop.get("late", WEB_IP) in ("web-a", "web-b")
    finally:
        process.stop()


def test_the_list_replaces_what_was_known(shop):
    shop.service("old", "10.96.0.12", ["web-a"])
    restart(shop)
    assert shop.endpoints("/svc/shop/old/80") == shop.addresses(["web-a"])
    shop.api.delete("services", NAMESPACE, "old")
    shop.api.delete("endpointslices", NAMESPACE, "old-1")
    shop.api.delete("pods", NAMESPACE, "other")
    shop.sandboxes["other"].stop()
    come_back(shop)
    wait_for(lambda: shop.endpoints("/svc/shop/old/80") is None, "the service to go", WAIT_S)
    wait_for(lambda: not shop.is_captured("other"), "the pod to go", WAIT_S)
    assert set(shop.answers("client", WEB_IP)) == {"web-a", "web-b"}


def test_annotations_and_the_limit_hold_as_before(shop):
    def said():
        services = {service["name"]: service for service in shop.weftd.json("/services.json")["services"]}
        pods = {pod["name"]: pod for pod in shop.weftd.json("/pods.json")}
        return ([pods[f"{NAMESPACE}/{name}"]["shortcut"] for name in ("client", "other")],
                {name: (service["shortcut"], service["shortcut_window_bytes"]) for name, service in services.items()},
                [service["name"] for service in shop.weftd.json("/kubernetes.json")["services_left_out"]])  # fmt: skip

    def namespace_says(shortcut):
        shop.api.put("namespaces", {"metadata": {
            "name": NAMESPACE, "labels": {"weft.io/mesh": "enabled"}, "annotations": {"weft.io/shortcut": shortcut}}})

    config = {**shop.weftd.config, "limits": {"service_endpoints": 2}}
    shop.weftd.write_config(config)
    namespace_says("auto")
    shop.tell("other", annotations={"weft.io/on-proxy-death": "closed", "weft.io/shortcut": "off"})
    shop.service("big", "10.96.0.14", ["web-a", "web-b", "web-c"])
    web = shop.api.items("services")[(NAMESPACE, "web")]
    annotations = {"weft.io/shortcut": "on", "weft.io/shortcut-window": "64KiB"}
    shop.api.put("services", {**web, "metadata": {**web["metadata"], "annotations": annotations}})
    shop.service("plain", "10.96.0.15", ["web-a"])
    wanted = (["auto", "off"], {WEB: ("on", 65536), "/svc/shop/plain/80": ("auto", 0)}, ["shop/big"])
    wait_for(lambda: said() == wanted, "what the API says", WAIT_S)
    restart(shop)
    shop.wait_captured("client", WAIT_S)
    shop.wait_captured("other", WAIT_S)
    assert known(shop)["was_used"] and said() == wanted
    namespace_says("off")
    come_back(shop)
    wanted = (["off", "off"], {WEB: ("on", 65536), "/svc/shop/plain/80": ("off", 0)}, ["shop/big"])
    wait_for(lambda: said() == wanted, "what the namespace says now", WAIT_S)


# ---- the API server is there ----


def test_an_endpoint_that_left_meanwhile_gets_no_request(shop):
    wait_kept(shop)
    shop.weftd.kill()
    served = shop.backend("web-a").served
    shop.serve("web", ["web-b"])
    shop.weftd.start()
    assert not known(shop)["was_used"]
    shop.wait_captured("client", WAIT_S)
    assert shop.answers("client", WEB_IP) == {"web-b": 20}
    assert shop.backend("web-a").served == served


# ---- the file ----


def cut_off(path):
    os.truncate(path, os.path.getsize(path) // 2)


def make_garbage(path):
    with open(path, "wb") as file:
        file.write(random.Random(1).randbytes(100000))


def make_readable(path):
    os.chmod(path, 0o644)


def replace_in(path, before, after):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert before in text
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(before, after, 1))


def change_node(path):
    replace_in(path, '"node":"n1"', '"node":"n2"')


@pytest.mark.parametrize("spoil", [cut_off, make_garbage, make_readable, change_node])
def test_a_file_that_is_not_good_is_not_used(shop, spoil):
    wait_kept(shop)
    shop.weftd.kill()
    spoil(known_file(shop))
    shop.api.fault = "error"
    shop.weftd.start(ready=False)
    wait_for(lambda: shop.weftd.log().count("known_file_not_used") == 1, "a line in the log", WAIT_S)
    assert known(shop)["read_faults"] == 1 and known(shop)["last_fault"].startswith("not used: ")
    assert shop.weftd.metrics().sum("weft_kubernetes_known_read_faults_total") == 1
    assert shop.weftd.admin("/ready")[0] == 503
    with pytest.raises(ConnectionRefusedError):  # as without a file
        shop.get("client", WEB_IP)
    shop.api.fault = None
    shop.weftd.wait_ready()
    shop.wait_captured("client", WAIT_S)
    wait_for(lambda: known(shop)["written"] > 0, "a good file", WAIT_S)
    assert os.stat(known_file(shop)).st_mode & 0o777 == 0o600
    assert shop.weftd.log().count("known_file_not_used") == 1


def test_another_clusters_file_is_not_used(shop):
    """Of another API server: a node that moved from one cluster to another without a reboot."""
    wait_kept(shop)
    shop.weftd.kill()
    with KubeDouble() as api:
        api.fault = "error"
        config = shop.weftd.config
        config["kubernetes"]["api"] = api.url
        shop.weftd.write_config(config)
        shop.weftd.start(ready=False)
        wait_for(lambda: "another cluster" in shop.weftd.log(), "a line in the log", WAIT_S)
        assert shop.weftd.admin("/ready")[0] == 503


@contextlib.contextmanager
def small_disk(folder):
    os.makedirs(folder)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_counted_and_nothing_else(shop):
    folder = os.path.join(shop.weftd.directory, "small")
    shop.weftd.terminate()
    with small_disk(folder):
        shop.weftd.socket = f"{folder}/weftd.sock"
        shop.weftd.write_config(shop.weftd.config)
        shop.weftd.start()
        shop.wait_captured("client", WAIT_S)
        wait_kept(shop)
        before = read_known(shop)
        with contextlib.suppress(OSError), open(f"{folder}/ballast", "wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(4096))
        shop.serve("web", ["web-a"])
        wait_for(lambda: known(shop)["write_faults"] > 0, "a fault", WAIT_S)
        assert "No space left" in known(shop)["last_fault"]
        assert read_known(shop) == before and not os.path.exists(known_file(shop) + ".new")
        assert shop.answers("client", WEB_IP) == {"web-a": 20}
        os.unlink(f"{folder}/ballast")
        wait_kept(shop)
        assert shop.weftd.log().count("known_file_not_written") == 1
        shop.weftd.terminate()


@pytest.mark.release
def test_a_kill_while_it_is_written_leaves_a_whole_one(shop):
    kube_double.fill(shop.api, 500, 10000)
    wait_kept(shop)
    pause, changed = random.Random(2), 0
    for _ in range(3):
        written, until = known(shop)["written"], time.monotonic() + pause.uniform(0.5, 3)
        changed = kube_double.change(shop.api, 500, 10000, 200, lambda until=until: time.monotonic() > until, changed)
        assert known(shop)["written"] >= written
        shop.weftd.kill()
        shop.api.fault = "reset"
        shop.weftd.start()
        assert known(shop)["was_used"] and known(shop)["read_faults"] == 0
        assert set(shop.answers("client", WEB_IP)) == {"web-a", "web-b"}
        come_back(shop)


def test_who_drains_for_good_keeps_nothing(shop):
    wait_kept(shop)
    assert shop.weftd.admin("/drain", "POST")[0] == 202
    wait_for(lambda: not shop.weftd.process.is_running(), "weftd to end", WAIT_S)
    assert not os.path.exists(known_file(shop)) and not os.path.exists(known_file(shop) + ".new")


def test_cleanup_removes_it(shop):
    wait_kept(shop)
    shop.weftd.kill()
    done = shop.weftd.cli("cleanup", "--pin-dir", shop.weftd.pin_dir)
    assert known_file(shop) in done.stdout and not os.path.exists(known_file(shop))
