"""Pods of a labelled namespace: dials are captured, balanced per request and counted; all else goes on as before."""

import time

import pytest
from harness.poll import wait_for
from k8s import echo


@pytest.fixture
def web(meshed):
    """Two web pods, one on each node, behind web (ClusterIP) and web-headless."""
    meshed.apply(echo.deployment("web", 2), echo.service("web"), echo.service("web-headless", "web", headless=True))
    return meshed.wait_pods("app=web", 2)


def names(pods):
    return {pod["metadata"]["name"] for pod in pods}


def answered_by(answers):
    """Pods that answered; every request must have been."""
    assert [answer for answer in answers if answer["status"] != 200] == []
    return {answer["heard"]["pod"] for answer in answers}


def wait_balanced(client, url, pods, seconds=10):
    """Until requests of one connection reach all these pods and no other."""
    wait_for(lambda: answered_by(client.get(url, 20, keepalive=True)) == names(pods), f"{url} to be balanced", seconds)


@pytest.mark.parametrize("node", ["n1", "n2"])
def test_requests_of_one_connection_are_balanced_over_both_nodes(mesh, meshed, web, node):
    client = meshed.run_client(node=node)
    wait_balanced(client, "http://web/", web)
    service = f"/svc/{meshed.name}/web/80"
    before = mesh.metrics(node).service("weft_requests_total", service)
    answers = client.get("http://web/", 40, keepalive=True)
    assert answered_by(answers) == names(web)
    assert {answer["heard"]["peer"].rpartition(":")[0] for answer in answers} == {client.address}
    assert mesh.metrics(node).service("weft_requests_total", service) == before + 40


def test_the_full_name_and_the_address_lead_to_the_same_service(cluster, mesh, meshed, web):
    client = meshed.run_client()
    address = cluster.api.get(meshed.path("services", "web"))["spec"]["clusterIP"]
    for host in (f"web.{meshed.name}.svc.cluster.local", address):
        wait_balanced(client, f"http://{host}/", web)


def test_a_dial_to_a_pod_goes_to_that_pod_and_is_counted_with_its_service(mesh, meshed, web):
    client = meshed.run_client()
    wait_balanced(client, "http://web/", web)
    before = mesh.metrics("n1").captured()
    for pod in web:
        url = f"http://{pod['status']['podIP']}:8080/"
        assert answered_by(client.get(url, 10, keepalive=True)) == names([pod])
    assert mesh.metrics("n1").captured() == before + 2


def test_a_headless_name_leads_to_the_pod_that_was_resolved(meshed, web):
    client = meshed.run_client()
    wait_for(lambda: len(client.resolve("web-headless")) == 2, "the headless name", 20, 0.1)
    by_address = {pod["status"]["podIP"]: pod["metadata"]["name"] for pod in web}
    for answer in client.get("http://web-headless:8080/", 10):
        assert answer["heard"]["pod"] == by_address[answer["remote"].rpartition(":")[0]]


def test_the_answering_side_sees_the_pod_that_asked(meshed, web):
    client = meshed.run_client()
    (answer,) = client.get("http://web/")
    assert answer["heard"]["peer"].startswith(f"{client.address}:")
    assert answer["local"].startswith(f"{client.address}:")


def test_a_new_pod_is_used_within_a_second(cluster, meshed, web):
    client = meshed.run_client()
    wait_balanced(client, "http://web/", web)
    with client.load("http://web/") as load:
        cluster.api.patch(meshed.path("deployments", "web"), {"spec": {"replicas": 3}})
        ready = meshed.wait_pods("app=web", 3)
        (added,) = names(ready) - names(web)
        (address,) = [pod["status"]["podIP"] for pod in ready if pod["metadata"]["name"] == added]
        wait_for(lambda: is_endpoint(cluster, meshed, address), "the EndpointSlice to have the pod", 20)
        wait_for(lambda: added in load.so_far()["pods"], "the new pod to answer", 1)
    assert load.result["failed"] == 0, load.result["failures"]


def test_a_pod_that_leaves_is_asked_nothing_a_second_later(cluster, meshed):
    """It goes on serving for three seconds after it was told to end, so that a late request would be answered."""
    lingering = echo.container(env=[*echo.container()["env"][:2], {"name": "LINGER", "value": "3s"}])
    meshed.apply(
        echo.deployment("web", 3, containers=[lingering], spec={"terminationGracePeriodSeconds": 10}),
        echo.service("web"),
    )
    pods = meshed.wait_pods("app=web", 3)
    client = meshed.run_client()
    wait_balanced(client, "http://web/", pods)
    leaving = pods[0]["metadata"]["name"]
    with client.load("http://web/", connections=4) as load:
        wait_for(lambda: leaving in load.so_far()["pods"], "the load to reach the pod")
        cluster.api.delete(meshed.path("pods", leaving))
        left_at = wait_left(cluster, meshed, pods[0]["status"]["podIP"])
        wait_for(lambda: leaving not in names(cluster.pods(meshed.name, "app=web")), "the pod to be gone", 30)
    assert load.result["failed"] == 0, load.result["failures"]
    assert load.result["last"][leaving] < left_at + 1


def is_endpoint(cluster, namespace, address):
    """Whether an EndpointSlice of web has that address as ready."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace.name}/endpointslices"
    slices = cluster.api.get(f"{path}?labelSelector=kubernetes.io/service-name=web")["items"]
    ends = [end for one in slices for end in one["endpoints"] or [] if address in end["addresses"]]
    return any(end["conditions"].get("ready") for end in ends)


def wait_left(cluster, namespace, address):
    """Until no EndpointSlice of web has that address as ready; the moment at which it was so."""
    wait_for(lambda: not is_endpoint(cluster, namespace, address), "the EndpointSlice to drop the pod", 20)
    return time.time()


def test_probes_of_meshed_pods_pass_and_are_no_traffic(mesh, meshed):
    probes = {
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
        "livenessProbe": {"tcpSocket": {"port": "line"}, "periodSeconds": 1, "failureThreshold": 1},
        "startupProbe": {"exec": {"command": ["test", "-x", "/bin/echo"]}, "periodSeconds": 1},
    }
    meshed.apply(echo.pod("probed", "n1", containers=[echo.container(**probes)]), echo.service("probed"))
    (pod,) = meshed.wait_pods("app=probed")
    remote = meshed.remote(pod)
    wait_for(lambda: remote.seen()[0]["count"] > 5, "probes", 20, 0.1)
    (seen,) = remote.seen()
    assert seen["agent"].startswith("kube-probe/") and not seen["peer"].startswith("127.")
    assert meshed.wait_pods("app=probed")[0]["status"]["containerStatuses"][0]["restartCount"] == 0
    assert mesh.metrics("n1").service("weft_requests_total", f"/svc/{meshed.name}/probed/80") == 0


def test_exec_and_logs_of_meshed_pods_work(meshed, web):
    pod = web[0]["metadata"]["name"]
    assert meshed.kubectl("exec", pod, "--", "id", "-u") == "0\n"
    meshed.kubectl("exec", pod, "--", "sh", "-c", "echo seen in the log >/proc/1/fd/1")
    wait_for(lambda: "seen in the log" in meshed.kubectl("logs", pod), "the log", 10, 0.1)


def test_lines_by_tcp_are_captured_and_packets_pass(mesh, meshed, web):
    client = meshed.run_client()
    wait_balanced(client, "http://web/", web)
    before = mesh.metrics("n1").captured()
    assert client.line("tcp", "web:9000", "a-line").split()[1] == "a-line"
    assert mesh.metrics("n1").captured() == before + 1
    wait_for(lambda: client.line("udp", "web:9000", "a-line").split()[1] == "a-line", "kube-proxy", 10, 0.1)
    assert mesh.metrics("n1").captured() == before + 1


def test_the_api_server_is_never_captured(mesh, meshed, web):
    client = meshed.run_client()
    wait_balanced(client, "http://web/", web)
    before = mesh.metrics("n1").captured()
    (answer,) = client.get("https://10.96.0.1/")
    assert "certificate" in answer["error"], answer
    assert mesh.metrics("n1").captured() == before


def test_pods_outside_the_mesh_are_left_alone(cluster, mesh, namespace):
    namespace.apply(echo.deployment("web", 2), echo.service("web"))
    pods = namespace.wait_pods("app=web", 2)
    client = namespace.run_client()
    before = mesh.metrics("n1").captured()
    for pod in pods:
        assert answered_by(client.get(f"http://{pod['status']['podIP']}:8080/")) == names([pod])
    assert mesh.metrics("n1").captured() == before
    assert not {name for name in mesh.enrolled("n1") if namespace.name in name}
