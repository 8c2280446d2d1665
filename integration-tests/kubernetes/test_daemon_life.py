"""What pods notice when their node's daemon dies, is replaced, or leaves for good: nothing, or what was promised."""

import signal

import pytest
from harness.poll import wait_for
from k8s import echo
from k8s.weft import NAMESPACE

# The capture's promise: dials are reset or refused for no longer than this after a kill -9.
SETTLE_SECONDS = 0.25


@pytest.fixture
def web(meshed):
    meshed.apply(echo.deployment("web", 2), echo.service("web"))
    return meshed.wait_pods("app=web", 2)


def wait_meshed(mesh, client, node="n1"):
    """Until requests of this pod pass weft."""

    def passes():
        before = mesh.metrics(node).captured()
        return client.get("http://web/")[0]["status"] == 200 and mesh.metrics(node).captured() > before

    wait_for(passes, "the client to be captured", 10, 0.1)


def failed_after(load, moment):
    return [failure for failure in load.result["failures"] if failure["at"] > moment]


def test_a_kill_under_load_is_over_at_once_and_the_pods_come_back_to_the_mesh(cluster, mesh, meshed, web):
    client = meshed.run_client()
    wait_meshed(mesh, client)
    with client.load("http://web/", connections=4, keepalive=False) as load:
        wait_for(lambda: load.so_far()["requests"] > 100, "the load")
        node, pid = cluster.node("n1"), mesh.pid("n1")
        killed_at = node_time(node)
        node.kill(pid, signal.SIGKILL)
        wait_for(lambda: load.so_far()["last"] and min(load.so_far()["last"].values()) > killed_at + 2, "more load", 20)
        mesh.wait_ready()
        wait_meshed(mesh, client)
    assert failed_after(load, killed_at + SETTLE_SECONDS) == []
    assert load.result["failed"] < 100


def node_time(node):
    return float(node.run(["date", "+%s.%N"]).stdout)


def test_a_replaced_daemon_costs_no_request(cluster, mesh, meshed, web):
    client = meshed.run_client()
    wait_meshed(mesh, client)
    with client.load("http://web/", connections=4, keepalive=False) as load:
        cluster.kubectl("rollout", "restart", "-n", NAMESPACE, "ds/weft")
        mesh.wait_ready(120)
    assert load.result["failures"] == []


def test_an_upgrade_and_a_rollback_cost_no_request(cluster, mesh, meshed, web):
    client = meshed.run_client()
    wait_meshed(mesh, client)
    mesh.add_tag("next")
    with client.load("http://web/", connections=4) as load:
        mesh.upgrade(tag="next")
        mesh.rollback()
    assert load.result["failures"] == []


def test_an_uninstall_under_load_costs_no_request_and_no_pod(cluster, mesh, meshed, web):
    client = meshed.run_client()
    wait_meshed(mesh, client)
    before = {pod["metadata"]["uid"] for pod in cluster.pods(meshed.name)}
    with client.load("http://web/", connections=4) as load:
        mesh.uninstall()
    assert load.result["failures"] == []
    assert {node.name: mesh.traces(node.name) for node in cluster.nodes} == {"n1": [], "n2": []}
    assert client.get_one("http://web/")
    assert {pod["metadata"]["uid"] for pod in cluster.pods(meshed.name)} == before
    mesh.install("--set", "kubernetes.enabled=true,cni.enabled=true")


def test_pods_are_meshed_again_after_their_node_was_rebooted(cluster, mesh, meshed, web):
    node = cluster.node("n1")
    meshed.run_client()
    node.stop()
    node.start()
    wait_for(lambda: mesh.is_serving("n1"), "weftd after the reboot", 60, 0.2)
    client = meshed.remote(meshed.wait_restarted("app=client"))
    wait_meshed(mesh, client)
