"""weft.yaml is exchanged while requests run: how soon it counts, that nobody fails, and what is remembered."""

import contextlib
import statistics
import time

import pytest
from harness.load import GET, Load
from harness.mesh import Service
from harness.poll import wait_for
from harness.raw import Connection, Upstream, answer, serve

MODES = ("weft",)
PORT = 9750
NAMES = ("one", "two", "three", "four")
GOAL_S = 0.1  # of the median
IN_USE_S = 2  # of each: a busy machine delays some
SERVICES = [
    Service("web", [f"{name}:{PORT}" for name in NAMES[:3]], protocol="http", balancer="round_robin"),
    Service("idle", [f"one:{PORT}"], protocol="http"),
]
CHANGES, CHANGES_EACH = 20, 2


class Replica:
    def __init__(self, name):
        self.name, self.seen, self.latency, self.is_well = name, 0, 0.0, True

    def __call__(self, _request):
        self.seen += 1
        time.sleep(self.latency)
        return answer("200 OK" if self.is_well else "503 Service Unavailable", self.name)


@pytest.fixture
def replicas(mesh):
    made = {name: Replica(name) for name in NAMES}
    with contextlib.ExitStack() as stack:
        for name, replica in made.items():
            stack.enter_context(Upstream(mesh.pod(name), PORT, serve(replica)))
        yield made


def changed(mesh, **keys):
    """The config with other keys of the service web; `endpoints`: names of pods, or {name: weight}."""
    config = mesh.config()
    if "endpoints" in keys:
        weights = keys["endpoints"] if isinstance(keys["endpoints"], dict) else dict.fromkeys(keys["endpoints"], 1)
        keys["endpoints"] = [
            {"address": f"{mesh.pod(name).address}:{PORT}", "weight": weight} for name, weight in weights.items()
        ]
    config["services"][0].update(keys)
    return config


def tell(what, delays):
    print(f"{what}: in use after {', '.join(f'{1000 * delay:.0f}' for delay in delays)} ms")
    assert max(delays) < IN_USE_S


def test_a_change_is_in_use_in_under_100_ms(mesh, replicas):
    """From before the file is renamed until a request is answered by the new config."""
    mesh.weftd.use(changed(mesh, endpoints=["one"]))
    delays = []
    with Load(lambda: mesh.dial("web"), clients=2, pause=0.002) as load, Connection(mesh.dial("web")) as client:
        for name in ("four", "one") * (CHANGES // 2):
            at = mesh.weftd.write_config(changed(mesh, endpoints=[name]))
            while (got := client.ask(GET)).body != name.encode():
                assert got.status == 200
                assert time.monotonic() - at < IN_USE_S
            delays.append(time.monotonic() - at)
    assert not load.failed(), load.failed()
    tell("another endpoint", delays)
    assert statistics.median(delays) < GOAL_S


def test_endpoints_come_and_go_without_a_failed_request(mesh, replicas):
    came, went = [], []
    mesh.weftd.use(changed(mesh))
    with Load(lambda: mesh.dial("web"), clients=4, pause=0.001) as load:
        for _ in range(CHANGES_EACH):
            load.wait(50, time.monotonic())
            at = mesh.weftd.write_config(changed(mesh, endpoints=NAMES))
            load.wait_seen("four", at)
            came.append(min(one.sent_at for one in load.since(at) if one.got == "four") - at)
            at = mesh.weftd.write_config(changed(mesh))
            time.sleep(0.3)
            went.append(load.last_sent("four", at))
    assert not load.failed(), load.failed()
    tell("a new endpoint", came)
    tell("an endpoint less", went)


def test_a_canary_moves_from_a_tenth_to_all_and_back(mesh, replicas):
    """By endpoints' weights; test_routes.py has the same by routes."""
    tenth, every, none = ((90, 10), 0.04, 0.19), ((0, 100), 1, 1), ((100, 0), 0, 0)
    with Load(lambda: mesh.dial("web"), clients=4) as load:
        for weights, least, most in (tenth, every, tenth, none):
            mesh.weftd.use(changed(mesh, balancer="random", endpoints=dict(zip(("one", "four"), weights))))
            settled = time.monotonic()
            load.wait(500, settled)
            share = load.shares(settled).get("four", 0)
            print(f"weights {weights}: {100 * share:.1f} % of {len(load.since(settled))}")
            assert least <= share <= most, (weights, share)
    assert not load.failed(), load.failed()


def test_a_balancer_changes_without_a_failed_request(mesh, replicas):
    narrowed, widened = [], []
    mesh.weftd.use(changed(mesh))
    with Load(lambda: mesh.dial("web"), clients=4, pause=0.001) as load:
        for _ in range(CHANGES_EACH):
            for name in NAMES[:3]:
                load.wait_seen(name, time.monotonic())
            at = mesh.weftd.write_config(changed(mesh, balancer="client_ip"))  # one client: one replica
            time.sleep(0.3)
            settled = time.monotonic()
            load.wait(50, settled)
            (home,) = load.shares(settled)
            others = [name for name in NAMES[:3] if name != home]
            narrowed.append(max(load.last_sent(name, at) for name in others))
            at = mesh.weftd.write_config(changed(mesh))
            load.wait_seen(others[0], at)
            widened.append(min(one.sent_at for one in load.since(at) if one.got == others[0]) - at)
    assert not load.failed(), load.failed()
    tell("by the client's address", narrowed)
    tell("in turn", widened)


def test_a_timeout_changes_for_the_next_request(mesh, replicas):
    for replica in replicas.values():
        replica.latency = 0.05
    shorter, longer = [], []
    with Load(lambda: mesh.dial("web"), clients=4) as load:
        for _ in range(CHANGES_EACH):
            load.wait_seen("one", time.monotonic())
            # No breaker: its endpoints are to time out, not to be left out.
            at = mesh.weftd.write_config(changed(mesh, timeouts={"total": "5ms"}, breaker={"policy": "none"}))
            load.wait_seen(504, at)
            shorter.append(min(one.sent_at for one in load.since(at) if one.got == 504) - at)
            at = mesh.weftd.write_config(changed(mesh))
            load.wait_seen("one", at)
            time.sleep(0.3)
            longer.append(load.last_sent(504, at))
    assert {one.got for one in load.failed()} == {504}
    tell("a shorter timeout", shorter)
    tell("none again", longer)


def test_what_is_known_of_unchanged_endpoints_stays(mesh, replicas):
    """The breaker's verdict, the load that ewma remembers, and the counters."""
    remembers = {"balancer": "ewma", "breaker": {"failures": 3, "backoff_least": "60s"}}
    replicas["one"].is_well = False
    mesh.weftd.use(changed(mesh, **remembers))
    with Load(lambda: mesh.dial("web"), clients=4, pause=0.001) as load:
        load.wait(200, time.monotonic())
        replicas["two"].latency = 0.6  # from now on ewma gives it next to nothing
        asleep = replicas["two"].seen
        wait_for(lambda: replicas["two"].seen > asleep, "the second replica to be asked")
        time.sleep(0.8)
        before = mesh.weftd.metrics()
        seen = {name: replicas[name].seen for name in ("one", "two")}
        began = time.monotonic()
        for step in range(4):
            more = {"timeouts": {"total": "30s"}} if step % 2 else {"classifier": "retryable_read_5xx"}
            mesh.weftd.use(changed(mesh, endpoints=NAMES if step % 2 == 0 else NAMES[:3], **remembers, **more))
            load.wait(75, time.monotonic())
        asked = len(load.since(began))
        now = mesh.weftd.metrics()
    assert replicas["one"].seen == seen["one"]  # out since its third failure, whatever the file says of others
    assert replicas["two"].seen - seen["two"] <= max(8, asked // 50), (replicas["two"].seen, seen, asked)
    assert all(one.got == 503 for one in load.failed()) and len(load.since(began)) == sum(
        one.is_good for one in load.since(began)
    )
    for labels in ({"endpoint": None}, {"endpoint": mesh.endpoint("web", 2)}):
        was = before.sum("weft_requests_total", service="web", **labels)
        assert now.sum("weft_requests_total", service="web", **labels) > was > 0
    mesh.weftd.use(changed(mesh))
