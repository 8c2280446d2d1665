"""Clusters of other kinds: what the nodes see of cgroups, and who carries dials to a ClusterIP."""

import pytest
from conftest import Namespace, open_cluster
from harness.poll import wait_for
from k8s import echo

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
    """A namespace with two web pods and a client."""
    namespace = Namespace(other, "kinds")
    namespace.open()
    namespace.apply(echo.deployment("web", 2), echo.service("web"))
    namespace.wait_pods("app=web", 2)
    return namespace


def test_names_resolve_and_a_cluster_ip_has_a_carrier_or_none(other, pods):
    client = pods.run_client()
    address = other.api.get(pods.path("services", "web"))["spec"]["clusterIP"]
    wait_for(lambda: client.resolve("web") == [address], "the service's name", 20, 0.1)

    def is_carried():
        return client.get("http://web/")[0]["status"] == 200

    if other.proxy_mode:
        wait_for(is_carried, "an answer by the ClusterIP", 20, 0.1)
    else:
        assert not is_carried()
    (pod, _) = other.pods(pods.name, "app=web")
    assert client.get_one(f"http://{pod['status']['podIP']}:8080/")["pod"] == pod["metadata"]["name"]


def test_the_nodes_see_the_cgroups_that_were_asked_for(other, pods):
    (pod, _) = other.pods(pods.name, "app=web")
    (node,) = other.nodes
    assert node.run(["stat", "-f", "-c", "%T", "/sys/fs/cgroup"]).stdout.strip() == "cgroup2fs"
    group = f"/sys/fs/cgroup/kubepods/besteffort/pod{pod['metadata']['uid']}"
    assert node.run(["ls", "-d", group]).stdout.strip() == group
