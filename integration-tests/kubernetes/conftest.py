"""Fixtures: the run's cluster of two nodes, weft on it, and a namespace for each test."""

import contextlib
import itertools
import os
import re
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from k8s import echo  # noqa: E402
from k8s.answers import wait_balanced  # noqa: E402
from k8s.cluster import Cluster, guarded_run, wait_for  # noqa: E402
from k8s.weft import MESHED, Weft  # noqa: E402

# Clusters of their own come before the one of all others. What uses weft's installation as it is comes before what
# changes it: then a run installs it once.
ORDER = ("kinds", "chart", "cluster", "release", "mesh", "services", "settings", "join", "daemon_life", "churn")
SECONDS_PER_TEST = 120
_numbers = itertools.count(1)
SECONDS_TO_BUILD = 1500


@contextlib.contextmanager
def deadline(seconds, what):
    def late(_number, _frame):
        raise TimeoutError(f"{what} took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    with deadline(SECONDS_TO_BUILD, f"setting up {item.name}"):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    with deadline(SECONDS_PER_TEST, item.name):
        yield


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: ORDER.index(item.module.__name__.removeprefix("test_")))


def pytest_sessionstart():
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: fixtures clean up


@pytest.fixture(scope="session")
def run():
    with guarded_run():
        yield


@contextlib.contextmanager
def open_cluster(**options):
    made = Cluster(**options).open()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def cluster(run):
    """Two nodes as this machine can show them, with kube-proxy by iptables."""
    with open_cluster() as made:
        yield made


@pytest.fixture(scope="session")
def release(cluster):
    """weft on the cluster, in whatever state a test has left it; it ends with the cluster."""
    return Weft(cluster)


@pytest.fixture(scope="module")
def mesh(release):
    """weft on the cluster as the chart has it, with discovery and its CNI plugin."""
    release.provide()
    return release


class Namespace:
    """A namespace of one test, and the echo pods in it."""

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name

    def open(self, labels=None):
        self.cluster.new_namespace(self.name, labels)

    def apply(self, *objects):
        self.cluster.apply(list(objects), self.name)

    def path(self, kind, name):
        """The API's path of one of its objects; kind: pods, services, …"""
        group = {"deployments": "/apis/apps/v1", "daemonsets": "/apis/apps/v1"}.get(kind, "/api/v1")
        return f"{group}/namespaces/{self.name}/{kind}/{name}"

    def wait_pods(self, selector, count=1):
        return self.cluster.wait_pods(selector, count, self.name)

    def wait_restarted(self, selector):
        """The one pod, Ready again after its container was started a second time."""

        def restarted():
            (pod,) = self.cluster.pods(self.name, selector)
            return pod["status"]["containerStatuses"][0]["restartCount"] == 1

        wait_for(restarted, f"the second start of {selector}", 60, 0.2)
        return self.wait_pods(selector)[0]

    def remote(self, pod):
        """The remote control of an echo pod (an object of the API, or the name of a pod)."""
        if isinstance(pod, str):
            pod = self.cluster.api.get(self.path("pods", pod))
        return echo.Remote(self.cluster, pod["status"]["podIP"])

    def run_client(self, name="client", node="n1", **options):
        """A Ready echo pod on that node, as its remote control."""
        self.apply(echo.pod(name, node, **options))
        (pod,) = self.wait_pods(f"app={name}")
        return self.remote(pod)

    def kubectl(self, *arguments, **options):
        return self.cluster.kubectl("-n", self.name, *arguments, **options)


def name_of(request):
    """A namespace's name that says which test or module it is of."""
    name = request.node.name.rpartition("/")[2].removeprefix("test_").removesuffix(".py")
    words = re.sub(r"[^a-z0-9]+", "-", name.lower())
    return f"{words[:50].strip('-')}-{next(_numbers)}"


@contextlib.contextmanager
def open_namespace(cluster, request, labels=None):
    made = Namespace(cluster, name_of(request))
    made.open(labels)
    yield made
    cluster.delete_namespace(made.name)


@pytest.fixture
def namespace(request, cluster):
    """An empty namespace, named after the test."""
    with open_namespace(cluster, request) as made:
        yield made


@pytest.fixture
def meshed(request, cluster, mesh):
    """The same, with the label that has its pods in the mesh."""
    with open_namespace(cluster, request, MESHED) as made:
        yield made


class Shop(Namespace):
    """A labelled namespace with two web pods, one on each node, behind web (ClusterIP) and web-headless; clients by
    the name of their node."""

    def __init__(self, release, name):
        super().__init__(release.cluster, name)
        self.release = release

    def open(self, labels=None):
        super().open(labels or MESHED)
        self.apply(
            echo.deployment("web", 2), echo.service("web"), echo.service("web-headless", "web", headless=True),
            *(echo.pod(f"client-{node.name}", node.name) for node in self.cluster.nodes))  # fmt: skip
        self.web = self.wait_pods("app=web", 2)
        self.clients = {}
        for node in self.cluster.nodes:
            (pod,) = self.wait_pods(f"app=client-{node.name}")
            self.clients[node.name] = self.remote(pod)
            self.release.wait_service(node.name, f"/svc/{self.name}/web/80")
            wait_balanced(self.clients[node.name], "http://web/", self.web, 20)


@pytest.fixture(scope="session")
def shop(release):
    """What tests look at and do not change; it ends with the cluster."""
    release.provide()
    made = Shop(release, "shop")
    made.open()
    return made
