"""`weft run` at a weftd that runs already, and beside one."""

import json
import os
import signal
import socket
import subprocess

import pytest
from test_cli import SECONDS, WEFT, Run, cgroup_root, free_port, places, rows, run, serving, weft
from test_run_edges import without

from harness.poll import wait_for
from harness.process import BARE_ENVIRONMENT
from harness.weftd import UnixConnection, Weftd

SERVICE = {"name": "web", "addresses": ["10.96.7.20"], "ports": [80], "protocol": "http"}


def config_for(site):
    endpoints = [{"address": f"127.0.0.1:{site.port}"}]
    return {"admin": {"address": f"127.0.0.1:{free_port()}"}, "services": [{**SERVICE, "endpoints": endpoints}]}


@pytest.fixture(scope="module", name="site")
def serve_site():
    with serving() as server:
        yield server


@pytest.fixture
def shared(site, tmp_path):
    with Weftd(f"weft-it-{os.getpid()}-shared", str(tmp_path), config_for(site)) as weftd:
        yield weftd


def names(weftd):
    return [pod["name"] for pod in weftd.json("/pods.json")]


def captured(weftd, name):
    return any(pod["name"] == name and pod["state"] == "captured" for pod in weftd.json("/pods.json"))


def shared_run(weftd, *arguments, **options):
    return Run("--socket", weftd.socket, "--", *arguments, **options)


def waiting_run(weftd, script):
    """Says "ready", waits for a line, then does the script."""
    return shared_run(weftd, "sh", "-c", f"echo ready; read -r line; {script}", stdin=subprocess.PIPE)


def test_run_uses_the_weftd_that_runs(shared, site):
    script = f"curl -sS http://web/a {site.url}/b"
    with waiting_run(shared, script) as made:
        assert made.line() == "ready\n"
        assert captured(shared, f"run-{made.pid}")
        assert not made.weftd(), "a private weftd runs"
        assert not os.path.exists(f"/sys/fs/bpf/weft-run-{made.pid}")
        made.popen.stdin.write("go\n")
        assert made.end() == 0, made.err
    assert made.out == "/a/b"
    assert f"weft: web{' ' * (len(str(site.port)) + 7)}  1 request, 100.0 % success, " in made.err
    assert f"weft: 127.0.0.1:{site.port}  1 request, 100.0 % success, " in made.err
    wait_for(lambda: not names(shared), "the pod to leave", SECONDS)


def test_run_finds_the_weftd_of_the_default_socket(shared, site):
    link = f"mount -t tmpfs none /run && mkdir /run/weft && ln -s {shared.socket} /run/weft/weftd.sock"
    done = without(link, "run", "--", "curl", "-sS", "http://web/default")
    assert (done.returncode, done.stdout) == (0, "/default"), done.stderr
    stat = shared.json("/stat.json")["services"]
    assert [row["requests"] for row in stat if row["name"] == "web"] == [1]


def test_exit_status_and_signals_are_those_of_the_command(shared):
    with shared_run(shared, "sh", "-c", "exit 7") as made:
        assert made.end() == 7
    assert "no connection was captured" in made.err
    with shared_run(shared, "bash", "-c", "trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done") as made:
        assert made.line() == "ready\n"
        made.popen.send_signal(signal.SIGTERM)
        assert made.end() == 42


def test_two_runs_at_one_weftd_see_only_their_own_traffic(shared, site):
    with waiting_run(shared, "curl -sS http://web/1 http://web/2 http://web/3") as three, \
            waiting_run(shared, f"curl -sS http://web/x; curl -sS {site.url}/y") as two:  # fmt: skip
        assert three.line() == two.line() == "ready\n"
        wait_for(lambda: len(names(shared)) == 2, "both to be enrolled", SECONDS)
        for made in (three, two):
            made.popen.stdin.write("go\n")
        assert three.end() == two.end() == 0
    assert "weft: web  3 requests, " in three.err and str(site.port) not in three.err
    assert "web " in two.err and two.err.count(" 1 request, ") == 2


def test_a_killed_run_is_un_enrolled(shared):
    with shared_run(shared, "sh", "-c", "echo ready; exec sleep 60") as made:
        assert made.line() == "ready\n"
        assert captured(shared, f"run-{made.pid}")
        with open(f"{cgroup_root()}/weft-run-{made.pid}/cgroup.procs", encoding="ascii") as procs:
            command = int(procs.read())
        made.popen.kill()
        made.popen.wait()
        wait_for(lambda: not names(shared), "the pod to leave", SECONDS)
        os.kill(command, 0)  # the command itself goes on
        os.kill(command, signal.SIGKILL)
        wait_for(lambda: weft("cleanup", "--runs").returncode == 0, "the cgroup to be empty", SECONDS)
        assert not places(made.pid)


def test_a_command_outlives_its_weftd(shared, site):
    # Dials of the first moments after SIGKILL may be reset: the kernel promises later ones.
    script = f"until curl -sS {site.url}/after; do sleep 0.1; done; read -r line; curl -sS {site.url}/later"
    with waiting_run(shared, script) as made:
        assert made.line() == "ready\n"
        shared.kill()
        made.popen.stdin.write("go\n")
        made.popen.stdin.write("again\n")
        assert made.end() == 0, made.err
    assert made.out == "/after/later"
    assert made.err.count("weftd has ended; the command goes on without it") == 1


def test_a_reload_keeps_the_runs_pod(shared, site):
    with waiting_run(shared, "curl -sS http://web/kept") as made:
        assert made.line() == "ready\n"
        more = {"name": "more", "addresses": ["10.96.7.21"], "ports": [80]}
        shared.reload({**shared.config, "services": [*shared.config["services"], more]})
        assert captured(shared, f"run-{made.pid}")
        made.popen.stdin.write("go\n")
        assert made.end() == 0, made.err
    assert made.out == "/kept"
    assert "weft: web  1 request, " in made.err


def post(weftd, pod):
    connection = UnixConnection(weftd.socket, SECONDS)
    connection.request("POST", "/pods", json.dumps(pod))
    answer = connection.getresponse()
    return connection, answer.status, answer.read().decode()


def test_pods_are_posted_to_the_unix_socket_alone(shared, tmp_path):
    host, port = shared.config["admin"]["address"].split(":")
    with socket.create_connection((host, int(port))) as stranger:
        stranger.sendall(b"POST /pods HTTP/1.1\r\nHost: weft\r\nContent-Length: 2\r\n\r\n{}")
        assert stranger.recv(100).startswith(b"HTTP/1.1 403 ")
    status = post(shared, {"name": "lost", "cgroup": str(tmp_path / "none")})
    assert status[1] == 422 and "No such file or directory" in status[2]
    status = post(shared, {"name": "bad", "cgruop": "/x"})
    assert status[1] == 400 and "did you mean cgroup?" in status[2]
    connection, answer, text = post(shared, {"name": "box", "cgroup": shared.cgroup})
    assert answer == 200, text
    assert captured(shared, "box")
    assert post(shared, {"name": "box", "cgroup": "/x"})[1] == 409
    connection.close()
    wait_for(lambda: not names(shared), "the pod to leave", SECONDS)


def test_edges_are_shown_by_pod(shared):
    with waiting_run(shared, "curl -sS http://web/; echo done; read -r line") as made:
        assert made.line() == "ready\n"
        made.popen.stdin.write("go\n")
        made.popen.stdin.flush()
        assert made.line() == "/done\n"
        name = f"run-{made.pid}"

        def edge():
            table = rows(shared.cli("edges", "--pod", name).stdout)
            return table and table[0]

        wait_for(lambda: edge() and edge()["REQUESTS"] == "1", "the request to be counted", SECONDS)
        shown = edge()
        assert (shown["SOURCE"], shown["DESTINATION"], shown["SUCCESS"]) == (name, "web", "100.0 %")
        assert shown["SENT"].endswith(" B") and shown["P50"] != "-"
        assert not rows(shared.cli("edges", "--pod", "nobody").stdout)
        made.popen.stdin.write("end\n")
        assert made.end() == 0


def test_run_says_when_no_weftd_answers(tmp_path):
    done = run("--socket", tmp_path / "none.sock", "--", "true")
    assert done.status == 125
    assert f"no weftd answers at {tmp_path}/none.sock" in done.err
    done = run("--socket", "/x", "--config", "/y", "--", "true")
    assert done.status == 2


# ---- two weftd that might take the same dial ----


def run_in_netns(pod, *arguments):
    return subprocess.run(
        ["nsenter", f"--net={pod.netns}", WEFT, "run", *map(str, arguments)],
        capture_output=True, text=True, timeout=SECONDS, check=False, env=BARE_ENVIRONMENT,
    )  # fmt: skip


@pytest.fixture
def weftd_of(cluster, tmp_path):
    """A weftd that captures the client pod in this way."""
    made = []

    def start(capture):
        pod = {"name": "client", "netns": cluster.pod("client").netns, "capture": capture}
        made.append(Weftd(f"weft-it-{os.getpid()}-outer", str(tmp_path), {"pods": [pod]}))
        return made[0].start()

    yield start
    for weftd in made:
        weftd.close()


def test_run_refuses_dials_that_another_weftd_takes(weftd_of, cluster, site, tmp_path):
    weftd = weftd_of("all")
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"services": config_for(site)["services"]}))
    complaint = 'this network namespace is pod "client" of a weftd that runs already'
    for arguments in (("--", "true"), ("--config", own, "--", "true")):
        done = run_in_netns(cluster.pod("client"), *arguments)
        assert done.returncode == 125 and complaint in done.stderr, done.stderr
    shared = run_in_netns(cluster.pod("client"), "--socket", weftd.socket, "--", "true")
    assert shared.returncode == 125 and "runs in another network namespace" in shared.stderr


def test_two_weftd_that_take_their_own_services_do_not_meet(weftd_of, cluster, site, tmp_path):
    weftd_of("services")
    pod = cluster.pod("client")
    service = {**SERVICE, "endpoints": [{"address": "127.0.0.1:9411"}]}
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"services": [service]}))
    server = pod.spawn(["python3", "-m", "http.server", "--bind", "127.0.0.1", "9411"])
    pod.wait_port(9411, server)
    done = run_in_netns(pod, "--config", own, "--", "curl", "-sS", "-o", "/dev/null", "http://web/")
    assert done.returncode == 0, done.stderr
    assert "weft: web  1 request, 100.0 % success, " in done.stderr
    alone = run_in_netns(pod, "--", "true")
    assert alone.returncode == 125, "it would capture the other's redirected dials"
    server.stop(seconds=3)
