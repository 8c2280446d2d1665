"""Many clients at once that do everything at random, and at the end nothing may be left: no wrong byte, no session,
no upstream, no buffer."""

import json

import pytest

from harness import programs
from harness.mesh import Service
from harness.peers import peer
from harness.poll import wait_for

MODES = ("direct", "weft", "weft-on")
SERVICES = [
    Service("http", ["server:9400", "server2:9400"], port=9400, protocol="http"),
    Service("auto", ["server:9400", "server2:9400"], port=9401, balancer="round_robin"),
    Service("tunnel", ["server:9401"], port=9402, protocol="opaque"),
]


@pytest.fixture(scope="module", autouse=True)
def servers(cluster):
    started = []
    for name in ("server", "server2"):
        pod = cluster.pod(name)
        started.append(programs.script(pod, peer("soak.py"), "serve", 9400, 9401))
        pod.wait_port(9400, started[-1])
    yield
    for process in started:
        process.stop()


@pytest.mark.parametrize("seed", (1, pytest.param(2, marks=pytest.mark.modes("weft", "weft-on"))))
def test_a_storm_of_everything_leaves_nothing(mesh, seed):
    targets = [f"{name}:{mesh.address(name)[0]}:{mesh.address(name)[1]}" for name in ("http", "auto", "tunnel")]
    with mesh.traffic("http", requests=50), mesh.traffic("tunnel", tunnels=20):
        done = mesh.client.run(["/usr/bin/python3", peer("soak.py"), "dial", seed, 6, *targets], seconds=50)
    told = json.loads(done.stdout)
    assert told["wrong"] == [], told
    assert told["right"] > 200, told
    assert told["cut"] > 0, told  # as the servers meant it
    if mesh.is_weft:
        weftd = mesh.weftd
        wait_for(lambda: weftd.metrics().sum("weft_worker_sessions") == 0, "all sessions to end")
        wait_for(lambda: weftd.metrics().sum("weft_worker_upstreams") == 0, "all upstreams to end")
        now = weftd.metrics()
        assert now.sum("weft_requests_active") == 0
        assert weftd.json("/connections.json")["connections"] == []
        opened = now.sum("weft_connections_opened_total", endpoint=None)
        assert opened == now.sum("weft_connections_closed_total", endpoint=None)
        assert now.sum("weft_tunnels_opened_total") == now.sum("weft_tunnels_closed_total")
