"""weft on a cluster: installed by helm from the chart and the image of this checkout."""

import contextlib
import http.client
import json
import os
import socket
import tarfile

from harness.metrics import Metrics
from harness.pod import in_netns
from harness.poll import wait_for

from .cluster import is_ready

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
CHART = f"{ROOT}/helm/weft"
NAMESPACE = "weft-system"
ADMIN_PORT = 9990
MESHED = {"weft.io/mesh": "enabled"}
# On the node, when weft has left: no pin, no program below the node's cgroups, no CNI plugin, no socket.
TRACES = """
ls -A /sys/fs/bpf | grep -v '[.]debug$'
ls -A /run/weft 2>/dev/null
ls -A /opt/cni/bin | grep weft
grep -l weft /etc/cni/net.d/* 2>/dev/null
bpftool cgroup tree "$0" | grep -w weft
true
"""


def image_path():
    """The image under test: $WEFT_IMAGE, or what `make image` wrote."""
    path = os.environ.get("WEFT_IMAGE") or f"{ROOT}/build/image.tar"
    assert os.path.exists(path), f"no {path}: make image"
    return path


def image_name(path):
    with tarfile.open(path) as tar:
        (described,) = json.load(tar.extractfile("index.json"))["manifests"]
    return described["annotations"]["io.containerd.image.name"]


class Weft:
    """A release named weft; options are helm's."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.options = None  # of the release, when they are known
        path = image_path()
        self.repository, _, self.tag = image_name(path).rpartition(":")
        cluster.load_image(path)

    # ---- helm ----

    def _helm(self, verb, *options, tag=None, seconds=120):
        chosen = f"image.repository={self.repository},image.tag={tag or self.tag},image.pullPolicy=Never"
        self.cluster.helm(verb, "weft", CHART, "-n", NAMESPACE, "--set", chosen, "--timeout", f"{seconds}s",
                          *options, seconds=seconds + 10)  # fmt: skip

    def provide(self, *options):
        """Until the release runs with these options and no others; helm does only what is missing."""
        if self.options != options:
            self.options = None
            self._helm("upgrade", "--install", "--create-namespace", "--reset-values", "--wait", *options)
            self.options = options
        self.wait_ready()

    def install(self, *options):
        self._helm("install", "--create-namespace", "--wait", *options)
        self.options = options
        self.wait_ready()

    def begin_install(self, *options):
        """As install, without waiting for any pod."""
        self._helm("install", "--create-namespace", *options)
        self.options = options

    def upgrade(self, *options, tag=None):
        self.options = None
        self._helm("upgrade", "--reuse-values", "--wait", *options, tag=tag)
        self.wait_ready()

    def rollback(self):
        self.options = None
        self.cluster.helm("rollback", "weft", "-n", NAMESPACE, "--wait", "--timeout", "120s", seconds=130)
        self.wait_ready()

    def uninstall(self):
        self.options = None
        self.cluster.helm("uninstall", "weft", "-n", NAMESPACE, "--wait", "--timeout", "120s", seconds=130)

    def add_tag(self, tag):
        """The same image by another tag, as a later version has it."""
        for node in self.cluster.nodes:
            name = f"{self.repository}:{self.tag}"
            node.run(["ctr", "-n", "k8s.io", "images", "tag", "--force", name, f"{self.repository}:{tag}"])

    # ---- its pods ----

    def pods(self):
        return self.cluster.pods(NAMESPACE, "app.kubernetes.io/component=daemon")

    def wait_gone(self):
        """Until none of its pods is left: the controllers end them after helm has returned."""
        wait_for(lambda: not self.cluster.pods(NAMESPACE), "weft's pods to be gone", 60, 0.1)

    def wait_ready(self, seconds=60):
        """Until the DaemonSet's newest version runs on every node."""

        def ready():
            daemons = self.cluster.api.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/weft")
            status, wanted = daemons["status"], len(self.cluster.nodes)
            return (status.get("observedGeneration") == daemons["metadata"]["generation"]
                    and status.get("updatedNumberScheduled") == status.get("numberReady") == wanted
                    and len(self.pods()) == wanted and all(map(is_ready, self.pods())))  # fmt: skip

        try:
            wait_for(ready, "weft's DaemonSet", seconds, 0.1)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.logs()}") from late

    def pod(self, node):
        """Name of the daemon's pod on the node of that name."""
        return next(pod["metadata"]["name"] for pod in self.pods() if pod["spec"]["nodeName"] == node)

    def pid(self, node):
        """weftd's process id, as the node of that name counts."""
        return int(self.cluster.node(node).run(["pgrep", "-x", "weftd"]).stdout)

    def new_pid(self, node, old):
        """That of the weftd after the one of that pid; None while there is none."""
        found = self.cluster.node(node).run(["pgrep", "-x", "weftd"], check=False).stdout.split()
        return next((int(pid) for pid in found if int(pid) != old), None)

    def updated(self):
        """How many nodes have the DaemonSet's newest version."""
        daemons = self.cluster.api.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/weft")
        return daemons["status"].get("updatedNumberScheduled")

    def logs(self):
        return self.cluster.kubectl("logs", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=daemon", "--tail=40",
                                    "--prefix", check=False)  # fmt: skip

    def waiting(self, node):
        """Which containers of the daemon's pod on that node say that the node is leaving the mesh."""
        found = [pod["metadata"]["name"] for pod in self.pods() if pod["spec"].get("nodeName") == node]
        return {
            container for name in found for container in ("weftd", "cni")
            if "leaving the mesh" in self.cluster.kubectl("logs", "-n", NAMESPACE, name, "-c", container, check=False)
        }  # fmt: skip

    @contextlib.contextmanager
    def held(self, node):
        """The node is held as by a pod of `weft leave` that has not ended yet."""
        box, log = self.cluster.node(node), "/run/holder.log"
        pid = box.run(["sh", "-c", '"$0" leave --hold >"$1" 2>&1 & echo $!', f"{ROOT}/build/weft", log]).stdout
        try:
            wait_for(lambda: "held" in box.run(["cat", log]).stdout, f"{node} to be held", 20, 0.1)
            yield
        finally:
            box.kill(int(pid))

    # ---- what it says ----

    def tool(self, node, *arguments):
        """`weft …` in the daemon's pod of that node."""
        return self.cluster.kubectl("exec", "-n", NAMESPACE, self.pod(node), "--", "weft", *arguments)

    def ask(self, node, *arguments):
        return json.loads(self.tool(node, *arguments, "-o", "json"))

    def admin(self, node, path):
        """(status, text) of the admin interface, past the API server."""
        address = self.cluster.node(node).address
        connection = http.client.HTTPConnection(address, ADMIN_PORT, timeout=5)
        connection.sock = in_netns(self.cluster.netns, socket.socket)
        connection.sock.settimeout(5)
        connection.sock.connect((address, ADMIN_PORT))
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def is_serving(self, node):
        try:
            return self.admin(node, "/ready")[0] == 200
        except OSError:
            return False

    def metrics(self, node):
        status, text = self.admin(node, "/metrics")
        assert status == 200, text
        return Metrics(text)

    def enrolled(self, node):
        """Names of the pods that weftd of that node has in the mesh: namespace/pod."""
        return {pod["name"] for pod in json.loads(self.admin(node, "/pods.json")[1])}

    def wait_enrolled(self, node, namespace, pod, seconds=1):
        wait_for(lambda: f"{namespace}/{pod}" in self.enrolled(node), f"{pod} to be enrolled", seconds)

    def wait_not_enrolled(self, node, namespace, pod, seconds=1):
        wait_for(lambda: f"{namespace}/{pod}" not in self.enrolled(node), f"{pod} to be let go", seconds)

    def requests(self, node, service):
        """Requests to /svc/… that weftd of that node has counted."""
        return self.metrics(node).service("weft_requests_total", service)

    def services(self, node):
        return json.loads(self.admin(node, "/services.json")[1])["services"]

    def endpoints(self, node, service):
        """{"address:port"} of the service, as weftd of that node has it."""
        return {end["address"] for one in self.services(node) if one["name"] == service for end in one["endpoints"]}

    def wait_service(self, node, service, seconds=10):
        """Until weftd of that node has the service and endpoints of it: a dial before that is lost for some seconds
        where kube-proxy does not know it either."""
        wait_for(lambda: self.endpoints(node, service), f"{service} on {node}", seconds)

    def silent_seconds(self, node):
        """For how long the API server has told that weftd nothing about any kind."""
        samples = self.metrics(node).samples
        return min(value for name, _, value in samples if name == "weft_kubernetes_watch_age_seconds")

    def resident_kib(self, node):
        status = self.cluster.node(node).run(["cat", f"/proc/{self.pid(node)}/status"]).stdout
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])

    # ---- what it leaves ----

    def traces(self, node):
        """What of weft is on the node; nothing when it has left."""
        box = self.cluster.node(node)
        v2 = "/sys/fs/cgroup/unified" if self.cluster.cgroups == "hybrid" else "/sys/fs/cgroup"
        return box.run(["sh", "-c", TRACES, v2]).stdout.split()

