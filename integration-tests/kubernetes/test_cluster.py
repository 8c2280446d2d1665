"""The cluster by itself, without weft: what the other tests stand on."""

import http.client
import json
import re
import socket
import subprocess

import pytest
from harness.poll import wait_for
from k8s import echo
from k8s.daemon import Daemon

FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


@pytest.fixture
def web(namespace):
    """Two web pods, one on each node, behind the service web."""
    namespace.apply(echo.deployment("web", 2), echo.service("web"), echo.service("web-headless", "web", headless=True))
    return namespace.wait_pods("app=web", 2)


def wait_answers(client, url, pods, seconds=20):
    """Until each of the pods has answered that URL: kube-proxy takes a second or two to learn of them."""
    missing = {pod["metadata"]["name"] for pod in pods}

    def all_answered():
        (answer,) = client.get(url)
        missing.discard((answer.get("heard") or {}).get("pod"))
        return not missing

    wait_for(all_answered, f"answers of all pods at {url}", seconds)


def test_each_node_runs_pods_of_its_own_range(cluster, web):
    assert {pod["spec"]["nodeName"] for pod in web} == {"n1", "n2"}
    for pod in web:
        number = pod["spec"]["nodeName"].removeprefix("n")
        assert pod["status"]["podIP"].startswith(f"10.244.{number}.")
        assert [address["ip"] for address in pod["status"]["podIPs"]][1].startswith(f"fd44:{number}:")


def test_a_service_is_reached_by_name_and_by_address_from_both_nodes(cluster, namespace, web):
    address = cluster.api.get(namespace.path("services", "web"))["spec"]["clusterIP"]
    for node in ("n1", "n2"):
        client = namespace.run_client(f"client-{node}", node)
        for host in ("web", f"web.{namespace.name}.svc.cluster.local", address):
            wait_answers(client, f"http://{host}/", web)


def test_a_headless_name_has_the_addresses_of_the_pods(namespace, web):
    client = namespace.run_client()
    addresses = {pod["status"]["podIP"] for pod in web}
    wait_for(lambda: set(client.resolve("web-headless")) == addresses, "the headless name", 20, 0.1)
    for address in addresses:
        assert client.get_one(f"http://{address}:8080/")["peer"].startswith(f"{client.address}:")


def test_pods_talk_over_ipv6(namespace, web):
    client = namespace.run_client()
    for pod in web:
        address = pod["status"]["podIPs"][1]["ip"]
        assert client.get_one(f"http://[{address}]:8080/")["pod"] == pod["metadata"]["name"]


def test_lines_go_over_tcp_and_udp(namespace, web):
    client = namespace.run_client()
    wait_answers(client, "http://web/", web)
    names = {pod["metadata"]["name"] for pod in web}
    for network in ("tcp", "udp"):
        pod, text = client.line(network, "web:9000", "a-line").split()
        assert pod in names and text == "a-line"


def test_exec_and_logs_reach_a_container_on_the_other_node(namespace):
    namespace.apply(echo.pod("two", "n2"))
    namespace.wait_pods("app=two")
    assert namespace.kubectl("exec", "two", "--", "sh", "-c", "echo $POD_NAME; id -u") == "two\n0\n"
    namespace.kubectl("exec", "two", "--", "sh", "-c", "echo seen in the log >/proc/1/fd/1")
    wait_for(lambda: "seen in the log" in namespace.kubectl("logs", "two"), "the log", 10, 0.1)


def test_a_port_is_forwarded(cluster, namespace, tmp_path):
    namespace.apply(echo.pod("target", "n2"))
    namespace.wait_pods("app=target")
    line = [f"{cluster.programs}/kubectl", "-n", namespace.name, "port-forward", "pod/target", ":8080"]
    forward = Daemon("port-forward", cluster.control.command(line), f"{tmp_path}/log", cluster.environment())
    try:
        wait_for(lambda: forward.check() or FORWARDING.search(forward.tail()), "the forwarded port")
        port = int(FORWARDING.search(forward.tail())[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.sock = cluster.from_here(lambda: socket.create_connection(("127.0.0.1", port), 10))
        connection.request("GET", "/forwarded")
        assert json.loads(connection.getresponse().read())["pod"] == "target"
        connection.close()
    finally:
        forward.kill()


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


def test_the_api_server_may_pause_while_pods_go_on(cluster, namespace, web):
    client = namespace.run_client()
    wait_answers(client, "http://web/", web)
    with cluster.control.paused_api():
        assert client.get_one("http://web/")["node"] in ("n1", "n2")
        with pytest.raises(OSError):
            cluster.api.ask("GET", "/healthz", seconds=1)
    cluster.wait_api()
