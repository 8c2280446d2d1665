"""Annotations of pods and Services: what each one changes, beside a pod of the same Service that has none."""

import json

import pytest
from harness.poll import wait_for
from k8s import echo
from k8s.answers import answered_by, answers_of_one_connection, names

ANNOTATED = {
    "opaque": {"weft.io/opaque-ports": "80"},
    "tunnel": {"weft.io/protocol": "80=opaque"},
    "http": {"weft.io/protocol": "80=http"},
    "skip-port": {"weft.io/skip-outbound-ports": "9000"},
    "skip-cidr": {"weft.io/skip-outbound-cidrs": "10.96.0.0/16"},
    "faulty": {"weft.io/skip-outbound-ports": "none,9000", "weft.io/on-proxy-death": "closed"},
}


@pytest.fixture(scope="module")
def pods(mesh, shop):
    """{name in ANNOTATED: that pod on n1, in the mesh}; plain: one without annotation."""
    shop.apply(*(echo.pod(name, "n1", annotations=annotations) for name, annotations in ANNOTATED.items()))
    found = {"plain": shop.clients["n1"]}
    for name in ANNOTATED:
        (pod,) = shop.wait_pods(f"app={name}")
        found[name] = shop.remote(pod)
        mesh.wait_enrolled("n1", shop.name, name)
    return found


class Carried:
    """with Carried(mesh, shop, pod, "web/80") as carried: … ; then carried.grown is what weft of n1 has counted."""

    def __init__(self, mesh, shop, pod, service):
        self.mesh, self.service = mesh, f"/svc/{shop.name}/{service}"
        self.pod = f"{shop.name}/{'client-n1' if pod == 'plain' else pod}"

    def _count(self):
        metrics = self.mesh.metrics("n1")
        counts = {name: metrics.service(f"weft_{name}_total", self.service) for name in ("requests", "tunnels_opened")}
        reasons = ("captured", "pass_excluded_port", "pass_excluded_cidr")
        counts.update((reason, metrics.decision(reason, self.pod)) for reason in reasons)
        return counts

    def __enter__(self):
        self.before = self._count()
        return self

    def __exit__(self, *failure):
        self.after = self._count()

    @property
    def grown(self):
        """{count: by how much}, of those that have grown."""
        grown = {name: self.after[name] - self.before[name] for name in self.after}
        return {name: value for name, value in grown.items() if value}


@pytest.mark.parametrize("pod", ["opaque", "tunnel"])
def test_a_port_that_a_pod_declares_opaque_is_carried_as_a_tunnel(mesh, shop, pods, pod):
    with Carried(mesh, shop, pod, "web/80") as tunnel:
        assert len(answers_of_one_connection(pods[pod], "http://web/")) == 1
    assert tunnel.grown == {"captured": 1, "tunnels_opened": 1}
    with Carried(mesh, shop, "plain", "web/80") as parsed:
        assert answers_of_one_connection(pods["plain"], "http://web/") == names(shop.web)
    assert parsed.grown == {"captured": 1, "requests": 20}


def test_what_a_pod_declares_goes_before_what_the_service_does(mesh, shop, pods):
    declared = echo.service("tunnelled", "web")
    declared["metadata"]["annotations"] = {"weft.io/opaque-ports": "80"}
    shop.apply(declared)
    mesh.wait_service("n1", f"/svc/{shop.name}/tunnelled/80")
    with Carried(mesh, shop, "plain", "tunnelled/80") as tunnel:
        assert len(answers_of_one_connection(pods["plain"], "http://tunnelled/")) == 1
    assert tunnel.grown == {"captured": 1, "tunnels_opened": 1}
    with Carried(mesh, shop, "http", "tunnelled/80") as parsed:
        assert answers_of_one_connection(pods["http"], "http://tunnelled/") == names(shop.web)
    assert parsed.grown == {"captured": 1, "requests": 20}


def test_dials_to_a_skipped_port_go_directly(mesh, shop, pods):
    with Carried(mesh, shop, "skip-port", "web/9000") as passed:
        wait_for(lambda: pods["skip-port"].line("tcp", "web:9000").split()[0] in names(shop.web), "kube-proxy")
    assert passed.grown == {"pass_excluded_port": 1}
    with Carried(mesh, shop, "skip-port", "web/80") as taken:
        answered_by(pods["skip-port"].get("http://web/"))
    assert taken.grown == {"captured": 1, "requests": 1}


def test_dials_to_a_skipped_network_go_directly(mesh, shop, pods):
    pod = shop.web[0]
    with Carried(mesh, shop, "skip-cidr", "web/80") as passed:
        assert len(answers_of_one_connection(pods["skip-cidr"], "http://web/")) == 1
    assert passed.grown == {"pass_excluded_cidr": 1}
    with Carried(mesh, shop, "skip-cidr", "web/80") as taken:
        answered_by(pods["skip-cidr"].get(f"http://{pod['status']['podIP']}:8080/"))
    assert taken.grown == {"captured": 1, "requests": 1}


def events_of(shop, kind, name):
    return shop.kubectl("get", "events", "--field-selector", f"involvedObject.kind={kind},involvedObject.name={name}")


def test_a_bad_annotation_is_told_by_an_event_and_the_others_hold(mesh, shop, pods):
    (known,) = [pod for pod in json.loads(mesh.admin("n1", "/pods.json")[1]) if pod["name"] == f"{shop.name}/faulty"]
    assert known["on_proxy_death"] == "closed" and known["skip_outbound_ports"] == [9000]
    wait_for(lambda: "skip-outbound-ports" in events_of(shop, "Pod", "faulty"), "the event", 20, 0.2)
    with Carried(mesh, shop, "faulty", "web/9000") as passed:
        pods["faulty"].line("tcp", "web:9000")
    assert passed.grown == {"pass_excluded_port": 1}


@pytest.mark.parametrize(
    "annotation, wanted",
    [
        ({"weft.io/opaque-ports": "80"}, {"captured": 1, "tunnels_opened": 1}),
        ({"weft.io/protocol": "80=opaque"}, {"captured": 1, "tunnels_opened": 1}),
        ({"weft.io/protocol": "80=http"}, {"captured": 1, "requests": 20}),
    ],
    ids=["opaque-ports", "protocol opaque", "protocol http"],
)
def test_what_a_service_declares_holds_for_every_pod_that_dials_it(cluster, mesh, shop, pods, annotation, wanted):
    """Followed live: the service is the same one each time."""
    if not cluster.api.find(shop.path("services", "declared")):
        shop.apply(echo.service("declared", "web"))
        mesh.wait_service("n1", f"/svc/{shop.name}/declared/80")
    nothing = {"weft.io/opaque-ports": None, "weft.io/protocol": None}
    cluster.api.patch(shop.path("services", "declared"), {"metadata": {"annotations": {**nothing, **annotation}}})

    seen = []

    def is_carried_so():
        with Carried(mesh, shop, "plain", "declared/80") as carried:
            answers = pods["plain"].get("http://declared/", 20, keepalive=True)
        seen.append((carried.grown, {answer["status"] or answer["error"] for answer in answers}))
        return seen[-1] == (wanted, {200})

    try:
        wait_for(is_carried_so, f"{wanted}", 5, 0.1)
    except AssertionError as late:
        raise AssertionError(f"{late}: {seen}") from late


def test_a_bad_annotation_of_a_service_is_told_by_an_event_and_the_others_hold(mesh, shop, pods):
    declared = echo.service("misdeclared", "web")
    declared["metadata"]["annotations"] = {"weft.io/protocol": "80=h2,80=opaque"}
    shop.apply(declared)
    wait_for(lambda: "weft.io/protocol" in events_of(shop, "Service", "misdeclared"), "the event", 20, 0.2)
    mesh.wait_service("n1", f"/svc/{shop.name}/misdeclared/80")
    with Carried(mesh, shop, "plain", "misdeclared/80") as tunnel:
        assert len(answers_of_one_connection(pods["plain"], "http://misdeclared/")) == 1
    assert tunnel.grown == {"captured": 1, "tunnels_opened": 1}
