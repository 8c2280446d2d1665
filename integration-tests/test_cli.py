"""weft on the command line: run, check, cleanup, and what it shows of a weftd."""

import contextlib
import glob
import http.client
import http.server
import json
import os
import pty
import re
import signal
import socket
import socketserver
import stat
import subprocess
import threading

import pytest

from harness.leftovers import cgroup_root
from harness.mesh import Mesh, Service
from harness.poll import wait_for
from harness.process import BARE_ENVIRONMENT
from harness.raw import Connection, Upstream, answer, serve
from harness.weftd import Weftd, build_folder

WEFT = os.environ.get("WEFT_CLI") or os.path.join(build_folder(), "weft")
SECONDS = 40


class Web(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Answers every GET with its path, on a free port of the machine itself."""

    daemon_threads = True

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = self.path.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.port = self.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def serving():
    with Web() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def web():
    with serving() as server:
        yield server


def places(pid):
    """What a `weft run` of that process id may have left."""
    name = f"weft-run-{pid}"
    found = [f"{root}/{name}" for root in (cgroup_root(), "/sys/fs/bpf", "/run")]
    return [path for path in found if os.path.exists(path)]


class Run:
    """`weft run …` in the background; checks at its end that nothing is left."""

    def __init__(self, *arguments, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        self.popen = subprocess.Popen(
            [WEFT, "run", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**BARE_ENVIRONMENT, "HOME": "/"},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored by a background job
            **options,
        )
        self.pid = self.popen.pid
        self.out = self.err = ""

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.communicate()

    def line(self):
        return self.popen.stdout.readline()

    def end(self, leaves_nothing=True):
        """Exit status."""
        out, self.err = self.popen.communicate(timeout=SECONDS)
        self.out += out
        assert not leaves_nothing or not places(self.pid), f"left behind: {places(self.pid)}\n{self.err}"
        return self.popen.returncode

    def weftd(self):
        """Process id of its private weftd."""
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                with open(path, "rb") as cmdline:
                    if f"/weft-run-{self.pid}/".encode() in cmdline.read():
                        return int(path.split("/")[2])
        return None


def run(*arguments, **options):
    with Run(*arguments, **options) as made:
        made.status = made.end()
        return made


def weft(*arguments):
    return subprocess.run(
        [WEFT, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False, env=BARE_ENVIRONMENT
    )


# ---- weft run ----


def test_run_captures_a_command_and_says_what_went_through(web):
    done = run("--", "curl", "-sS", f"{web.url}/one", f"{web.url}/two")
    assert done.status == 0, done.err
    assert done.out == "/one/two"
    line = rf"^weft: 127\.0\.0\.1:{web.port}  2 requests, 100\.0 % success, p50 .*, \d+ B sent, \d+ B received$"
    assert re.search(line, done.err, re.M), done.err


def test_run_counts_a_connection_that_is_not_http():
    def greet(connection):
        with connection:
            connection.sendall(b"220 hello\r\n")
            assert connection.recv(100) == b"QUIT\r\n"

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: greet(server.accept()[0]), daemon=True).start()
        port = server.getsockname()[1]
        script = f"exec 3<>/dev/tcp/127.0.0.1/{port}; read -r line <&3; echo $line; printf 'QUIT\\r\\n' >&3; cat <&3"
        done = run("--", "bash", "-c", script)
    assert done.out == "220 hello\n", done.err
    assert f"weft: 127.0.0.1:{port}  1 connection, 6 B sent, 11 B received\n" in done.err


def test_run_says_when_nothing_was_captured():
    done = run("true")
    assert done.status == 0
    assert "weft: no connection was captured\n" in done.err


@pytest.mark.parametrize(
    "script, status",
    [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -KILL $$", 137), ("kill -TERM $$", 143)],
)
def test_run_passes_the_exit_status_on(script, status):
    assert run("--", "sh", "-c", script).status == status


@pytest.mark.parametrize("command, status", [("weft-no-such-command", 127), ("/etc/passwd", 126)])
def test_run_says_why_a_command_cannot_be_started(command, status):
    done = run("--", command)
    assert done.status == status
    assert f"weft: {command}: " in done.err
    assert "captured" not in done.err


def test_run_leaves_the_streams_to_the_command():
    with Run("--", "sh", "-c", "cat; echo err >&2", stdin=subprocess.PIPE) as made:
        made.popen.stdin.write("through\n")
        made.popen.stdin.close()
        made.popen.stdin = None
        assert made.end() == 0
    assert made.out == "through\n"
    assert "err\n" in made.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_run_forwards_signals(number):
    name = number.name[3:]
    script = f"trap 'echo got {name}; exit 42' {name}; echo ready; while :; do sleep 0.05; done"
    with Run("--", "bash", "-c", script) as made:
        assert made.line() == "ready\n"
        made.popen.send_signal(number)
        assert made.end() == 42
    assert made.out == f"got {name}\n"


def test_ctrl_c_reaches_the_command_once():
    """A terminal sends SIGINT to the whole process group: forwarding it would make it two."""
    script = (
        "import signal, sys, time\n"
        "seen = []\n"
        "signal.signal(signal.SIGINT, lambda *_: seen.append(1))\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(len(seen)))\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    time.sleep(0.01)\n"
        "    if seen: print('seen', len(seen), flush=True)\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(WEFT, [WEFT, "run", "--", "python3", "-c", script], BARE_ENVIRONMENT)
    seen = bytearray()

    def shows(text):
        with contextlib.suppress(OSError):
            seen.extend(os.read(terminal, 4096))
        return text in seen

    try:
        wait_for(lambda: shows(b"ready"), "the command to start", SECONDS)
        os.write(terminal, b"\x03")
        wait_for(lambda: shows(b"seen 1"), "Ctrl-C to arrive", 5)
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: shows(b"captured"), "the summary", SECONDS)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 1, bytes(seen)
    finally:
        os.close(terminal)
    assert not places(pid)


def test_run_that_is_interrupted_while_it_starts_leaves_nothing():
    with Run("--", "sleep", "30") as made:
        wait_for(lambda: places(made.pid), "it to begin", SECONDS)
        made.popen.send_signal(signal.SIGTERM)
        assert made.end() == 128 + signal.SIGTERM
    assert not made.weftd()


def test_a_killed_run_takes_its_weftd_along_and_cleanup_removes_the_rest():
    with Run("--", "sh", "-c", "echo ready; exec sleep 60") as made:
        assert made.line() == "ready\n"
        weftd = made.weftd()
        with open(f"{cgroup_root()}/weft-run-{made.pid}/cgroup.procs", encoding="ascii") as procs:
            command = int(procs.read())
        made.popen.kill()
        made.popen.wait()
        wait_for(lambda: not os.path.exists(f"/proc/{weftd}/fd/0"), "the private weftd to go", SECONDS)

        kept = weft("cleanup", "--runs")
        assert f"weft-run-{made.pid} stays: processes still run in it" in kept.stderr
        assert kept.returncode == 1

        os.kill(command, signal.SIGKILL)
        wait_for(lambda: weft("cleanup", "--runs").returncode == 0, "the cgroup to be empty", SECONDS)
        assert not places(made.pid)


def test_cleanup_leaves_living_runs_alone():
    with Run("--", "sh", "-c", "echo ready; read -r line", stdin=subprocess.PIPE) as made:
        assert made.line() == "ready\n"
        assert f"weft-run-{made.pid}" not in weft("cleanup", "--runs").stdout
        assert len(places(made.pid)) == 3
        made.popen.stdin.write("go\n")
        assert made.end() == 0, made.err


def test_a_process_that_outlives_the_command_goes_on():
    script = "sleep 60 >/dev/null 2>&1 & echo $!"
    done = run("--", "sh", "-c", script)
    assert "1 process outlived the command and goes on without weft" in done.err
    os.kill(int(done.out), signal.SIGKILL)


def test_run_needs_root():
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", WEFT, "run", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 125
    assert "takes root: try sudo weft run" in done.stderr


def test_nothing_else_on_the_machine_is_captured(web):
    with Run("--", "sh", "-c", "echo ready; read -r line", stdin=subprocess.PIPE) as made:
        assert made.line() == "ready\n"
        direct = subprocess.run(["curl", "-sS", f"{web.url}/direct"], capture_output=True, text=True, check=True)
        assert direct.stdout == "/direct"
        made.popen.stdin.write("go\n")
        assert made.end() == 0
    assert "no connection was captured" in made.err


# ---- weft run --config ----

CONFIG = """\
# the services of a laptop
services:
  - name: web
    addresses: [10.96.7.10, "fd00:96::710"]
    ports: [80, 8080]
    protocol: http
    endpoints: [{{address: "127.0.0.1:{port}"}}]
pods:
  - name: somebody
    netns: /run/netns/weft-no-such-namespace
"""


def test_names_of_a_config_are_resolvable_inside_and_only_there(web, tmp_path):
    path = tmp_path / "weft.yaml"
    path.write_text(CONFIG.format(port=web.port))
    with open("/etc/hosts", encoding="utf-8") as hosts:
        before = hosts.read()
    script = f"curl -sS http://web/a http://web:8080/b; curl -sS --ipv6 http://web/c; curl -sS {web.url}/direct"
    done = run("--config", path, "--", "sh", "-c", script)
    assert done.status == 0, done.err
    assert done.out == "/a/b/c/direct"
    assert re.search(r"^weft: web  3 requests, 100\.0 % success, ", done.err, re.M), done.err
    assert str(web.port) not in done.err, "a dial that is to no service is not captured"
    assert f"notice: {path} names pods" in done.err
    with open("/etc/hosts", encoding="utf-8") as hosts:
        assert hosts.read() == before


def test_a_config_in_json_works_too(web, tmp_path):
    path = tmp_path / "weft.json"
    service = {"name": "web", "addresses": ["10.96.7.10"], "ports": [80]}
    service["endpoints"] = [{"address": f"127.0.0.1:{web.port}"}]
    path.write_text(json.dumps({"services": [service]}))
    done = run("--config", path, "--", "curl", "-sS", "http://web/json")
    assert done.out == "/json", done.err


def test_a_config_may_come_by_a_pipe(web):
    line = f"exec {WEFT} run --config <(printf %s \"$CONFIG\") -- curl -sS http://web/pipe"
    service = {"name": "web", "addresses": ["10.96.7.10"], "ports": [80]}
    service["endpoints"] = [{"address": f"127.0.0.1:{web.port}"}]
    config = json.dumps({"services": [service]})
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, timeout=SECONDS,
        env={**BARE_ENVIRONMENT, "CONFIG": config},
    )
    assert (done.returncode, done.stdout) == (0, "/pipe"), done.stderr


def test_two_runs_at_once_do_not_meet(web):
    script = f"echo ready; read -r line; curl -sS {web.url}/x"
    with Run("--", "sh", "-c", script, stdin=subprocess.PIPE) as one, Run("true") as two:
        assert one.line() == "ready\n"
        assert two.end() == 0
        assert "no connection was captured" in two.err
        one.popen.stdin.write("go\n")
        assert one.end() == 0
    assert one.out == "/x"
    assert f"127.0.0.1:{web.port}  1 request," in one.err


def test_a_bad_config_is_named_with_its_line(tmp_path):
    path = tmp_path / "weft.yaml"
    path.write_text("services:\n  - name: web\n    adresses: [10.96.7.10]\n    ports: [80]\n")
    done = run("--config", path, "--", "true")
    assert done.status == 125
    assert f"{path}:3: " in done.err and "adresses" in done.err
    missing = run("--config", tmp_path / "none.yaml", "--", "true")
    assert missing.status == 125
    assert "none.yaml" in missing.err


# ---- what weft shows of a weftd ----


@pytest.fixture(scope="module")
def meshed(cluster):
    """A weftd with one service, a dead one, and some traffic."""
    services = [Service("web", ["server:9400"], protocol="http"), Service("dead", [])]
    mesh = Mesh("weft", cluster, services, {"admin": {"address": f"127.0.0.1:{free_port()}"}})
    with Upstream(cluster.pod("server"), 9400, serve(lambda request: answer("200 OK", b"x" * 1000))):
        mesh.open()
        try:
            ask(mesh, 20)
            yield mesh
        finally:
            mesh.close()


def free_port():
    """Free a moment ago; weftd tries for a second."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(mesh, count):
    with Connection(mesh.dial("web")) as client:
        for _ in range(count):
            assert client.ask("GET / HTTP/1.1\r\nHost: web\r\n\r\n").status == 200


def rows(text):
    """A table as dictionaries; columns are separated by two blanks or more."""
    lines = [re.split(r"  +", line.strip()) for line in text.splitlines() if line.strip()]
    return [dict(zip(lines[0], line)) for line in lines[1:]]


def test_stat_shows_traffic_since_start(meshed):
    shown = meshed.weftd.cli("stat").stdout
    window, _, table = shown.partition("\n")
    assert re.fullmatch(r"since start, \d+\.\d s", window)
    web = next(row for row in rows(table) if row["SERVICE"] == "web")
    assert web["SUCCESS"] == "100.0 %"
    assert float(web["RPS"]) > 0
    assert re.fullmatch(r"\d+ us|[\d.]+ m?s", web["P50"])
    assert web["RECEIVED"].endswith("KiB")
    assert web["TUNNELS"] == "0"


def test_stat_shows_only_what_is_asked_for(meshed):
    table = meshed.weftd.cli("stat", "dead").stdout.partition("\n")[2]
    assert [row["SERVICE"] for row in rows(table)] == ["dead"]
    unknown = meshed.weftd.cli("stat", "nosuch", check=False)
    assert unknown.returncode == 1
    assert 'no service "nosuch"' in unknown.stderr


def test_stat_watch_shows_intervals(meshed):
    command = [WEFT, "stat", "--socket", meshed.weftd.socket, "--watch", "0.3", "-o", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        try:
            first = json.loads(watching.stdout.readline())
            ask(meshed, 5)
            seen = 0
            for _ in range(20):
                interval = json.loads(watching.stdout.readline())
                seen += next(row for row in interval["services"] if row["name"] == "web")["requests"]
                if seen:
                    break
        finally:
            watching.terminate()
    assert 0.2 < first["window_seconds"] < 10
    assert seen == 5


def test_tables_show_the_snapshot(meshed):
    services = {row["SERVICE"]: row for row in rows(meshed.weftd.cli("services").stdout)}
    assert services["web"]["READY"] == "1/1" and services["dead"]["READY"] == "0/0"
    assert services["web"]["PROTOCOL"] == "http"
    endpoints = rows(meshed.weftd.cli("endpoints").stdout)
    assert endpoints[0]["ENDPOINT"] == meshed.endpoint("web")
    assert int(endpoints[0]["REQUESTS"]) >= 20
    routes = {row["ADDRESS"]: row for row in rows(meshed.weftd.cli("routes").stdout)}
    assert routes[f"{meshed.virtual('web')}:80"]["ENDPOINTS"] == meshed.endpoint("web")
    assert routes[f"{meshed.virtual('dead')}:80"]["ENDPOINTS"] == "none: connections are refused"
    pods = {row["POD"]: row for row in rows(meshed.weftd.cli("pods").stdout)}
    assert pods["client"]["STATE"] == "captured"
    assert "captured " in pods["client"]["DECISIONS"]
    assert json.loads(meshed.weftd.cli("config").stdout)["settings"]["workers"] == 2


def connections(mesh, *options):
    return rows(mesh.weftd.cli("connections", *options).stdout)


@contextlib.contextmanager
def keeping_one(mesh):
    """A connection that has had one answer."""
    with Connection(mesh.dial("web")) as client:
        assert client.ask("GET / HTTP/1.1\r\nHost: web\r\n\r\n").status == 200
        yield client
    wait_for(lambda: not connections(mesh), "the connection to end", 5)


def test_connections_shows_those_of_now(meshed):
    with keeping_one(meshed):
        (shown,) = connections(meshed)
        assert shown["POD"] == "client" and shown["DESTINATION"] == "web" and shown["STATE"] == "http_idle"
        assert shown["REQUESTS"] == "1" and shown["RECEIVED"].endswith("KiB") and shown["SENT"].endswith(" B")
        assert shown["APP LEG"] == "tcp" and shown["ENDPOINT"] == shown["ENDPOINT LEG"] == "-"
        assert connections(meshed, "--pod", "client") and not connections(meshed, "--pod", "server")
        assert not connections(meshed, "-n", "shop")
        (one,) = json.loads(meshed.weftd.cli("connections", "-o", "json").stdout)["connections"]
        assert one["service"] == "web" and one["app_leg"] == "tcp"


def test_connections_tells_who_has_the_shortcut(meshed):
    config = meshed.weftd.config

    def set_mode(mode):
        in_force = lambda: meshed.weftd.json("/config.json")["settings"]["shortcut"]["mode"] == mode  # noqa: E731
        meshed.weftd.reload({**config, "shortcut": {"mode": mode}}, until=in_force)

    set_mode("auto")
    try:
        with keeping_one(meshed):
            assert [row["APP LEG"] for row in connections(meshed)] == ["shortcut"]
            set_mode("off")  # what has it keeps it
            assert [row["APP LEG"] for row in connections(meshed)] == ["shortcut"]
    finally:
        set_mode("off")


def test_json_of_every_view_is_json(meshed):
    for command in ("stat", "pods", "services", "endpoints", "routes", "config", "edges", "connections", "names"):
        json.loads(meshed.weftd.cli(command, "-o", "json").stdout)


def test_the_admin_socket_is_roots_alone(meshed):
    mode = os.stat(meshed.weftd.socket).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600


def test_admin_paths_answer_by_their_rules(meshed):
    admin = meshed.weftd.admin
    assert admin("/live") == (200, "ok\n")
    assert admin("/ready") == (200, "ready\n")
    status, body = admin("/nothing")
    assert status == 404 and "/metrics" in body
    assert admin("/drain")[0] == 405
    assert admin("/metrics", method="POST")[0] == 405
    assert admin("/metrics", method="HEAD") == (200, "")
    status, body = admin("/connections.json")
    assert status == 200 and isinstance(json.loads(body)["connections"], list)


def test_what_changes_something_is_refused_over_tcp(meshed):
    address = meshed.weftd.config["admin"]["address"]

    def tcp(path, method):
        connection = http.client.HTTPConnection(address, timeout=5)
        with contextlib.closing(connection):
            connection.request(method, path)
            reply = connection.getresponse()
            return reply.status, reply.getheader("Allow"), reply.read()

    assert tcp("/drain", "POST")[0] == 403
    assert tcp("/metrics", "POST")[:2] == (405, "GET, HEAD")
    assert tcp("/metrics", "GET")[0] == 200
    assert meshed.weftd.admin("/ready")[0] == 200


# ---- without a weftd ----


def test_an_absent_weftd_is_said_clearly():
    done = weft("stat", "--socket", "/nonexistent/weftd.sock")
    assert done.returncode == 1
    assert done.stderr == (
        "weft: weftd is not reachable at /nonexistent/weftd.sock: No such file or directory; is it running? "
        "try `weft check`\n"
    )


def test_the_reference_is_a_valid_config(tmp_path):
    path = tmp_path / "reference.yaml"
    path.write_text(weft("config", "--reference").stdout)
    weftd = os.path.join(build_folder(), "weftd")
    done = subprocess.run([weftd, "--validate", "--config", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_check_has_a_line_for_each_thing_it_needs():
    pin_dir = f"/sys/fs/bpf/weft-cli-{os.getpid()}"
    lines = weft("check", "--pin-dir", pin_dir).stdout.splitlines()
    names = {line.split()[1] for line in lines if re.match(r"(ok|warn|FAIL) ", line)}
    assert {"kernel", "btf", "cgroup2", "hook-connect4", "io_uring", "kernel-tls"} <= names, lines
    done = weft("check", "--json", "--pin-dir", pin_dir)
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["kernel"]["result"] == "ok"
    assert done.returncode == (1 if any(check["result"] == "fail" for check in checks.values()) else 0)
    assert not os.path.exists(pin_dir)


@pytest.mark.release
def test_check_does_not_wait_long_for_a_resolver_that_is_silent(tmp_path):
    address = f"127.{os.getpid() >> 14 & 63 | 64}.{os.getpid() >> 7 & 127}.{os.getpid() & 127 | 128}"
    (tmp_path / "resolv.conf").write_text(f"nameserver {address}\nsearch a.test b.test c.test\noptions ndots:5\n")
    (tmp_path / "nsswitch.conf").write_text("hosts: dns\n")
    mounts = " && ".join(f"mount --bind {tmp_path}/{name} /etc/{name}" for name in ("resolv.conf", "nsswitch.conf"))
    script = f'mount --make-rprivate / && {mounts} && exec "$0" check --json --nodes weft:9990'
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
        resolver.bind((address, 53))
        done = subprocess.run(["unshare", "-m", "sh", "-c", script, WEFT], stdout=subprocess.PIPE, timeout=10, check=False)
        assert resolver.recv(512)
    (line,) = [check for check in json.loads(done.stdout)["checks"] if check["name"] == "versions"]
    assert line["result"] == "warn" and "cannot be looked up" in line["found"]


@pytest.mark.parametrize(
    "arguments", [["nosuch"], [], ["stat", "--nosuch"], ["stat", "-o", "xml"], ["run"], ["pods", "extra"]]
)
def test_misuse_is_told_from_failure(arguments):
    done = weft(*arguments)
    assert done.returncode == 2
    assert "help" in done.stderr


def test_every_command_has_help():
    commands = re.findall(r"^  (\w+) ", weft("help").stdout, re.M)
    assert {"run", "check", "stat", "edges", "connections", "pods", "cleanup"} <= set(commands)
    for command in commands:
        done = weft(command, "--help")
        assert done.returncode == 0 and done.stdout.startswith(f"usage: weft {command}"), done
        assert weft("help", command).stdout == done.stdout


# ---- cleanup of a weftd ----


def test_cleanup_refuses_while_weftd_lives_and_removes_everything_after(cluster):
    name, folder = cluster.new_name("weftd")
    weftd = Weftd(name, folder, {"services": [], "pods": []})
    try:
        weftd.start()
        refused = weftd.cli("cleanup", "--pin-dir", weftd.pin_dir, check=False)
        assert refused.returncode == 1
        assert "a weftd is alive" in refused.stderr
        assert os.path.exists(weftd.pin_dir)
        refused = weftd.cli("cleanup", "--pin-dir", weftd.pin_dir, socket=False, check=False)
        assert refused.returncode == 1, "the pins say it too"
        weftd.kill()
        assert os.path.exists(weftd.socket)
        done = weftd.cli("cleanup", "--pin-dir", weftd.pin_dir)
        assert weftd.pin_dir in done.stdout and weftd.socket in done.stdout
        assert not os.path.exists(weftd.pin_dir) and not os.path.exists(weftd.socket)
        assert weftd.cli("cleanup", "--pin-dir", weftd.pin_dir).stdout == "nothing to remove\n"
    finally:
        weftd.close()


def test_forced_cleanup_ends_weftd_first(cluster):
    name, folder = cluster.new_name("weftd")
    weftd = Weftd(name, folder, {"services": [], "pods": []})
    try:
        weftd.start()
        weftd.cli("cleanup", "--pin-dir", weftd.pin_dir, "--force")
        assert weftd.process.wait(5) == 0
        assert not os.path.exists(weftd.pin_dir)
    finally:
        weftd.close()


def test_drain_over_the_socket_ends_weftd(cluster):
    name, folder = cluster.new_name("weftd")
    weftd = Weftd(name, folder, {"services": [], "pods": []})
    try:
        weftd.start()
        assert weftd.admin("/drain", method="POST") == (202, "draining\n")
        assert weftd.process.wait(10) == 0
    finally:
        weftd.close()
