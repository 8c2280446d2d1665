"""Who is in the mesh: labels, pods that start, and what the CNI plugin does about them."""

import json

import pytest
from harness.poll import wait_for
from k8s import echo
from k8s.node import CONFLIST_PATH
from k8s.weft import MESHED

DISABLED = {"weft.io/mesh": "disabled"}


def uid(pod):
    return pod["metadata"]["uid"]


def set_label(cluster, path, value):
    cluster.api.patch(path, {"metadata": {"labels": {"weft.io/mesh": value}}})


def test_a_label_on_the_namespace_takes_pods_in_and_lets_them_go_live(cluster, mesh, namespace):
    namespace.run_client("app")
    (before,) = namespace.wait_pods("app=app")
    path = f"/api/v1/namespaces/{namespace.name}"
    set_label(cluster, path, "enabled")
    mesh.wait_enrolled("n1", namespace.name, "app")
    set_label(cluster, path, None)
    mesh.wait_not_enrolled("n1", namespace.name, "app")
    (after,) = namespace.wait_pods("app=app")
    assert uid(after) == uid(before) and after["status"]["containerStatuses"][0]["restartCount"] == 0


def test_the_label_of_the_pod_wins(cluster, mesh, meshed, namespace):
    meshed.apply(echo.pod("out", "n1", labels=DISABLED), echo.pod("in", "n1"))
    namespace.apply(echo.pod("alone", "n1", labels=MESHED))
    meshed.wait_pods("app=out")
    meshed.wait_pods("app=in")
    mesh.wait_enrolled("n1", meshed.name, "in")
    mesh.wait_not_enrolled("n1", meshed.name, "out")
    set_label(cluster, meshed.path("pods", "in"), "disabled")
    mesh.wait_not_enrolled("n1", meshed.name, "in")
    namespace.wait_pods("app=alone")
    mesh.wait_enrolled("n1", namespace.name, "alone")


def test_host_network_pods_and_pods_with_a_sidecar_stay_out(mesh, meshed):
    meshed.apply(
        echo.pod("host", "n1", containers=[echo.container(ports=[], readinessProbe=None)], spec={"hostNetwork": True}),
        echo.pod("sidecar", "n1", containers=[echo.container(), echo.container(
            name="istio-proxy", ports=[], readinessProbe=None, command=["sleep", "1000"])]),
        echo.pod("plain", "n1"),
    )  # fmt: skip
    for name in ("host", "sidecar", "plain"):
        meshed.wait_pods(f"app={name}")
    mesh.wait_enrolled("n1", meshed.name, "plain")
    assert {name.partition("/")[2] for name in mesh.enrolled("n1") if meshed.name in name} == {"plain"}


FIRST_DIAL = "until /bin/echo get http://web:80/first >/dev/termination-log 2>&1; do sleep 0.1; done"


def test_the_first_dial_of_a_pod_is_captured(mesh, shop):
    """An init container dials before any container of the pod has run."""
    service = f"/svc/{shop.name}/web/80"
    before = mesh.requests("n1", service)
    first = echo.container(name="first", command=["sh", "-c", FIRST_DIAL], ports=[], readinessProbe=None)
    shop.apply(echo.pod("early", "n1", spec={"initContainers": [first]}))
    (pod,) = shop.wait_pods("app=early")
    said = pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["message"]
    assert json.loads(said)["status"] == 200
    assert mesh.requests("n1", service) == before + 1


def plugins(cluster, node="n1"):
    text = cluster.node(node).run(["cat", CONFLIST_PATH]).stdout
    return [plugin["type"] for plugin in json.loads(text)["plugins"]]


def test_the_cni_plugin_puts_itself_back(cluster, mesh):
    """Another CNI's daemon rewrites its configuration whenever it starts."""
    assert plugins(cluster) == ["ptp", "portmap", "weft-cni"]
    node = cluster.node("n1")
    own = json.loads(node.run(["cat", CONFLIST_PATH]).stdout)
    own["plugins"].pop()
    node.write(CONFLIST_PATH, json.dumps(own))
    wait_for(lambda: plugins(cluster) == ["ptp", "portmap", "weft-cni"], "weft-cni to be back", 10, 0.1)


@pytest.fixture
def without_daemon(cluster, mesh):
    """No weftd on n1 until the test calls back()."""
    keep_away = {"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": "n2"}}}}}
    path = "/apis/apps/v1/namespaces/weft-system/daemonsets/weft"

    def back():
        cluster.api.patch(path, {"spec": {"template": {"spec": {"nodeSelector": None}}}})
        mesh.wait_ready()

    cluster.api.patch(path, keep_away)
    wait_for(lambda: not [pod for pod in mesh.pods() if pod["spec"]["nodeName"] == "n1"], "weftd to leave n1", 60, 0.1)
    yield back
    back()


def test_a_pod_that_starts_while_the_daemon_is_away_is_meshed_afterwards(mesh, shop, without_daemon):
    client, service = shop.run_client("orphan"), f"/svc/{shop.name}/web/80"
    for pod in shop.web:
        client.get_one(f"http://{pod['status']['podIP']}:8080/")
    without_daemon()
    mesh.wait_enrolled("n1", shop.name, "orphan", seconds=5)
    before = mesh.metrics("n1")
    client.get_one("http://web/")
    after = mesh.metrics("n1")
    assert after.captured(f"{shop.name}/orphan") == 1
    assert after.service("weft_requests_total", service) == before.service("weft_requests_total", service) + 1
