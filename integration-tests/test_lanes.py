"""A pod's source ports: captured dials all end at weft's listeners, and must not run out of ports sooner than direct ones."""

import contextlib
import resource

from harness.mesh import Service
from harness.pod import in_netns
from harness.raw import Connection, Upstream, answer, serve

PORTS = 500
GET = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
RANGE = "/proc/sys/net/ipv4/ip_local_port_range"


@contextlib.contextmanager
def few_source_ports(pod):
    def write(text):
        with open(RANGE, encoding="utf-8") as knob:
            before = knob.read()
        with open(RANGE, "w", encoding="utf-8") as knob:
            knob.write(text)
        return before

    before = in_netns(pod.netns, lambda: write(f"40000 {40000 + PORTS - 1}"))
    try:
        yield
    finally:
        in_netns(pod.netns, lambda: write(before))


@contextlib.contextmanager
def many_descriptors(count):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(count, before[0]), max(count, before[1])))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_two_destinations_have_the_ports_of_two(cluster, daemon):
    with contextlib.ExitStack() as held:
        held.enter_context(many_descriptors(4 * PORTS))
        held.enter_context(few_source_ports(cluster.pod("client")))
        upstream = Upstream(cluster.pod("server"), 9302, serve(lambda request: answer("200 OK", b"ok")))
        held.enter_context(upstream)
        services = [Service(name, ["server:9302"], protocol="http") for name in ("one", "two")]
        mesh = daemon(services, options={"workers": 1})
        for name in mesh.services:
            for _ in range(PORTS):
                client = held.enter_context(Connection(mesh.dial(name)))
                assert client.ask(GET).body == b"ok"
        metrics = mesh.weftd.metrics()
        assert metrics.captured("client") == 2 * PORTS
        assert metrics.sum("weft_worker_sessions") == 2 * PORTS
