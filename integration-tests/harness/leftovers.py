"""Everything temporary is named weft-ROLE-PID-…, so that leftovers of a dead run can be told and removed."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

NAME = re.compile(r"^weft-(?:it|demo|k8s|steps)-(\d+)(?:-.*)?$")
PIN_ROOT = "/sys/fs/bpf"
NETNS_ROOT = "/run/netns"
TEMP_ROOT = "/tmp"


def _mounts(kind):
    """Where that kind of file system is mounted."""
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        for line in mounts:
            fields, _, rest = line.partition(" - ")
            if rest.startswith(kind + " "):
                yield fields.split()[4]


def cgroup_root():
    """The cgroup v2 mount, wherever this machine has it."""
    for path in _mounts("cgroup2"):
        return path
    raise RuntimeError("no cgroup v2 is mounted: mount -t cgroup2 none /sys/fs/cgroup")


def cgroup_v1_roots():
    """{name: mount} of the cgroup v1 hierarchies; empty where the machine has v2 only."""
    return {os.path.basename(path): path for path in _mounts("cgroup")}


def _entries(folder, pid):
    """Names in the folder that belong to run `pid` (None: to any run whose process is gone)."""
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(folder)):
            match = NAME.match(name)
            if match and (int(match[1]) == pid or (pid is None and not _runs(int(match[1])))):
                yield os.path.join(folder, name)


def _runs(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
            words = cmdline.read()
    except OSError:
        return False
    return any(program in words for program in (b"pytest", b"demo", b"kubernetes/up.py"))


def remove_cgroup(path):
    """Ends what runs inside and removes the folder with everything below it."""
    with contextlib.suppress(FileNotFoundError, PermissionError):  # v1 has no such file
        with open(os.path.join(path, "cgroup.kill"), "w", encoding="utf-8") as kill:
            kill.write("1")
    deadline = time.monotonic() + 5
    for folder, _, _ in os.walk(path, topdown=False):
        while True:
            try:
                os.rmdir(folder)
                break
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)


def remove_netns(path):
    subprocess.run(["ip", "netns", "del", os.path.basename(path)], check=False, stderr=subprocess.DEVNULL)


def _processes(pid):
    """Processes that are, or were when they started, in the cgroups of that run."""
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{number}/cgroup", encoding="utf-8") as lines:
                places = {part for line in lines for part in line.strip().removesuffix(" (deleted)").split("/")}
        except OSError:
            continue
        if any((match := NAME.match(place)) and int(match[1]) == pid for place in places):
            yield f"process {number}"


def _sockets(pid):
    """Unix sockets in the temporary folders of that run; its other sockets end with their namespaces."""
    with open("/proc/net/unix", encoding="utf-8") as lines:
        for line in lines:
            path = line.split()[-1]
            if any((match := NAME.match(part)) and int(match[1]) == pid for part in path.split("/")):
                yield f"socket {path}"


def _machine_links(pid):
    """Network interfaces of the machine itself that belong to that run; there never should be one."""
    for name in os.listdir("/sys/class/net"):
        if (match := NAME.match(name)) and int(match[1]) == pid:
            yield f"network interface {name}"


def find(pid):
    """What a run has left on the machine, one line each."""
    found = [*_processes(pid), *_sockets(pid), *_machine_links(pid)]
    for kind, folder in (
        ("network namespace", NETNS_ROOT),
        ("cgroup", cgroup_root()),
        *(("cgroup", root) for root in cgroup_v1_roots().values()),
        ("pinned folder", PIN_ROOT),
        ("temporary folder", TEMP_ROOT),
    ):
        found += [f"{kind} {path}" for path in _entries(folder, pid)]
    return found


def sweep(pid=None):
    """Removes what run `pid` left, or (None) what all dead runs left."""
    for root in (cgroup_root(), *cgroup_v1_roots().values()):  # v2 first: it can end what runs inside
        for path in _entries(root, pid):
            remove_cgroup(path)
    for path in _entries(NETNS_ROOT, pid):
        remove_netns(path)
    for folder in (PIN_ROOT, TEMP_ROOT):
        for path in _entries(folder, pid):
            shutil.rmtree(path, ignore_errors=True)


def guard(pid):
    """A process of its own that sweeps after run `pid` as soon as that is gone, however it ended."""
    return subprocess.Popen(
        [sys.executable, os.path.abspath(__file__), str(pid)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()  # the pipe ends when the run does
    sweep(int(sys.argv[1]))
