"""
The published demo "add-steps" (linkerd1.md 2.XII): ten replicas that take from 0 to 2 s, some of which fail. Clients
ask in a closed loop, first each replica in turn by itself, then through weft with the demo's settings.
"""

import contextlib
import itertools
import threading
import time

from . import programs
from .load import Load
from .mesh import Service
from .peers import peer

# The demo's own are not published. These come near its figures without a mesh (109 requests/s, p50 86 ms, p99 2.1 s)
# and to its p99 with one (734 ms): what takes 2 s has next to it what takes about a third.
LATENCIES_MS = (0, 10, 25, 50, 75, 100, 200, 350, 700, 2000)
FAILING_PERCENT = {2: 40, 5: 40, 7: 40}  # by number: 12 % of all when each gets as much
RULES = {
    "classifier": "retryable_read_5xx",
    "breaker": {
        "policy": "success_rate",
        "success_rate": 90,
        "requests": 20,
        "backoff": "constant",
        "backoff_least": "10s",
    },
}
CLIENTS = 40
SERVICE = "steps"
POD = "steps"


class AddSteps:
    """with AddSteps(cluster) as steps: run(seconds, steps.direct(), …): the figures of each."""

    def __init__(self, cluster):
        self.pod = cluster.pod(POD)
        self.client = cluster.pod("client")
        self.ports = [self.pod.free_port() for _ in LATENCIES_MS]
        words = [
            f"{number}:{port}:{latency}:{FAILING_PERCENT.get(number, 0)}"
            for number, (port, latency) in enumerate(zip(self.ports, LATENCIES_MS))
        ]
        self.process = programs.script(self.pod, peer("replica.py"), *words, port=self.ports[-1])
        self.service = Service(SERVICE, [f"{POD}:{port}" for port in self.ports], protocol="http", rules=RULES)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.process.stop()

    def _dial(self, port):
        dialler = self.client.new_socket()
        dialler.settimeout(20)
        dialler.connect((self.pod.address, port))
        return dialler

    def direct(self, clients=CLIENTS):
        turns, lock = itertools.cycle(self.ports), threading.Lock()
        return Load(lambda: _EachInTurn(turns, lock, self._dial), clients)

    def meshed(self, mesh, clients=CLIENTS):
        return Load(lambda: mesh.dial(SERVICE, seconds=20), clients)


def run(seconds, *loads):
    """The figures of each, all at once: of what was asked within these seconds, also when it was answered later."""
    with contextlib.ExitStack() as stack:
        for load in loads:
            stack.enter_context(load)
        time.sleep(seconds)
        for load in loads:
            load.stopped.set()
    return [figures(load.outcomes, seconds) for load in loads]


class _EachInTurn:
    """A socket whose every request goes to the next replica, over a connection per replica that stays."""

    def __init__(self, turns, lock, dial):
        self.turns, self.lock, self.dial = turns, lock, dial
        self.open = {}
        self.now = None

    def sendall(self, data):
        with self.lock:
            port = next(self.turns)
        if port not in self.open:
            self.open[port] = self.dial(port)
        self.now = self.open[port]
        self.now.sendall(data)

    def recv(self, size):
        return self.now.recv(size)

    def close(self):
        for one in self.open.values():
            one.close()


def figures(outcomes, seconds):
    """Success in percent, requests per second, and quantiles of all requests' milliseconds."""
    took = sorted(one.ended_at - one.sent_at for one in outcomes)

    def quantile(share):
        return 1e3 * took[min(len(took) - 1, int(share * len(took)))]

    return {
        "requests": len(outcomes),
        "success_percent": 100 * sum(one.is_good for one in outcomes) / len(outcomes),
        "requests_per_second": len(outcomes) / seconds,
        "p50_ms": quantile(0.50),
        "p95_ms": quantile(0.95),
        "p99_ms": quantile(0.99),
    }
