"""Endpoints that come and go all the time, over a bad road to the API server, or with none at all."""

import collections
import contextlib
import json
import random
import signal
import time

import pytest
from conftest import Namespace
from harness.poll import wait_for
from k8s import echo
from k8s.answers import answered_by
from k8s.faults import MODES, BadRoad
from k8s.weft import MESHED

KNOWN = "/run/weft/weftd.sock.known"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"
CHANGES, CHANGES_PER_SECOND = 1000, 100
KINDS = 5  # of objects, each watched over a connection of its own
WORKERS = 6  # real pods behind the slices that are written
CATCH_UP_SECONDS = 1  # after the watch is there again
BACKOFF_SECONDS = 5  # the longest that a new attempt waits


@pytest.fixture(scope="module")
def road(cluster):
    made = BadRoad(cluster)
    yield made
    made.close()


@pytest.fixture(scope="module")
def mesh(release, road):
    """weft that reaches the API server by the bad road."""
    # The API server's address is read at the start: the annotation has the daemons start anew, both at once.
    release.provide("--set", f"kubernetes.api={road.url},podAnnotations.road=bad,maxUnavailable=2")
    wait_for(lambda: len(road.clients) >= KINDS * len(release.cluster.nodes), "the watches to go by it", 20)
    return release


def slice_of(addresses):
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "churn", "labels": {"kubernetes.io/service-name": "churn"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
    }


class Churn:
    """The service churn, whose slice the test writes; out: {pod: [[left, came back], …]}."""

    def __init__(self, cluster, namespace, mesh):
        self.cluster, self.namespace, self.mesh = cluster, namespace, mesh
        self.path = SLICES.format(namespace.name)
        namespace.apply(echo.deployment("worker", WORKERS))
        self.pods = {pod["status"]["podIP"]: pod["metadata"]["name"] for pod in
                     namespace.wait_pods("app=worker", WORKERS)}  # fmt: skip
        self.current = set(self.pods)
        self.out = collections.defaultdict(list)
        service = echo.service("churn")
        del service["spec"]["selector"]
        service["spec"]["ports"] = service["spec"]["ports"][:1]
        namespace.apply(service)
        cluster.api.create(self.path, slice_of(sorted(self.current)))

    def replace_some(self, choose, away=frozenset()):
        """Two others leave, those that were out come back; the addresses in `away` stay out."""
        now = set(self.pods) - away
        now -= set(choose.sample(sorted(now), 2))
        self.cluster.api.replace(f"{self.path}/churn", slice_of(sorted(now)))
        moment = time.time()
        for address in self.current - now:
            self.out[self.pods[address]].append([moment, float("inf")])
        for address in now - self.current:
            self.out[self.pods[address]][-1][1] = moment
        self.current = now

    def is_followed(self, node="n1"):
        wanted = {f"{address}:8080" for address in self.current}
        return self.mesh.endpoints(node, f"/svc/{self.namespace.name}/churn/80") == wanted

    def late(self, log, allowed):
        """Requests that began more than `allowed` seconds after their pod had left, before it came back."""
        return [
            entry for entry in log
            if any(left + allowed < entry["at"] < back for left, back in self.out[entry["pod"]])
        ]  # fmt: skip


@pytest.fixture(scope="module")
def meshed(cluster, mesh):
    made = Namespace(cluster, "churn")
    made.open(MESHED)
    yield made
    cluster.delete_namespace(made.name)


@pytest.fixture(scope="module")
def churn(cluster, meshed, mesh):
    made = Churn(cluster, meshed, mesh)
    wait_for(made.is_followed, "the first endpoints", 10)
    return made


@pytest.fixture(scope="module")
def client(churn, meshed):
    """A pod on n1 that has the service's answers."""
    made = meshed.run_client()
    wait_for(lambda: made.get("http://churn/")[0]["status"] == 200, "the service", 10, 0.1)
    return made


def test_a_thousand_changes_are_followed_within_a_second(churn, client, mesh):
    """A hundred a second; one pod is away for the first half of it, another for the second."""
    choose = random.Random(1)
    away = sorted(churn.pods)[:2]
    before = mesh.resident_kib("n1")
    with client.load("http://churn/", connections=4, log=True) as load:
        began = time.monotonic()
        for number in range(CHANGES):
            churn.replace_some(choose, {away[number * len(away) // CHANGES]})
            time.sleep(max(0, began + number / CHANGES_PER_SECOND - time.monotonic()))
        wait_for(churn.is_followed, "the last change", CATCH_UP_SECONDS)
    log = load.result["log"]
    assert load.result["failed"] == 0, load.result["failures"]
    assert {entry["pod"] for entry in log} == set(churn.pods.values())
    assert churn.late(log, CATCH_UP_SECONDS) == []
    assert mesh.resident_kib("n1") < before + 4096


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "pass"])
def test_changes_are_caught_up_with_after_the_road_was_bad(churn, client, road, mode):
    choose = random.Random(mode)
    with client.load("http://churn/", connections=2) as load:
        road.set_mode(mode)
        for _ in range(20):
            churn.replace_some(choose)
            time.sleep(0.1)
        road.set_mode("pass")
        wait_for(churn.is_followed, "the missed changes", BACKOFF_SECONDS + CATCH_UP_SECONDS)
    assert load.result["failed"] == 0, load.result["failures"]


def wait_meshed(mesh, client, node):
    """Until requests of this pod pass weft."""

    def passes():
        before = mesh.metrics(node).captured()
        return client.get("http://churn/")[0]["status"] == 200 and mesh.metrics(node).captured() > before

    wait_for(passes, "the client to be captured", 10, 0.1)


def watches(mesh, node):
    return json.loads(mesh.admin(node, "/kubernetes.json")[1])["watches"].values()


@contextlib.contextmanager
def a_weftd_that_dies(cluster, mesh, client, node="n2"):
    """The next one, while the API server is away, has what the last one wrote down."""
    cluster.node(node).kill(mesh.pid(node), signal.SIGKILL)
    wait_for(lambda: mesh.is_serving(node), "the next weftd", 50, 0.2)
    wait_meshed(mesh, client, node)
    assert all(watch["is_recalled"] and watch["stale_seconds"] > 0 for watch in watches(mesh, node))
    assert len(answered_by(client.get("http://churn/", 20))) > 1
    yield
    wait_for(lambda: not any(watch["is_recalled"] for watch in watches(mesh, node)), "the lists", 30, 0.2)
    wait_meshed(mesh, client, node)


def test_a_minute_without_the_api_server_is_served_from_what_is_known(cluster, churn, client, meshed, mesh):
    """On n1 by the weftd that was there before, on n2 by one that starts meanwhile."""
    choose = random.Random(2)
    other, file = meshed.run_client("other", "n2"), lambda: cluster.node("n2").run(["cat", KNOWN]).stdout
    wait_meshed(mesh, other, "n2")
    wait_for(lambda: f'"ip":"{other.address}"' in file(), "the file to have the client", 30, 0.2)
    churn.replace_some(choose)
    wait_for(churn.is_followed, "the change", BACKOFF_SECONDS + CATCH_UP_SECONDS)
    with client.load("http://churn/", connections=2, log=True) as load, contextlib.ExitStack() as after:
        with cluster.control.paused_api():
            after.enter_context(a_weftd_that_dies(cluster, mesh, other))
            wait_for(lambda: mesh.silent_seconds("n1") > 60, "a minute without a word", 70, 0.5)
        cluster.wait_api()
        churn.replace_some(choose)
        wait_for(churn.is_followed, "the change after the pause", BACKOFF_SECONDS + CATCH_UP_SECONDS)
    assert load.result["failed"] == 0, load.result["failures"]
    wait_for(lambda: churn.is_followed("n2"), "the change on n2", BACKOFF_SECONDS + CATCH_UP_SECONDS)


def test_three_dozen_real_pods_are_replaced_under_load(meshed, client):
    web = echo.deployment("web", 12)
    web["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}
    meshed.apply(web, echo.service("web"))
    meshed.wait_pods("app=web", 12)
    wait_for(lambda: client.get("http://web/")[0]["status"] == 200, "the service", 10, 0.1)
    with client.load("http://web/", connections=4) as load:
        for _ in range(3):
            meshed.kubectl("rollout", "restart", "deployment/web")
            meshed.kubectl("rollout", "status", "deployment/web", "--timeout=60s", seconds=70)
    assert load.result["failed"] == 0, load.result["failures"]
