"""The app of the tests: manifests of echo pods, and the remote control of a running one."""

import http.client
import json
import socket
import urllib.parse

from harness.pod import in_netns

from .images import ECHO

CONTROL_PORT = 8079
PORTS = [
    {"name": "http", "containerPort": 8080},
    {"name": "line", "containerPort": 9000},
    {"name": "packet", "containerPort": 9000, "protocol": "UDP"},
]


def container(**more):
    return {
        "name": "echo",
        "image": ECHO,
        "imagePullPolicy": "Never",
        "ports": PORTS,
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "LINGER", "value": "0s"},
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
        **more,
    }


def _pod_spec(node, containers, spec):
    base = {"terminationGracePeriodSeconds": 0, "containers": containers or [container()]}
    return {**base, **({"nodeName": node} if node else {}), **(spec or {})}


def pod(name, node=None, labels=None, annotations=None, containers=None, spec=None):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name, **(labels or {})}, "annotations": annotations or {}},
        "spec": _pod_spec(node, containers, spec),
    }


def deployment(name, replicas=2, containers=None, spec=None, labels=None, annotations=None):
    """Spread over the nodes."""
    spread = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
              "labelSelector": {"matchLabels": {"app": name}}}  # fmt: skip
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name, **(labels or {})}, "annotations": annotations or {}},
                "spec": _pod_spec(None, containers, {"topologySpreadConstraints": [spread], **(spec or {})}),
            },
        },
    }


def service(name, app=None, headless=False, **spec):
    """Port 80 is HTTP, 9000 lines by TCP and UDP."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "selector": {"app": app or name},
            "ports": [
                {"name": "http", "port": 80, "targetPort": "http"},
                {"name": "line", "port": 9000},
                {"name": "packet", "port": 9000, "protocol": "UDP"},
            ],
            **({"clusterIP": "None"} if headless else {}),
            **spec,
        },
    }


class Remote:
    """A running echo pod, steered past the API server."""

    def __init__(self, cluster, address):
        self.cluster = cluster
        self.address = address

    def _connection(self, seconds):
        connection = http.client.HTTPConnection(self.address, CONTROL_PORT, timeout=seconds)
        connection.sock = in_netns(self.cluster.netns, socket.socket)
        connection.sock.settimeout(seconds)
        connection.sock.connect((self.address, CONTROL_PORT))
        return connection

    def ask(self, method, path, seconds=30, **query):
        chosen = {name: value for name, value in query.items() if value not in (None, False)}
        connection = self._connection(seconds)
        try:
            connection.request(method, f"{path}?{urllib.parse.urlencode(chosen)}")
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        assert answer.status == 200, f"{method} {path} {query}: {answer.status} {text}"
        return json.loads(text)

    def get(self, url, times=1, keepalive=False):
        """The answers to that many requests of this pod."""
        return self.ask("GET", "/get", url=url, n=times, keepalive=keepalive)

    def get_one(self, url):
        """What the other side heard; the request must succeed."""
        (answer,) = self.get(url)
        assert answer["status"] == 200, answer
        return answer["heard"]

    def line(self, network, address, text="hello"):
        """What comes back for a line sent by tcp or udp."""
        return self.ask("GET", "/line", network=network, address=address, text=text)

    def resolve(self, name):
        return self.ask("GET", "/resolve", name=name)

    def seen(self):
        """What this pod has answered so far, by path, peer and user agent."""
        return self.ask("GET", "/seen")

    def load(self, url, connections=2, keepalive=True, pause_ms=5, log=False):
        """log: every answer is kept, with the moment at which its request began."""
        query = {"url": url, "connections": connections, "keepalive": keepalive, "pause_ms": pause_ms, "log": log}
        return RunningLoad(self, query)


class RunningLoad:
    """with remote.load(url) as load: … ; load.result is what it did in all."""

    def __init__(self, remote, query):
        self.remote = remote
        self.path = f"/load/{id(self)}"
        self.query = query
        self.result = None

    def so_far(self):
        return self.remote.ask("GET", self.path)

    def __enter__(self):
        self.remote.ask("POST", self.path, **self.query)
        return self

    def __exit__(self, *failure):
        self.result = self.remote.ask("DELETE", self.path)
