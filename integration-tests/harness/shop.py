"""A node of a Kubernetes cluster without a kubelet: pods of the harness with what a runtime gives them (a cgroup
named after the UID), an API server's double that tells of them, and a weftd that follows it."""

import collections
import http.client
import http.server
import json
import os
import socket
import threading

import kube_double

from .poll import wait_for
from .process import Process
from .weftd import UnixConnection, Weftd

NODE = "n1"
NAMESPACE = "shop"
LABEL = "weft.io/mesh"
ENABLED = {LABEL: "enabled"}
PORT = 8080  # of every backend


class Backend(http.server.ThreadingHTTPServer):
    """Says its pod's name on every request; on /wait when it is released."""

    daemon_threads = True

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.server.served += 1
            if self.path == "/wait":
                self.server.released.wait(10)
            body = self.server.pod.name.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def __init__(self, pod):
        super().__init__((pod.address, PORT), self.Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = pod.listen(PORT)
        self.socket.settimeout(None)
        self.pod, self.served, self.released = pod, 0, threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self):
        self.shutdown()
        self.thread.join()
        self.server_close()


class Shop:
    """The namespace "shop" on node "n1"."""

    def __init__(self, cluster, api):
        self.cluster, self.api = cluster, api
        self.backends = {}
        self.meshes = [self]  # whose log a failed test shows
        name, folder = cluster.new_name("weftd")
        self.proc = f"{folder}/proc"
        self.handles = f"{self.proc}/1/root/run/netns"
        os.makedirs(self.handles)
        self.weftd = Weftd(name, folder, {
            "kubernetes": {"enabled": True, "api": api.url, "node": NODE, "proc": self.proc}})
        api.put("nodes", {"metadata": {"name": NODE, "labels": {"topology.kubernetes.io/zone": "z1"}}})
        self.label(ENABLED)

    def close(self):
        for backend in self.backends.values():
            backend.close()
        self.weftd.close()

    # ---- what the API says ----

    def label(self, labels, name=NAMESPACE):
        self.api.put("namespaces", {"metadata": {"name": name, "labels": labels}})

    def tell(self, name, labels=None, annotations=None, has_ip=True, **spec):
        """The pod as the API has it: a new one, or the next version of it."""
        pod = self.cluster.pod(name)
        ips = [{"ip": pod.address}, {"ip": pod.address6}] if has_ip else []
        self.api.put("pods", {
            "metadata": {"namespace": NAMESPACE, "name": name, "uid": self.uid(name),
                         "labels": labels or {}, "annotations": annotations or {}},
            "spec": {"nodeName": NODE, "containers": [{"name": "app"}], **spec},
            "status": {"phase": "Running", "podIPs": ips},
        })  # fmt: skip

    def serve(self, service, names, slice_name=None, ready=True):
        """The EndpointSlice of a service has these pods."""
        endpoints = [kube_double.endpoint(self.backend(name).pod.address, name, ready) for name in names]
        self.api.put("endpointslices",
                     kube_double.endpoint_slice(NAMESPACE, slice_name or f"{service}-1", service, endpoints))

    def service(self, name, ip, names, **spec):
        self.api.put("services", kube_double.service(NAMESPACE, name, ip, **spec))
        self.serve(name, names)

    # ---- what the runtime does ----

    def uid(self, name):
        return f"{self.cluster.unique}-{name}"

    def sandbox(self, name):
        """A process in the pod's network namespace and cgroup, as a pause container."""
        pod = self.cluster.pod(name)
        folder = os.path.join(pod.cgroup, f"pod{self.uid(name)}")
        os.makedirs(folder, exist_ok=True)
        process = Process(["sleep", "1000"], os.path.join(pod.directory, "pause.log"),
                          **{**pod.place(), "cgroup": folder})
        pod.processes.append(process)
        os.symlink(f"/proc/{process.pid}", f"{self.proc}/{process.pid}")
        return process

    def handle(self, name):
        """The network namespace's path as the runtime has it; it is mounted there."""
        os.symlink(self.cluster.pod(name).netns, f"{self.handles}/{name}")
        return f"/run/netns/{name}"

    def backend(self, name):
        if name not in self.backends:
            self.backends[name] = Backend(self.cluster.pod(name))
        return self.backends[name]

    def ask(self, path, body):
        """POSTs to weftd's socket; (status, answer)."""
        connection = UnixConnection(self.weftd.socket, 5)
        try:
            connection.request("POST", path, json.dumps(body))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    # ---- what is seen ----

    def pods(self):
        """{name: state} of what is enrolled."""
        return {pod["name"]: pod["state"] for pod in self.weftd.json("/pods.json")}

    def is_captured(self, name):
        return self.pods().get(f"{NAMESPACE}/{name}") == "captured"

    def wait_captured(self, name, seconds=1.0):
        wait_for(lambda: self.is_captured(name), f"{name} to be captured", seconds)

    def shown(self, name):
        """The pod in /kubernetes.json."""
        pods = self.weftd.json("/kubernetes.json")["pods"]
        return next((pod for pod in pods if pod["name"] == f"{NAMESPACE}/{name}"), None)

    def endpoints(self, service):
        """Addresses that take traffic."""
        for one in self.weftd.json("/services.json")["services"]:
            if one["name"] == service:
                return sorted(endpoint["address"] for endpoint in one["endpoints"] if endpoint["weight"])
        return None

    def addresses(self, names):
        return sorted(f"{self.cluster.pod(name).address}:{PORT}" for name in names)

    def connect(self, client, address, port):
        """A connected socket of that pod."""
        dialler = self.cluster.pod(client).new_socket(socket.AF_INET)
        dialler.settimeout(5)
        try:
            dialler.connect((address, port))
        except BaseException:
            dialler.close()
            raise
        return dialler

    def get(self, client, address, port=80):
        """Who answered one request on a connection of its own."""
        with self.connect(client, address, port) as dialler:
            return request(dialler, last=True)

    def answers(self, client, address, port=80, count=20):
        return collections.Counter(self.get(client, address, port) for _ in range(count))


def ask(dialler, path="/", last=False):
    end = "Connection: close\r\n" if last else ""
    dialler.sendall(f"GET {path} HTTP/1.1\r\nHost: web\r\n{end}\r\n".encode())


def answer_on(dialler):
    """The body."""
    answer = http.client.HTTPResponse(dialler)
    answer.begin()
    body = answer.read().decode()
    assert answer.status == 200, f"{answer.status}: {body}"
    return body


def request(dialler, last=False):
    """One request on an open connection; the body of its answer."""
    ask(dialler, last=last)
    return answer_on(dialler)
