"""A node: a box with containerd, kubelet and kube-proxy inside."""

import contextlib
import signal
import subprocess

from harness.poll import wait_for

from . import images, layout
from .box import PATH, Box
from .daemon import Daemon

CONTAINERD = """\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  disable_apparmor = true
  disable_tcp_service = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
      BinaryName = "{runc}"
"""
# Each pod has a link of its own to the node, so that every packet is routed and kube-proxy sees both directions.
CONFLIST = """\
{{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {{"type": "ptp", "ipam": {{"type": "host-local",
    "ranges": [[{{"subnet": "{range}"}}], [{{"subnet": "{range6}"}}]],
    "routes": [{{"dst": "0.0.0.0/0"}}, {{"dst": "::/0"}}]}}}},
  {{"type": "portmap", "capabilities": {{"portMappings": true}}}}]}}
"""
# No limits for the node's own programs, no eviction: the disk and the memory are the machine's.
KUBELET = """\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {{anonymous: {{enabled: false}}, webhook: {{enabled: true}}, x509: {{clientCAFile: "{ca}"}}}}
authorization: {{mode: Webhook}}
tlsCertFile: "{certificate}"
tlsPrivateKeyFile: "{key}"
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
failCgroupV1: false
enforceNodeAllocatable: []
failSwapOn: false
oomScoreAdj: 0
clusterDomain: cluster.local
clusterDNS: ["{dns}"]
resolvConf: ""
readOnlyPort: 0
evictionHard: {{memory.available: "50Mi", nodefs.available: "1%", imagefs.available: "1%", nodefs.inodesFree: "1%"}}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
nodeStatusUpdateFrequency: 4s
syncFrequency: 5s
"""
KUBE_PROXY = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {{kubeconfig: "{kubeconfig}"}}
mode: {mode}
clusterCIDR: {pods}
hostnameOverride: {name}
conntrack: {{maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}
"""
CONFLIST_PATH = "/etc/cni/net.d/10-pods.conflist"


class Node:
    """proxy_mode: of kube-proxy (iptables, nftables), or None for no kube-proxy."""

    def __init__(self, cluster, number):
        self.cluster = cluster
        self.number = number
        self.name = f"n{number}"
        self.address = layout.node_address(number)
        self.directory = f"{cluster.directory}/{self.name}"
        self.box = Box(f"{cluster.unique}-{self.name}", self.name, self.directory, cluster.cgroups)
        self.daemons = {}

    # ---- programs inside ----

    def run(self, argv, check=True, seconds=30, **options):
        """Runs argv as a program of the node; CompletedProcess with its output as text."""
        options.setdefault("stdin", subprocess.DEVNULL) if "input" not in options else None
        done = subprocess.run(
            self.box.inside(argv), capture_output=True, text=True, timeout=seconds, check=False,
            env=self.environment(), **options)  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"on {self.name}: {argv} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def environment(self):
        return {"PATH": f"{self.cluster.programs}:{PATH}", "HOME": "/root", "LANG": "C.UTF-8"}

    def _start_daemon(self, name, *argv):
        log = f"{self.directory}/{name}.log"
        self.daemons[name] = Daemon(f"{name} of {self.name}", self.box.inside(argv), log, self.environment())

    def write(self, path, text):
        """A file on the node's own disk."""
        self.run(["sh", "-c", 'mkdir -p "${0%/*}" && cat >"$0"', path], input=text)

    def _has_limits(self):
        """Whether containers can have limits here: v1 controllers, or v2 ones."""
        if self.box.cgroups == "hybrid":
            return True
        with open(f"{self.box.root}/cgroup.controllers", encoding="utf-8") as controllers:
            return bool(controllers.read().split())

    def _start_containerd(self):
        runc = "/usr/sbin/runc" if self._has_limits() else f"{self.cluster.programs}/runc-unlimited"
        self.write("/etc/containerd/weft.toml", CONTAINERD.format(pause=images.PAUSE, runc=runc))
        if self.run(["test", "-e", CONFLIST_PATH], check=False).returncode:  # after a reboot it is there
            ranges = {"range": layout.pod_range(self.number), "range6": layout.pod_range6(self.number)}
            self.write(CONFLIST_PATH, CONFLIST.format(**ranges))
        self._start_daemon("containerd", "containerd", "-c", "/etc/containerd/weft.toml")

        def answers():
            self.daemons["containerd"].check()
            return self.run(["ctr", "version"], check=False).returncode == 0

        wait_for(answers, f"containerd of {self.name}", 30, 0.1)

    def _start_kubelet(self):
        signed, name = self.cluster.authority, f"kubelet-{self.name}"
        self.write("/var/lib/kubelet/config.yaml", KUBELET.format(
            ca=signed.certificate("ca"), certificate=signed.certificate(name), key=signed.key(name),
            dns=layout.DNS_ADDRESS))  # fmt: skip
        self._start_daemon(
            "kubelet", "kubelet", "--config=/var/lib/kubelet/config.yaml",
            f"--kubeconfig={signed.kubeconfig(name, layout.API_URL)}", f"--hostname-override={self.name}",
            f"--node-ip={self.address},{layout.node_address6(self.number)}")  # fmt: skip

    def _start_kube_proxy(self):
        self.write("/var/lib/kube-proxy/config.yaml", KUBE_PROXY.format(
            kubeconfig=self.cluster.authority.kubeconfig("kube-proxy", layout.API_URL),
            mode=self.cluster.proxy_mode, pods=layout.POD_RANGES, name=self.name))  # fmt: skip
        self._start_daemon("kube-proxy", "kube-proxy", "--config=/var/lib/kube-proxy/config.yaml")

    # ---- life ----

    def _join_network(self):
        self.cluster.control.plug(self.number, self.box.pid)
        lines = [
            "link set eth0 up",
            f"addr add {self.address}/24 dev eth0",
            f"addr add {layout.node_address6(self.number)}/64 dev eth0 nodad",
            f"route add default via {layout.CONTROL_ADDRESS}",
            f"route add default via {layout.CONTROL_ADDRESS6}",
        ]
        for other in self.cluster.nodes:
            if other is not self:
                lines.append(f"route add {layout.pod_range(other.number)} via {other.address}")
                lines.append(f"route add {layout.pod_range6(other.number)} via {layout.node_address6(other.number)}")
        self.run(["ip", "-batch", "-"], input="\n".join(lines))

    def boot(self):
        """Box, network and container runtime; images may be imported after this."""
        self.box.start()
        self._join_network()
        self._start_containerd()

    def join(self):
        """Kubelet and kube-proxy; the API server must be up."""
        self._start_kubelet()
        if self.cluster.proxy_mode:
            self._start_kube_proxy()

    def stop(self):
        """As when the power is cut: the disk stays."""
        self.box.stop()
        for daemon in self.daemons.values():
            daemon.popen.wait(10)
        self.daemons = {}

    def start(self):
        """Boots it again and waits until it is a Ready node."""
        self.boot()
        self.join()
        self.wait_ready()

    def is_ready(self):
        for daemon in self.daemons.values():
            daemon.check()
        node = self.cluster.api.find(f"/api/v1/nodes/{self.name}")
        conditions = node["status"].get("conditions", []) if node else []
        return any(known["type"] == "Ready" and known["status"] == "True" for known in conditions)

    def wait_ready(self, seconds=60):
        wait_for(self.is_ready, f"node {self.name} to be Ready", seconds, 0.1)

    def import_image(self, tar):
        self.run(["ctr", "-n", "k8s.io", "images", "import", tar], seconds=120)

    # ---- what tests do to its programs ----

    def container_pids(self, uid):
        """Pids, as the node counts, of the processes of the pod with that uid, sandbox included."""
        names = self.run(["sh", "-c", f"grep -l '{uid}' /proc/[0-9]*/cgroup 2>/dev/null"], check=False).stdout
        return [int(path.split("/")[2]) for path in names.split()]

    def kill(self, pid, number=signal.SIGKILL):
        """Sends a signal to a process by the pid that it has on the node."""
        self.run(["sh", "-c", 'kill -"$0" "$1"', str(int(number)), str(pid)])

    @contextlib.contextmanager
    def paused(self, program):
        """The program of that name stands still."""
        pid = self.run(["pgrep", "-x", program]).stdout.strip()
        self.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            self.kill(pid, signal.SIGCONT)
