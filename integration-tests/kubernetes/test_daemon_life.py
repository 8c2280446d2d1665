"""What pods notice when their node's daemon dies, is replaced, or leaves for good: nothing, or what was promised. Two
clients on n1 dial all the time: `opened` fails open, `closed` fails closed (README.md, "When weftd dies")."""

import contextlib
import os
import signal
import time

import pytest
from harness.poll import wait_for
from k8s.answers import answered_by, names, wait_balanced
from k8s.weft import NAMESPACE

# The capture's promise: dials are reset or refused for no longer than this after a kill -9.
SETTLE_SECONDS = 0.25


@pytest.fixture(scope="module")
def opened(shop):
    return shop.clients["n1"]


@pytest.fixture(scope="module")
def closed(shop):
    client = shop.run_client("closed", annotations={"weft.io/on-proxy-death": "closed"})
    wait_balanced(client, "http://web/", shop.web)
    return client


@contextlib.contextmanager
def both_dial(opened, closed, **options):
    """Loads of both, every request a dial: (opened's, closed's)."""
    options = {"keepalive": False, "log": True, **options}
    with (
        opened.load("http://web/", connections=4, **options) as one,
        closed.load("http://web/", connections=2, pause_ms=20, **options) as other,
    ):
        wait_for(lambda: min(load.so_far()["requests"] for load in (one, other)) > 50, "the loads")
        yield one, other


def at_between(entries, begin, end):
    return [entry for entry in entries if begin < entry["at"] < end]


def wait_answers(loads, moment):
    """Until each of these has had an answer to a request that began after that moment."""
    for load in loads:
        wait_for(lambda one=load: max(one.so_far()["last"].values()) > moment, "answers", 20, 0.1)


def started_at(node, pid):
    """When that process of the node began, in seconds since the epoch."""
    ticks = int(node.run(["cat", f"/proc/{pid}/stat"]).stdout.rpartition(")")[2].split()[19])
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


def past_the_mesh(mesh, pod):
    """Dials of the pod to a service that went directly."""
    metrics = mesh.metrics("n1")
    return metrics.decision("pass_proxy_dead", pod) + metrics.decision("pass_capture_off", pod)


def test_a_kill_is_over_at_once_for_a_pod_that_fails_open_and_stops_one_that_fails_closed(
    cluster, mesh, shop, opened, closed
):
    node, pid, pod = cluster.node("n1"), mesh.pid("n1"), f"{shop.name}/closed"
    before, passed = mesh.metrics("n1"), past_the_mesh(mesh, pod)
    with both_dial(opened, closed) as loads:
        with node.paused("kubelet"):  # which would start another one at once
            killed_at = time.time()
            node.kill(pid, signal.SIGKILL)
            wait_answers(loads[:1], killed_at + 1)
        back_at = started_at(node, wait_for(lambda: mesh.new_pid("n1", pid), "a new weftd", 20))
        mesh.wait_ready()
        for client in (opened, closed):
            wait_balanced(client, "http://web/", shop.web)
        wait_answers(loads, back_at)
    dead = (killed_at + SETTLE_SECONDS, back_at)
    open_load, closed_load = (load.result for load in loads)
    # The way past the mesh was there, and `opened` took it.
    assert at_between(open_load["log"], *dead)
    assert [failure for failure in open_load["failures"] if failure["at"] > dead[0]] == []
    assert open_load["failed"] < 100
    assert at_between(closed_load["log"], *dead) == []
    refused = at_between(closed_load["failures"], *dead)
    assert refused and [failure for failure in refused if "connection refused" not in failure["error"]] == []
    after = mesh.metrics("n1")
    assert after.decision("refused_proxy_dead", pod) >= before.decision("refused_proxy_dead", pod) + len(refused)
    assert past_the_mesh(mesh, pod) == passed


def test_a_daemon_that_hangs_is_as_good_as_dead_until_it_goes_on(cluster, mesh, shop, opened, closed):
    node, pid, before = cluster.node("n1"), mesh.pid("n1"), mesh.metrics("n1")
    passed = past_the_mesh(mesh, f"{shop.name}/closed")
    node.kill(pid, signal.SIGSTOP)
    try:
        # What was dialled before the daemon was found silent waits for it.
        wait_for(lambda: "connection refused" in closed.get("http://web/")[0].get("error", ""), "a refused dial", 10)
        assert answered_by(opened.get("http://web/", 5)) <= names(shop.web)
    finally:
        node.kill(pid, signal.SIGCONT)
    for client in (opened, closed):
        wait_balanced(client, "http://web/", shop.web)
    after = mesh.metrics("n1")
    for reason, pod, least in (("pass_proxy_dead", "client-n1", 5), ("refused_proxy_dead", "closed", 1)):
        name = f"{shop.name}/{pod}"
        assert after.decision(reason, name) >= before.decision(reason, name) + least
    assert past_the_mesh(mesh, f"{shop.name}/closed") == passed
    assert mesh.pid("n1") == pid


def test_a_replaced_daemon_costs_no_request_and_takes_nothing_off_the_node(cluster, mesh, shop, opened, closed):
    """A pod that fails closed is refused meanwhile, and never sent past the mesh."""
    pod = f"{shop.name}/closed"
    passed = past_the_mesh(mesh, pod)
    with both_dial(opened, closed) as loads:
        cluster.kubectl("rollout", "restart", "-n", NAMESPACE, "ds/weft")
        wait_for(lambda: mesh.updated() == 1, "one of two daemons to be replaced", 60)
        assert all(mesh.traces(node.name) for node in cluster.nodes)
        mesh.wait_ready(120)
        wait_answers(loads, time.time())
    assert all(mesh.traces(node.name) for node in cluster.nodes)
    open_load, closed_load = (load.result for load in loads)
    assert open_load["failures"] == []
    assert {"connection refused" in failure["error"] for failure in closed_load["failures"]} == {True}
    assert past_the_mesh(mesh, pod) == passed


def images(mesh):
    return {pod["spec"]["containers"][0]["image"] for pod in mesh.pods()}


def test_an_upgrade_and_a_rollback_replace_the_daemons_and_cost_no_request(mesh, shop, opened):
    mesh.add_tag("next")
    wait_balanced(opened, "http://web/", shop.web)
    with opened.load("http://web/", connections=4) as load:
        mesh.upgrade(tag="next")
        assert images(mesh) == {f"{mesh.repository}:next"}
        mesh.rollback()
        assert images(mesh) == {f"{mesh.repository}:{mesh.tag}"}
    assert load.result["failures"] == []
    wait_balanced(opened, "http://web/", shop.web)


def test_an_uninstall_and_an_install_at_once_cost_no_request_and_no_pod(cluster, mesh, shop, opened, closed):
    """Nothing is left in between; and on n1 the new release meets what still ends of the old one."""
    before = {pod["metadata"]["uid"] for pod in cluster.pods(shop.name)}
    with both_dial(opened, closed, keepalive=True) as loads:
        mesh.uninstall()
        traces = {node.name: mesh.traces(node.name) for node in cluster.nodes}
        with mesh.held("n1"):
            mesh.begin_install()
            wait_for(lambda: mesh.waiting("n1") == {"weftd", "cni"}, "both to wait on n1", 30, 0.2)
            wait_for(lambda: mesh.is_serving("n2"), "weftd on n2", 30, 0.1)
            assert mesh.traces("n1") == []
        mesh.wait_ready()
        wait_answers(loads, time.time())
    assert traces == {"n1": [], "n2": []}
    assert [load.result["failures"] for load in loads] == [[], []]
    assert {pod["metadata"]["uid"] for pod in cluster.pods(shop.name)} == before
    for client in (opened, closed):
        wait_balanced(client, "http://web/", shop.web)


def test_pods_are_meshed_again_after_their_node_was_rebooted(cluster, mesh, shop):
    node = cluster.node("n1")
    node.stop()
    node.start()
    wait_for(lambda: mesh.is_serving("n1"), "weftd after the reboot", 60, 0.2)
    client = shop.remote(shop.wait_restarted("app=client-n1"))
    web = shop.wait_pods("app=web", 2)
    assert names(web) == names(shop.web)
    wait_balanced(client, "http://web/", web)
