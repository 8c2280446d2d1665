"""A node whose weftd dies while the API server is away."""

import json
import signal

import pytest
from harness.poll import wait_for
from k8s import echo

KNOWN = "/run/weft/weftd.sock.known"


@pytest.fixture
def web(meshed):
    meshed.apply(echo.deployment("web", 2), echo.service("web"))
    return meshed.wait_pods("app=web", 2)


def wait_meshed(mesh, client, node="n1", seconds=10):
    """Until requests of this pod pass weft."""

    def passes():
        before = mesh.metrics(node).captured()
        return client.get("http://web/")[0]["status"] == 200 and mesh.metrics(node).captured() > before

    wait_for(passes, "the client to be captured", seconds, 0.1)


def watches(mesh, node="n1"):
    return json.loads(mesh.admin(node, "/kubernetes.json")[1])["watches"].values()


def test_a_weftd_that_dies_while_the_api_server_is_away_serves_what_was_known(cluster, mesh, meshed, web):
    client, node = meshed.run_client(), cluster.node("n1")
    wait_meshed(mesh, client)
    wait_for(lambda: f'"ip":"{client.address}"' in node.run(["cat", KNOWN]).stdout, "the file to have it", 30, 0.2)
    with cluster.control.paused_api():
        node.kill(mesh.pid("n1"), signal.SIGKILL)
        wait_for(lambda: mesh.is_serving("n1"), "the next weftd", 60, 0.2)
        wait_meshed(mesh, client)
        assert all(watch["is_recalled"] and watch["stale_seconds"] > 0 for watch in watches(mesh))
        assert len({answer["heard"]["pod"] for answer in client.get("http://web/", times=20)}) == 2
    cluster.wait_api()
    wait_for(lambda: not any(watch["is_recalled"] for watch in watches(mesh)), "the lists", 30, 0.2)
    wait_meshed(mesh, client)
