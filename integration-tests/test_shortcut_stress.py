"""Many streams at once that do everything to sockets with the shortcut; every byte is checked at its place."""

import json
import os

import pytest

from harness.legs import legs
from harness.mesh import Service
from harness.peers import peer
from harness.poll import wait_for
from harness.shortcut import decisions, wait_no_legs
from harness.weftd import bpftool, is_sanitized

PORTS = (9700, 9701, 9702, 9703)
# In each of the two tests. `make stress` asks for 100,000 in all.
STREAMS = int(os.environ.get("WEFT_STRESS_STREAMS", 2000 if is_sanitized() else 10000)) // 2
WORKERS = 24
SECONDS = max(50, STREAMS // 50)
SERVICES = [
    Service("near", [f"stress:{port}" for port in PORTS], port=9700, protocol="opaque"),
    Service("far", [f"stress-server:{port}" for port in PORTS], port=9701),
]


def memory():
    """KiB that the kernel holds for TCP's queues, and in slabs."""
    with open("/proc/net/sockstat", encoding="ascii") as lines:
        pages = next(int(line.split()[-1]) for line in lines if line.startswith("TCP:"))
    with open("/proc/meminfo", encoding="ascii") as lines:
        slab = next(int(line.split()[1]) for line in lines if line.startswith("SUnreclaim:"))
    return {"TCP": pages * 4, "slab": slab}


def steer_packets(pod, cpus):
    """RPS on the pod's loopback: the receiving half of TCP runs on other CPUs, later than the sending one."""
    script = f"mount -t sysfs sysfs /mnt && echo {cpus} > /mnt/class/net/lo/queues/rx-0/rps_cpus"
    pod.run(["sh", "-c", script])


def tally(process):
    process.send(15)
    process.popen.wait(10)
    return json.loads(process.log().strip().splitlines()[-1])


def sockets_in_the_map(mesh):
    return json.loads(bpftool("map", "dump", "pinned", f"{mesh.weftd.pin_dir}/weft_leg_sockets").stdout)


@pytest.mark.seconds(SECONDS + 20)
@pytest.mark.parametrize("mode, cpus", (("on", "0"), ("on", "3")), ids=("rps off", "rps on"))
def test_a_storm_of_streams_loses_and_reorders_nothing(daemon, cluster, mode, cpus):
    pods = [cluster.pod("stress"), cluster.pod("stress-server")]
    for pod in pods:
        pod.run(["sh", "-c", "echo 10000 60999 > /proc/sys/net/ipv4/ip_local_port_range; "
                             "echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse"])  # fmt: skip
    steer_packets(pods[0], cpus)
    mesh = daemon(SERVICES, {"shortcut": {"mode": mode, "window": "128KiB"}}, clients=("stress",), only=("stress",))
    servers = [pod.spawn([peer("streams"), "serve", *PORTS]) for pod in pods]
    for pod, server in zip(pods, servers):
        pod.wait_port(PORTS[-1], server)
    targets = ["{}:{}".format(*mesh.address(name)) for name in ("near", "far")]
    before, rss = memory(), mesh.weftd.rss_kib()
    done = pods[0].run([peer("streams"), "dial", STREAMS, WORKERS, STREAMS + int(cpus), *targets], seconds=SECONDS)
    told = json.loads(done.stdout)
    assert told["wrong"] == [], told
    assert told["right"] == STREAMS // WORKERS * WORKERS, told
    wait_no_legs(mesh, 20)
    heard = [tally(server) for server in servers]
    assert [one["wrong"] for one in heard] == [[], []], heard
    # All but those that were killed or cut before the server knew what they are.
    surely = told["right"] - sum(told[kind] for kind in ("client_kill", "client_close", "client_reset"))
    assert sum(one["right"] for one in heard) >= surely
    counts = {
        reason: decisions(mesh, reason, "stress")
        for reason in ("shortcut", "demoted_window", "demoted_option", "demoted_no_peer", "demoted_sent", "tcp_full")
    }
    print(STREAMS, "streams,", told, counts, {"before": before, "after": memory(), "weftd": mesh.weftd.rss_kib() - rss})
    assert counts["shortcut"] > STREAMS
    assert counts["demoted_window"] > 0 and counts["demoted_option"] > 0
    wait_for(lambda: mesh.weftd.metrics().sum("weft_worker_sessions") == 0, "all sessions to end")
    wait_for(lambda: sockets_in_the_map(mesh) == [], "the last socket to leave the map")
    assert legs(mesh.weftd) == []
    wait_for(lambda: mesh.weftd.metrics().sum("weft_worker_block_bytes") < 4 << 20, "the buffers to be given back")
    # The machine does other things, too: far below what a leak of one queue per stream would be.
    wait_for(lambda: memory()["TCP"] - before["TCP"] < 16 << 10, "TCP's memory to be flat", 20)
    wait_for(lambda: memory()["slab"] - before["slab"] < 48 << 10, "the slabs to be flat", 20)
