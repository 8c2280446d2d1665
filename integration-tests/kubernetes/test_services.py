"""Kinds of Services: who answers when the Service says more than which pods it has."""

import contextlib

from harness.poll import wait_for
from k8s import echo
from k8s.answers import answered_by, answers_of_one_connection, names, wait_balanced

ZONE = "topology.kubernetes.io/zone"


def test_client_ip_affinity_keeps_a_client_with_one_pod(mesh, shop):
    """Requests of one connection and of many; without the affinity they are balanced."""
    shop.apply(echo.service("sticky", "web", sessionAffinity="ClientIP"))
    service = f"/svc/{shop.name}/sticky/80"
    for node, client in shop.clients.items():
        mesh.wait_service(node, service)
        before = mesh.requests(node, service)
        chosen = answers_of_one_connection(client, "http://sticky/", 30)
        assert len(chosen) == 1
        assert answered_by(client.get("http://sticky/", 10)) == chosen
        assert mesh.requests(node, service) == before + 40
        assert answers_of_one_connection(client, "http://web/") == names(shop.web)


@contextlib.contextmanager
def zones(cluster):
    """Each node in a zone of its own."""
    try:
        for node in cluster.nodes:
            cluster.api.patch(f"/api/v1/nodes/{node.name}", {"metadata": {"labels": {ZONE: f"zone-{node.name}"}}})
        yield
    finally:
        for node in cluster.nodes:
            cluster.api.patch(f"/api/v1/nodes/{node.name}", {"metadata": {"labels": {ZONE: None}}})


def hinted_zones(cluster, shop, service):
    """{pod: zones that the EndpointSlice hints at for it}."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{shop.name}/endpointslices"
    slices = cluster.api.get(f"{path}?labelSelector=kubernetes.io/service-name={service}")["items"]
    return {
        end["targetRef"]["name"]: [zone["name"] for zone in (end.get("hints") or {}).get("forZones", [])]
        for one in slices for end in one["endpoints"]
    }  # fmt: skip


def test_prefer_close_keeps_requests_in_the_zone_and_forgets_it_with_the_zones(cluster, mesh, shop):
    with zones(cluster):  # the controller looks at them when it writes the slice
        shop.apply(echo.service("near", "web", trafficDistribution="PreferClose"))
        wanted = {pod["metadata"]["name"]: [f"zone-{pod['spec']['nodeName']}"] for pod in shop.web}
        wait_for(lambda: hinted_zones(cluster, shop, "near") == wanted, "the hints", 20, 0.1)
        for node, client in shop.clients.items():
            local = [pod for pod in shop.web if pod["spec"]["nodeName"] == node]
            mesh.wait_service(node, f"/svc/{shop.name}/near/80")
            wait_balanced(client, "http://near/", local)
            before = mesh.requests(node, f"/svc/{shop.name}/near/80")
            assert answers_of_one_connection(client, "http://near/", 40) == names(local)
            assert mesh.requests(node, f"/svc/{shop.name}/near/80") == before + 40
            assert answers_of_one_connection(client, "http://web/") == names(shop.web)
    for client in shop.clients.values():
        wait_balanced(client, "http://near/", shop.web, 20)


def test_internal_traffic_policy_local_asks_no_other_node(mesh, shop):
    shop.apply(echo.service("local", "web", internalTrafficPolicy="Local"))
    for node, client in shop.clients.items():
        local = [pod for pod in shop.web if pod["spec"]["nodeName"] == node]
        mesh.wait_service(node, f"/svc/{shop.name}/local/80")
        before = mesh.requests(node, f"/svc/{shop.name}/local/80")
        assert answers_of_one_connection(client, "http://local/", 40) == names(local)
        assert mesh.requests(node, f"/svc/{shop.name}/local/80") == before + 40


def test_locality_near_asks_pods_of_the_same_node_and_others_when_there_is_none(mesh, shop):
    close = echo.service("close")
    close["metadata"]["annotations"] = {"weft.io/locality": "near"}
    shop.apply(close, *(echo.pod(f"close-{node}", node, {"app": "close"}) for node in shop.clients))
    pods = {pod["spec"]["nodeName"]: pod for pod in shop.wait_pods("app=close", len(shop.clients))}
    for node, client in shop.clients.items():
        mesh.wait_service(node, f"/svc/{shop.name}/close/80")
        wait_balanced(client, "http://close/", [pods[node]])
        assert answers_of_one_connection(client, "http://close/", 40) == names([pods[node]])
    shop.kubectl("delete", "pod", names([pods["n1"]]).pop())
    for client in shop.clients.values():
        wait_balanced(client, "http://close/", [pods["n2"]])


def external_name(name, target):
    service = {"type": "ExternalName", "externalName": target}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": service}


def test_an_external_name_is_no_service_and_leads_where_it_says(mesh, shop, namespace):
    """To an address that is nobody's port, directly; to a Service, as that Service's own name does."""
    bare = echo.service("bare", headless=True)
    del bare["spec"]["ports"]
    namespace.apply(echo.pod("bare", "n2"), bare)
    namespace.wait_pods("app=bare")
    shop.apply(external_name("outside", f"bare.{namespace.name}.svc.cluster.local"),
               external_name("inside", f"web.{shop.name}.svc.cluster.local"))  # fmt: skip
    client, pod = shop.clients["n1"], f"{shop.name}/client-n1"
    wait_for(lambda: client.get("http://outside:8080/")[0]["status"] == 200, "the external name", 20, 0.1)
    before = mesh.metrics("n1")
    assert answers_of_one_connection(client, "http://outside:8080/") == {"bare"}
    after = mesh.metrics("n1")
    assert after.captured(pod) == before.captured(pod)
    assert after.decision("pass_not_mesh", pod) == before.decision("pass_not_mesh", pod) + 1

    requests = mesh.requests("n1", f"/svc/{shop.name}/web/80")
    wait_balanced(client, "http://inside/", shop.web, 20)
    assert mesh.requests("n1", f"/svc/{shop.name}/web/80") >= requests + 20
    own = {one["name"].split("/")[3] for one in mesh.services("n1") if one["name"].startswith(f"/svc/{shop.name}/")}
    assert "web" in own and not own & {"inside", "outside"}


def test_a_headless_service_that_wants_it_is_balanced(mesh, shop):
    """Unlike web-headless, whose connections go to the pod that was resolved (test_mesh.py)."""
    peers = echo.service("peers", headless=True)
    peers["metadata"]["annotations"] = {"weft.io/headless": "balance"}
    shop.apply(echo.deployment("peers", 2), peers)
    pods = shop.wait_pods("app=peers", 2)
    client = shop.clients["n1"]
    wait_for(lambda: len(client.resolve("peers")) == 2, "the headless name", 20, 0.1)
    mesh.wait_service("n1", f"/svc/{shop.name}/peers/80")
    wait_balanced(client, "http://peers:8080/", pods)
    before = mesh.requests("n1", f"/svc/{shop.name}/peers/80")
    assert answers_of_one_connection(client, "http://peers:8080/", 40) == names(pods)
    assert mesh.requests("n1", f"/svc/{shop.name}/peers/80") == before + 40
