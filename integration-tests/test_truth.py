"""Bytes: what an unmodified program sends and gets through weft is what a direct run shows."""

import concurrent.futures
import contextlib
import json
import os
import random
import select
import socket
import struct

import pytest

from harness.peers import peer
from harness.poll import wait_for
from harness.truth import ENROLLED, SERVICES, TUNNELS  # noqa: F401 (for the fixture mesh)
from harness.truth import digest, in_background, outcome, read_all, read_exactly, readable_bytes, unsent_bytes
from harness.weftd import is_sanitized

MODES = ("weft", "weft-on")
GIB = 1 << 30
SPLICE_F_NONBLOCK = 2
SO_ZEROCOPY, MSG_ZEROCOPY = 60, 0x4000000


@pytest.fixture(scope="module")
def bulk(cluster):
    process = cluster.pod("server").spawn([peer("bulk"), "serve", "9010"])
    cluster.pod("server").wait_port(9010, process)
    yield process
    process.stop()


@pytest.mark.big
@pytest.mark.parametrize(
    "service, up, down",
    (
        pytest.param("bulk", GIB, 0, id="up", marks=pytest.mark.modes("weft")),
        pytest.param("bulk", 0, GIB, id="down"),
        # not past TCP: one thread reads and one writes (test_shortcut.py, who waits in recv)
        pytest.param("bulk", GIB, GIB, id="both", marks=pytest.mark.modes("weft")),
        pytest.param("bulk-opaque", GIB, GIB, id="both-opaque", marks=pytest.mark.modes("weft")),
    ),
)
def test_a_gibibyte_arrives_unchanged(truth, bulk, service, up, down):
    """Both ends check every byte against a pattern that repeats after a prime number of bytes."""

    def program(way):
        done = way.pod.run([peer("bulk"), "dial", *way.address(), up, down], seconds=200)
        told = json.loads(done.stdout)
        assert told.pop("seconds") > 0
        assert told == {"right": True, "sent": up, "received": down}
        return told

    with truth.mesh.weftd.flat_memory(16 * 1024):
        truth.same(service, program, tunnels=1)


@pytest.mark.parametrize("service", TUNNELS)
def test_many_small_writes_arrive_in_order(truth, service):
    random.seed(3)
    pieces = [random.randbytes(random.randint(1, 20)) for _ in range(10000)]

    def program(sender, receiver):
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def write():
            for piece in pieces:
                sender.sendall(piece)
            sender.shutdown(socket.SHUT_WR)

        writer = in_background(write)
        got = read_all(receiver)
        writer.join()
        assert got == b"".join(pieces)
        return {"bytes": digest(got)}

    truth.same_ends(service, program)


# ---- other ways to move bytes ----


@pytest.mark.parametrize("service", TUNNELS)
def test_sendfile_sends_the_file(truth, service, tmp_path):
    content = os.urandom(8_000_000)
    (tmp_path / "file").write_bytes(content)

    def program(sender, receiver):
        sent = []

        def send():
            with open(tmp_path / "file", "rb") as file:
                sent.append(sender.sendfile(file))
            sender.shutdown(socket.SHUT_WR)

        writer = in_background(send)
        got = read_all(receiver)
        writer.join()
        assert got == content
        return {"sent": sent, "bytes": digest(got)}

    truth.same_ends(service, program)


def splice_out(sender, content, flags):
    """memory -> pipe -> socket."""
    source, sink = os.pipe()
    for at in range(0, len(content), 65536):
        queued = os.write(sink, content[at : at + 65536])
        while queued:
            if flags:
                select.select([], [sender], [], 10)
            moved = outcome(lambda: os.splice(source, sender.fileno(), queued, flags=flags))  # noqa: B023
            queued -= 0 if moved == "EAGAIN" else moved
    os.close(source)
    os.close(sink)
    sender.shutdown(socket.SHUT_WR)


def splice_in(receiver, flags):
    """socket -> pipe -> memory, up to the end of the stream."""
    source, sink = os.pipe()
    got = bytearray()
    while True:
        if flags:
            assert select.select([receiver], [], [], 10)[0], "no byte came"
        moved = outcome(lambda: os.splice(receiver.fileno(), sink, 65536, flags=flags))
        if moved == "EAGAIN":
            continue
        if not moved:
            break
        got += os.read(source, moved)
    os.close(source)
    os.close(sink)
    return bytes(got)


@pytest.mark.modes("weft")  # what the shortcut makes of it: test_shortcut.py
@pytest.mark.parametrize("blocking", (True, False), ids=("blocking", "non-blocking"))
@pytest.mark.parametrize("service", TUNNELS)
def test_splice_moves_bytes_on_both_ends(truth, service, blocking):
    content = os.urandom(3_000_000)
    flags = 0 if blocking else SPLICE_F_NONBLOCK

    def program(sender, receiver):
        pipe = os.pipe()
        for end in (sender, receiver):
            end.setblocking(blocking)
        seen = {}
        if not blocking:
            seen["nothing yet"] = outcome(lambda: os.splice(receiver.fileno(), pipe[1], 1, flags=flags))
        writer = in_background(lambda: splice_out(sender, content, flags))
        got = splice_in(receiver, flags)
        writer.join()
        assert got == content
        seen["after the end"] = outcome(lambda: os.splice(receiver.fileno(), pipe[1], 1, flags=flags))
        for fd in pipe:
            os.close(fd)
        return {**seen, "bytes": digest(got)}

    truth.same_ends(service, program)


def zerocopy_completions(sender, wanted):
    """Waits for the kernel's word on every send: {(error, origin, code)} and the numbers of the sends."""
    kinds, numbers = set(), set()

    def all_there():
        answer = outcome(lambda: sender.recvmsg(1, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT))
        if answer != "EAGAIN":
            # struct sock_extended_err: errno, origin (5 = zero copy), type, code, pad, info (from), data (to)
            number, origin, _, code, _, first, last = struct.unpack_from("IBBBBII", answer[1][0][2])
            kinds.add((number, origin, code))
            numbers.update(range(first, last + 1))
        return len(numbers) >= wanted

    wait_for(all_there, "all completions")
    return kinds, numbers


@pytest.mark.modes("weft")  # what the shortcut makes of it: test_shortcut.py
@pytest.mark.parametrize("service", TUNNELS)
def test_zerocopy_sends_complete(truth, service):
    sends, content = 16, os.urandom(60_000)

    def program(sender, receiver):
        sender.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        got = []
        reader = in_background(lambda: got.append(read_exactly(receiver, sends * len(content))))
        calls = 0
        for _ in range(sends):
            sent = 0
            while sent < len(content):
                sent += sender.send(content[sent:], MSG_ZEROCOPY)
                calls += 1
        reader.join(10)
        assert got == [content * sends]
        kinds, numbers = zerocopy_completions(sender, calls)
        return {"bytes": digest(got[0]), "kinds": kinds, "each once": numbers == set(range(calls))}

    truth.same_ends(service, program)


# ---- back-pressure ----


@pytest.mark.modes("weft")  # what the shortcut makes of it: test_shortcut.py
@pytest.mark.parametrize("service", TUNNELS)
def test_what_is_sent_and_not_yet_read_can_be_counted(truth, service):
    """FIONREAD and SIOCOUTQ, of a few bytes and of as many as fit."""

    def program(sender, receiver):
        seen = {"before": (readable_bytes(receiver), unsent_bytes(sender))}
        sender.sendall(b"x" * 12345)
        wait_for(lambda: readable_bytes(receiver) == 12345 and not unsent_bytes(sender), "the bytes to arrive")
        receiver.recv(345)
        seen["some read"] = readable_bytes(receiver)
        read_exactly(receiver, 12000)
        sender.setblocking(False)
        sent = 0
        # Full is where nothing moves any more: a pause, then still no room.
        while sent < 1 << 30:
            piece = outcome(lambda: sender.send(bytes(1 << 20)))
            if piece != "EAGAIN":
                sent += piece
            elif not select.select([], [sender], [], 0.3)[1]:
                break
        seen["full"] = (piece, unsent_bytes(sender) > 0, readable_bytes(receiver) > 0)
        read_exactly(receiver, sent)
        wait_for(lambda: not unsent_bytes(sender), "SIOCOUTQ to reach 0")
        seen["after"] = (readable_bytes(receiver), outcome(lambda: sender.send(b"room again")))
        wait_for(lambda: readable_bytes(receiver) == 10, "room again")
        sender.shutdown(socket.SHUT_WR)
        read_exactly(receiver, 10)
        seen["the end"] = (receiver.recv(1), readable_bytes(receiver))
        return seen

    truth.same_ends(service, program)


@pytest.mark.parametrize("service", TUNNELS)
@pytest.mark.parametrize("slow", ("client", "server"))
def test_accepted_and_never_read_stops_the_sender(truth, service, slow):
    """Six connections at once; the one that is read in the end has lost nothing."""
    content = os.urandom(64 << 20)

    def fill(sender):
        sent = 0
        sender.settimeout(0.2)
        while isinstance(moved := outcome(lambda: sender.send(content[sent : sent + 65536])), int):
            sent += moved
            assert sent < len(content), "nothing stops the sender"
        return sent, moved

    def program(way):
        with contextlib.ExitStack() as stack:
            pairs = [stack.enter_context(way.ends()) for _ in range(6)]
            for client, server in pairs:
                client.sendall(b"\x00")
                assert server.recv(1) == b"\x00"
            senders = [server if slow == "client" else client for client, server in pairs]
            with concurrent.futures.ThreadPoolExecutor(len(senders)) as pool:
                filled = list(pool.map(fill, senders))
            rss.append(truth.mesh.weftd.rss_kib())
            sender, reader = pairs[0] if slow == "server" else reversed(pairs[0])
            sender.close()
            assert read_all(reader) == content[: filled[0][0]]
            return {"stopped by": [moved for _, moved in filled], "the end": outcome(lambda: reader.recv(1))}

    rss = []
    before = truth.mesh.weftd.rss_kib()
    truth.same(service, program, captured=6, tunnels=6)
    if not is_sanitized():
        assert max(rss) - before < 8 * 1024
