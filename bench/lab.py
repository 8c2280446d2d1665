"""The place where a bench runs: one network namespace, one cgroup, a run folder, pinned children.

Everything is named weft-bench-PID and goes away with the Lab, also when it is interrupted; what a
killed bench left behind is removed by the next one.
"""

import ctypes
import glob
import os
import re
import resource
import shutil
import signal
import subprocess
import time

ORIGIN_ADDRESS = "10.99.0.2"  # on the namespace's loopback: both legs of every subject are local
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
OPEN_FILES = 20000  # 5,000 idle connections need 10,000 in a proxy
libc = ctypes.CDLL(None, use_errno=True)


def cgroup_v2_mount():
    with open("/proc/self/mounts") as mounts:
        for line in mounts:
            fields = line.split()
            if fields[2] == "cgroup2":
                return fields[1]
    raise RuntimeError("no cgroup v2 is mounted")


def descendants(pid):
    """pid and all processes below it."""
    found = [pid]
    for parent in found:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children") as children:
                    found.extend(int(child) for child in children.read().split())
        except FileNotFoundError:
            pass
    return found


class Child:
    """A program inside the lab; its output goes to a log in the run folder or to a pipe."""

    def __init__(self, lab, name, argv, core, in_netns=True, cgroup=None, pipes=False):
        self.name = name
        self.log_path = os.path.join(lab.run_dir, name + ".log")
        netns = os.open(lab.netns_path, os.O_RDONLY) if in_netns else -1
        log = open(self.log_path, "ab")

        def enter():  # in the child, between fork and exec
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            os.sched_setaffinity(0, {core})
            resource.setrlimit(resource.RLIMIT_NOFILE, (lab.open_files, lab.open_files))
            if cgroup:
                with open(os.path.join(cgroup, "cgroup.procs"), "w") as procs:
                    procs.write("0")
            if netns >= 0 and libc.setns(netns, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

        self.process = subprocess.Popen(
            argv, preexec_fn=enter, start_new_session=True, cwd=lab.run_dir,
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else log, stderr=log, text=True)
        log.close()
        if netns >= 0:
            os.close(netns)
        lab.children.append(self)

    @property
    def pid(self):
        return self.process.pid

    def log_tail(self):
        with open(self.log_path, errors="replace") as log:
            return "".join(log.readlines()[-8:]).strip()

    def is_alive(self):
        return self.process.poll() is None

    def stop(self):
        """SIGTERM, then SIGKILL for it and whatever it started."""
        family = descendants(self.pid) if self.is_alive() else []
        if family:
            self.process.terminate()
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                for pid in family:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe and not pipe.closed:
                pipe.close()


class Lab:
    PARTS = ("weft-tcp", "weft-shortcut")  # each weftd has hooks of its own

    def __init__(self, build_dir):
        self.name = f"weft-bench-{os.getpid()}"
        self.build_dir = build_dir
        self.run_dir = os.path.join(build_dir, self.name)
        self.netns_path = f"/run/netns/{self.name}"
        self.cgroup = os.path.join(cgroup_v2_mount(), self.name)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self.open_files = OPEN_FILES if hard < 0 else min(hard, OPEN_FILES)
        self.children = []

    def __enter__(self):
        try:
            self._sweep()
            os.makedirs(self.run_dir)
            os.mkdir(self.cgroup)
            for part in self.PARTS:
                os.mkdir(self.part_cgroup(part))
            for command in (
                    f"ip netns add {self.name}",
                    f"ip -n {self.name} link set lo up",
                    f"ip -n {self.name} addr add {ORIGIN_ADDRESS}/32 dev lo"):
                subprocess.run(command.split(), check=True)
        except BaseException:
            self.close()
            raise
        return self

    def part_cgroup(self, part):
        """Hook root of one weftd, its clients' cgroup too."""
        return os.path.join(self.cgroup, part)

    def pin_dir(self, part):
        return f"/sys/fs/bpf/{self.name}-{part}"

    def socket(self, part):
        return f"/run/{self.name}-{part}.sock"  # short: a Unix address holds 107 bytes

    def __exit__(self, kind, error, trace):
        self.close(keep_logs=kind is not None and issubclass(kind, Exception))

    def stop(self, children):
        for child in children:
            child.stop()
            self.children.remove(child)

    def close(self, keep_logs=False):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not stop the cleaning
        self.stop(list(reversed(self.children)))
        remove_traces(self.name)
        if not keep_logs:
            shutil.rmtree(self.run_dir, ignore_errors=True)

    def _sweep(self):
        """Removes what benches left behind that were killed."""
        names = set()
        for folder in ("/run/netns", "/sys/fs/bpf", cgroup_v2_mount(), self.build_dir):
            if os.path.isdir(folder):
                names.update(n for n in os.listdir(folder) if n.startswith("weft-bench-"))
        for name in names:
            match = re.match(r"weft-bench-(\d+)", name)
            if match and not os.path.exists(f"/proc/{match[1]}"):
                remove_traces(match[0])
                shutil.rmtree(os.path.join(self.build_dir, name), ignore_errors=True)


def remove_traces(name):
    """The namespace, the pins and the cgroup of a lab, and what still runs in the namespace: a
    proxy's own children, when the bench was killed."""
    if os.path.exists(f"/run/netns/{name}"):
        pids = subprocess.run(["ip", "netns", "pids", name], check=False, capture_output=True,
                              text=True).stdout
        for pid in map(int, pids.split()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        subprocess.run(["ip", "netns", "del", name], check=False)
    for path in glob.glob(f"/run/{name}-*.sock*"):
        os.unlink(path)
    for pins in glob.glob(f"/sys/fs/bpf/{name}-*"):
        shutil.rmtree(pins, ignore_errors=True)
    cgroup = os.path.join(cgroup_v2_mount(), name)
    deadline = time.monotonic() + 2
    while os.path.isdir(cgroup):
        try:
            for part in glob.glob(f"{cgroup}/*/"):
                os.rmdir(part)
            os.rmdir(cgroup)
        except OSError:  # the kernel takes a moment to let the last process go
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
