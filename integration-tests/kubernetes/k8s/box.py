"""A box: namespaces and cgroups that a node's programs take for a machine of their own."""

import os
import subprocess
import sys

from harness import leftovers
from harness.poll import wait_for

INIT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "box_init.py")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Joins the cgroups named before "--", then becomes the command after it.
JOIN = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit 125; shift; done; shift; exec "$@"'
NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--cgroup", "--pid")


def machine_cgroups():
    """What this machine can show a node: "hybrid" where v1 hierarchies have the controllers, else "v2"."""
    return "hybrid" if leftovers.cgroup_v1_roots() else "v2"


def _write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Box:
    """unique: weft-k8s-PID-…, the name of its cgroups; directory: its disk and logs, kept over restarts."""

    def __init__(self, unique, hostname, directory, cgroups):
        self.unique = unique
        self.hostname = hostname
        self.directory = directory
        self.cgroups = cgroups
        self.root = f"{leftovers.cgroup_root()}/{unique}"
        # With controllers in v2, processes must not sit where the pods' folders are: they have a leaf.
        self.leaf = f"{self.root}/system" if cgroups == "v2" else self.root
        v1 = leftovers.cgroup_v1_roots() if cgroups == "hybrid" else {}
        self.v1 = {name: f"{root}/{unique}" for name, root in v1.items()}
        self.unshare = None
        self.pid = None  # of process 1, as the machine counts
        os.makedirs(directory, exist_ok=True)

    def _make_cgroups(self):
        for path in [self.root, *self.v1.values()]:
            os.makedirs(path, exist_ok=True)
        if "cpuset" in self.v1:  # starts empty: nothing could join
            above = os.path.dirname(self.v1["cpuset"])
            for name in ("cpuset.cpus", "cpuset.mems"):
                _write(f"{self.v1['cpuset']}/{name}", _read(f"{above}/{name}"))
            _write(f"{self.v1['cpuset']}/cgroup.clone_children", "1")

    def _joined(self, leaf, argv):
        return ["sh", "-c", JOIN, "join", leaf, *self.v1.values(), "--", *argv]

    def start(self):
        self._make_cgroups()
        controllers = [name for name in self.v1 if name != "systemd"]
        log_path = f"{self.directory}/init.log"
        with open(log_path, "wb") as log:
            self.unshare = subprocess.Popen(
                # The cgroup namespace's root is where its first process was.
                self._joined(self.root, [
                    "unshare", *NAMESPACES, "--fork", "--kill-child", sys.executable, "-B", INIT,
                    self.hostname, f"{self.directory}/disk", self.cgroups,
                ]),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"PATH": PATH, "CONTROLLERS": " ".join(controllers)},
            )  # fmt: skip

        def ready():
            assert self.unshare.poll() is None, f"box {self.hostname}: {_read(log_path)}"
            return "ready" in _read(log_path)

        wait_for(ready, f"box {self.hostname}", 20)
        pids = _read(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children").split()
        self.pid = int(pids[0])
        if self.leaf != self.root:
            os.mkdir(self.leaf)
            for pid in _read(f"{self.root}/cgroup.procs").split():
                _write(f"{self.leaf}/cgroup.procs", pid)

    def stop(self):
        """Ends everything inside at once, as a power cut does."""
        for path in [self.root, *self.v1.values()]:
            leftovers.remove_cgroup(path)
        if self.unshare:
            self.unshare.wait(10)
        self.unshare = self.pid = None

    def inside(self, argv):
        """The command line that runs argv in the box, as a program of the node."""
        enter = ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C", "--wd=/", "--"]
        return self._joined(self.leaf, [*enter, *map(str, argv)])
