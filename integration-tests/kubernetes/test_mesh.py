"""Pods of a labelled namespace: dials are captured, balanced per request and counted; all else goes on as before."""

import time

import pytest
from harness.poll import wait_for
from k8s import echo
from k8s.answers import answered_by, answers_of_one_connection, names, wait_balanced
from k8s.forward import forwarded, get


@pytest.mark.parametrize("node", ["n1", "n2"])
def test_requests_of_one_connection_are_balanced_over_both_nodes(mesh, shop, node):
    client, service = shop.clients[node], f"/svc/{shop.name}/web/80"
    before = mesh.requests(node, service)
    answers = client.get("http://web/", 40, keepalive=True)
    assert answered_by(answers) == names(shop.web)
    assert {answer["heard"]["peer"].rpartition(":")[0] for answer in answers} == {client.address}
    assert mesh.requests(node, service) == before + 40


def test_the_full_name_and_the_address_lead_to_the_same_service(cluster, mesh, shop):
    client = shop.clients["n1"]
    address = cluster.api.get(shop.path("services", "web"))["spec"]["clusterIP"]
    for host in (f"web.{shop.name}.svc.cluster.local", address):
        assert answers_of_one_connection(client, f"http://{host}/") == names(shop.web)


def test_a_dial_to_a_pod_goes_to_that_pod_and_is_counted_with_its_service(mesh, shop):
    client, service = shop.clients["n1"], f"/svc/{shop.name}/web/80"
    before = mesh.metrics("n1")
    for pod in shop.web:
        url = f"http://{pod['status']['podIP']}:8080/"
        assert answers_of_one_connection(client, url, 10) == names([pod])
    assert mesh.metrics("n1").captured() == before.captured() + 2
    assert mesh.requests("n1", service) == before.service("weft_requests_total", service) + 20


def test_a_headless_name_leads_to_the_pod_that_was_resolved(mesh, shop):
    client = shop.clients["n1"]
    wait_for(lambda: len(client.resolve("web-headless")) == 2, "the headless name", 20, 0.1)
    before = mesh.metrics("n1").captured()
    by_address = {pod["status"]["podIP"]: pod["metadata"]["name"] for pod in shop.web}
    for answer in client.get("http://web-headless:8080/", 10):
        assert answer["heard"]["pod"] == by_address[answer["remote"].rpartition(":")[0]]
    assert mesh.metrics("n1").captured() == before + 10


def test_the_answering_side_sees_the_pod_that_asked(mesh, shop):
    client, before = shop.clients["n1"], mesh.metrics("n1").captured()
    (answer,) = client.get("http://web/")
    assert mesh.metrics("n1").captured() == before + 1
    assert answer["heard"]["peer"].startswith(f"{client.address}:")
    assert answer["local"].startswith(f"{client.address}:")


def run_web(mesh, meshed, replicas, **options):
    """(that many web pods, a client on n1 that reaches them), of the test's own."""
    meshed.apply(echo.deployment("web", replicas, **options), echo.service("web"), echo.pod("client", "n1"))
    pods = meshed.wait_pods("app=web", replicas)
    meshed.wait_pods("app=client")
    client = meshed.remote("client")
    mesh.wait_service("n1", f"/svc/{meshed.name}/web/80")
    wait_balanced(client, "http://web/", pods)
    return pods, client


def test_a_new_pod_is_used_within_a_second(cluster, mesh, meshed):
    web, client = run_web(mesh, meshed, 2)
    with client.load("http://web/") as load:
        cluster.api.patch(meshed.path("deployments", "web"), {"spec": {"replicas": 3}})
        ready = meshed.wait_pods("app=web", 3)
        (added,) = names(ready) - names(web)
        (address,) = [pod["status"]["podIP"] for pod in ready if pod["metadata"]["name"] == added]
        wait_for(lambda: is_endpoint(cluster, meshed, address), "the EndpointSlice to have the pod", 20)
        wait_for(lambda: added in load.so_far()["pods"], "the new pod to answer", 1)
    assert load.result["failed"] == 0, load.result["failures"]


def test_a_pod_that_leaves_is_asked_nothing_a_second_later(cluster, mesh, meshed):
    """It goes on serving for three seconds after it was told to end, so that a late request would be answered."""
    lingering = echo.container(env=[*echo.container()["env"][:2], {"name": "LINGER", "value": "3s"}])
    pods, client = run_web(mesh, meshed, 3, containers=[lingering], spec={"terminationGracePeriodSeconds": 10})
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
    mesh.wait_enrolled("n1", meshed.name, "probed")
    remote = meshed.remote(pod)
    wait_for(lambda: remote.seen()[0]["count"] > 2, "probes", 20, 0.1)
    (seen,) = remote.seen()
    assert seen["agent"].startswith("kube-probe/") and not seen["peer"].startswith("127.")
    assert meshed.wait_pods("app=probed")[0]["status"]["containerStatuses"][0]["restartCount"] == 0
    assert mesh.metrics("n1").service("weft_requests_total", f"/svc/{meshed.name}/probed/80") == 0


def test_exec_and_logs_of_meshed_pods_work(mesh, shop):
    pod = shop.web[0]["metadata"]["name"]
    mesh.wait_enrolled(shop.web[0]["spec"]["nodeName"], shop.name, pod)
    assert shop.kubectl("exec", pod, "--", "id", "-u") == "0\n"
    shop.kubectl("exec", pod, "--", "sh", "-c", "echo seen in the log >/proc/1/fd/1")
    wait_for(lambda: "seen in the log" in shop.kubectl("logs", pod), "the log", 10, 0.1)


def test_a_port_is_forwarded_into_a_meshed_pod_and_is_no_traffic(cluster, mesh, shop, tmp_path):
    """It is dialled inside the pod's own namespace, by the node's container runtime."""
    (pod,) = [pod for pod in shop.web if pod["spec"]["nodeName"] == "n1"]
    name = pod["metadata"]["name"]
    mesh.wait_enrolled("n1", shop.name, name)
    before = mesh.metrics("n1")
    with forwarded(cluster, shop.name, f"pod/{name}", 8080, f"{tmp_path}/log") as port:
        assert {heard["pod"] for heard in get(cluster, port, times=3)} == {name}
    after = mesh.metrics("n1")
    assert after.captured() == before.captured()
    assert after.sum("weft_requests_total") == before.sum("weft_requests_total")


def test_a_command_that_is_run_in_a_meshed_pod_is_in_the_mesh(mesh, shop):
    service = f"/svc/{shop.name}/web/80"
    before = mesh.requests("n1", service)
    said = shop.kubectl("exec", "client-n1", "--", "/bin/echo", "get", "http://web/")
    assert '"status":200' in said, said
    assert mesh.requests("n1", service) == before + 1


def test_lines_by_tcp_are_captured_and_packets_pass(mesh, shop):
    client = shop.clients["n1"]
    before = mesh.metrics("n1").captured()
    assert client.line("tcp", "web:9000", "a-line").split()[1] == "a-line"
    assert mesh.metrics("n1").captured() == before + 1
    wait_for(lambda: client.line("udp", "web:9000", "a-line").split()[1] == "a-line", "kube-proxy", 10, 0.1)
    assert mesh.metrics("n1").captured() == before + 1


def test_the_api_server_is_never_captured(mesh, shop):
    before, pod = mesh.metrics("n1"), f"{shop.name}/client-n1"
    (answer,) = shop.clients["n1"].get("https://10.96.0.1/")
    assert "certificate" in answer["error"], answer
    after = mesh.metrics("n1")
    assert after.captured() == before.captured()
    assert after.decision("pass_not_mesh", pod) == before.decision("pass_not_mesh", pod) + 1


def test_pods_outside_the_mesh_are_left_alone(cluster, mesh, namespace):
    namespace.apply(echo.deployment("web", 2), echo.service("web"), echo.pod("client", "n1"))
    pods = namespace.wait_pods("app=web", 2)
    namespace.wait_pods("app=client")
    client = namespace.remote("client")
    before = mesh.metrics("n1").captured()
    for pod in pods:
        assert answered_by(client.get(f"http://{pod['status']['podIP']}:8080/")) == names([pod])
    assert mesh.metrics("n1").captured() == before
    assert not {name for name in mesh.enrolled("n1") if namespace.name in name}
