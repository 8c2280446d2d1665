"""`weft run`, check and cleanup where the machine or the command is unusual."""

import json
import os
import signal
import socket
import subprocess

import pytest

from test_cli import SECONDS, WEFT, Run, cgroup_root, places, run, weft

from harness.poll import wait_for
from harness.process import BARE_ENVIRONMENT


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
