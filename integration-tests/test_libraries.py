"""Programs written with HTTP libraries: Python requests and aiohttp, Node's fetch and ws, git."""

import json
import os

import pytest

from harness import programs
from harness.mesh import Service
from harness.peers import peer

MODES = ("direct", "weft", "weft-on")
SERVICES = [
    Service("app", ["server:8090"]),
    Service("app-http", ["server:8090"], port=8000, protocol="http"),
    Service("git", ["server:8091"]),
]

GIT = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def servers(cluster):
    server = cluster.pod("server")
    app = programs.script(server, peer("echo_http.py"), "8090", port=8090)
    repositories = programs.folder(server, "git", "www-data")
    server.run(["git", "init", "-q", "--bare", "-b", "main", f"{repositories}/project.git"], user="www-data")
    server.run(
        ["git", "-C", f"{repositories}/project.git", "config", "http.receivepack", "true"], user="www-data"
    )
    apache = programs.apache(
        server,
        8091,
        lines=f"""
SetEnv GIT_PROJECT_ROOT {repositories}
SetEnv GIT_HTTP_EXPORT_ALL 1
ScriptAlias /git/ /usr/lib/git-core/git-http-backend/
""",
    )
    yield
    apache.stop()
    app.stop()


def python(mesh, name, *arguments):
    """Runs peers/NAME in the client pod; it prints one JSON line."""
    return json.loads(mesh.client.run(["/usr/bin/python3", peer(name), *arguments]).stdout)


def node(mesh, name, *arguments):
    """The same with Node; its packages are Debian's."""
    done = mesh.client.run(["node", peer(name), *arguments], env={"NODE_PATH": "/usr/share/nodejs"})
    return json.loads(done.stdout)


@pytest.mark.parametrize("service", ("app", "app-http"))
def test_requests_session_reuses_its_connection(mesh, service):
    with mesh.traffic(service, requests=23):
        told = python(mesh, "use_requests.py", mesh.url(service, ""))
    assert told == {"gets": 20, "posts": 2, "codes": [204], "connections": 1}


@pytest.mark.parametrize("service", ("app", "app-http"))
def test_aiohttp_sends_100_requests_at_once(mesh, service):
    with mesh.traffic(service, captured=20, requests=100):
        told = python(mesh, "use_aiohttp.py", "parallel", mesh.url(service, ""))
    assert told == {"right": 100}


@pytest.mark.parametrize("service", ("app", "app-http"))
def test_aiohttp_websocket_echoes(mesh, service):
    with mesh.traffic(service, requests=1, tunnels=1):
        told = python(mesh, "use_aiohttp.py", "websocket", mesh.url(service, "/ws"))
    assert told == {"texts": 100, "bytes": 3_000_000, "closed": 1000}


@pytest.mark.parametrize("service", ("app", "app-http"))
def test_node_fetch(mesh, service):
    with mesh.traffic(service, requests=32):
        told = node(mesh, "use_node.js", "fetch", mesh.url(service, ""))
    assert told == {"right": 31, "upload": 1_000_000}


@pytest.mark.parametrize("service", ("app", "app-http"))
def test_node_ws_echoes(mesh, service):
    with mesh.traffic(service, requests=1, tunnels=1):
        told = node(mesh, "use_node.js", "websocket", mesh.url(service, "/ws"))
    assert told == {"texts": 100, "bytes": 3_000_000, "pong": "still there?", "closed": 1000}


def test_the_server_sees_the_client_pods_address(mesh):
    with mesh.traffic("app", requests=1):
        assert mesh.client.run(["curl", "-sS", mesh.url("app", "/peer")]).stdout == mesh.client.address


def test_git_pushes_and_clones_over_smart_http(mesh, tmp_path):
    url = mesh.url("git", "/git/project.git")
    work, copy = tmp_path / "work", tmp_path / "copy"
    branch = f"branch-{mesh.mode}"
    work.mkdir()

    def git(*arguments, folder=work):
        return mesh.client.run(["git", "-c", "safe.directory=*", *arguments], env=GIT, cwd=folder).stdout

    with mesh.traffic("git", requests=6):
        git("init", "-q", "-b", branch)
        (work / "large").write_bytes(os.urandom(4_000_000))
        for number in range(30):
            (work / f"file{number}").write_text(f"{number}\n" * 100)
        git("add", ".")
        git("commit", "-q", "-m", "first")
        git("push", "-q", url, branch)
        git("clone", "-q", "-b", branch, url, str(copy), folder=tmp_path)
        (copy / "file0").write_text("changed\n")
        git("commit", "-q", "-a", "-m", "second", folder=copy)
        git("push", "-q", "origin", branch, folder=copy)
        git("pull", "-q", url, branch)
    assert git("rev-parse", "HEAD") == git("rev-parse", "HEAD", folder=copy)
    assert (work / "file0").read_text() == "changed\n"
    assert (copy / "large").read_bytes() == (work / "large").read_bytes()
