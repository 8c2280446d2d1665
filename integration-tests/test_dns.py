"""Names that DNS knows: dtabs to /#/dns and /#/dns_srv, answers that change, fail and are slow, weft explain."""

import contextlib
import json
import time

import pytest
from dns_double import DnsDouble
from harness.mesh import Service
from harness.poll import wait_for
from harness.raw import Connection, Upstream
from test_naming import told

MODES = ("weft",)
SERVICES = [Service("web", ["server:9320"], protocol="http"), Service("v2", ["server:9322"], protocol="http")]
PORTS = {"web": 9320, "one": 9321, "v2": 9322}


@pytest.fixture(scope="module")
def servers(mesh):
    with contextlib.ExitStack() as stack:
        for name, port in PORTS.items():
            stack.enter_context(Upstream(mesh.pod("server"), port, told(name)))
        yield mesh


@pytest.fixture
def dns():
    with DnsDouble() as double:
        yield double


@pytest.fixture
def use(servers):
    """use(dtab, *namers): in use when it returns."""

    def write(dtab, *namers):
        before = generation(servers)
        servers.weftd.write_config({**servers.config(), "namers": list(namers), "dtab": dtab})
        wait_for(lambda: generation(servers) > before, "the config to be in use", 5)

    yield write
    servers.weftd.write_config(servers.config())
    wait_for(lambda: ask(servers) == "web", "no dtab to be in use", 5)


def generation(mesh):
    return json.loads(mesh.weftd.admin("/config.json")[1])["generation"]


def ask(mesh, host="web"):
    with contextlib.closing(mesh.dial("web")) as dialler:
        got = Connection(dialler).ask(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
        return got.body.split()[0].decode() if got.status == 200 else str(got.status)


def names(mesh):
    namers = json.loads(mesh.weftd.admin("/namers.json")[1])["namers"]
    return {name["name"]: name for namer in namers for name in namer["names"]}


def test_endpoints_follow_what_dns_says(servers, use, dns):
    address = servers.pod("server").address
    dns.records["shop.test", "A"] = [address]
    use(f"/svc/web => /#/dns/shop.test/{PORTS['one']} | /svc/v2\n", dns.namers())
    assert ask(servers) == "one"  # the first request waited
    dns.records["shop.test", "A"] = ["127.0.0.99"]  # nobody is there: the alternate
    wait_for(lambda: ask(servers) == "v2", "the other address to count", 5)
    told_tree = servers.weftd.cli("explain", "GET", "http://web/").stdout
    assert f"endpoint: 127.0.0.99:{PORTS['one']} weight 1" in told_tree, told_tree
    dns.records["shop.test", "A"] = [address]
    wait_for(lambda: ask(servers) == "one", "the first address to be back", 12)
    del dns.records["shop.test", "A"]  # NXDOMAIN
    wait_for(lambda: ask(servers) == "v2", "the alternate", 5)
    assert "#/dns/shop.test" not in servers.weftd.cli("services").stdout
    assert "absent" in servers.weftd.cli("names").stdout
    assert "DNS has no such name" in servers.weftd.cli("explain", "GET", "http://web/").stdout


def test_the_last_answer_serves_while_dns_fails(servers, use, dns):
    dns.records["shop.test", "A"] = [servers.pod("server").address]
    use(f"/svc/web => /#/dns/shop.test/{PORTS['one']}\n", dns.namers(timeout="100ms"))
    assert ask(servers) == "one"
    dns.records["shop.test", "A"] = None
    name = f"#/dns/shop.test/{PORTS['one']}"
    wait_for(lambda: names(servers)[name]["failures_in_a_row"] >= 2, "failures", 5)
    assert ask(servers) == "one" and names(servers)[name]["state"] == "found"
    assert "found" in servers.weftd.cli("names").stdout
    metrics = servers.weftd.admin("/metrics")[1]
    metrics = metrics if isinstance(metrics, str) else metrics.decode()
    assert f'weft_dns_failures_total{{name="{name}"}}' in metrics
    assert "dns_failed name=" + name in servers.weftd.log()


def test_srv_records_give_ports_and_weights(servers, use, dns):
    dns.truncates = True
    dns.records["_http._tcp.shop.test", "SRV"] = [
        (10, 3, PORTS["one"], "a.shop.test"),
        (10, 1, PORTS["v2"], "a.shop.test"),
        (20, 1, PORTS["web"], "a.shop.test"),
    ]
    dns.records["a.shop.test", "A"] = [servers.pod("server").address]
    use("/svc/web => /#/dns_srv/_http._tcp.shop ;\n", dns.namers(kind="dns_srv", domain="test", ttl_min="10s"))
    assert {ask(servers) for _ in range(20)} <= {"one", "v2"}  # the lowest priority
    assert ("_http._tcp.shop.test", "SRV", True) in dns.questions  # by TCP
    told_tree = servers.weftd.cli("explain", "GET", "http://web/").stdout
    address = servers.pod("server").address
    for expected in (
        "service: #/dns_srv/_http._tcp.shop, 2 endpoints",
        f"endpoint: {address}:{PORTS['one']} weight 3,",
        f"endpoint: {address}:{PORTS['v2']} weight 1,",
    ):
        assert expected in told_tree, told_tree


def test_names_that_only_requests_know_are_looked_up_and_bounded(servers, use, dns):
    for host in ("a.test", "b.test", "c.test"):
        dns.records[host, "A"] = [servers.pod("server").address]
    config = {**servers.config(), "identifiers": [{"kind": "method_and_host"}]}
    use("", dns.namers())
    servers.weftd.write_config(
        {**config, "namers": [dns.namers(names=2)], "dtab": "/svc/1.1/GET => /$/io.buoyant.hostportPfx/h ; /h => /#/dns\n"}
    )
    wait_for(lambda: ask(servers, f"a.test:{PORTS['one']}") == "one", "the config to be in use", 5)
    assert ask(servers, f"b.test:{PORTS['v2']}") == "v2"  # the first request is answered
    assert set(names(servers)) == {f"#/dns/a.test/{PORTS['one']}", f"#/dns/b.test/{PORTS['v2']}"}
    assert ask(servers, f"c.test:{PORTS['one']}") == "502"
    assert names(servers)[f"#/dns/c.test/{PORTS['one']}"]["state"] == "refused"


def test_a_request_waits_for_a_slow_server_no_longer_than_a_dial_may_take(servers, use, dns):
    dns.silent = True
    dns.records["shop.test", "A"] = [servers.pod("server").address]
    use(f"/svc/web => /#/dns/shop.test/{PORTS['one']}\n", dns.namers(timeout="1s"))
    since = time.monotonic()
    with contextlib.closing(servers.dial("web")) as dialler:
        got = Connection(dialler).ask("GET / HTTP/1.1\r\nHost: web\r\n\r\n")
    assert got.status == 503 and got.get("retry-after") == "1" and b"pending" in got.body
    assert 0.8 < time.monotonic() - since < 2
    dns.silent = False
    name = f"#/dns/shop.test/{PORTS['one']}"
    wait_for(lambda: names(servers)[name]["state"] == "found", "the name to be known", 8)
