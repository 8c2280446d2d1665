"""How connections end: through weft each program sees the end that a direct run shows, and in that order."""

import os
import random
import socket
import time

import pytest

from harness.poll import wait_for
from harness.truth import ENROLLED, SERVICES, TUNNELS  # noqa: F401 (for the fixture mesh)
from harness.truth import (
    digest,
    ending,
    events,
    in_background,
    outcome,
    read_all,
    read_exactly,
    reset,
    wait_event,
    wait_readable,
)

MODES = ("weft", "weft-on")
# ending() of a connection that was reset, as long as nobody took the error away.
REASON_KEPT = {
    "recv": "ECONNRESET",
    "SO_ERROR": 0,
    "recv again": b"",
    "poll": {"IN", "HUP", "RDHUP"},
    "getpeername": "ENOTCONN",
}


@pytest.mark.parametrize("service", TUNNELS)
def test_half_close_with_data_queued(truth, service):
    question, answer = os.urandom(300_000), os.urandom(2_000_000)

    def program(first, second):
        first.sendall(question)
        first.shutdown(socket.SHUT_WR)
        heard = read_all(second)
        seen = {"half closed": ending(second), "send after shutdown": outcome(lambda: first.send(b"x"))}
        writer = in_background(lambda: (second.sendall(answer), second.close()))
        got = read_all(first)
        writer.join()
        assert (heard, got) == (question, answer)
        return {**seen, "heard": digest(heard), "got": digest(got), "closed": ending(first)}

    truth.same_ends(service, program)


@pytest.mark.parametrize("service", TUNNELS)
def test_half_close_of_both_ends_at_once(truth, service):
    text = os.urandom(100_000)

    def program(*ends):
        for end in ends:
            end.sendall(text)
            end.shutdown(socket.SHUT_WR)
        got = [read_all(end) for end in ends]
        assert got == [text, text]
        return {"bytes": [digest(piece) for piece in got], "ends": [ending(end) for end in ends]}

    truth.same_ends(service, program)


@pytest.mark.parametrize("service", TUNNELS)
def test_half_close_before_any_byte(truth, service):
    def program(first, second):
        first.shutdown(socket.SHUT_WR)
        seen = {"half closed": ending(second)}
        second.sendall(b"late answer")
        second.close()
        return {**seen, "got": read_all(first), "closed": ending(first)}

    truth.same_ends(service, program, speaks=False)


@pytest.mark.parametrize("service", TUNNELS)
def test_fin_comes_after_all_data(truth, service):
    random.seed(5)
    contents = [random.randbytes(random.randint(1, 400_000)) for _ in range(20)]

    def program(way):
        record = []
        for number, content in enumerate(contents):
            with way.ends() as ends:
                sender, receiver = ends if number % 2 else reversed(ends)
                writer = in_background(lambda s=sender, c=content: (s.sendall(c), s.close()))
                got = read_all(receiver)
                writer.join()
                assert got == content
                record.append((digest(got), ending(receiver)))
        return record

    truth.same(service, program, captured=20, tunnels=20)


@pytest.mark.parametrize("service", TUNNELS)
def test_a_reset_is_seen_as_a_reset_after_the_data(truth, service):
    def program(first, second):
        first.sendall(b"x" * 10_000)
        wait_readable(second, 10_000)
        reset(first)
        wait_event(second, "ERR")
        seen = {"poll": events(second), "data": digest(read_exactly(second, 10_000))}
        return {**seen, "end": ending(second), "send": outcome(lambda: second.send(b"x"))}

    truth.same_ends(service, program)


@pytest.mark.parametrize("service", TUNNELS)
def test_close_with_unread_data_is_seen_as_a_reset(truth, service):
    def program(first, second):
        second.sendall(b"never read")
        wait_readable(first, 10)
        first.close()
        wait_event(second, "ERR")
        return {"poll": events(second), "end": ending(second), "send": outcome(lambda: second.send(b"x"))}

    truth.same_ends(service, program)


@pytest.mark.parametrize("service", TUNNELS)
def test_a_reset_before_any_byte_is_seen_as_a_reset(truth, service):
    def program(first, second):
        reset(first)
        wait_event(second, "ERR")
        return {"poll": events(second), "end": ending(second), "send": outcome(lambda: second.send(b"x"))}

    truth.same_ends(service, program, speaks=False)


@pytest.mark.parametrize("service", TUNNELS)
@pytest.mark.parametrize("how", ("close", "reset"))
def test_a_writer_whose_peer_goes_away_learns_it(truth, service, how):
    """
    Close after all was read: FIN, and a reset only for what is sent then. How many writes still
    succeed until that reset is back depends on the way's length, so they are not counted.
    """

    def program(writer, leaver):
        writer.sendall(b"heard")
        read_exactly(leaver, 5)
        leaver.close() if how == "close" else reset(leaver)
        wait_event(writer, "RDHUP")
        seen = {"poll": events(writer), "first": outcome(lambda: writer.send(b"x"))}
        answer = wait_for(lambda: isinstance(said := outcome(lambda: writer.send(b"y")), str) and said, "an error")
        return {**seen, "error": answer, "end": ending(writer)}

    truth.same_ends(
        service,
        program,
        past_tcp={"client first: error": ["ECONNRESET"], "client first: end": [REASON_KEPT]},
    )


@pytest.mark.parametrize("service", TUNNELS)
def test_a_blocked_writer_is_woken_by_its_peers_end(truth, service):
    """
    Data in flight both in the kernel and, through weft, in the proxy: the reader closes on it. Back on
    TCP a write that was partly done has taken the reason with it, past TCP a write leaves it.
    """

    def program(writer, leaver):
        answers = []

        def write():
            writer.settimeout(None)
            while not answers or isinstance(answers[-1], int):
                answers[:] = [outcome(lambda: writer.send(bytes(1 << 20)))]
            answers.append(outcome(lambda: writer.send(b"x")))

        thread = in_background(write)
        read_exactly(leaver, 100_000)
        leaver.close()
        thread.join(10)
        assert not thread.is_alive()
        return {"answers": answers, "end": ending(writer)}

    truth.same_ends(
        service,
        program,
        past_tcp={
            "client first: answers": [["EPIPE", "EPIPE"], ["ECONNRESET", "ECONNRESET"]],
            "client first: end": [REASON_KEPT],
        },
    )


@pytest.mark.parametrize("service", TUNNELS)
def test_closing_at_random_moments_ends_both_and_leaves_nothing(truth, service):
    """Both ends write and close while data is in flight; each is told, and weftd forgets them all."""
    random.seed(7)
    plan = [[(random.randint(1, 300_000), random.random() / 100) for _ in range(2)] for _ in range(40)]

    def write_and_close(end, size, wait):
        end.settimeout(5)
        answer = outcome(lambda: end.sendall(bytes(size)))
        assert answer in (None, "ECONNRESET", "EPIPE"), answer
        time.sleep(wait)  # the moment under test
        end.close()

    def program(way):
        ended = 0
        for moments in plan:
            with way.ends() as both:
                threads = [
                    in_background(lambda e=end, m=moment: write_and_close(e, *m))
                    for end, moment in zip(both, moments)
                ]
                for thread in threads:
                    thread.join(8)
                    ended += not thread.is_alive()
        return {"ended": ended}

    truth.same(service, program, captured=40)
    wait_for(lambda: truth.mesh.weftd.metrics().sum("weft_worker_sessions") == 0, "all sessions to end")
