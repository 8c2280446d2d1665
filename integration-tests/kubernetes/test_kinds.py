"""Clusters of other kinds, and weft on each: what the nodes see of cgroups, and who carries dials to a ClusterIP."""

import pytest
from conftest import Namespace, open_cluster
from harness.poll import wait_for
from k8s import echo
from k8s.answers import answered_by, answers_of_one_connection, names, wait_balanced
from k8s.weft import MESHED, Weft

KINDS = {
    "cgroup v2, kube-proxy by nftables": {"cgroups": "v2", "proxy_mode": "nftables"},
    "cgroup v2, no kube-proxy": {"cgroups": "v2", "proxy_mode": None},
}


@pytest.fixture(scope="module", params=KINDS)
def other(request, run):
    with open_cluster(nodes=1, **KINDS[request.param]) as made:
        yield made


@pytest.fixture(scope="module")
def pods(other):
    """A namespace with two web pods and a client that has its service's address; weft is not there yet."""
    namespace = Namespace(other, "kinds")
    namespace.open()
    namespace.apply(echo.deployment("web", 2), echo.service("web"), echo.pod("client", "n1"))
    namespace.web = namespace.wait_pods("app=web", 2)
    (client,) = namespace.wait_pods("app=client")
    namespace.client = namespace.remote(client)
    return namespace


@pytest.fixture(scope="module")
def mesh(other, pods):
    """weft, and the pods in it."""
    made = Weft(other)
    made.install()
    other.api.patch(f"/api/v1/namespaces/{pods.name}", {"metadata": {"labels": MESHED}})
    for pod in (*names(pods.web), "client"):
        made.wait_enrolled("n1", pods.name, pod)
    return made


def is_carried(client):
    return client.get("http://web/")[0]["status"] == 200


def test_names_resolve_and_a_cluster_ip_has_a_carrier_or_none(other, pods):
    address = other.api.get(pods.path("services", "web"))["spec"]["clusterIP"]
    wait_for(lambda: pods.client.resolve("web") == [address], "the service's name", 20, 0.1)
    if other.proxy_mode:
        wait_for(lambda: is_carried(pods.client), "an answer by the ClusterIP", 20, 0.1)
    else:
        assert not is_carried(pods.client)
    for pod in pods.web:
        assert pods.client.get_one(f"http://{pod['status']['podIP']}:8080/")["pod"] == pod["metadata"]["name"]


def test_the_nodes_see_the_cgroups_that_were_asked_for(other, pods):
    (node,) = other.nodes
    assert node.run(["stat", "-f", "-c", "%T", "/sys/fs/cgroup"]).stdout.strip() == "cgroup2fs"
    group = f"/sys/fs/cgroup/kubepods/besteffort/pod{pods.web[0]['metadata']['uid']}"
    assert node.run(["ls", "-d", group]).stdout.strip() == group


def test_requests_of_one_connection_are_balanced_and_counted(other, pods, mesh):
    """Without kube-proxy only weft can have carried them."""
    service, pod = f"/svc/{pods.name}/web/80", f"{pods.name}/client"
    mesh.wait_service("n1", service)
    wait_balanced(pods.client, "http://web/", pods.web)
    before = mesh.metrics("n1")
    assert answers_of_one_connection(pods.client, "http://web/", 40) == names(pods.web)
    after = mesh.metrics("n1")
    assert after.service("weft_requests_total", service) == before.service("weft_requests_total", service) + 40
    assert after.captured(pod) == before.captured(pod) + 1


def test_a_pod_that_starts_is_meshed_before_its_first_dial_and_one_outside_is_left_alone(other, pods, mesh):
    first = echo.container(name="first", command=["/bin/echo", "get", "http://web/"], ports=[], readinessProbe=None)
    before = mesh.metrics("n1")
    pods.apply(echo.pod("outside", "n1", labels={"weft.io/mesh": "disabled"}),
               echo.pod("early", "n1", spec={"initContainers": [first]}))  # fmt: skip
    (outside,) = map(pods.remote, pods.wait_pods("app=outside"))
    pods.wait_pods("app=early")
    after = mesh.metrics("n1")
    assert after.captured(f"{pods.name}/early") == 1
    service = f"/svc/{pods.name}/web/80"
    assert after.service("weft_requests_total", service) == before.service("weft_requests_total", service) + 1
    assert is_carried(outside) == bool(other.proxy_mode)
    assert mesh.metrics("n1").captured(f"{pods.name}/outside") == 0
    assert mesh.requests("n1", service) == after.service("weft_requests_total", service)


def test_an_uninstall_leaves_nothing_on_the_node(other, pods, mesh):
    assert mesh.traces("n1")
    mesh.uninstall()
    assert mesh.traces("n1") == []
    mesh.wait_gone()
    assert is_carried(pods.client) == bool(other.proxy_mode)
    for pod in pods.web:
        assert answered_by(pods.client.get(f"http://{pod['status']['podIP']}:8080/")) == names([pod])
