"""`weft run`, check and cleanup where the machine or the command is unusual."""

import json
import os
import signal
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from test_cli import SECONDS, WEFT, Run, cgroup_root, free_port, places, run, weft

from harness.poll import wait_for
from harness.process import BARE_ENVIRONMENT
from harness.weftd import Weftd


def without(what, *arguments):
    """A weft command in a mount namespace where `what` was done first."""
    script = f'mount --make-rprivate / && {what} && exec "$@"'
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", WEFT, *arguments],
        capture_output=True, text=True, timeout=SECONDS, check=False, env=BARE_ENVIRONMENT,
    )  # fmt: skip


IN_CGROUP_OF_ITS_OWN = f"""
here={cgroup_root()}$(sed -n s/^0:://p /proc/self/cgroup)
mkdir -p $here/inner/most && echo $$ >$here/inner/most/cgroup.procs
"""


def test_a_command_that_makes_cgroups_leaves_nothing():
    done = run("--", "sh", "-c", IN_CGROUP_OF_ITS_OWN)
    assert done.status == 0, done.err
    assert not places(done.pid)


def test_a_process_in_a_cgroup_of_the_commands_own_goes_on():
    done = run("--", "sh", "-c", IN_CGROUP_OF_ITS_OWN + "sleep 60 >/dev/null 2>&1 & echo $!")
    assert "1 process outlived the command" in done.err
    for pid in done.out.split():
        os.kill(int(pid), signal.SIGKILL)


def test_cleanup_removes_cgroups_of_a_killed_runs_command():
    with Run("--", "sh", "-c", IN_CGROUP_OF_ITS_OWN + "echo ready; exec sleep 60") as made:
        assert made.line() == "ready\n"
        with open(f"{cgroup_root()}/weft-run-{made.pid}/inner/most/cgroup.procs", encoding="ascii") as procs:
            command = int(procs.read())
        made.popen.kill()
        made.popen.wait()
        wait_for(lambda: "processes still run in it" in weft("cleanup", "--runs").stderr, "weftd to be gone", SECONDS)
        os.kill(command, signal.SIGKILL)
        wait_for(lambda: weft("cleanup", "--runs").returncode == 0, "the cgroup to be empty", SECONDS)
        assert not places(made.pid)


@pytest.mark.parametrize(
    "what, complaint",
    (
        (f"umount -l {cgroup_root()}", "no cgroup v2 file system is mounted"),
        (f"mount -o remount,ro,bind {cgroup_root()}", "cannot make the cgroup"),
        ("mount -t tmpfs -o ro none /run", "cannot make the folder"),
        ("mount -t tmpfs -o size=4k,nr_inodes=3 none /run", "No space left on device"),
        ("mount -o remount,ro,bind /sys/fs/bpf", "Read-only file system"),
    ),
    ids=("no cgroup v2", "read-only cgroups", "read-only /run", "full /run", "read-only bpffs"),
)
def test_run_says_what_the_machine_does_not_allow_and_leaves_nothing(what, complaint):
    before = set(os.listdir(cgroup_root())) | set(os.listdir("/sys/fs/bpf"))
    done = without(what, "run", "--", "true")
    assert done.returncode == 125
    assert complaint in done.stderr
    left = (set(os.listdir(cgroup_root())) | set(os.listdir("/sys/fs/bpf"))) - before
    assert not [name for name in left if name.startswith("weft-run-")]


def test_run_mounts_the_bpf_file_system_if_it_is_missing():
    done = without("umount -l /sys/fs/bpf", "run", "--", "echo", "it ran")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "it ran\n"


@pytest.mark.parametrize(
    "what, line",
    (
        (f"umount -l {cgroup_root()}", "cgroup2"),
        (f"mount -o remount,ro,bind {cgroup_root()}", "hooks"),
        ("mount -o remount,ro,bind /sys/fs/bpf", "bpffs"),
        ("mount -t tmpfs none /sys/kernel/btf", "btf"),
    ),
    ids=("no cgroup v2", "read-only cgroups", "read-only bpffs", "no btf"),
)
def test_check_fails_with_advice_for(what, line):
    done = without(what, "check")
    assert done.returncode == 1
    failed = [text for text in done.stdout.splitlines() if text.startswith("FAIL ")]
    assert [text.split()[1] for text in failed][:1] == [line], done.stdout


class OtherVersion(BaseHTTPRequestHandler):
    """A weftd of the future on another node."""

    def do_GET(self):
        body = b'{"version":"9.9.9","node":"n9"}' if self.path == "/version.json" else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def three_nodes(tmp_path):
    """NAME:PORT and hosts of a weftd, of one of another version and of an address where none is."""
    port = free_port()
    hosts = tmp_path / "hosts"
    hosts.write_text("".join(f"127.0.0.{i} weft-nodes\n" for i in (1, 2, 3)))
    own = f"weft-it-{os.getpid()}-versions"
    with Weftd(own, str(tmp_path), {"admin": {"address": f"127.0.0.1:{port}"}}) as weftd:
        with ThreadingHTTPServer(("127.0.0.2", port), OtherVersion) as other:
            threading.Thread(target=other.serve_forever).start()
            yield weftd, f"mount --bind {hosts} /etc/hosts", f"weft-nodes:{port}"
            other.shutdown()


def test_check_compares_the_versions_of_all_nodes(three_nodes):
    weftd, hosts, nodes = three_nodes
    version = weft("version").stdout.split()[1].rstrip(",")
    options = ("--socket", weftd.socket, "--pin-dir", weftd.pin_dir, "--nodes", nodes)
    done = json.loads(without(hosts, "check", "--json", *options).stdout)
    assert {node["address"]: (node["node"], node["version"], node["error"]) for node in done["nodes"]} == {
        "127.0.0.1": ("", version, ""),
        "127.0.0.2": ("n9", "9.9.9", ""),
        "127.0.0.3": ("", "", "Connection refused"),
    }
    (line,) = [check for check in done["checks"] if check["name"] == "versions"]
    assert line["result"] == "warn" and "127.0.0.3: Connection refused" in line["found"]
    table = without(hosts, "check", *options).stdout
    assert "n9    127.0.0.2  9.9.9\n" in table


def test_check_says_when_the_nodes_are_not_found():
    done = weft("check", "--json", "--nodes", "no-such-name.invalid:9990")
    (line,) = [check for check in json.loads(done.stdout)["checks"] if check["name"] == "versions"]
    assert line["result"] == "warn" and "cannot be looked up" in line["found"] and line["advice"]
    assert "nodes" not in json.loads(done.stdout)


@pytest.mark.parametrize("key, value", (("address", "127.0.0.1:{port}"), ("socket", "/proc/weft/weftd.sock")))
def test_a_weftd_that_cannot_start_leaves_no_hooks(key, value, tmp_path):
    name = f"weft-it-{os.getpid()}-unborn"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        value = value.format(port=taken.getsockname()[1])
        admin = {"address": "", "socket": str(tmp_path / "weftd.sock"), key: value}
        config = tmp_path / "weft.yaml"
        pods = [{"name": "self", "netns": "/proc/self/ns/net"}]  # on its way in when the start fails
        config.write_text(json.dumps({"admin": admin, "bpf": {"pin_dir": f"/sys/fs/bpf/{name}"}, "pods": pods}))
        done = subprocess.run([WEFT + "d", "--config", config], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 1, done.stderr
    assert f"weftd: admin.{key} {value}" in done.stderr
    assert not os.path.exists(f"/sys/fs/bpf/{name}")


def test_weft_and_weftd_say_one_version():
    weftd = subprocess.run([WEFT + "d", "--version"], capture_output=True, text=True, check=True)
    assert weft("version").stdout.replace("weft ", "weftd ", 1) == weftd.stdout
