"""weftd beside an API server's double: what the cluster says is what is captured, balanced and counted, within a
second; and while the API server is away, what it said last holds."""

import json
import os
import re

import kube_double
import pytest
from harness.poll import wait_for
from harness.shop import ENABLED, LABEL, NAMESPACE, PORT, Shop, answer_on, ask, request
from harness.weftd import is_sanitized
from kube_double import KubeDouble

MODES = ("weft",)
WEB, WEB_IP = "/svc/shop/web/80", "10.96.0.10"
SECOND = 3.0 if is_sanitized() else 1.0
BACKOFF_MOST_S = 5


@pytest.fixture
def shop(cluster):
    """A client that is meshed, a service of two pods that are not on this node."""
    with KubeDouble() as api:
        made = Shop(cluster, api)
        try:
            made.service("web", WEB_IP, ["web-a", "web-b"])
            made.process = made.sandbox("client")
            made.tell("client")
            made.weftd.start()
            made.wait_captured("client")
            yield made
        finally:
            made.process.stop()
            made.close()


def requests_of(shop, service):
    return shop.weftd.metrics().service("weft_requests_total", service)


def wait_counted(shop, service, count):
    wait_for(lambda: requests_of(shop, service) == count, f"{count} requests of {service}", 5)


def wait_endpoints(shop, names, seconds=SECOND, service=WEB):
    wait_for(lambda: shop.endpoints(service) == shop.addresses(names), f"the endpoints {names}", seconds)


# ---- names ----


def test_dials_to_a_cluster_ip_are_captured_balanced_and_counted(shop):
    answers = shop.answers("client", WEB_IP)
    assert set(answers) == {"web-a", "web-b"}
    wait_counted(shop, WEB, 20)
    assert shop.weftd.metrics().captured("shop/client") == 20


def test_requests_of_one_connection_are_balanced(shop):
    with shop.connect("client", WEB_IP, 80) as dialler:
        assert {request(dialler) for _ in range(20)} == {"web-a", "web-b"}


def test_a_dial_to_a_pods_address_goes_to_that_pod_and_is_counted_for_its_service(shop):
    address = shop.cluster.pod("web-a").address
    assert shop.answers("client", address, PORT) == {"web-a": 20}
    wait_counted(shop, WEB, 20)
    shop.serve("web", ["web-a", "web-b"], ready=False)
    wait_endpoints(shop, [])
    assert shop.get("client", address, PORT) == "web-a"  # ready or not
    with pytest.raises(ConnectionRefusedError):
        shop.get("client", WEB_IP)


def test_a_headless_services_pods_are_dialled_directly_unless_it_wants_to_be_balanced(shop):
    address = shop.cluster.pod("db-a").address
    shop.service("db", None, ["db-a", "db-b"], clusterIP="None", clusterIPs=["None"])
    wait_endpoints(shop, ["db-a", "db-b"], service="/svc/shop/db/80")
    assert shop.answers("client", address, PORT) == {"db-a": 20}
    wait_counted(shop, "/svc/shop/db/80", 20)
    service = shop.api.items("services")[(NAMESPACE, "db")]
    shop.api.put("services", {**service, "metadata": {**service["metadata"],
                                                      "annotations": {"weft.io/headless": "balance"}}})
    wait_for(lambda: set(shop.answers("client", address, PORT)) == {"db-a", "db-b"}, "balancing", 2)


def test_a_port_that_no_service_declares_is_left_alone(shop):
    with shop.cluster.pod("web-a").listen(9999) as server:
        with shop.connect("client", shop.cluster.pod("web-a").address, 9999):
            server.accept()[0].close()
    assert shop.weftd.metrics().captured("shop/client") == 0


def test_a_deleted_service_is_not_captured_any_more(shop):
    assert shop.get("client", WEB_IP)
    shop.api.delete("services", NAMESPACE, "web")
    wait_for(lambda: shop.endpoints(WEB) is None, "the service to go", SECOND)
    before = shop.weftd.metrics().captured("shop/client")
    assert shop.get("client", shop.cluster.pod("web-a").address, PORT) == "web-a"
    assert shop.weftd.metrics().captured("shop/client") == before


# ---- endpoints come and go ----


def test_a_scale_up_is_used_within_a_second(shop):
    shop.backend("web-c")
    shop.serve("web", ["web-a", "web-b", "web-c"])
    wait_for(lambda: shop.get("client", WEB_IP) == "web-c", "an answer of the new pod", SECOND)


def test_a_removed_endpoint_gets_no_new_request_after_a_second(shop):
    with shop.connect("client", WEB_IP, 80) as kept:
        assert {request(kept) for _ in range(20)} == {"web-a", "web-b"}
        shop.serve("web", ["web-b"])
        wait_endpoints(shop, ["web-b"])
        served = shop.backend("web-a").served
        assert {request(kept) for _ in range(20)} == {"web-b"}
        assert shop.answers("client", WEB_IP) == {"web-b": 20}
    assert shop.backend("web-a").served == served


def replace(shop, count):
    """Endpoints that come and go, as a rollout that never ends."""
    for number in range(count):
        gone = [kube_double.endpoint(f"10.200.{number // 250}.{number % 250}", f"web-{number}", ready=False)]
        here = [kube_double.endpoint(shop.cluster.pod(name).address, name) for name in ("web-a", "web-b")]
        shop.api.put("endpointslices", kube_double.endpoint_slice(NAMESPACE, "web-1", "web", gone + here))
        if number % 20 == 0:
            assert shop.get("client", WEB_IP) in ("web-a", "web-b")


def test_a_thousand_replacements_leave_memory_flat(shop):
    replace(shop, 300)
    with shop.weftd.flat_memory(2048):
        replace(shop, 1000)
        shop.serve("web", ["web-a"])
        wait_endpoints(shop, ["web-a"])
    assert shop.weftd.metrics().sum("weft_kubernetes_changes_total", kind="endpointslices") >= 1300


# ---- pods join and leave ----


def test_a_label_that_goes_un_enrols_without_breaking_connections(shop):
    with shop.connect("client", WEB_IP, 80) as kept:
        assert request(kept)
        ask(kept, "/wait")
        wait_for(lambda: shop.weftd.metrics().sum("weft_worker_sessions") == 1, "the request", 5)
        shop.label({})
        wait_for(lambda: shop.pods().get("shop/client") != "captured", "capture to end", SECOND)
        for backend in shop.backends.values():
            backend.released.set()
        assert answer_on(kept)
    shop.label(ENABLED)
    wait_for(lambda: shop.is_captured("client"), "capture again", 10)
    assert shop.get("client", WEB_IP)


def test_pods_that_are_not_meshed_are_shown_with_the_reason(shop):
    shop.tell("host", hostNetwork=True)
    shop.tell("other", containers=[{"name": "app"}, {"name": "istio-proxy"}])
    shop.tell("out", labels={LABEL: "disabled"})
    wait_for(lambda: shop.shown("out"), "the pods", SECOND)
    assert "hostNetwork" in shop.shown("host")["why"]
    assert "sidecar" in shop.shown("other")["why"]
    assert "disabled" in shop.shown("out")["why"]
    assert not any(shop.shown(name)["is_meshed"] for name in ("host", "other", "out"))
    assert shop.shown("client")["is_meshed"]


def test_a_bad_annotation_is_an_event_and_the_rest_holds(shop):
    shop.tell("client", annotations={"weft.io/opaque-ports": "x,80", "weft.io/on-proxy-death": "closed"})
    wait_for(lambda: shop.api.notes, "an Event", 2 * SECOND)
    (note,) = shop.api.notes.values()
    assert note["involvedObject"]["name"] == "client" and '"x"' in note["message"]
    assert '"x"' in shop.shown("client")["annotation_faults"]
    wait_for(lambda: shop.weftd.json("/pods.json")[0]["on_proxy_death"] == "closed", "the rest", SECOND)


def test_a_bad_annotation_of_a_service_is_an_event(shop):
    service = kube_double.service(NAMESPACE, "odd", "10.96.0.11")
    service["metadata"]["annotations"] = {"weft.io/protocol": "80=https"}
    shop.api.put("services", service)
    wait_for(lambda: shop.api.notes, "an Event", 2 * SECOND)
    (note,) = shop.api.notes.values()
    assert note["involvedObject"]["kind"] == "Service" and "80=https" in note["message"]


def shortcuts(shop):
    """What the pod, and the Service with its window, say."""
    (pod,) = shop.weftd.json("/pods.json")
    (web,) = (service for service in shop.weftd.json("/services.json")["services"] if service["name"] == WEB)
    return pod["shortcut"], web["shortcut"], web["shortcut_window_bytes"]


def test_the_shortcut_is_said_by_pods_services_and_their_namespace(shop):
    assert shortcuts(shop) == ("inherit", "inherit", 0)
    annotated = {"name": NAMESPACE, "labels": ENABLED, "annotations": {"weft.io/shortcut": "auto"}}
    shop.api.put("namespaces", {"metadata": annotated})
    wait_for(lambda: shortcuts(shop) == ("auto", "auto", 0), "the namespace's word", SECOND)
    shop.tell("client", annotations={"weft.io/shortcut": "off"})
    service = shop.api.items("services")[(NAMESPACE, "web")]
    said = {"weft.io/shortcut": "on", "weft.io/shortcut-window": "64KiB"}
    shop.api.put("services", {**service, "metadata": {**service["metadata"], "annotations": said}})
    wait_for(lambda: shortcuts(shop) == ("off", "on", 65536), "their own words", SECOND)


def test_a_pod_stays_captured_until_its_sandbox_is_gone(shop):
    shop.api.delete("pods", NAMESPACE, "client")
    shop.label({"seen": "yes", **ENABLED})
    changes = 'weft_kubernetes_changes_total{kind="namespaces"} 1'
    wait_for(lambda: changes in shop.weftd.metrics().text, "the label", SECOND)
    assert shop.is_captured("client")
    shop.process.stop()
    wait_for(lambda: not shop.pods(), "the pod to leave", 5)


def test_the_runtime_asks_before_a_pod_starts(shop):
    pod = shop.cluster.pod("late")
    body = {"container_id": "c", "netns": shop.handle("late"), "interface": "eth0", "namespace": NAMESPACE, "pod": "late",
            "pod_uid": shop.uid("late"), "addresses": [pod.address, pod.address6]}
    assert shop.ask("/cni/add", body) == (202, {"verdict": "unknown", "why": "the API server has not told of it yet"})
    shop.tell("late", has_ip=False)
    wait_for(lambda: shop.ask("/cni/add", body)[1]["verdict"] == "captured", "capture", SECOND)
    assert shop.get("late", WEB_IP) in ("web-a", "web-b")
    assert shop.ask("/cni/del", body)[0] == 200
    wait_for(lambda: not shop.is_captured("late"), "capture to end", SECOND)
    shop.tell("out", labels={LABEL: "disabled"})
    out = {**body, "pod": "out", "pod_uid": shop.uid("out")}
    wait_for(lambda: shop.ask("/cni/add", out)[1]["verdict"] == "not_meshed", "a verdict", SECOND)
    assert shop.ask("/cni/add", {"pod": "late"})[0] == 400


# ---- on the command line ----


def test_weft_pods_shows_faults_and_with_all_who_is_not_enrolled(shop):
    shop.tell("client", annotations={"weft.io/opaque-ports": "x"})
    shop.tell("out", labels={LABEL: "disabled"})
    shop.tell("lost")
    wait_for(lambda: shop.shown("lost") and shop.shown("client")["annotation_faults"], "the pods", SECOND)
    plain = shop.weftd.cli("pods").stdout
    assert 'shop/client: annotation weft.io/opaque-ports: "x"' in plain
    assert "shop/out" not in plain
    listed = shop.weftd.cli("pods", "--all").stdout
    assert re.search(r"^shop/out +weft.io/mesh: disabled$", listed, re.MULTILINE)
    assert re.search(r"^shop/lost +no process of pod", listed, re.MULTILINE)
    assert "shop/out" not in shop.weftd.cli("pods", "--all", "-n", "bank").stdout
    assert len(json.loads(shop.weftd.cli("pods", "--all", "-o", "json").stdout)["pods"]) == 3


def checks_of(shop):
    done = shop.weftd.cli("check", "--json", "--pin-dir", shop.weftd.pin_dir, check=False)
    return {line["name"]: line for line in json.loads(done.stdout)["checks"]}


def test_weft_check_tells_of_watches_and_of_pods_that_are_not_enrolled(shop):
    checks = checks_of(shop)
    assert checks["watch-endpoints"]["result"] == "ok" and "1 objects" in checks["watch-endpoints"]["found"]
    assert checks["pods"]["found"] == "all 1 that are labelled are enrolled"
    shop.tell("lost")
    wait_for(lambda: shop.shown("lost"), "the pod", SECOND)
    assert checks_of(shop)["pods"]["found"].startswith("1 of 2 that are labelled are not: shop/lost: no process")
    shop.api.fault = "forbidden"
    shop.api.break_watches("close")
    wait_for(lambda: checks_of(shop)["watch-pods"]["result"] == "warn", "staleness", 10)
    assert "still serves" in checks_of(shop)["watch-pods"]["found"]


def test_a_service_with_too_many_endpoints_is_left_out_as_a_whole(shop):
    def limit(most):
        return {**shop.weftd.config, "limits": {"service_endpoints": most}}

    def left_out():
        return shop.weftd.metrics().sum("weft_kubernetes_services_left_out")

    shop.service("small", "10.96.0.13", ["web-a"])
    wait_endpoints(shop, ["web-a"], service="/svc/shop/small/80")
    assert left_out() == 0 and checks_of(shop)["services"]["result"] == "ok"
    shop.weftd.reload(limit(1), until=lambda: shop.weftd.service_names() == ["/svc/shop/small/80"])
    assert left_out() == 1
    assert shop.weftd.json("/kubernetes.json")["services_left_out"] == [{"name": "shop/web", "endpoints": 2}]
    assert checks_of(shop)["services"]["result"] == "warn"
    assert "shop/web" in checks_of(shop)["services"]["found"]
    wait_for(lambda: [note for note in shop.api.notes.values() if note["reason"] == "TooManyEndpoints"], "an Event", 5)
    (note,) = [note for note in shop.api.notes.values() if note["reason"] == "TooManyEndpoints"]
    assert note["involvedObject"]["name"] == "web" and "limits.service_endpoints (1)" in note["message"]
    captured = shop.weftd.metrics().captured("shop/client")
    with pytest.raises(OSError):  # it passes, and no kube-proxy is here
        shop.connect("client", WEB_IP, 80).close()
    assert shop.weftd.metrics().captured("shop/client") == captured
    assert shop.answers("client", "10.96.0.13") == {"web-a": 20}
    shop.weftd.reload(limit(2), until=lambda: WEB in shop.weftd.service_names())
    assert set(shop.answers("client", WEB_IP)) == {"web-a", "web-b"}
    assert left_out() == 0


# ---- the API server is away ----


def stale_seconds(shop):
    return [watch["stale_seconds"] for watch in shop.weftd.json("/kubernetes.json")["watches"].values()]


def stale_metric(shop):
    metrics = shop.weftd.metrics()
    return min(metrics.sum("weft_kubernetes_stale_seconds", kind=kind) for kind in kube_double.KINDS)


@pytest.mark.parametrize("how", ("reset", "stall", "gone", "error", "garbage", "unauthorized"))
def test_what_the_api_said_last_holds_while_it_is_away(shop, how):
    shop.api.fault = how
    shop.api.break_watches("close")
    shop.serve("web", ["web-a"])
    wait_for(lambda: min(stale_seconds(shop)) > 0.3, "staleness to show", 20)
    wait_for(lambda: stale_metric(shop) > 0.3, "staleness to be a metric", 20)
    assert set(shop.answers("client", WEB_IP)) == {"web-a", "web-b"}
    assert shop.weftd.metrics().sum("weft_kubernetes_objects", kind="endpointslices") == 1
    shop.api.fault = None
    wait_for(lambda: shop.api.watch_count() == len(kube_double.KINDS), "the watches", BACKOFF_MOST_S + 1)
    wait_endpoints(shop, ["web-a"])
    assert shop.answers("client", WEB_IP) == {"web-a": 20}
    wait_for(lambda: max(stale_seconds(shop)) == 0, "no more staleness", SECOND)


# ---- weftd's own life ----


def known_file(shop):
    return shop.weftd.socket + ".known"


def answers_unready(shop):
    """It has tried to list, and says that it does not know the cluster yet."""
    try:
        status, page = shop.weftd.admin("/ready")
        return status == 503 and "not ready: the API server has not listed pods yet: status 500" in page
    except OSError:
        return False


@pytest.mark.parametrize("end", ("terminate", "kill"))
def test_a_restart_never_lets_a_closed_pod_pass(shop, end):
    shop.tell("client", annotations={"weft.io/on-proxy-death": "closed"})
    wait_for(lambda: shop.weftd.json("/pods.json")[0]["on_proxy_death"] == "closed", "the annotation", SECOND)
    wait_for(lambda: os.path.exists(known_file(shop)), "the file with what is known", 5)
    getattr(shop.weftd, end)()
    os.unlink(known_file(shop))
    shop.api.fault = "error"
    shop.weftd.start(ready=False)
    wait_for(lambda: answers_unready(shop), "weftd, not ready", 20)
    with pytest.raises(ConnectionRefusedError):  # nobody knows the pod yet, and it fails closed
        shop.get("client", WEB_IP)
    shop.api.fault = None
    shop.weftd.wait_ready()
    shop.wait_captured("client")
    assert set(shop.answers("client", WEB_IP)) == {"web-a", "web-b"}


def test_services_that_went_during_a_restart_are_gone_after_it(shop):
    shop.service("old", "10.96.0.12", ["web-a"])
    wait_endpoints(shop, ["web-a"], service="/svc/shop/old/80")
    shop.weftd.kill()
    shop.api.delete("services", NAMESPACE, "old")
    shop.weftd.start()
    shop.wait_captured("client")
    assert shop.endpoints("/svc/shop/old/80") is None
    captured = shop.weftd.metrics().captured("shop/client")
    with pytest.raises(OSError):  # it passes, and nobody has the address
        shop.connect("client", "10.96.0.12", 80).close()
    assert shop.weftd.metrics().captured("shop/client") == captured


def test_weftd_is_ready_only_when_it_knows_the_cluster(cluster):
    with KubeDouble() as api:
        made = Shop(cluster, api)
        api.fault = "error"
        try:
            made.weftd.start(ready=False)
            wait_for(lambda: answers_unready(made), "weftd, not ready", 20)
            api.fault = None
            made.weftd.wait_ready(BACKOFF_MOST_S + 2)
        finally:
            made.close()


