"""Odd places: pods without a family, without loopback, with two names; many of them; apps that leave at once."""

import contextlib
import json
import os
import socket
import subprocess
import time

import pytest

from harness import leftovers
from harness.mesh import Service
from harness.pod import in_netns
from harness.poll import wait_for
from harness.raw import Connection, Upstream, answer, serve
from harness.weftd import bpftool, is_sanitized

GET = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
WEB = Service("web", ["server:9400"], protocol="http")
MANY = 40 if is_sanitized() else 200


@pytest.fixture
def web(cluster):
    with Upstream(cluster.pod("server"), 9400, serve(lambda request: answer("200 OK", b"meshed"))):
        yield


@contextlib.contextmanager
def namespace(cluster, *commands):
    """A network namespace with nothing in it but what these ip(8) commands make."""
    name, _ = cluster.new_name("ns")
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for command in commands:
            subprocess.run(["ip", "-n", name, *command.split()], check=True)
        yield f"{leftovers.NETNS_ROOT}/{name}"
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)


def pods_of(weftd):
    return {pod["name"]: pod for pod in weftd.json("/pods.json")}


def with_pods(mesh, *pods):
    config = mesh.config()
    config["pods"] += pods
    return config


def ask(mesh, pod=None, family=4):
    with Connection(mesh.dial("web", family, pod=pod)) as client:
        return client.ask(GET).body.decode()


def test_one_namespace_by_two_paths_is_one_pod(daemon, cluster, web, tmp_path):
    """The second one is refused, and its going takes nothing from the first."""
    mesh = daemon([WEB])
    link = tmp_path / "twin"
    link.symlink_to(mesh.client.netns)
    mesh.weftd.write_config(with_pods(mesh, {"name": "twin", "netns": str(link)}))
    wait_for(lambda: "twin" in pods_of(mesh.weftd), "the second name", 5)
    wait_for(lambda: pods_of(mesh.weftd)["twin"].get("error"), "the second name to be refused", 5)
    assert 'pod client' in pods_of(mesh.weftd)["twin"]["error"]
    assert ask(mesh) == "meshed"
    mesh.weftd.reload(mesh.config(), until=lambda: "twin" not in pods_of(mesh.weftd))
    assert ask(mesh) == "meshed"
    assert mesh.weftd.metrics().captured("client") >= 2


def test_a_namespace_without_loopback_is_told_and_taken_when_it_is_up(daemon, cluster, web):
    mesh = daemon([WEB])
    with namespace(cluster) as netns:
        mesh.weftd.write_config(with_pods(mesh, {"name": "dark", "netns": netns}))
        wait_for(lambda: "loopback" in pods_of(mesh.weftd).get("dark", {}).get("error", ""), "the reason", 5)
        assert ask(mesh) == "meshed"
        subprocess.run(["ip", "-n", os.path.basename(netns), "link", "set", "lo", "up"], check=True)
        wait_for(lambda: pods_of(mesh.weftd)["dark"]["state"] == "captured", "the pod to be captured", 5)


def test_two_thousand_services_are_reloaded_at_once(daemon, web):
    mesh = daemon([WEB])
    config = mesh.config()
    for number in range(2000):
        at = f"{number // 250}.{number % 250 + 1}"
        endpoints = [{"address": f"10.101.{at}:80"}]
        config["services"].append(
            {"name": f"s{number}", "addresses": [f"10.100.{at}"], "ports": [80], "endpoints": endpoints}
        )
    began = time.monotonic()
    mesh.weftd.write_config(config)
    wait_for(lambda: len(mesh.weftd.service_names()) == 2001, "2,001 services", 10)
    assert time.monotonic() - began < (10 if is_sanitized() else 2)
    assert ask(mesh) == "meshed"
    assert mesh.weftd.admin("/metrics")[0] == 200
    mesh.weftd.reload(mesh.config())
    assert ask(mesh) == "meshed"


def test_many_pods_come_and_go(daemon, cluster, web):
    mesh = daemon([WEB])
    with contextlib.ExitStack() as stack:
        paths = [stack.enter_context(namespace(cluster, "link set lo up")) for _ in range(MANY)]
        pods = [{"name": f"p{number}", "netns": path} for number, path in enumerate(paths)]
        mesh.weftd.write_config(with_pods(mesh, *pods))

        def are_captured():
            known = pods_of(mesh.weftd)
            return all(known.get(pod["name"], {}).get("state") == "captured" for pod in pods)

        wait_for(are_captured, "all to be captured", 20)
        assert ask(mesh) == "meshed"
        mesh.weftd.write_config(mesh.config())
        wait_for(lambda: len(pods_of(mesh.weftd)) == len(mesh.config()["pods"]), "all to be gone", 20)
        assert ask(mesh) == "meshed"


@pytest.fixture
def web6(cluster):
    with Upstream(cluster.pod("server"), 9401, serve(lambda request: answer("200 OK", b"six")), family=socket.AF_INET6):
        yield


SIX = Service("six", ["server:9401"], protocol="http", family=6)


def fetch(mesh, name, family, pod):
    with Connection(mesh.dial(name, family, pod=pod)) as client:
        got = client.ask(GET)
        return got.status, got.body.decode()


def test_a_pod_with_ipv6_alone(daemon, cluster, web, web6):
    pod = cluster.pod("six")
    in_netns(pod.netns, lambda: subprocess.run(["ip", "-4", "addr", "flush", "dev", "eth0"], check=True))
    mesh = daemon([WEB, SIX], clients=("client", "six"))
    for family in (4, 6):
        assert fetch(mesh, "six", family, pod) == (200, "six")
    status, body = fetch(mesh, "web", 6, pod)
    assert status == 502 and "web" in body
    assert fetch(mesh, "web", 6, mesh.client) == (200, "meshed")


def test_a_pod_without_ipv6(daemon, cluster, web, web6):
    pod = cluster.pod("four")
    in_netns(pod.netns, disable_ipv6)
    mesh = daemon([WEB, SIX], clients=("client", "four"))
    assert fetch(mesh, "web", 4, pod) == (200, "meshed")
    status, body = fetch(mesh, "six", 4, pod)
    assert status == 502 and "six" in body
    assert fetch(mesh, "six", 4, mesh.client) == (200, "six")


def disable_ipv6():
    for device in ("all", "default"):
        with open(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6", "w", encoding="ascii") as knob:
            knob.write("1")


def test_apps_that_reset_at_once_leave_no_flow(daemon, cluster):
    """At ten thousand dials a second and more, most are reset before a worker accepts them."""
    with Upstream(cluster.pod("server"), 9402, lambda connection, number: connection.read_to_end()):
        mesh = daemon([Service(name, ["server:9402"], protocol=name) for name in ("http", "opaque")])
        count = 1500
        for name in mesh.services:
            in_netns(mesh.client.netns, lambda name=name: reset_at_once(mesh.address(name), count))
        wait_for(lambda: mesh.weftd.metrics().sum("weft_worker_sessions") == 0, "all sessions to end")
        assert mesh.weftd.metrics().captured("client") == 2 * count
        flows = f"{mesh.weftd.pin_dir}/weft_flows"
        assert not json.loads(bpftool("map", "dump", "pinned", flows).stdout)
        assert mesh.weftd.metrics().proxy_reason("no_flow") == 0


def reset_at_once(target, count):
    for _ in range(count):
        with socket.socket() as dialler:
            dialler.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            dialler.connect(target)
