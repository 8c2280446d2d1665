"""Sockets: what can be asked of them, the names of their ends, and ways to dial, as a direct run shows them."""

import errno
import json
import select
import socket

import pytest

from harness.peers import peer
from harness.poll import wait_for
from harness.truth import ENROLLED, SERVICES, TUNNELS  # noqa: F401 (for the fixture mesh)
from harness.truth import events, in_background, outcome, peeked_bytes, read_all, read_exactly, readable_bytes, wait_event

MODES = ("weft", "weft-on")
MSG_FASTOPEN, TCP_FASTOPEN_CONNECT = 0x20000000, 30


@pytest.mark.parametrize("service", TUNNELS)
def test_peek_leaves_the_bytes(truth, service):
    def program(sender, receiver):
        receiver.setblocking(False)
        seen = {"nothing": outcome(lambda: receiver.recv(4, socket.MSG_PEEK))}
        sender.sendall(b"peek at me")
        wait_for(lambda: readable_bytes(receiver) == 10, "the bytes")
        seen["peeked"] = [receiver.recv(size, socket.MSG_PEEK) for size in (4, 100)]
        seen["read"] = [receiver.recv(4), receiver.recv(100, socket.MSG_PEEK), receiver.recv(100)]
        sender.shutdown(socket.SHUT_WR)
        wait_event(receiver, "RDHUP")
        return {**seen, "end": [receiver.recv(1, socket.MSG_PEEK), receiver.recv(1)]}

    truth.same_ends(service, program)


@pytest.mark.parametrize("service", TUNNELS)
def test_rcvlowat_holds_readiness_back(truth, service):
    def program(sender, receiver):
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1000)
        seen = {"option": receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)}
        sender.sendall(b"a" * 500)
        wait_for(lambda: peeked_bytes(receiver) == 500, "half of it")
        seen["half"] = (events(receiver), bool(select.select([receiver], [], [], 0.05)[0]))
        sender.sendall(b"b" * 500)
        seen["all"] = bool(select.select([receiver], [], [], 5)[0])
        seen["read"] = receiver.recv(2000)
        sender.sendall(b"c")
        sender.shutdown(socket.SHUT_WR)
        wait_event(receiver, "RDHUP")
        return {**seen, "fewer before the end": (events(receiver), read_all(receiver))}

    truth.same_ends(service, program)


@pytest.mark.parametrize("inline", (False, True), ids=("out of band", "inline"))
@pytest.mark.parametrize("service", TUNNELS)
def test_urgent_data_is_not_lost(truth, service, inline):
    """
    The one documented difference of a tunnel: it knows no mark. The urgent byte arrives in its
    place in the stream, as RFC 6093 section 4 asks of applications; a direct run shows it apart.
    Past TCP nobody looks at MSG_OOB when reading: it takes the next byte.
    """

    def program(sender, receiver):
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, inline)
        sender.sendall(b"abc")
        sender.send(b"!", socket.MSG_OOB)
        sender.sendall(b"def")
        sender.shutdown(socket.SHUT_WR)
        wait_event(receiver, "RDHUP")
        seen = {
            "urgent": "PRI" in events(receiver),
            "recv urgent": outcome(lambda: receiver.recv(1, socket.MSG_OOB)),
        }
        pieces = []
        while piece := receiver.recv(100):
            pieces.append(piece)
        return {**seen, "pieces": pieces, "end": receiver.recv(1)}

    differs = {"urgent": False, "pieces": [b"abc!def"]}
    if not inline:
        differs["recv urgent"] = "EINVAL"
    past_tcp = {"server first: recv urgent": [b"a"], "server first: pieces": [[b"bc!def"]]}
    truth.same_ends(service, program, differs, past_tcp=past_tcp)


# ---- names of the ends ----


def names_of_ends(family, mapped=False):
    """The ports of the two runs are the kernel's choice; their relations are compared."""

    def program(way):
        address, port = way.address(family)
        with way.new_socket(socket.AF_INET6 if mapped or family == 6 else socket.AF_INET) as client:
            client.connect((f"::ffff:{address}" if mapped else address, port))
            server, accepted = way.accept()
            with server:
                client.sendall(b"named")
                assert server.recv(10) == b"named"
                return {
                    "client getpeername": way.seen_by_client(client.getpeername()),
                    "dialled port": client.getpeername()[1] == port,
                    "client getsockname": way.seen_by_client(client.getsockname()),
                    "client port": client.getsockname()[1] > 0,
                    "scope": (client.getpeername()[2:], client.getsockname()[2:]),
                    "accept": way.seen_by_server(accepted),
                    "server getpeername": way.seen_by_server(server.getpeername()),
                    "accept says getpeername": accepted == server.getpeername(),
                    "server getsockname": way.seen_by_server(server.getsockname()),
                    "server port": server.getsockname()[1],
                }

    return program


@pytest.mark.parametrize("service", TUNNELS)
def test_ends_of_an_ipv4_connection(truth, service):
    truth.same(service, names_of_ends(4), tunnels=1)


def test_ends_of_an_ipv6_connection(truth):
    truth.same("tcp6", names_of_ends(6), tunnels=1)


def test_ends_of_an_ipv6_connection_to_an_ipv4_endpoint(truth):
    """weft dials an endpoint with the endpoint's family, so the server sees the other address of the pod."""
    differs = {
        "accept": "mapped IPv4 of the client pod",
        "server getpeername": "mapped IPv4 of the client pod",
        "server getsockname": "mapped IPv4 of the server pod",
    }
    truth.same("tcp", names_of_ends(6), differs, tunnels=1)


@pytest.mark.parametrize("service", TUNNELS)
def test_ends_of_a_v4_mapped_connection(truth, service):
    """An IPv6 socket that dials an IPv4 address, as Java does."""
    truth.same(service, names_of_ends(4, mapped=True), tunnels=1)


def test_a_bound_source_port_is_kept(truth):
    def program(way):
        port = way.pod.free_port()
        with way.new_socket() as client:
            client.bind(("0.0.0.0", port))
            client.connect(way.address())
            server, _ = way.accept()
            with server:
                client.sendall(b"x")
                assert server.recv(1) == b"x"
                return {
                    "name": way.seen_by_client(client.getsockname()),
                    "port kept": client.getsockname()[1] == port,
                    "peer": way.seen_by_client(client.getpeername()),
                }

    truth.same("tcp", program, tunnels=1)


# ---- ways to dial ----


def exchange(client, server):
    client.sendall(b"hello")
    heard = read_exactly(server, 5)
    server.sendall(b"answer")
    return {"heard": heard, "answered": read_exactly(client, 6)}


@pytest.mark.parametrize("service", TUNNELS)
def test_non_blocking_connect(truth, service):
    def program(way):
        with way.new_socket() as client:
            client.setblocking(False)
            began = client.connect_ex(way.address())
            assert began in (0, errno.EINPROGRESS)
            writable = select.select([], [client], [], 5)[1] == [client]
            error = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            again = client.connect_ex(way.address())
            server, _ = way.accept()
            client.settimeout(10)
            with server:
                return {
                    "began": errno.errorcode[began],
                    "writable": writable,
                    "SO_ERROR": error,
                    "again": [again, client.connect_ex(way.address())],
                    **exchange(client, server),
                }

    truth.same(service, program, tunnels=1)


def test_connect_by_io_uring(truth):
    def program(way):
        def answer():
            server, _ = way.accept()
            with server:
                server.sendall(server.recv(100)[::-1])

        address, port = way.address()
        thread = in_background(answer)
        told = json.loads(way.pod.run([peer("uring_dial"), address, port, "abc"]).stdout)
        thread.join(5)
        return {
            "peer is what was dialled": told["peer"] == f"{address} {port}",
            "local": way.seen_by_client((told["local"], 0)),
            "answer": told["answer"],
        }

    truth.same("tcp", program, tunnels=1)


@pytest.mark.parametrize("service", TUNNELS)
def test_fast_open_by_sendto(truth, service):
    def program(way):
        record = []
        for _ in range(3):  # the second dial has a cookie
            with way.pod.new_socket() as client:  # blocking, or it would say EINPROGRESS
                sent = client.sendto(b"first bytes", MSG_FASTOPEN, way.address())
                server, _ = way.accept()
                with server:
                    client.sendall(b" and more")
                    heard = read_exactly(server, 20)
                    server.sendall(b"answer")
                record.append((sent, heard, read_all(client), way.seen_by_client(client.getpeername())))
        return record

    truth.same(service, program, captured=3, tunnels=3)


@pytest.mark.parametrize("service", TUNNELS)
def test_fast_open_by_connect(truth, service):
    def program(way):
        record = []
        for _ in range(3):
            with way.new_socket() as client:
                client.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
                client.connect(way.address())
                client.sendall(b"hello")
                server, _ = way.accept()
                with server:
                    heard = read_exactly(server, 5)
                    server.sendall(b"answer")
                record.append((heard, read_all(client), way.seen_by_client(client.getpeername())))
        return record

    truth.same(service, program, captured=3, tunnels=3)


def test_udp_is_untouched(truth):
    def program(way):
        pod = way.mesh.pod("server")
        server = pod.new_socket(kind=socket.SOCK_DGRAM)
        server.bind((pod.address, 9000))
        server.settimeout(5)
        with server, way.pod.new_socket(kind=socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect((pod.address, 9000))
            client.send(b"datagram")
            heard, sender = server.recvfrom(100)
            server.sendto(b"answer", sender)
            return {
                "heard": heard,
                "sender": way.seen_by_server(sender),
                "sender is getsockname": sender == client.getsockname(),
                "answer": client.recv(100),
                "peer is what was dialled": client.getpeername() == (pod.address, 9000),
            }

    captured = truth.mesh.weftd.metrics().captured("client")
    truth.same("tcp", program, captured=0)
    assert truth.mesh.weftd.metrics().captured("client") == captured
