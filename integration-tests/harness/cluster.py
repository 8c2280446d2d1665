"""The pods of one run, on a bridge that lives in a network namespace of its own."""

import os
import shutil
import tempfile

from . import leftovers
from .pod import Pod, _ip, _prepare_namespace, in_netns


class Cluster:
    """Nothing here touches the machine's own network."""

    def __init__(self, role="it"):
        self.unique = f"weft-{role}-{os.getpid()}"
        self.bridge = f"{self.unique}-bridge"
        self.directory = tempfile.mkdtemp(prefix=f"{self.unique}-", dir=leftovers.TEMP_ROOT)
        os.chmod(self.directory, 0o755)
        self.pods = {}
        self.daemons = 0
        self.next_number = 2
        self.guard = leftovers.guard(os.getpid())
        _ip(None, [f"netns add {self.bridge}"])
        in_netns(f"{leftovers.NETNS_ROOT}/{self.bridge}", _prepare_namespace)
        _ip(self.bridge, [
            "link set lo up",
            "link add bridge type bridge forward_delay 0 mcast_snooping 0",
            "addr add 10.77.0.1/24 dev bridge",
            "addr add fd77::1/64 dev bridge nodad",
            "link set bridge up",
        ])  # fmt: skip

    def pod(self, name):
        """The pod of that name; made when it is first asked for."""
        if name not in self.pods:
            directory = os.path.join(self.directory, name)
            pod = Pod(name, f"{self.unique}-{name}", self.next_number, directory)
            self.next_number += 1
            self.pods[name] = pod
            pod.open(self.bridge)
        return self.pods[name]

    def new_name(self, what):
        """(unique name, folder) for a daemon of this run."""
        self.daemons += 1
        name = f"{self.unique}-{what}{self.daemons}"
        return name, os.path.join(self.directory, f"{what}{self.daemons}")

    def close(self):
        for pod in reversed(self.pods.values()):
            pod.close()
        leftovers.remove_netns(f"{leftovers.NETNS_ROOT}/{self.bridge}")
        shutil.rmtree(self.directory, ignore_errors=True)
        leftovers.sweep(os.getpid())
        self.guard.stdin.close()
        self.guard.wait()
