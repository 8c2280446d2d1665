"""Names: dtabs of the config and of requests, services from files, failover at run time, weft explain."""

import contextlib
import json
import os
import time

import pytest
from harness.load import Load
from harness.mesh import Service
from harness.named import get, serving, told, who
from harness.poll import wait_for
from harness.raw import Connection, Upstream

MODES = ("weft",)
BREAKER = {"breaker": {"failures": 1, "most_out": "100%", "backoff_least": "500ms", "backoff_most": "1s"}}
SERVICES = [
    Service("web", ["server:9300"], protocol="http"),
    Service("v1", ["server:9301"], protocol="http", rules=BREAKER),
    Service("v2", ["server:9302"], protocol="http"),
    Service("empty", [], protocol="http"),
]
PORTS = {"web": 9300, "v1": 9301, "v2": 9302, "file": 9303}


@pytest.fixture(scope="module")
def servers(mesh):
    with serving(mesh, PORTS):
        yield mesh


@pytest.fixture
def use(servers):
    """use(until, **more config): in use when it returns."""

    def write(until, trust=False, trusting="", **more):
        config = {**servers.config(), **more}
        for service in config["services"]:
            service["trust_dtab_headers"] = service["name"] == trusting
        for pod in config["pods"]:
            pod["trust_dtab_headers"] = trust and pod["name"] == "client"
        servers.weftd.write_config(config)
        wait_for(until, "the config to be in use", 5)

    yield write
    servers.weftd.write_config(servers.config())
    wait_for(lambda: who(servers) == "web", "no dtab to be in use", 5)


def test_a_dtab_leads_elsewhere_and_an_empty_service_has_an_alternate(servers, use):
    use(lambda: who(servers) == "v2", dtab="/svc/web => /svc/empty | /svc/v2\n")
    assert who(servers, service="v1") == "v1"


def test_entries_of_a_request_count_only_where_they_are_trusted(servers, use):
    own = {"l5d_dtab": "/svc/web => /svc/v2", "l5d_ctx_dtab": "/svc/web => /svc/v1"}
    got = get(servers, **own)
    assert got.body.split()[0] == b"web" and b"dtab" not in got.body
    use(lambda: who(servers, **own) == "v2", trust=True)
    assert b"l5d-ctx-dtab: /svc/web => /svc/v1; /svc/web => /svc/v2\n" in get(servers, **own).body
    refused = get(servers, l5d_dtab="/svc/web => ")
    assert refused.status == 400 and b"column 12" in refused.body
    assert who(servers) == "web"


def test_a_service_may_trust_all_that_dial_it(servers, use):
    own = {"l5d_dtab": "/svc/web => /svc/v2; /svc/v1 => /svc/v2"}
    use(lambda: (who(servers, **own), who(servers, service="v1", **own)) == ("v2", "v1"), trusting="web")
    explained = servers.weftd.cli("explain", "GET", "http://web/", "-H", "l5d-dtab: /svc/web => /svc/v2").stdout
    assert "trusted: the dialled service trusts everybody's" in explained


def test_a_dtab_changes_under_load_without_a_failed_request(servers, use):
    with Load(lambda: servers.dial("web"), clients=3) as load:
        for _ in range(3):
            for name in ("v1", "v2"):
                use(lambda name=name: who(servers) == name, dtab=f"/svc/web => 9 * /svc/{name} & 0 * /svc/web\n")
                time.sleep(0.2)
    assert not load.failed(), load.failed()
    assert set(load.shares()) <= {"web", "v1", "v2"} and len(load.outcomes) > 100


def test_a_file_is_a_service_and_a_change_of_it_counts_at_once(servers, use, tmp_path):
    address = servers.pod("server").address
    file = tmp_path / "shop"
    file.write_text(f"# one\n{address} {PORTS['file']} * 1.5\n")
    os.chmod(tmp_path, 0o755)
    use(
        lambda: who(servers) == "file",
        namers=[{"kind": "fs", "root_dir": str(tmp_path)}],
        dtab="/svc/web => /#/fs/shop\n",
    )
    file.write_text(f"{address} {PORTS['v2']}\n")
    since = time.monotonic()
    wait_for(lambda: who(servers) == "v2", "the file to count", 2)
    assert time.monotonic() - since < 1
    file.unlink()
    wait_for(lambda: who(servers) == "web", "the base entry to count", 2)  # negative: the entry before it


def test_an_alternate_serves_while_the_first_choice_is_dead(servers, use, mesh):
    names = {"namers": [{"kind": "rewrite", "pattern": "/{a}", "name": "/#/weft/{a}"}], "failover": {"back_after": "1s"}}
    services = servers.config()["services"]
    for service in services:
        if service["name"] == "v1":
            service["endpoints"] = [{"address": f"{mesh.pod('server').address}:9310"}]
    with Upstream(mesh.pod("server"), 9310, told("mortal")):
        use(lambda: who(servers) == "mortal", services=services, dtab="/svc/web => /#/rewrite/v1 | /svc/v2\n", **names)
        told_tree = servers.weftd.cli("explain", "GET", "http://web/", "--from", "client").stdout
        assert "now: /#/weft/v1" in told_tree, told_tree
    with contextlib.closing(servers.dial("web")) as dialler:
        connection = Connection(dialler)
        for _ in range(100):
            assert connection.ask("GET / HTTP/1.1\r\nHost: web\r\n\r\n").body.split()[0] == b"v2"
            time.sleep(0.02)
    told_tree = servers.weftd.cli("explain", "GET", "http://web/").stdout
    assert "now: /#/weft/v2" in told_tree, told_tree
    with Upstream(mesh.pod("server"), 9310, told("mortal")):
        wait_for(lambda: [who(servers) for _ in range(5)] == ["mortal"] * 5, "the first choice to be back", 10)


def test_explain_tells_each_step(servers, use):
    use(
        lambda: who(servers) in ("v1", "v2"),
        trust=True,
        dtab="/svc/web => 9 * /svc/v1 & 1 * /svc/v2\n",
        routes=[{"name": "shop", "services": ["v2"], "rules": [{"matches": [{"path": {"value": "/api"}}], "backends": [{"service": "web"}]}]}],
    )
    header = "l5d-dtab: /svc/v2 => /svc/empty | /svc/web"
    lines = servers.weftd.cli("explain", "GET", "http://web/a", "-H", header, "--from", "client").stdout
    for expected in (
        "request: GET http://web/a   -- from pod client",
        "headers: l5d-dtab, l5d-ctx-dtab   -- trusted from this pod",
        "identifier: destination   -- /svc/web",
        "entry: /svc/web => 9 * /svc/v1 & /svc/v2",
        "entry: (of the request) /svc/v2 => /svc/empty | /svc/web",
        "endpoint: " + servers.endpoint("v1") + " weight 1, 0 requests in flight",
        "service: empty, 0 endpoints, 0 ready   -- down",
    ):
        assert expected in lines, f"{expected}\n\n{lines}"
    tree = json.loads(servers.weftd.cli("explain", "-o", "json", "POST", "http://v2/api/x").stdout)
    steps = [node["step"] for node in tree["below"]]
    assert steps == ["dialled", "identifier", "routes", "backend"], tree
    assert tree["below"][2]["below"][0]["result"] == "wins"
    assert "answered 404" in servers.weftd.cli("explain", "GET", "http://v2/other").stdout
