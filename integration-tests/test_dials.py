"""Dials that programs make in odd ways: again on the same socket, from a chosen address, to themselves."""

import ctypes
import errno
import socket
import subprocess
import time

import pytest

from harness.mesh import Service
from harness.raw import Closed, Connection, Upstream, answer, serve

GET = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
LIBC = ctypes.CDLL(None, use_errno=True)


def named(text):
    return serve(lambda request: answer("200 OK", text))


@pytest.fixture
def all_captured(cluster, daemon):
    """Every dial of the client pod is captured; server answers on 9501 and 9502."""
    with Upstream(cluster.pod("server"), 9501, named("first")), Upstream(
        cluster.pod("server"), 9502, named("second")
    ), Upstream(cluster.pod("client"), 9503, named("myself")):
        yield daemon(
            [Service("web", ["server:9501"], port=81, protocol="http"), Service("empty", [], port=82)],
            pod_options={"client": {"capture": "all"}},
        )


def disconnect(sock):
    """connect() to AF_UNSPEC: the socket may dial again."""
    assert LIBC.connect(sock.fileno(), ctypes.create_string_buffer(16), 16) == 0


def ask(sock):
    connection = Connection(sock)
    return connection.ask(GET).body.decode()


def test_a_socket_that_dials_again_shows_its_new_peer(cluster, all_captured):
    mesh, server = all_captured, cluster.pod("server")
    with mesh.client.new_socket() as dialler:
        dialler.settimeout(5)
        for address, text in (
            (mesh.address("web"), "first"),
            ((server.address, 9502), "second"),
            (mesh.address("web"), "first"),
        ):
            dialler.connect(address)
            assert dialler.getpeername() == address
            assert dialler.getsockname()[0] == mesh.client.address
            assert ask(dialler) == text
            disconnect(dialler)


def test_a_second_dial_that_passes_does_not_show_the_first_peer(cluster, daemon):
    """The first dial is captured, the second goes direct: nothing of the first may show."""
    with Upstream(cluster.pod("server"), 9501, named("first")), Upstream(cluster.pod("server"), 9502, named("second")):
        mesh = daemon([Service("web", ["server:9501"], port=81, protocol="http")])
        with mesh.client.new_socket() as dialler:
            dialler.settimeout(5)
            dialler.connect(mesh.address("web"))
            assert ask(dialler) == "first"
            disconnect(dialler)
            direct = (cluster.pod("server").address, 9502)
            dialler.connect(direct)
            assert dialler.getpeername() == direct
            assert dialler.getsockname()[0] == mesh.client.address
            assert ask(dialler) == "second"


def test_a_refused_dial_may_be_followed_by_a_good_one(all_captured):
    mesh = all_captured
    with mesh.client.new_socket() as dialler:
        dialler.settimeout(5)
        with pytest.raises(ConnectionRefusedError):
            dialler.connect(mesh.address("empty"))
        dialler.connect(mesh.address("web"))
        assert dialler.getpeername() == mesh.address("web")
        assert ask(dialler) == "first"


def test_connecting_a_connected_socket_says_so(all_captured):
    mesh = all_captured
    with mesh.client.new_socket() as dialler:
        dialler.connect(mesh.address("web"))  # blocking: after another connect() the kernel says 0 once more
        assert dialler.connect_ex(mesh.address("web")) == errno.EISCONN
        assert dialler.getpeername() == mesh.address("web")
        assert ask(dialler) == "first"


@pytest.mark.parametrize("family", (4, 6))
def test_a_chosen_source_address_is_kept_on_the_way_to_the_endpoint(cluster, daemon, family):
    """A pod with two addresses: the server sees the one that the app bound, as it would directly."""
    seen = []

    def script(connection, _number):
        seen.append(connection.socket.getpeername()[0].removeprefix("::ffff:"))
        connection.send(connection.read_to_end())

    second, length = ("10.77.0.200", 32) if family == 4 else ("fd77::200", 128)
    client = cluster.pod("client")
    add = ["ip", "-n", client.unique, "addr", "replace", f"{second}/{length}", "dev", "eth0"]
    subprocess.run([*add, *(["nodad"] if family == 6 else [])], check=True)
    try:
        with Upstream(cluster.pod("server"), 9502, script):
            mesh = daemon([Service("tcp", ["server:9502"], port=81, protocol="opaque", family=family)])
            for bound in (second, client.address if family == 4 else client.address6):
                with client.new_socket(socket.AF_INET if family == 4 else socket.AF_INET6) as dialler:
                    dialler.settimeout(5)
                    dialler.bind((bound, 0))
                    dialler.connect(mesh.address("tcp", family))
                    assert dialler.getsockname()[0] == bound
                    dialler.sendall(b"x")
                    dialler.shutdown(socket.SHUT_WR)
                    assert dialler.recv(10) == b"x"
                assert seen[-1] == bound
    finally:
        subprocess.run(["ip", "-n", client.unique, "addr", "del", f"{second}/{length}", "dev", "eth0"], check=True)


@pytest.mark.parametrize("address", ("127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "10.77.0.2"))
def test_a_pod_reaches_itself(all_captured, address):
    mesh = all_captured
    if address == "10.77.0.2":
        address = mesh.client.address
    with mesh.client.new_socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as dialler:
        dialler.settimeout(5)
        dialler.connect((address, 9503))
        assert ask(dialler) == "myself"


def test_a_link_local_destination_is_reached(cluster, all_captured):
    """Its scope is part of the address."""
    mesh = all_captured
    shown = subprocess.run(
        ["ip", "-n", cluster.pod("server").unique, "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    address = shown.split()[3].split("/")[0]
    with mesh.client.new_socket(socket.AF_INET6) as dialler:
        dialler.settimeout(5)
        dialler.connect((address, 9501, 0, _eth0(mesh.client)))
        assert dialler.getpeername()[0].split("%")[0] == address
        assert ask(dialler) == "first"


def _eth0(pod):
    """The index of the pod's link."""
    shown = subprocess.run(
        ["ip", "-n", pod.unique, "-o", "link", "show", "dev", "eth0"], capture_output=True, text=True, check=True
    )
    return int(shown.stdout.split(":")[0])


def test_dialling_wefts_own_listener_is_no_loop(all_captured):
    mesh = all_captured
    shown = mesh.client.run(["ss", "-Htnl4"]).stdout
    ports = [int(line.split()[3].rpartition(":")[2]) for line in shown.splitlines() if "127.0.0.1:" in line]
    assert ports
    before = mesh.weftd.metrics().captured("client")
    for port in ports:
        with mesh.client.new_socket() as dialler:
            dialler.settimeout(5)
            began = time.monotonic()
            try:
                dialler.connect(("127.0.0.1", port))
                ask(dialler)
                raise AssertionError("weft's own listener answered")
            except (Closed, OSError):
                assert time.monotonic() - began < 3
    assert mesh.weftd.metrics().captured("client") - before <= 2 * len(ports)
    with mesh.client.new_socket() as dialler:
        dialler.settimeout(5)
        dialler.connect(mesh.address("web"))
        assert ask(dialler) == "first"


def test_a_dial_from_a_socket_without_ipv4(all_captured):
    """IPV6_V6ONLY and a mapped address: the kernel says no, and weft must not say otherwise."""
    mesh = all_captured
    with mesh.client.new_socket(socket.AF_INET6) as dialler:
        dialler.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        dialler.settimeout(5)
        with pytest.raises(OSError) as caught:
            dialler.connect((f"::ffff:{mesh.address('web')[0]}", 81))
        assert caught.value.errno == errno.ENETUNREACH


# ---- pods that come and go ----


def test_a_pod_that_does_not_exist_costs_the_others_nothing(cluster, daemon):
    with Upstream(cluster.pod("server"), 9501, named("first")):
        mesh = daemon([Service("web", ["server:9501"], port=81, protocol="http")])
        config = mesh.config()
        config["pods"].append({"name": "ghost", "netns": "/run/netns/weft-it-no-such-pod"})
        mesh.weftd.reload(config, until=lambda: "ghost" in mesh.weftd.admin("/pods.json")[1]
                          or "ghost" in mesh.weftd.log())  # fmt: skip
        with Connection(mesh.dial("web")) as client:
            assert client.ask(GET).body == b"first"
        assert "ghost" in mesh.weftd.log() + mesh.weftd.admin("/config.json")[1]


def test_a_pod_that_is_deleted_leaves_and_its_successor_is_enrolled(cluster, daemon):
    with Upstream(cluster.pod("server"), 9501, named("first")):
        mesh = daemon([Service("web", ["server:9501"], port=81, protocol="http")], clients=("client", "brief"))
        assert mesh.pod("brief").run(["curl", "-sSf", "http://web:81/"]).stdout == "first"
        mesh.pod("brief").close()
        del cluster.pods["brief"]
        mesh.weftd.reload(mesh.config(), until=lambda: '"brief"' not in mesh.weftd.admin("/pods.json")[1])
        for _ in range(2):  # the same name and path again: another namespace
            brief = cluster.pod("brief")
            brief.set_hosts({"web": [mesh.virtual("web")]})
            mesh.weftd.reload(mesh.config(), until=lambda: '"brief"' in mesh.weftd.admin("/pods.json")[1])

            def captured(brief=brief):
                return brief.run(["curl", "-sS", "--max-time", "1", "http://web:81/"], check=False).stdout == "first"

            deadline = time.monotonic() + 5
            while not captured():
                assert time.monotonic() < deadline, "the new pod is not captured"
            brief.close()
            del cluster.pods["brief"]
        mesh.weftd.reload(mesh.config(), until=lambda: '"brief"' not in mesh.weftd.admin("/pods.json")[1])
