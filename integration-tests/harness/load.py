"""Clients that ask without a pause over connections that stay, and what became of each request."""

import dataclasses
import threading
import time

from .poll import wait_for
from .raw import Closed, Connection

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """`got`: the first word of an answer 200, another status as a number, or what broke."""

    sent_at: float  # time.monotonic
    ended_at: float
    got: object

    @property
    def is_good(self):
        return isinstance(self.got, str)


class Load:
    """`dial` gives a connected socket; a client whose connection breaks dials again."""

    def __init__(self, dial, clients=4, request=GET, pause=0.0):
        self.dial, self.request, self.pause = dial, request, pause
        self.outcomes = []
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def _run(self):
        connection = None
        while not self.stopped.is_set():
            sent_at = time.monotonic()
            try:
                connection = connection or Connection(self.dial())
                got = connection.ask(self.request)
                word = got.body.split()[0].decode() if got.status == 200 else got.status
                if got.get("Connection") == "close":
                    connection.socket.close()
                    connection = None
            except (Closed, OSError) as error:
                word = error
                if connection:
                    connection.socket.close()
                connection = None
            self.outcomes.append(Outcome(sent_at, time.monotonic(), word))
            self.stopped.wait(self.pause)
        if connection:
            connection.socket.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *failure):
        self.stopped.set()
        for thread in self.threads:
            thread.join(20)

    # ---- what was seen ----

    def failed(self):
        return [outcome for outcome in list(self.outcomes) if not outcome.is_good]

    def since(self, moment):
        """Of the requests that were sent after that moment."""
        return [outcome for outcome in list(self.outcomes) if outcome.sent_at > moment]

    def shares(self, moment=0.0):
        """{who answered: its share} of them."""
        seen = self.since(moment)
        return {got: sum(one.got == got for one in seen) / len(seen) for got in {str(one.got) for one in seen}}

    def wait(self, count, moment=0.0, seconds=20):
        wait_for(lambda: len(self.since(moment)) >= count, f"{count} outcomes", seconds)

    def wait_seen(self, got, moment=0.0, seconds=20):
        wait_for(lambda: any(one.got == got for one in self.since(moment)), f"an outcome {got}", seconds)

    def last_sent(self, got, moment):
        """Seconds from that moment until the last request was sent that got this."""
        return max((one.sent_at - moment for one in self.since(moment) if one.got == got), default=0.0)
