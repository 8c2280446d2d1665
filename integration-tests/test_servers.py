"""Protocols that are not HTTP: Redis, PostgreSQL, and servers that speak first."""

import contextlib
import ftplib
import smtplib
import socket
import ssl
import threading
import time

import pytest

from harness import programs
from harness.mesh import Service
from harness.poll import wait_for

MODES = ("direct", "weft", "weft-on")
SERVICES = [
    Service("redis", ["server:6379"], port=6379),
    Service("redis-opaque", ["server:6379"], port=6380, protocol="opaque"),
    Service("postgres", ["server:5432"], port=5432),
    Service("greeter", ["server:7001"], port=7001),
    Service("greeter-opaque", ["server:7001"], port=7002, protocol="opaque"),
    Service("smtp", ["server:7003"], port=25),
    Service("ftp", ["server:7004"], port=21),
    Service("tls", ["server:7443"], port=443),
    Service("tls-http", ["server:7443"], port=8443, protocol="http"),
    Service("h2", ["server:7081"], port=81),
]


@pytest.fixture(scope="module")
def redis(cluster):
    process = programs.redis(cluster.pod("server"), 6379)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def postgres(cluster):
    process = programs.postgres(cluster.pod("server"), 5432)
    yield process
    process.stop()


@contextlib.contextmanager
def serving(pod, port, talk):
    """A server in the pod that calls talk(socket) for each connection in a thread of its own."""
    listener = pod.listen(port)
    listener.settimeout(None)

    def one(connection):
        with connection, contextlib.suppress(OSError):
            connection.settimeout(20)
            talk(connection)

    def loop():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


# ---- Redis ----


@pytest.mark.parametrize("service", ("redis", "redis-opaque"))
def test_redis_cli_sets_and_gets(mesh, redis, service):
    cli = ["redis-cli", "-h", service, "-p", mesh.port(service)]
    with mesh.traffic(service, captured=3, tunnels=3):
        assert mesh.client.run([*cli, "set", "key", "value"]).stdout == "OK\n"
        assert mesh.client.run([*cli, "get", "key"]).stdout == "value\n"
        large = "x" * 2_000_000
        assert mesh.client.run([*cli, "-x", "set", "large"], input=large).stdout == "OK\n"
        assert mesh.client.run([*cli, "get", "large"]).stdout == large + "\n"


@pytest.mark.parametrize("service", ("redis", "redis-opaque"))
def test_redis_benchmark_ends_without_error(mesh, redis, service):
    with mesh.traffic(service, captured=10, tunnels=10):
        done = mesh.client.run(
            ["redis-benchmark", "-h", service, "-p", mesh.port(service), "-n", "5000", "-c", "10", "-P", "4",
             "-t", "set,get,lpush", "-d", "100", "--csv"]
        )  # fmt: skip
    assert [line.split(",")[0] for line in done.stdout.splitlines()][1:] == ['"SET"', '"GET"', '"LPUSH"']
    assert "error" not in (done.stdout + done.stderr).lower()


def test_redis_publishes_to_subscribers(mesh, redis):
    cli = ["redis-cli", "-h", "redis", "-p", mesh.port("redis")]
    with mesh.traffic("redis", captured=2, tunnels=2):
        subscriber = mesh.client.spawn([*cli, "subscribe", "news"])
        subscriber.wait_log("subscribe\nnews\n1")
        assert mesh.client.run([*cli, "publish", "news", "it works"]).stdout == "1\n"
        subscriber.wait_log("message\nnews\nit works")
        subscriber.stop()


def test_a_redis_command_that_looks_like_http_at_first(mesh, redis):
    """An inline command, as health checks type it: "GET key" is no request line."""
    with mesh.traffic("redis", tunnels=1), mesh.dial("redis") as client:
        for command, expected in ((b"SET inline 1\r\n", b"+OK\r\n"), (b"GET inline\r\n", b"$1\r\n1\r\n")):
            client.sendall(command)
            assert client.recv(100) == expected
    with mesh.traffic("redis", tunnels=1), mesh.dial("redis") as client:
        client.sendall(b"GET inline\r\n")
        assert client.recv(100) == b"$1\r\n1\r\n"


# ---- PostgreSQL ----


def psql(mesh, statement, **options):
    return mesh.client.run(
        ["psql", "-h", "postgres", "-p", mesh.port("postgres"), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-Atq",
         "-c", statement],
        env={"PGCONNECT_TIMEOUT": "10"},
        **options,
    ).stdout  # fmt: skip


def test_psql_queries(mesh, postgres):
    name = mesh.mode.replace("-", "_")
    with mesh.traffic("postgres", captured=3, tunnels=3):
        assert psql(mesh, "select 6 * 7") == "42\n"
        psql(mesh, f"create table t_{name} as select n, md5(n::text) m from generate_series(1, 50000) n")
        wanted = psql(mesh, f"select count(*), md5(string_agg(m, '' order by n)) from t_{name}")
    assert wanted.startswith("50000|")


def test_psql_copies_in_and_out(mesh, postgres):
    name = mesh.mode.replace("-", "_")
    rows = "".join(f"{number}\t{'y' * 100}\n" for number in range(40000))
    with mesh.traffic("postgres", captured=3, tunnels=3):
        psql(mesh, f"create table c_{name} (n int, y text)")
        psql(mesh, f"copy c_{name} from stdin", input=rows)
        assert psql(mesh, f"copy (select * from c_{name} order by n) to stdout") == rows


def test_psql_sees_its_error(mesh, postgres):
    with mesh.traffic("postgres", tunnels=1):
        done = mesh.client.run(
            ["psql", "-h", "postgres", "-p", mesh.port("postgres"), "-U", "postgres", "-c", "select 1/0"], check=False
        )
    assert done.returncode == 1
    assert "division by zero" in done.stderr


# ---- servers that speak first ----

GREETINGS = {
    "mysql": b"\x4a\x00\x00\x00\x0a8.0.36\x00\x0b\x00\x00\x00" + bytes(60),
    "smtp": b"220 mail.example.org ESMTP\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "ftp": b"220 (ftp ready)\r\n",
}


@pytest.mark.parametrize("service", ("greeter", "greeter-opaque"))
@pytest.mark.parametrize("protocol", GREETINGS)
def test_a_greeting_arrives_without_waiting(mesh, protocol, service):
    greeting = GREETINGS[protocol]

    def talk(connection):
        connection.sendall(greeting)
        while heard := connection.recv(4096):
            connection.sendall(heard.upper())

    with serving(mesh.pod("server"), 7001, talk), mesh.traffic(service, tunnels=1):
        began = time.monotonic()
        with mesh.dial(service) as client:
            got = b""
            while len(got) < len(greeting):
                got += client.recv(4096)
            waited = time.monotonic() - began
            assert got == greeting
            client.sendall(b"quit please\r\n")
            assert client.recv(100) == b"QUIT PLEASE\r\n"
    assert waited < 0.3, f"the greeting took {waited:.3f} s"


def test_a_client_that_is_silent_at_first_is_still_served(mesh):
    """Undeclared port, server waits, client waits: then HTTP, seen as HTTP."""

    def talk(connection):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with serving(mesh.pod("server"), 7001, talk), mesh.traffic("greeter", requests=1):
        with mesh.dial("greeter") as client:
            time.sleep(1.5)  # the silence under test
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(4096).endswith(b"\r\n\r\nok")


def test_an_upstream_that_closes_while_both_are_silent_is_mirrored(mesh):
    with serving(mesh.pod("server"), 7001, lambda connection: None), mesh.traffic("greeter"):
        with mesh.dial("greeter") as client:
            assert client.recv(100) == b""


def test_smtplib_sends_a_mail(mesh):
    mails = []

    def talk(connection):
        file = connection.makefile("rwb")

        def say(line):
            file.write(line + b"\r\n")
            file.flush()

        say(b"220 test ESMTP")
        while line := file.readline():
            word = line[:4].upper().strip()
            if word == b"DATA":
                say(b"354 go on")
                mail = b""
                while (piece := file.readline()) != b".\r\n":
                    mail += piece
                mails.append(mail)
            say(b"221 bye" if word == b"QUIT" else b"250 ok")
            if word == b"QUIT":
                return

    with serving(mesh.pod("server"), 7003, talk), mesh.traffic("smtp", tunnels=1):
        with mesh.dial("smtp") as connection:
            mail = smtplib.SMTP(timeout=10)
            mail._host = "smtp"
            mail.sock, mail.file = connection, None
            assert mail.getreply()[0] == 220
            mail.sendmail("a@example.org", ["b@example.org"], "Subject: x\r\n\r\n" + "line\r\n" * 20000)
            mail.quit()
    assert mails[0].count(b"line\r\n") == 20000


def test_ftplib_logs_in(mesh):
    def talk(connection):
        file = connection.makefile("rwb")
        file.write(b"220 ready\r\n")
        file.flush()
        answers = {b"USER": b"331 password", b"PASS": b"230 in", b"PWD\r": b'257 "/pub"', b"QUIT": b"221 bye"}
        while line := file.readline():
            file.write(answers[line[:4]] + b"\r\n")
            file.flush()

    with serving(mesh.pod("server"), 7004, talk), mesh.traffic("ftp", tunnels=1):
        ftp = ftplib.FTP()
        ftp.sock = mesh.dial("ftp")
        ftp.af, ftp.file = socket.AF_INET, ftp.sock.makefile("r", encoding="utf-8")
        ftp.welcome = ftp.getresp()
        ftp.login("me", "secret")
        assert ftp.pwd() == "/pub"
        ftp.quit()


# ---- protocols that pass through as they are ----


@pytest.fixture(scope="module")
def nginx(cluster):
    """TLS with HTTP/2 on 7443, HTTP/2 without TLS on 7081."""
    pod = cluster.pod("server")
    home = programs.folder(pod, "nginx-7443")
    pod.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{home}/key.pem", "-out",
             f"{home}/cert.pem", "-days", "2", "-subj", "/CN=tls"])  # fmt: skip
    process = programs.nginx(
        pod,
        7080,
        http=f"""
server {{
    listen 0.0.0.0:7443 ssl http2;
    ssl_certificate {home}/cert.pem;
    ssl_certificate_key {home}/key.pem;
    location / {{ return 200 "$ssl_server_name $server_protocol"; }}
}}
server {{ listen 0.0.0.0:7081 http2; location / {{ return 200 "$server_protocol"; }} }}
""",
    )
    process.certificate = f"{home}/cert.pem"
    yield process
    process.stop()


@pytest.mark.parametrize("version", ("--http1.1", "--http2"))
@pytest.mark.parametrize("service", ("tls", "tls-http"))
def test_tls_passes_through_with_its_own_certificate(mesh, nginx, service, version):
    with mesh.traffic(service, tunnels=1) as before:
        port = mesh.port(service)
        done = mesh.client.run(
            ["curl", "-sSf", version, "--cacert", nginx.certificate, "--connect-to", f"tls:443:{service}:{port}",
             "https://tls/"]
        )  # fmt: skip
    assert done.stdout == f"tls HTTP/{'2.0' if version == '--http2' else '1.1'}"
    if mesh.is_weft:
        assert mesh.weftd.metrics().proxy_reason("tls_passed") == before.proxy_reason("tls_passed") + 1


def connection_to(mesh, service):
    """What weftd says of the one connection to that service; empty while there is none."""
    connections = mesh.weftd.json("/connections.json")["connections"]
    return next((one for one in connections if one["service"] == service), {})


def test_the_server_name_is_recorded_from_a_hello_in_two_pieces(mesh, nginx):
    """As large key shares make it; the first piece goes on before the second is sent."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=nginx.certificate)
    session = context.wrap_bio(incoming, outgoing, server_hostname="tls")
    with mesh.traffic("tls", tunnels=1), mesh.dial("tls") as client:
        with pytest.raises(ssl.SSLWantReadError):
            session.do_handshake()
        hello = outgoing.read()
        client.sendall(hello[:40])
        if mesh.is_weft:
            wait_for(lambda: connection_to(mesh, "tls").get("received_bytes") == 40, "the first piece")
            assert "server_name" not in connection_to(mesh, "tls")
        client.sendall(hello[40:])
        incoming.write(client.recv(1 << 16))
        if mesh.is_weft:
            assert connection_to(mesh, "tls")["server_name"] == "tls"


def test_http2_without_tls_passes_through(mesh, nginx):
    with mesh.traffic("h2", tunnels=1):
        done = mesh.client.run(["curl", "-sSf", "--http2-prior-knowledge", mesh.url("h2")])
    assert done.stdout == "HTTP/2.0"
