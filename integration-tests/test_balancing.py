"""Which replica gets what, through a real weftd with one worker."""

import collections
import contextlib
import threading
import time

import pytest

from harness.mesh import Service
from harness.poll import wait_for
from harness.raw import Connection, Upstream, answer, serve

PODS = ("server", "server2")
FIRST_PORT = 9600
ONE_WORKER = {"workers": 1}


def places(count):
    return [f"{PODS[at % 2]}:{FIRST_PORT + at}" for at in range(count)]


@pytest.fixture
def replicas(cluster):
    """replicas(count, slow={number: seconds}): each answers with its number."""
    with contextlib.ExitStack() as stack:

        def start(count, slow=None):
            def respond_as(number):
                def respond(_request):
                    time.sleep((slow or {}).get(number, 0))
                    return answer("200 OK", str(number))

                return respond

            for at, place in enumerate(places(count)):
                pod, _, port = place.partition(":")
                stack.enter_context(Upstream(cluster.pod(pod), int(port), serve(respond_as(at))))

        yield start


def get(user=None):
    field = f"X-User: {user}\r\n" if user is not None else ""
    return f"GET / HTTP/1.1\r\nHost: h\r\n{field}\r\n"


def ask(mesh, name, user=None):
    """The number of the replica that answered a new connection's request."""
    with Connection(mesh.dial(name)) as client:
        got = client.ask(get(user))
        assert got.status == 200, got.body
        return int(got.body)


class Clients:
    """Each asks in a loop on a connection of its own; `answers` has (seconds it took, replica)."""

    def __init__(self, mesh, name, clients):
        self.mesh, self.name = mesh, name
        self.answers = []
        self.failures = []
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._loop, daemon=True) for _ in range(clients)]

    def _loop(self):
        try:
            with Connection(self.mesh.dial(self.name)) as client:
                while not self.stopped.wait(0.005):
                    began = time.monotonic()
                    got = client.ask(get())
                    assert got.status == 200, got.body
                    self.answers.append((time.monotonic() - began, int(got.body)))
        except BaseException as error:
            self.failures.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *failure):
        self.stopped.set()
        for thread in self.threads:
            thread.join(10)
        if kind is None and self.failures:
            raise self.failures[0]

    def wait(self, count):
        wait_for(lambda: self.failures or len(self.answers) >= count, f"{count} answers", 40)

    def shares(self):
        counts = collections.Counter(replica for _, replica in self.answers)
        return {replica: count / len(self.answers) for replica, count in counts.items()}


@pytest.mark.release
def test_a_slow_replica_gets_next_to_nothing_by_default(daemon, replicas):
    replicas(5, slow={2: 1.0})
    mesh = daemon([Service("web", places(5), protocol="http")], ONE_WORKER)
    with Clients(mesh, "web", 8) as clients:
        clients.wait(1500)
    shares = clients.shares()
    assert shares.get(2, 0) < 0.02, shares
    assert all(shares.get(number, 0) > 0.1 for number in (0, 1, 3, 4)), shares


@pytest.mark.release
def test_round_robin_gives_a_slow_replica_its_turn(daemon, replicas):
    replicas(5, slow={2: 0.1})
    mesh = daemon([Service("web", places(5), protocol="http", balancer="round_robin")], ONE_WORKER)
    with Clients(mesh, "web", 8) as clients:
        clients.wait(300)
    shares = clients.shares()
    assert 0.14 < shares.get(2, 0) < 0.26, shares


def test_a_replica_that_refuses_is_not_fast(daemon, replicas):
    replicas(4)  # the fifth port has no listener
    mesh = daemon([Service("web", places(5), protocol="http")], ONE_WORKER)
    with Clients(mesh, "web", 4) as clients:
        clients.wait(1000)
    failures = mesh.weftd.metrics().sum("weft_connect_failures_total", service="web")
    assert 1 <= failures < 50  # of two drawn it is taken only when both are it


def test_a_replica_that_leaves_fails_nobody(daemon, replicas):
    replicas(5, slow={4: 0.05})
    mesh = daemon([Service("web", places(5), protocol="http", balancer="round_robin")], ONE_WORKER)
    with Clients(mesh, "web", 8) as clients:
        clients.wait(100)
        config = mesh.config()
        gone = config["services"][0]["endpoints"].pop()
        mesh.weftd.reload(config, until=lambda: gone["address"] not in mesh.weftd.admin("/services.json")[1])
        time.sleep(0.3)
        before = len(clients.answers)
        clients.wait(before + 200)
        assert {replica for _, replica in clients.answers[before:]} == {0, 1, 2, 3}
    assert mesh.weftd.metrics().service("weft_proxy_errors_total", "web") == 0


def test_a_header_that_hashes_alike_goes_to_one_replica(daemon, replicas):
    replicas(5)
    by_user = {"hash_on": "header", "hash_name": "x-user"}
    mesh = daemon(
        [
            Service("web", places(5), protocol="http", balancer="hash", balancing=by_user),
            Service("auto", places(5), port=81, balancer="hash", balancing=by_user),
        ],
        ONE_WORKER,
    )
    users = [f"user{number}" for number in range(100)]
    homes = {user: ask(mesh, "web", user) for user in users}
    assert homes == {user: ask(mesh, "web", user) for user in reversed(users)}
    assert homes == {user: ask(mesh, "auto", user) for user in users}  # although it dials before the header
    assert set(homes.values()) == {0, 1, 2, 3, 4}
    config = mesh.config()
    for service in config["services"]:
        service["endpoints"].pop(1)
    mesh.weftd.reload(config, until=lambda: ask(mesh, "web", next(u for u in users if homes[u] == 1)) != 1)
    after = {user: ask(mesh, "web", user) for user in users}
    moved = {user for user in users if after[user] != homes[user]}
    assert moved == {user for user in users if homes[user] == 1}
    assert 8 <= len(moved) <= 36  # a fifth, as far as 100 users can tell


@pytest.mark.release
def test_turns_follow_the_weights(daemon, replicas):
    replicas(3)
    mesh = daemon([Service("web", places(3), protocol="http", balancer="round_robin")], ONE_WORKER)
    config = mesh.config()
    for endpoint, weight in zip(config["services"][0]["endpoints"], (1, 3, 0)):
        endpoint["weight"] = weight
    mesh.weftd.reload(config, until=lambda: all(ask(mesh, "web") != 2 for _ in range(4)))
    counts = collections.Counter(ask(mesh, "web") for _ in range(80))
    assert counts == {0: 20, 1: 60}
