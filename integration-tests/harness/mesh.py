"""The same services reached directly, or through weft."""

import contextlib
import dataclasses
import socket

from .poll import wait_for
from .weftd import Weftd


@dataclasses.dataclass
class Service:
    """endpoints: "POD:PORT", or an address with a port. A direct dial reaches the first one."""

    name: str
    endpoints: list
    port: int = 80
    protocol: str = "auto"
    balancer: str = "ewma"
    family: int = 4  # of the endpoints
    shortcut: str = "inherit"
    shortcut_window: str = "0"
    balancing: dict = dataclasses.field(default_factory=dict)  # further keys of the service
    rules: dict = dataclasses.field(default_factory=dict)  # further keys of the service
    at: str = ""  # "POD:PORT": the mesh takes dials to this pod's own address, which also answers by itself


# What "weft-auto" and "weft-on" say in weft.yaml.
SHORTCUTS = {"weft-auto": "auto", "weft-on": "on"}


class Mesh:
    """
    mode "direct": names resolve to the endpoint itself. mode "weft": to the virtual address;
    "weft-auto", "weft-on": the same with that shortcut for the whole mesh.
    """

    def __init__(self, mode, cluster, services, options=None, pod_options=None, clients=("client",), only=None):
        self.mode = mode
        self.is_weft = mode != "direct"
        self.cluster = cluster
        self.services = {service.name: service for service in services}
        self.numbers = {service.name: at for at, service in enumerate(services, 10)}
        self.options = options or {}
        if mode in SHORTCUTS:
            self.options = {**self.options, "shortcut": {"mode": SHORTCUTS[mode], **self.options.get("shortcut", {})}}
        self.pod_options = pod_options or {}
        self.only = only  # names of the pods to enrol; None: all
        for name in clients:
            cluster.pod(name)
        for service in services:
            for endpoint in [*service.endpoints, *filter(None, [service.at])]:
                self._endpoint(endpoint)
        self.weftd = None

    # ---- addresses ----

    def _endpoint(self, text, family=4):
        """"POD:PORT" -> (address, port)."""
        host, _, port = text.rpartition(":")
        if host and host[0].isdigit():
            return host, int(port)
        pod = self.cluster.pod(host)
        return (pod.address if family == 4 else pod.address6), int(port)

    @staticmethod
    def _service_port(service):
        return int(service.at.rpartition(":")[2]) if service.at else service.port

    def endpoint(self, name, at=0):
        """The service's endpoint as weft.yaml and the metrics write it."""
        service = self.services[name]
        host, port = self._endpoint(service.endpoints[at], service.family)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def virtual(self, name, family=4):
        if self.services[name].at:
            return self._endpoint(self.services[name].at, family)[0]
        number = self.numbers[name]
        return f"10.96.0.{number}" if family == 4 else f"fd96::{number:x}"

    def address(self, name, family=4):
        """(address, port) that a client dials."""
        service = self.services[name]
        if self.is_weft:
            return self.virtual(name, family), self._service_port(service)
        return self._endpoint(service.endpoints[0], family)

    def port(self, name):
        return self.address(name)[1]

    def url(self, name, path="/"):
        return f"http://{name}:{self.port(name)}{path}"

    # ---- life ----

    def config(self):
        """What weft.yaml says for these services and pods."""
        config = {key: dict(value) if isinstance(value, dict) else value for key, value in self.options.items()}
        config["services"] = [
            {
                "name": service.name,
                "addresses": [self.virtual(service.name, 4), self.virtual(service.name, 6)],
                "ports": [self._service_port(service)],
                "protocol": service.protocol,
                "balancer": service.balancer,
                **service.balancing,
                "shortcut": service.shortcut,
                "shortcut_window": service.shortcut_window,
                "endpoints": [{"address": self.endpoint(service.name, at)} for at in range(len(service.endpoints))],
                **service.rules,
            }
            for service in self.services.values()
        ]
        config["pods"] = [
            {"name": pod.name, "netns": pod.netns, **self.pod_options.get(pod.name, {})}
            for pod in self.cluster.pods.values()
            if self.only is None or pod.name in self.only
        ]
        return config

    def new_daemon(self):
        name, folder = self.cluster.new_name("weftd")
        return Weftd(name, folder, self.config())

    def open(self):
        names = {}
        for name in self.services if self.is_weft else [n for n, s in self.services.items() if s.endpoints]:
            address, address6 = self.address(name, 4)[0], self.address(name, 6)[0]
            names.update({name: [address], f"{name}-v6": [address6], f"{name}-both": [address6, address]})
        for pod in self.cluster.pods.values():
            pod.set_hosts(names)
        if self.is_weft:
            self.weftd = self.new_daemon().__enter__()
        return self

    def close(self):
        for pod in self.cluster.pods.values():
            pod.set_hosts({})
        if self.weftd:
            self.weftd.close()

    def wait_idle(self):
        """All clients have gone: no session may be left."""
        try:
            wait_for(lambda: self.weftd.metrics().sum("weft_worker_sessions") == 0, "all sessions to end", 5)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.weftd.json('/connections.json')}") from None

    # ---- using it ----

    def pod(self, name):
        return self.cluster.pod(name)

    @property
    def client(self):
        return self.cluster.pod("client")

    def dial(self, name, family=4, pod=None, seconds=10):
        """A connected socket from a pod to a service, in the test's process."""
        dialler = (pod or self.client).new_socket(socket.AF_INET if family == 4 else socket.AF_INET6)
        dialler.settimeout(seconds)
        try:
            dialler.connect(self.address(name, family))
        except BaseException:
            dialler.close()
            raise
        return dialler

    @contextlib.contextmanager
    def traffic(self, service, captured=1, requests=None, tunnels=None, pod="client"):
        """Around traffic from a pod: through weft it must show up in the metrics, at least so much."""
        if not self.is_weft:
            yield None
            return
        before = self.weftd.metrics()
        yield before

        def grew(now, name, **labels):
            return now.service(name, service, **labels) - before.service(name, service, **labels)

        def shows():
            now = self.weftd.metrics()
            seen = {"captured": now.captured(pod) - before.captured(pod)}
            wanted = {"captured": captured}
            if requests is not None:
                seen["requests"], wanted["requests"] = grew(now, "weft_requests_total"), requests
            if tunnels is not None:
                seen["tunnels"], wanted["tunnels"] = grew(now, "weft_tunnels_opened_total"), tunnels
            self.last_seen = f"{seen}, wanted at least {wanted}"
            return all(seen[key] >= wanted[key] for key in wanted)

        try:
            wait_for(shows, f"the metrics to show traffic of {service}", 5)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.last_seen}") from None
