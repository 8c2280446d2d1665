"""The control plane and the wire between the nodes: a network namespace with a bridge, and in it etcd, the API server,
its controllers, the scheduler and CoreDNS. It is no node: nodes come and go, it stays."""

import contextlib
import os
import signal
import subprocess

from harness import leftovers
from harness.poll import wait_for

from . import layout
from .daemon import Daemon

# No cache: a name that a test has just made is there at once.
COREFILE = """\
.:53 {{
  errors
  ready :8181
  kubernetes cluster.local in-addr.arpa ip6.arpa {{
    kubeconfig {kubeconfig}
    endpoint_pod_names
  }}
}}
"""


class Control:
    def __init__(self, unique, directory, programs, authority):
        self.netns = f"{unique}-lan"
        self.cgroup = f"{leftovers.cgroup_root()}/{unique}-control"
        self.directory = directory
        self.programs = programs
        self.authority = authority
        self.daemons = {}
        os.makedirs(directory, exist_ok=True)

    def ip(self, *words):
        subprocess.run(["ip", "-n", self.netns, *words], check=True)

    def command(self, argv):
        """The command line that runs argv in the control plane's network."""
        join = 'echo $$ >"$0/cgroup.procs"; exec "$@"'
        enter = ["nsenter", f"--net={leftovers.NETNS_ROOT}/{self.netns}", "--"]
        return ["sh", "-c", join, self.cgroup, *enter, *argv]

    # ---- the network ----

    def open_network(self):
        os.mkdir(self.cgroup)
        subprocess.run(["ip", "netns", "add", self.netns], check=True)
        self.ip("link", "set", "lo", "up")
        self.ip("link", "add", "lan", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        self.ip("addr", "add", f"{layout.CONTROL_ADDRESS}/24", "dev", "lan")
        self.ip("addr", "add", f"{layout.CONTROL_ADDRESS6}/64", "dev", "lan", "nodad")
        # Where a cluster has no kube-proxy, these are reached by plain routing.
        for address in (layout.API_SERVICE_ADDRESS, layout.DNS_ADDRESS):
            self.ip("addr", "add", f"{address}/32", "dev", "lan")
        self.ip("link", "set", "lan", "up")

    def plug(self, number, pid):
        """Gives the box of process `pid` the link eth0 to this network, and everybody a way to its pods."""
        port = f"n{number}"
        self.ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        self.ip("link", "set", port, "master", "lan", "up")
        self.ip("route", "replace", layout.pod_range(number), "via", layout.node_address(number))
        self.ip("route", "replace", layout.pod_range6(number), "via", layout.node_address6(number))

    # ---- programs ----

    def _start(self, name, *arguments):
        self.daemons[name] = Daemon(
            name,
            self.command([f"{self.programs}/{name}", *arguments]),
            f"{self.directory}/{name}.log",
            {"PATH": os.environ["PATH"], "HOME": self.directory},
        )

    def start_etcd(self):
        client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
        self._start(
            "etcd", "--data-dir", f"{self.directory}/etcd", "--unsafe-no-fsync",
            "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
            "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}")  # fmt: skip

    def start_api(self):
        signed = self.authority
        ca = signed.certificate("ca")
        self._start(
            "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", f"--secure-port={layout.API_PORT}",
            f"--advertise-address={layout.CONTROL_ADDRESS}", f"--service-cluster-ip-range={layout.SERVICE_RANGES}",
            f"--client-ca-file={ca}", f"--tls-cert-file={signed.certificate('apiserver')}",
            f"--tls-private-key-file={signed.key('apiserver')}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={signed.key('service-accounts')}",
            f"--service-account-signing-key-file={signed.key('service-accounts')}",
            "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true", f"--kubelet-client-certificate={signed.certificate('apiserver')}",
            f"--kubelet-client-key={signed.key('apiserver')}", f"--kubelet-certificate-authority={ca}",
            "--kubelet-preferred-address-types=InternalIP")  # fmt: skip

    def start_controllers(self, server):
        ca = self.authority.certificate("ca")
        manager = self.authority.kubeconfig("controllers", server)
        self._start(
            "kube-controller-manager", f"--kubeconfig={manager}", "--leader-elect=false", "--secure-port=0",
            f"--root-ca-file={ca}", f"--service-account-private-key-file={self.authority.key('service-accounts')}",
            f"--cluster-signing-cert-file={ca}", f"--cluster-signing-key-file={self.authority.key('ca')}",
            "--use-service-account-credentials=true", "--node-monitor-grace-period=20s",
            "--allocate-node-cidrs=false")  # fmt: skip
        scheduler = self.authority.kubeconfig("scheduler", server)
        self._start("kube-scheduler", f"--kubeconfig={scheduler}", "--leader-elect=false", "--secure-port=0")

    def start_dns(self, kubeconfig):
        path = f"{self.directory}/Corefile"
        with open(path, "w", encoding="utf-8") as corefile:
            corefile.write(COREFILE.format(kubeconfig=kubeconfig))
        self._start("coredns", "-conf", path)

    def check(self):
        for daemon in self.daemons.values():
            daemon.check()

    # ---- what tests do to the API server ----

    @contextlib.contextmanager
    def paused_api(self):
        """The API server answers nothing and closes nothing."""
        self.daemons["kube-apiserver"].send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.daemons["kube-apiserver"].send(signal.SIGCONT)

    def kill_api(self):
        self.daemons.pop("kube-apiserver").kill()

    def close(self):
        leftovers.remove_cgroup(self.cgroup)
        for daemon in self.daemons.values():
            daemon.popen.wait(10)
        leftovers.remove_netns(f"{leftovers.NETNS_ROOT}/{self.netns}")

    def wait_dns(self):
        def ready():
            self.check()
            done = subprocess.run(
                self.command(["curl", "-sf", "-m", "2", f"http://{layout.CONTROL_ADDRESS}:8181/ready"]),
                capture_output=True, check=False)  # fmt: skip
            return done.returncode == 0

        wait_for(ready, "CoreDNS", 30, 0.1)
