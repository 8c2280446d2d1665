"""Unmodified HTTP clients (curl, wget, wrk, ab) against nginx, Apache and Python's http.server."""

import hashlib
import os

import pytest

from harness import programs
from harness.mesh import Service

MODES = ("direct", "weft", "weft-on")
SERVICES = [
    Service("web", ["server:8080"]),
    Service("declared", ["server:8080"], port=8000, protocol="http"),
    Service("apache", ["server:8081"]),
    Service("python", ["server:8082"]),
    Service("pair", ["server:8080", "server2:8080"], port=81, protocol="http", balancer="round_robin"),
    Service("front", ["server2:8083"]),
    Service("echo", ["server:8084"]),
]

LARGE = 48 * 1024 * 1024


class Files(dict):
    def __repr__(self):
        return f"files {list(self)}"


@pytest.fixture(scope="module")
def files():
    """Content that every server serves."""
    return Files({"hello.txt": b"hello from the pod\n", "large.bin": os.urandom(1 << 20) * (LARGE >> 20)})


def fill(www, files):
    for name, content in files.items():
        with open(os.path.join(www, name), "wb") as file:
            file.write(content)


@pytest.fixture(scope="module", autouse=True)
def servers(cluster, files):
    server, other = cluster.pod("server"), cluster.pod("server2")
    started = [
        programs.nginx(server, 8080),
        programs.apache(server, 8081),
        programs.http_server(server, 8082),
        programs.nginx(other, 8080),
        programs.script(server, programs.peer_script("echo_http.py"), "8084", port=8084),
    ]
    for process in started[:4]:
        fill(process.www, files)
    yield
    for process in started:
        process.stop()


def sha(content):
    return hashlib.sha256(content).hexdigest()


SERVERS = ("web", "declared", "apache", "python")


@pytest.mark.parametrize("server", SERVERS)
def test_curl_gets_a_file(mesh, server):
    with mesh.traffic(server, requests=1):
        assert mesh.client.run(["curl", "-sSf", mesh.url(server, "/hello.txt")]).stdout == "hello from the pod\n"


@pytest.mark.parametrize("server", SERVERS)
def test_curl_gets_a_large_file_unchanged(mesh, server, files):
    with mesh.traffic(server, requests=1):
        got = mesh.client.run(["curl", "-sSf", mesh.url(server, "/large.bin")], text=False).stdout
    assert sha(got) == sha(files["large.bin"])


@pytest.mark.parametrize("server", ("web", "apache"))
def test_curl_over_ipv6_names(mesh, server):
    with mesh.traffic(server, requests=1):
        url = mesh.url(server, "/hello.txt").replace(f"//{server}", f"//{server}-v6")
        assert "hello" in mesh.client.run(["curl", "-sSf", url]).stdout


@pytest.mark.parametrize("server", SERVERS)
def test_curl_speaks_http_1_0(mesh, server):
    with mesh.traffic(server, requests=1):
        done = mesh.client.run(["curl", "-sSf", "-0", mesh.url(server, "/hello.txt")])
    assert done.stdout == "hello from the pod\n"


@pytest.mark.parametrize("server", ("web", "apache"))
def test_curl_reuses_its_connection(mesh, server):
    url = mesh.url(server, "/hello.txt")
    with mesh.traffic(server, requests=5):
        done = mesh.client.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{num_connects}\n", *[url] * 5,
                                *["-o", "/dev/null"] * 4])  # fmt: skip
    assert done.stdout.split() == ["1", "0", "0", "0", "0"]


@pytest.mark.parametrize("server", SERVERS)
def test_curl_head_has_the_length_and_no_body(mesh, server, files):
    with mesh.traffic(server, requests=1):
        done = mesh.client.run(["curl", "-sSfI", mesh.url(server, "/large.bin")])
    assert f"content-length: {len(files['large.bin'])}" in done.stdout.lower()


@pytest.mark.parametrize("server", ("web", "apache"))
def test_curl_range(mesh, server, files):
    with mesh.traffic(server, requests=1):
        done = mesh.client.run(
            ["curl", "-sSf", "-w", "%{http_code}", "-r", "1000-1999", mesh.url(server, "/large.bin")], text=False
        )
    assert done.stdout == files["large.bin"][1000:2000] + b"206"


@pytest.mark.parametrize("server", ("web", "declared", "apache"))
def test_curl_conditional_get_is_304(mesh, server):
    url = mesh.url(server, "/hello.txt")
    with mesh.traffic(server, requests=2):
        head = mesh.client.run(["curl", "-sSI", url]).stdout
        stamp = next(line[14:].strip() for line in head.splitlines() if line.lower().startswith("last-modified:"))
        done = mesh.client.run(["curl", "-sS", "-H", f"If-Modified-Since: {stamp}", "-w", "%{http_code}", url])
    assert done.stdout == "304"


def test_curl_posts_with_expect_100(mesh, tmp_path):
    body = os.urandom(3_000_000)
    (tmp_path / "body").write_bytes(body)
    with mesh.traffic("echo", requests=1):
        done = mesh.client.run(
            ["curl", "-sSfv", "-H", "Expect: 100-continue", "--expect100-timeout", "30",
             "--data-binary", f"@{tmp_path}/body", mesh.url("echo", "/digest")]
        )  # fmt: skip
    assert done.stdout == f"POST {len(body)} {sha(body)}"
    assert "100 Continue" in done.stderr


def test_curl_uploads_chunked(mesh, tmp_path):
    body = os.urandom(5_000_000)
    (tmp_path / "body").write_bytes(body)
    with mesh.traffic("echo", requests=1):
        done = mesh.client.run(
            ["curl", "-sSf", "-T", "-", "-X", "PUT", mesh.url("echo", "/digest")],
            text=False,
            input=body,
        )
    assert done.stdout.decode() == f"PUT {len(body)} {sha(body)}"


def test_curl_echoes_a_chunked_body_both_ways(mesh):
    body = os.urandom(2_000_000)
    with mesh.traffic("echo", requests=1):
        done = mesh.client.run(
            ["curl", "-sSf", "-T", "-", "-X", "POST", mesh.url("echo", "/echo")], text=False, input=body
        )
    assert sha(done.stdout) == sha(body)


def test_curl_sees_the_server_refuse_an_expectation(mesh):
    with mesh.traffic("echo", requests=1):
        done = mesh.client.run(
            ["curl", "-sS", "-H", "Expect: 100-continue", "--expect100-timeout", "30", "-d", "x" * 5000,
             "-o", "/dev/null", "-w", "%{http_code} %{size_upload}", mesh.url("echo", "/refuse")]
        )  # fmt: skip
    assert done.stdout == "413 0"


@pytest.mark.parametrize("server", SERVERS)
def test_wget_mirrors_a_file(mesh, server, files, tmp_path):
    with mesh.traffic(server, requests=2):
        mesh.client.run(
            ["wget", "-q", "-P", str(tmp_path), mesh.url(server, "/hello.txt"), mesh.url(server, "/large.bin")]
        )
    assert (tmp_path / "hello.txt").read_bytes() == files["hello.txt"]
    assert sha((tmp_path / "large.bin").read_bytes()) == sha(files["large.bin"])


@pytest.mark.parametrize("server", ("web", "declared", "apache"))
def test_wrk_sees_no_error(mesh, server):
    with mesh.traffic(server, captured=16, requests=100):
        done = mesh.client.run(["wrk", "-t1", "-c16", "-d1s", mesh.url(server, "/hello.txt")])
    assert "Socket errors" not in done.stdout
    assert "Non-2xx" not in done.stdout
    assert "requests in" in done.stdout


@pytest.mark.parametrize("keep_alive", ([], ["-k"]), ids=("close", "keep-alive"))
@pytest.mark.parametrize("server", ("web", "apache"))
def test_ab_completes_every_request(mesh, server, keep_alive):
    with mesh.traffic(server, captured=8, requests=500):
        done = mesh.client.run(["ab", *keep_alive, "-n", "500", "-c", "8", mesh.url(server, "/hello.txt")])
    assert "Complete requests:      500" in done.stdout
    assert "Failed requests:        0" in done.stdout
    assert "Non-2xx" not in done.stdout
    if keep_alive:
        assert "Keep-Alive requests:    500" in done.stdout


def test_wrk_over_two_endpoints_uses_both(mesh):
    with mesh.traffic("pair", requests=100) as before:
        mesh.client.run(["wrk", "-t1", "-c8", "-d1s", mesh.url("pair", "/hello.txt")])
    if mesh.is_weft:
        now = mesh.weftd.metrics()
        counts = [
            now.sum("weft_requests_total", service="pair", endpoint=f"{mesh.pod(pod).address}:8080")
            - before.sum("weft_requests_total", service="pair", endpoint=f"{mesh.pod(pod).address}:8080")
            for pod in ("server", "server2")
        ]
        assert min(counts) > 0.4 * sum(counts), counts


def test_nginx_keeps_connections_to_its_upstream(mesh):
    """An app in the middle: nginx in server2 proxies with a keep-alive pool to a service of the mesh."""
    address, port = mesh.address("web")
    front = programs.nginx(
        mesh.pod("server2"),
        8083,
        http=f"upstream backend {{ server {address}:{port}; keepalive 8; }}",
        servers="location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ''; }",
    )
    try:
        with mesh.traffic("front", requests=200), mesh.traffic("web", requests=200, pod="server2"):
            done = mesh.client.run(["ab", "-k", "-n", "200", "-c", "4", mesh.url("front", "/hello.txt")])
        assert "Failed requests:        0" in done.stdout
        assert "Non-2xx" not in done.stdout
    finally:
        front.stop()
