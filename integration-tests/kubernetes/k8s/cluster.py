"""One cluster: its network, control plane and nodes, and what a test does with them."""

import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile

import yaml
from harness import leftovers
from harness.pod import in_netns
from harness.poll import wait_for

from . import builder, images, layout
from .api import Api
from .box import machine_cgroups
from .control import Control
from .node import Node
from .pki import Authority

DNS_SERVICE = f"""
apiVersion: v1
kind: Service
metadata: {{name: kube-dns, namespace: kube-system}}
spec:
  clusterIP: {layout.DNS_ADDRESS}
  ports: [{{name: dns, port: 53, protocol: UDP}}, {{name: dns-tcp, port: 53, protocol: TCP}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: kube-dns, namespace: kube-system, labels: {{kubernetes.io/service-name: kube-dns}}}}
addressType: IPv4
ports: [{{name: dns, port: 53, protocol: UDP}}, {{name: dns-tcp, port: 53, protocol: TCP}}]
endpoints: [{{addresses: [{layout.CONTROL_ADDRESS}], conditions: {{ready: true}}}}]
"""

_numbers = itertools.count(1)


@contextlib.contextmanager
def guarded_run():
    """Nothing of dead runs before; nothing of this run after, however it ends."""
    leftovers.sweep()
    guard = leftovers.guard(os.getpid())
    try:
        yield
        wait_for(lambda: not leftovers.find(os.getpid()), "everything of this run to be gone")
    finally:
        guard.stdin.close()
        guard.wait()


class Cluster:
    """cgroups: what the nodes see, "hybrid" or "v2" (None: what the machine has). proxy_mode: of kube-proxy, "iptables"
    or "nftables" (None: no kube-proxy)."""

    def __init__(self, nodes=2, cgroups=None, proxy_mode="iptables"):
        self.unique = f"weft-k8s-{os.getpid()}-{next(_numbers)}"
        self.cgroups = cgroups or machine_cgroups()
        self.proxy_mode = proxy_mode
        self.programs = builder.build()
        self.directory = tempfile.mkdtemp(prefix=f"{self.unique}-", dir=leftovers.TEMP_ROOT)
        os.chmod(self.directory, 0o755)
        self.authority = self._sign(nodes)
        self.control = Control(self.unique, f"{self.directory}/control", self.programs, self.authority)
        self.nodes = [Node(self, number) for number in range(1, nodes + 1)]
        self.netns = f"{leftovers.NETNS_ROOT}/{self.control.netns}"
        self.kubeconfig = self.authority.kubeconfig("admin", layout.API_URL)
        self.api = Api(self.netns, self.authority)

    def _sign(self, nodes):
        signed = Authority(f"{self.directory}/pki")
        addresses = ("127.0.0.1", layout.CONTROL_ADDRESS, layout.API_SERVICE_ADDRESS, "fd96::1")
        names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                 "kubernetes.default.svc.cluster.local")  # fmt: skip
        signed.sign("apiserver", "/O=system:masters/CN=kube-apiserver",
                    [f"DNS:{name}" for name in names] + [f"IP:{address}" for address in addresses])  # fmt: skip
        signed.sign("admin", "/O=system:masters/CN=admin")
        signed.sign("controllers", "/CN=system:kube-controller-manager")
        signed.sign("scheduler", "/CN=system:kube-scheduler")
        signed.sign("kube-proxy", "/CN=system:kube-proxy")
        for number in range(1, nodes + 1):
            signed.sign(f"kubelet-n{number}", f"/O=system:nodes/CN=system:node:n{number}",
                        [f"DNS:n{number}", f"IP:{layout.node_address(number)}",
                         f"IP:{layout.node_address6(number)}"])  # fmt: skip
        return signed

    # ---- life ----

    def open(self):
        """Until every node is Ready and names resolve."""
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def _open(self):
        self.control.open_network()
        self.control.start_etcd()
        self.control.start_api()
        tar = f"{self.directory}/images.tar"
        images.write_test_images(self.programs, tar)
        for node in self.nodes:
            node.boot()
        self.wait_api()
        self.control.start_controllers(layout.API_URL)
        for node in self.nodes:
            node.join()
        self.load_image(tar)
        self.apply(DNS_SERVICE)
        self.control.start_dns(self.kubeconfig)
        for node in self.nodes:
            node.wait_ready()
        self.control.wait_dns()
        self.wait_account("default")

    def close(self):
        for node in self.nodes:
            node.stop()
        self.control.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def wait_api(self, seconds=60):
        def ready():
            self.control.check()
            return self.api.is_up()

        wait_for(ready, "the API server", seconds, 0.1)

    def wait_account(self, namespace):
        """Until pods may be made in that namespace."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        wait_for(lambda: self.api.find(path), f"the service account of namespace {namespace}", 30, 0.05)

    def node(self, name):
        return next(node for node in self.nodes if node.name == name)

    # ---- tools ----

    def tool(self, name, *arguments, text=None, check=True, seconds=60):
        """Runs kubectl or helm as the administrator; CompletedProcess."""
        done = subprocess.run(
            self.control.command([f"{self.programs}/{name}", *map(str, arguments)]), input=text or "",
            capture_output=True, text=True, timeout=seconds, check=False, env=self.environment())  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"{name} {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
        return done

    def environment(self):
        return {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": self.directory,
            "KUBECONFIG": self.kubeconfig,
        }

    def kubectl(self, *arguments, **options):
        return self.tool("kubectl", *arguments, **options).stdout

    def helm(self, *arguments, **options):
        return self.tool("helm", *arguments, **options).stdout

    def apply(self, objects, namespace=None):
        """objects: YAML, or a list of objects."""
        if not isinstance(objects, str):
            objects = yaml.safe_dump_all(objects)
        place = ("-n", namespace) if namespace else ()
        return self.kubectl("apply", *place, "-f", "-", text=objects)

    def load_image(self, tar):
        """An OCI archive, known to every node afterwards by the names that it carries."""
        for node in self.nodes:
            node.import_image(tar)

    def from_here(self, function):
        """Runs function() in the control plane's network, from where nodes and pods are reached."""
        return in_netns(self.netns, function)

    # ---- namespaces and pods ----

    def new_namespace(self, name, labels=None):
        self.api.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels or {}}})
        self.wait_account(name)

    def delete_namespace(self, name):
        """Begins to; its pods end at once, the rest takes the controllers some seconds."""
        self.api.delete(f"/api/v1/namespaces/{name}/pods", grace=0)
        self.api.delete(f"/api/v1/namespaces/{name}")

    def pods(self, namespace="default", selector=""):
        return self.api.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")["items"]

    def wait_pods(self, selector, count, namespace="default", seconds=60):
        """The pods, when exactly that many match and all are Ready."""

        def ready():
            found = self.pods(namespace, selector)
            return found if len(found) == count and all(map(is_ready, found)) else None

        try:
            return wait_for(ready, f"{count} pods {selector} of {namespace} to be Ready", seconds, 0.05)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.kubectl('describe', 'pods', '-n', namespace)[-6000:]}") from late


def is_ready(pod):
    conditions = pod["status"].get("conditions", [])
    ready = any(known["type"] == "Ready" and known["status"] == "True" for known in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


