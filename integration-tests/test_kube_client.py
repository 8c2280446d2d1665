"""The API server's client on the real ring against a double that misbehaves: whatever happens, what
it knows is what the API has, within a second of the server's being reachable again (linkerd1 3.2)."""

import collections
import json
import os
import random
import ssl
import subprocess
import threading
import time

import kube_double
import pytest
from kube_double import KubeDouble

BUILD = os.environ.get("WEFT_BUILD", "build")
IS_ASAN = "asan" in BUILD  # keeps what is freed for a while
FOLLOW = os.path.join(BUILD if IS_ASAN else os.path.join(BUILD, "release"), "tests/kube/follow")
BACKOFF_MOST_S = 5
STALL_MS = 2000


class Follower:
    """tests/follow and the picture that its lines give."""

    def __init__(self, url, *options, prefix=()):
        self.known = collections.defaultdict(dict)  # resource -> {(namespace, name): version}
        self.status = {}
        self.process = subprocess.Popen([*prefix, FOLLOW, *options, url], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            told = json.loads(line)
            if "status" in told:
                self.status = told["status"]
            elif told["version"]:
                self.known[told["kind"]][tuple(told["key"].split("/"))] = told["version"]
            else:
                del self.known[told["kind"]][tuple(told["key"].split("/"))]

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0
        self._reader.join()

    def agrees(self, api):
        return all(dict(self.known[resource]) == {key: item["metadata"]["resourceVersion"]
                                                  for key, item in api.items(resource).items()}
                   for resource in kube_double.KINDS)

    def state(self, name):
        return {resource: of[name] for resource, of in self.status.items()}

    def is_watching(self):
        return bool(self.status) and set(self.state("state").values()) == {"watching"}

    def faults(self, name):
        return sum(of["faults"][name] for of in self.status.values())

    def fault_count(self):
        return sum(sum(of["faults"].values()) for of in self.status.values())

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def wait_until(is_true, seconds, what):
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.01)


@pytest.fixture
def api():
    with KubeDouble() as double:
        kube_double.fill(double, 20, 60)
        yield double


@pytest.fixture
def follower(api):
    with_stall = Follower(api.url, "-s", str(STALL_MS))
    wait_until(lambda: with_stall.is_watching() and with_stall.agrees(api), 10, "the first lists")
    yield with_stall
    with_stall.close()


def replace_some(api, generation):
    for number in range(0, 20, 3):
        api.put("endpointslices", kube_double.slice_of(number, 3, generation))


def test_a_change_is_known_within_a_second(api, follower):
    for generation in range(1, 20):
        replace_some(api, generation)
        wait_until(lambda: follower.agrees(api), 1, "a change")
    api.delete("services", "shop", "web-3")
    api.delete("endpointslices", "shop", "web-3-a")
    wait_until(lambda: follower.agrees(api), 1, "a deletion")


def test_a_pod_that_comes_back_with_another_address_is_another_pod(api, follower):
    pod = {"metadata": {"namespace": "shop", "name": "db-0"}, "status": {"podIP": "10.9.0.1"}}
    api.put("pods", pod)
    api.delete("pods", "shop", "db-0")
    api.put("pods", {"metadata": {"namespace": "shop", "name": "db-0"}, "status": {"podIP": "10.9.0.2"}})
    wait_until(lambda: follower.agrees(api), 1, "the new pod")


def test_nothing_is_forgotten_while_the_server_is_away(api, follower):
    api.fault = "reset"
    api.reset_connections()
    wait_until(lambda: min(follower.state("stale_s").values()) > 3, 10, "staleness")
    assert follower.agrees(api)
    replace_some(api, 1)
    api.fault = None
    wait_until(lambda: follower.agrees(api), BACKOFF_MOST_S + 1, "recovery")
    wait_until(lambda: max(follower.state("stale_s").values()) == 0, BACKOFF_MOST_S + 1, "no more staleness")
    assert max(follower.state("lists").values()) == 1


@pytest.mark.parametrize("how", (*kube_double.FAULTS, "end"))
def test_a_stream_may_break_in_any_way(api, follower, how):
    lists_before = max(follower.state("lists").values())
    api.break_watches(how)
    wait_until(lambda: api.watch_count() == 0 or how == "stall", 2, "the end of the watches")
    replace_some(api, 1)
    patience_s = STALL_MS / 1000 + 2 if how == "stall" else 2
    wait_until(lambda: follower.agrees(api), patience_s, "the changes")
    wait_until(follower.is_watching, 2, "the next watches")
    relists = 1 if how == "gone" else 0
    wait_until(lambda: max(follower.state("lists").values()) - lists_before == relists, 2, "relists")


@pytest.mark.parametrize("how", kube_double.FAULTS)
def test_requests_may_be_refused_in_any_way(api, follower, how):
    before = follower.fault_count()
    api.fault = how
    api.break_watches("close")
    replace_some(api, 1)
    broken = len(kube_double.KINDS)  # streams, and then requests, but a stall takes its time
    wait_until(lambda: follower.fault_count() >= before + broken * (1 if how == "stall" else 3), 10, "attempts")
    assert not follower.agrees(api)
    api.fault = None
    wait_until(lambda: follower.agrees(api), BACKOFF_MOST_S + 1, "recovery")


def test_a_version_that_is_too_old_is_listed_anew(api, follower):
    api.fault = "error"
    api.break_watches("close")
    replace_some(api, 1)
    api.delete("services", "shop", "web-5")
    api.compact()
    api.fault = None
    wait_until(lambda: follower.agrees(api), BACKOFF_MOST_S + 1, "recovery")
    wait_until(lambda: follower.faults("gone") > 0, 1, "the fault's name")


def test_a_new_server_behind_the_same_address_is_believed(api, follower):
    """All objects and versions are others, as after a restore from a backup."""
    for resource in kube_double.KINDS:
        for namespace, name in api.items(resource):
            api.delete(resource, namespace, name)
    kube_double.fill(api, 5, 10)
    api.compact()
    api.break_watches("gone")
    wait_until(lambda: follower.agrees(api), BACKOFF_MOST_S + 1, "recovery")


def churn(api, follower, chance, replacements):
    """Replaces slices one by one while the server misbehaves now and then."""
    for generation in range(replacements):
        api.put("endpointslices", kube_double.slice_of(chance.randrange(20), 3, generation))
        if generation % 40 == 39:
            api.break_watches(chance.choice((*kube_double.FAULTS, "end")))
        if generation % 100 == 99:
            api.fault = chance.choice(("error", "garbage", "busy", "reset", "gone", "cut"))
            api.compact()
        if generation % 100 == 20:
            api.fault = None
        time.sleep(0.005)
    api.fault = None
    wait_until(lambda: follower.agrees(api), BACKOFF_MOST_S + 1, "the API's view")


def test_a_thousand_replacements_with_a_bad_server_leave_the_same_view(api, follower):
    chance = random.Random(1)
    churn(api, follower, chance, 200)
    before_kib = follower.rss_kib()
    churn(api, follower, chance, 1000)
    assert IS_ASAN or follower.rss_kib() - before_kib < 1024


def test_a_big_cluster_fits_into_little_memory():
    with KubeDouble() as api:
        kube_double.fill(api, 5000, 50000)
        follower = Follower(api.url)
        wait_until(lambda: follower.is_watching() and follower.agrees(api), 30, "the first lists")
        assert IS_ASAN or follower.rss_kib() < 24 * 1024
        end = time.monotonic() + 3
        done = kube_double.change(api, 5000, 50000, 100, lambda: time.monotonic() > end)
        assert done > 250
        wait_until(lambda: follower.agrees(api), 1, "the changes")
        follower.close()


# ---- a server that has a name ----

NAME = "api.cluster.test"


class Names:
    """What the resolver of a program knows, run with `prefix`."""

    def __init__(self, folder):
        self.hosts, nsswitch = folder / "hosts", folder / "nsswitch.conf"
        self.lead_to("127.0.0.1")
        nsswitch.write_text("hosts: files\n")
        mounts = f"mount --bind {self.hosts} /etc/hosts && mount --bind {nsswitch} /etc/nsswitch.conf"
        script = f'mount --make-rprivate / && {mounts} && exec "$@"'
        self.prefix = ("unshare", "-m", "sh", "-c", script, "sh")

    def lead_to(self, *addresses):
        self.hosts.write_text("".join(f"{address} {NAME}\n" for address in addresses))


@pytest.fixture
def names(tmp_path):
    return Names(tmp_path)


def named(url):
    return url.replace("127.0.0.1", NAME)


def test_all_addresses_of_a_name_are_tried(api, names):
    names.lead_to("::1", "127.0.0.3", "127.0.0.2", "127.0.0.1")
    follower = Follower(named(api.url), prefix=names.prefix)
    wait_until(lambda: follower.is_watching() and follower.agrees(api), 10, "the first lists")
    replace_some(api, 1)
    wait_until(lambda: follower.agrees(api), 1, "the changes")
    follower.close()


def test_a_name_that_leads_elsewhere_is_followed(api, names):
    names.lead_to()
    follower = Follower(named(api.url), prefix=names.prefix)
    wait_until(lambda: follower.status and follower.faults("resolve") > 0, 10, "the fault's name")
    names.lead_to("127.0.0.1")
    wait_until(lambda: follower.is_watching() and follower.agrees(api), BACKOFF_MOST_S + 1, "the first lists")
    names.lead_to("127.0.0.2")  # which refuses
    before = follower.faults("connect")
    api.reset_connections()
    wait_until(lambda: follower.faults("connect") > before + 2 * len(kube_double.KINDS), 5, "attempts elsewhere")
    replace_some(api, 1)
    names.lead_to("127.0.0.2", "127.0.0.1")
    wait_until(lambda: follower.agrees(api), BACKOFF_MOST_S + 1, "recovery")
    assert max(follower.state("lists").values()) == 1
    names.lead_to()  # DNS is away, the server is not
    api.reset_connections()
    replace_some(api, 2)
    wait_until(lambda: follower.agrees(api), BACKOFF_MOST_S + 1, "the last known address")
    follower.close()


@pytest.mark.parametrize("certified", (NAME, "other.cluster.test"))
def test_the_certificate_is_of_the_name(names, tmp_path, certified):
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", certificate, "-days", "1", "-subj", "/CN=double",
                    "-addext", f"subjectAltName=DNS:{certified}"], check=True, capture_output=True)  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with KubeDouble(tls=tls) as secure:
        kube_double.fill(secure, 5, 10)
        follower = Follower(named(secure.url), "-c", certificate, prefix=names.prefix)
        if certified == NAME:
            wait_until(lambda: follower.is_watching() and follower.agrees(secure), 10, "the first lists")
            assert follower.faults("tls") == 0
        else:
            wait_until(lambda: follower.status and follower.faults("tls") > 0, 10, "the fault's name")
            assert not follower.known and not secure.requests
        follower.close()


def test_a_node_asks_for_its_own_pods_only():
    with KubeDouble() as api:
        for node in ("node-1", "node-2"):
            api.put("nodes", {"metadata": {"name": node}})
            api.put("pods", {"metadata": {"namespace": "shop", "name": f"on-{node}"},
                             "spec": {"nodeName": node}})
        follower = Follower(api.url, "-n", "node-2")
        wait_until(follower.is_watching, 10, "the first lists")
        assert list(follower.known["pods"]) == [("shop", "on-node-2")]
        assert list(follower.known["nodes"]) == [("", "node-2")]
        follower.close()
