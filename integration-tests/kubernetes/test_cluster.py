"""The cluster by itself, without weft: what the other tests stand on."""

import subprocess

import pytest
from conftest import Namespace
from harness.poll import wait_for
from k8s import echo
from k8s.answers import names
from k8s.forward import forwarded, get


@pytest.fixture(scope="module")
def shop(cluster):
    """Two web pods, one on each node, behind web and web-headless, and a client on each node."""
    made = Namespace(cluster, "bare-shop")
    made.open()
    made.apply(
        echo.deployment("web", 2), echo.service("web"), echo.service("web-headless", "web", headless=True),
        *(echo.pod(f"client-{node.name}", node.name) for node in cluster.nodes))  # fmt: skip
    made.web = made.wait_pods("app=web", 2)
    made.clients = {}
    for node in cluster.nodes:
        (pod,) = made.wait_pods(f"app=client-{node.name}")
        made.clients[node.name] = made.remote(pod)
    yield made
    cluster.delete_namespace(made.name)


def wait_answers(client, url, pods, seconds=20):
    """Until each of the pods has answered that URL: kube-proxy takes a second or two to learn of them."""
    missing = {pod["metadata"]["name"] for pod in pods}

    def all_answered():
        (answer,) = client.get(url)
        missing.discard((answer.get("heard") or {}).get("pod"))
        return not missing

    wait_for(all_answered, f"answers of all pods at {url}", seconds)


def test_each_node_runs_pods_of_its_own_range(shop):
    assert {pod["spec"]["nodeName"] for pod in shop.web} == {"n1", "n2"}
    for pod in shop.web:
        number = pod["spec"]["nodeName"].removeprefix("n")
        assert pod["status"]["podIP"].startswith(f"10.244.{number}.")
        assert [address["ip"] for address in pod["status"]["podIPs"]][1].startswith(f"fd44:{number}:")


def test_a_service_is_reached_by_name_and_by_address_from_both_nodes(cluster, shop):
    address = cluster.api.get(shop.path("services", "web"))["spec"]["clusterIP"]
    for client in shop.clients.values():
        for host in ("web", f"web.{shop.name}.svc.cluster.local", address):
            wait_answers(client, f"http://{host}/", shop.web)


def test_a_headless_name_has_the_addresses_of_the_pods(shop):
    client = shop.clients["n1"]
    addresses = {pod["status"]["podIP"] for pod in shop.web}
    wait_for(lambda: set(client.resolve("web-headless")) == addresses, "the headless name", 20, 0.1)
    for address in addresses:
        assert client.get_one(f"http://{address}:8080/")["peer"].startswith(f"{client.address}:")


def test_pods_talk_over_ipv6(shop):
    for client in shop.clients.values():
        for pod in shop.web:
            address = pod["status"]["podIPs"][1]["ip"]
            assert client.get_one(f"http://[{address}]:8080/")["pod"] == pod["metadata"]["name"]


def test_lines_go_over_tcp_and_udp(shop):
    client = shop.clients["n1"]
    wait_answers(client, "http://web/", shop.web)
    for network in ("tcp", "udp"):
        pod, text = client.line(network, "web:9000", "a-line").split()
        assert pod in names(shop.web) and text == "a-line"


def test_exec_and_logs_reach_a_container_on_the_other_node(shop):
    assert shop.kubectl("exec", "client-n2", "--", "sh", "-c", "echo $POD_NAME; id -u") == "client-n2\n0\n"
    shop.kubectl("exec", "client-n2", "--", "sh", "-c", "echo seen in the log >/proc/1/fd/1")
    wait_for(lambda: "seen in the log" in shop.kubectl("logs", "client-n2"), "the log", 10, 0.1)


def test_a_port_is_forwarded(cluster, shop, tmp_path):
    with forwarded(cluster, shop.name, "pod/client-n2", 8080, f"{tmp_path}/log") as port:
        (heard,) = get(cluster, port)
    assert heard["pod"] == "client-n2"


PROBES = {
    "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
    "livenessProbe": {"tcpSocket": {"port": "line"}, "periodSeconds": 1, "failureThreshold": 1},
    "startupProbe": {"exec": {"command": ["test", "-x", "/bin/echo"]}, "periodSeconds": 1},
}


def test_kubelet_probes_by_http_tcp_and_exec(cluster, namespace):
    namespace.apply(echo.pod("probed", "n1", containers=[echo.container(**PROBES)]))
    (pod,) = namespace.wait_pods("app=probed")
    remote = namespace.remote(pod)
    assert [seen["path"] for seen in remote.seen()] == ["/ready"]
    assert remote.seen()[0]["agent"].startswith("kube-probe/")
    before = remote.seen()[0]["count"]
    wait_for(lambda: remote.seen()[0]["count"] > before + 1, "more probes", 10, 0.1)
    (pod,) = namespace.wait_pods("app=probed")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_failing_probe_takes_the_pod_out(namespace):
    broken = {"httpGet": {"path": "/?status=500", "port": "http"}, "periodSeconds": 1}
    namespace.apply(echo.pod("broken", "n1", containers=[echo.container(readinessProbe=broken)]))

    def refused():
        return "500" in namespace.kubectl("get", "events", "--field-selector", "reason=Unhealthy")

    wait_for(refused, "the event about the failed probe", 30, 0.2)


SEES = "ls -d /host/bpf /host/cgroup{v2}/kubepods && ps | grep kubelet && touch /host/bpf /host/cni/new && ls /host/run"


def test_a_privileged_daemonset_sees_the_node(cluster, namespace):
    """bpffs, cgroups, processes and the CNI folder of the node, and nothing of the machine outside it."""
    places = {"bpf": "/sys/fs/bpf", "cgroup": "/sys/fs/cgroup", "cni": "/etc/cni/net.d", "run": "/run"}
    spec = {
        "hostPID": True,
        "hostNetwork": True,
        "tolerations": [{"operator": "Exists"}],
        "volumes": [{"name": name, "hostPath": {"path": path}} for name, path in places.items()],
    }
    mounts = [{"name": name, "mountPath": f"/host/{name}"} for name in places]
    agent = echo.deployment(
        "agent", spec=spec, containers=[echo.container(securityContext={"privileged": True}, volumeMounts=mounts)]
    )
    agent["kind"] = "DaemonSet"
    del agent["spec"]["replicas"], agent["spec"]["template"]["spec"]["topologySpreadConstraints"]
    namespace.apply(agent)
    agents = namespace.wait_pods("app=agent", 2)
    assert {pod["status"]["podIP"] for pod in agents} == {node.address for node in cluster.nodes}
    v2 = "/unified" if cluster.cgroups == "hybrid" else ""
    for pod in agents:
        said = namespace.kubectl("exec", pod["metadata"]["name"], "--", "sh", "-ec", SEES.format(v2=v2))
        assert "containerd" in said and "weft-k8s" not in said.replace(cluster.directory, "")
        assert cluster.node(pod["spec"]["nodeName"]).run(["test", "-e", "/etc/cni/net.d/new"]).returncode == 0
    assert subprocess.run(["test", "-e", "/etc/cni/net.d/new"], check=False).returncode == 1


def test_a_node_comes_back_after_a_reboot(cluster, namespace):
    namespace.apply(echo.pod("app", "n2"))
    (before,) = namespace.wait_pods("app=app")
    node = cluster.node("n2")
    node.stop()
    node.start()

    after = namespace.wait_restarted("app=app")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert namespace.run_client().get_one(f"http://{after['status']['podIP']}:8080/")["pod"] == "app"


def test_the_api_server_may_pause_while_pods_go_on(cluster, shop):
    client = shop.clients["n1"]
    wait_answers(client, "http://web/", shop.web)
    with cluster.control.paused_api():
        assert client.get_one("http://web/")["node"] in ("n1", "n2")
        with pytest.raises(OSError):
            cluster.api.ask("GET", "/healthz", seconds=1)
    cluster.wait_api()
