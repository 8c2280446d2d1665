"""Who is in the mesh: labels, annotations, pods that start, and what the CNI plugin does about them."""

import json

import pytest
from harness.poll import wait_for
from k8s import echo
from k8s.node import CONFLIST_PATH
from k8s.weft import MESHED

DISABLED = {"weft.io/mesh": "disabled"}


def uid(pod):
    return pod["metadata"]["uid"]


def wait_enrolled(mesh, namespace, pod, node="n1", seconds=1):
    wait_for(lambda: f"{namespace.name}/{pod}" in mesh.enrolled(node), f"{pod} to be enrolled", seconds)


def wait_not_enrolled(mesh, namespace, pod, node="n1", seconds=1):
    wait_for(lambda: f"{namespace.name}/{pod}" not in mesh.enrolled(node), f"{pod} to be let go", seconds)


def set_label(cluster, path, value):
    cluster.api.patch(path, {"metadata": {"labels": {"weft.io/mesh": value}}})


def test_a_label_on_the_namespace_takes_pods_in_and_lets_them_go_live(cluster, mesh, namespace):
    namespace.run_client("app")
    (before,) = namespace.wait_pods("app=app")
    path = f"/api/v1/namespaces/{namespace.name}"
    set_label(cluster, path, "enabled")
    wait_enrolled(mesh, namespace, "app")
    set_label(cluster, path, None)
    wait_not_enrolled(mesh, namespace, "app")
    (after,) = namespace.wait_pods("app=app")
    assert uid(after) == uid(before) and after["status"]["containerStatuses"][0]["restartCount"] == 0


def test_the_label_of_the_pod_wins(cluster, mesh, meshed, namespace):
    meshed.run_client("out", labels=DISABLED)
    meshed.run_client("in")
    wait_enrolled(mesh, meshed, "in")
    wait_not_enrolled(mesh, meshed, "out")
    set_label(cluster, meshed.path("pods", "in"), "disabled")
    wait_not_enrolled(mesh, meshed, "in")
    namespace.run_client("alone", labels=MESHED)
    wait_enrolled(mesh, namespace, "alone")


def test_host_network_pods_and_pods_with_a_sidecar_stay_out(mesh, meshed):
    meshed.apply(
        echo.pod("host", "n1", containers=[echo.container(ports=[], readinessProbe=None)], spec={"hostNetwork": True}),
        echo.pod("sidecar", "n1", containers=[echo.container(), echo.container(
            name="istio-proxy", ports=[], readinessProbe=None, command=["sleep", "1000"])]),
    )  # fmt: skip
    meshed.wait_pods("app=host")
    meshed.wait_pods("app=sidecar")
    meshed.run_client("plain")
    wait_enrolled(mesh, meshed, "plain")
    assert {name.partition("/")[2] for name in mesh.enrolled("n1") if meshed.name in name} == {"plain"}


def test_annotations_of_a_pod_are_followed(mesh, meshed):
    meshed.apply(echo.pod("server", "n2"), echo.service("server"))
    meshed.wait_pods("app=server")
    client = meshed.run_client(annotations={"weft.io/skip-outbound-ports": "9000"})
    wait_for(lambda: client.get("http://server/")[0]["status"] == 200, "the service", 10, 0.1)
    before = mesh.metrics("n1").captured()
    assert client.line("tcp", "server:9000").startswith("server ")
    assert mesh.metrics("n1").captured() == before
    client.get_one("http://server/")
    assert mesh.metrics("n1").captured() == before + 1


def test_a_bad_annotation_is_told_by_an_event_and_the_others_hold(mesh, meshed):
    meshed.run_client("app", annotations={"weft.io/skip-outbound-ports": "none", "weft.io/on-proxy-death": "closed"})
    wait_enrolled(mesh, meshed, "app")
    (pod,) = [pod for pod in json.loads(mesh.admin("n1", "/pods.json")[1]) if pod["name"] == f"{meshed.name}/app"]
    assert pod["on_proxy_death"] == "closed"

    def told():
        return "skip-outbound-ports" in meshed.kubectl("get", "events", "--field-selector", "involvedObject.name=app")

    wait_for(told, "the event", 20, 0.2)


FIRST_DIAL = "until /bin/echo get http://web:80/first >/dev/termination-log 2>&1; do sleep 0.1; done"


def test_the_first_dial_of_a_pod_is_captured(mesh, meshed):
    """An init container dials before any container of the pod has run."""
    meshed.apply(echo.pod("web", "n2"), echo.service("web"))
    meshed.wait_pods("app=web")
    service = f"/svc/{meshed.name}/web/80"
    meshed.run_client("warm")
    wait_for(lambda: meshed.remote("warm").get("http://web/")[0]["status"] == 200, "the service", 10, 0.1)
    before = mesh.metrics("n1").service("weft_requests_total", service)
    first = echo.container(name="first", command=["sh", "-c", FIRST_DIAL], ports=[], readinessProbe=None)
    meshed.apply(echo.pod("early", "n1", spec={"initContainers": [first]}))
    (pod,) = meshed.wait_pods("app=early")
    said = pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["message"]
    assert json.loads(said)["status"] == 200
    assert mesh.metrics("n1").service("weft_requests_total", service) == before + 1


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


def test_a_pod_that_starts_while_the_daemon_is_away_is_meshed_afterwards(mesh, meshed, without_daemon):
    client = meshed.run_client("orphan")
    meshed.apply(echo.pod("web", "n2"), echo.service("web"))
    (pod,) = meshed.wait_pods("app=web")
    client.get_one(f"http://{pod['status']['podIP']}:8080/")
    without_daemon()
    wait_enrolled(mesh, meshed, "orphan", seconds=5)
    before = mesh.metrics("n1").captured()
    client.get_one("http://web/")
    assert mesh.metrics("n1").captured() == before + 1
