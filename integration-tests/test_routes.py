"""Routes: canaries by weight, changed under load, by header; redirects, rewrites, identifiers, statuses."""

import contextlib
import time

import pytest
from harness.load import Load
from harness.mesh import Service
from harness.named import get, name_of, serving, who
from harness.poll import wait_for
from harness.raw import Connection
from harness.weftd import is_sanitized
from test_cli import rows

MODES = ("weft",)
SERVICES = [
    Service("web", ["server:9200"], protocol="http"),
    Service("v1", ["server:9201"], protocol="http"),
    Service("v2", ["server:9202"], protocol="http"),
    Service("empty", [], protocol="http"),
]
PORTS = {"web": 9200, "v1": 9201, "v2": 9202}


@pytest.fixture(scope="module")
def servers(mesh):
    with serving(mesh, PORTS):
        yield mesh


def rule(*backends, **more):
    """rule("v1*90", "v2*10", matches=…)"""
    split = [text.partition("*") for text in backends]
    return {**more, "backends": [{"service": name, "weight": int(weight or 1)} for name, _, weight in split]}


@pytest.fixture
def routes(servers):
    """routes(rules, **more config): in use when it returns, for requests to web."""

    def use(rules, until, **more):
        config = {**servers.config(), "routes": [{"name": "web", "services": ["web"], "rules": rules}], **more}
        servers.weftd.write_config(config)
        wait_for(until, "the routes to be in use", 5)

    yield use
    servers.weftd.write_config(servers.config())
    wait_for(lambda: who(servers) == "web", "no routes to be in use", 5)


def drawn(mesh, count):
    """Who answered how often, over one connection."""
    seen = {}
    with contextlib.closing(mesh.dial("web")) as dialler:
        connection = Connection(dialler)
        for _ in range(count):
            name = name_of(connection.ask("GET / HTTP/1.1\r\nHost: web\r\n\r\n"))
            seen[name] = seen.get(name, 0) + 1
    return seen


def test_a_canary_gets_its_share_of_one_connections_requests(servers, routes):
    routes([rule("v1*90", "v2*10")], lambda: who(servers) in ("v1", "v2"))
    seen = drawn(servers, 2000)
    assert sum(seen.values()) == 2000 and set(seen) == {"v1", "v2"}
    assert 140 <= seen["v2"] <= 260, seen  # 200 +- 4.5 standard deviations


def test_each_rule_shows_its_traffic(servers, routes):
    old = rule("v1", name="old", matches=[{"path": {"value": "/old"}}])
    none = rule("empty", matches=[{"path": {"value": "/none"}}])
    routes([old, none, rule("v2")], lambda: who(servers) == "v2")

    def shown():
        table = servers.weftd.cli("routes").stdout.split("\n\n")[0]
        return {row["RULE"]: row for row in rows(table)}

    before = shown()
    assert [who(servers, "/old") for _ in range(3)] == ["v1"] * 3 and who(servers, "/none") == "503"
    after = shown()
    assert after["old"]["ROUTE"] == "web" and after["old"]["SERVICES"] == "web"
    assert int(after["old"]["REQUESTS"]) - int(before["old"]["REQUESTS"]) == 3
    assert after["old"]["SUCCESS"] == "100.0 %" and after["old"]["P99"] != "-" and after["old"]["RETRIES"] == "0"
    assert after["1"]["SUCCESS"] == "0.0 %" and after["2"]["REQUESTS"] == before["2"]["REQUESTS"]
    assert servers.weftd.metrics().sum("weft_route_requests_total", route="web", rule="old") >= 3


def test_weights_change_under_load_without_a_failed_request(servers, routes):
    routes([rule("v1*90", "v2*10")], lambda: who(servers) in ("v1", "v2"))
    config = {**servers.config(), "routes": [{"name": "web", "services": ["web"], "rules": [rule("v1*0", "v2*100")]}]}
    back = {**config, "routes": [{"name": "web", "services": ["web"], "rules": [rule("v1*100", "v2*0")]}]}
    delays = []
    with Load(lambda: servers.dial("web"), clients=3) as load:
        for weights, gone in ((config, "v1"), (back, "v2")) * 2:
            load.wait_seen(gone, time.monotonic())
            changed_at = servers.weftd.write_config(weights)
            time.sleep(0.5)
            delays.append(load.last_sent(gone, changed_at))
    print(f"a new config was in use after {', '.join(f'{1000 * delay:.0f} ms' for delay in delays)}")
    assert not load.failed() and set(load.shares()) == {"v1", "v2"}, load.failed()
    assert len(load.outcomes) > 100
    assert max(delays) < (3 if is_sanitized() else 0.5)


def test_a_header_leads_elsewhere_on_the_same_connection(servers, routes):
    canary = [{"headers": [{"name": "X-Canary", "value": "yes|1", "type": "regex"}]}]
    routes([rule("v2", matches=canary), rule("v1")], lambda: who(servers) == "v1")
    with contextlib.closing(servers.dial("web")) as dialler:
        connection = Connection(dialler)
        for header, name in ((b"", b"v1"), (b"X-Canary: yes\r\n", b"v2"), (b"x-canary: 1\r\n", b"v2"), (b"", b"v1")):
            got = connection.ask(b"GET / HTTP/1.1\r\nHost: web\r\n" + header + b"\r\n")
            assert got.body.split()[0] == name


def test_a_redirect_is_answered_by_weft(servers, routes):
    old = {"matches": [{"path": {"value": "/old"}}]}
    to = {"redirect": {"scheme": "https", "hostname": "new.example", "status": 301, "path": {"type": "prefix", "value": "/new"}}}
    routes([{**old, "filters": to}, rule("v1")], lambda: who(servers) == "v1")
    before = servers.weftd.metrics().sum("weft_proxy_reasons_total", reason="redirected")
    got = get(servers, "/old/a?b=c")
    assert (got.status, got.get("Location")) == (301, "https://new.example/new/a?b=c")
    wait_for(
        lambda: servers.weftd.metrics().sum("weft_proxy_reasons_total", reason="redirected") == before + 1,
        "the redirect to be counted",
        5,
    )


def test_filters_change_url_and_headers(servers, routes):
    filters = {
        "rewrite": {"hostname": "v1.local", "path": {"type": "prefix", "value": "/v1"}},
        "request_headers": {"set": [{"name": "X-Team", "value": "shop"}], "remove": ["X-Debug"]},
        "response_headers": {"add": [{"name": "X-Seen", "value": "weft"}]},
    }
    routes([rule("v1", matches=[{"path": {"value": "/api"}}], filters=filters)], lambda: who(servers, "/api") == "v1")
    got = get(servers, "/api/a?b", X_Team="none", X_Debug="1", X_Other="2")
    lines = got.body.decode().splitlines()
    assert lines[0] == "v1 GET /v1/a?b HTTP/1.1"
    assert sorted(lines[1:]) == ["Host: v1.local", "X-Other: 2", "X-Team: shop"]
    assert got.get("X-Seen") == "weft"


def test_a_mirror_gets_copies_that_are_counted_apart(servers, routes):
    copied = {"mirrors": [{"service": "v2"}]}
    routes([rule("v1", filters=copied)], lambda: who(servers) == "v1")
    before = servers.weftd.metrics()
    for _ in range(20):
        with contextlib.closing(servers.dial("web")) as dialler:
            body = b"POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            assert Connection(dialler).ask(body).body.startswith(b"v1 POST /")

    def grew(**labels):
        return servers.weftd.metrics().sum("weft_proxy_reasons_total", **labels) - before.sum(
            "weft_proxy_reasons_total", **labels
        )

    wait_for(lambda: grew(reason="mirrored") >= 20, "20 copies to be answered", 5)
    assert grew(reason="mirror_failed") == 0
    assert servers.weftd.metrics().service("weft_requests_total", "v2") == before.service("weft_requests_total", "v2")


def test_what_no_rule_takes_and_backends_that_are_not_there_have_their_statuses(servers, routes):
    def at(path):
        return [{"path": {"value": path}}]

    routes(
        [rule("v1", matches=at("/v1")), rule("nobody", matches=at("/gone")), rule("empty", matches=at("/empty"))],
        lambda: who(servers, "/v1") == "v1",
    )
    assert who(servers, "/other") == "404"
    assert who(servers, "/gone") == "500"
    assert who(servers, "/empty") == "503"


def test_an_identifier_names_the_service_and_consumes_its_segment(servers, routes):
    routes(
        [rule("web")],
        lambda: who(servers, "/v1/x") == "v1",
        identifiers=[{"kind": "path", "segments": 1, "consume": True}, {"kind": "destination"}],
    )
    assert get(servers, "/v2/a/?b").body.startswith(b"v2 GET /a/?b HTTP/1.1")
    assert who(servers, "/") == "web"
