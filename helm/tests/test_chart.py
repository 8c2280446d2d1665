"""What helm makes of the chart."""

import pytest
import yaml
from conftest import CHART
from matrix import MATRIX

REFUSED = {
    "a wrong name": "admin.hots=x",
    "a port that is none": "admin.port=65536",
    "a port as text": "admin.port=http",
    "a relative path": "cni.binDir=bin",
    "a policy that is none": "kubernetes.onProxyDeath=maybe",
    "a repository with a digest": "image.repository=a@sha256",
    "a digest that is none": "image.digest=sha256:abc",
    "a drain in words": "drainSeconds=30s",
    "a key that weft.yaml lacks": "config.limits.sesions=5",
    "a key that another value sets": "config.timeouts.drain=5s",
    "a duration without a unit": "config.timeouts.connect=5",
    "none that may be updated": "maxUnavailable=0",
    "the plugin without the API server": "kubernetes.enabled=false",
    "a mode that is none": "config.shortcut.mode=sometimes",
    "a mode without quotes": "config.shortcut.mode=true",
    "an unknown value": "replicas=2",
}


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document]


def named(text, kind, name="weft"):
    found = [one for one in documents(text) if one["kind"] == kind and one["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def pod_spec(text):
    return named(text, "DaemonSet")["spec"]["template"]["spec"]


def container(text):
    return pod_spec(text)["containers"][0]


def weft_yaml(text):
    return yaml.safe_load(named(text, "ConfigMap")["data"]["weft.yaml"])


def test_lint_finds_nothing(helm):
    done = helm("lint", "--strict", CHART)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("case", MATRIX)
def test_every_mixture_of_values_gives_objects_with_a_name_and_our_labels(template, case):
    for one in documents(template(*MATRIX[case])):
        assert one["apiVersion"] and one["kind"] and one["metadata"]["name"]
        assert one["metadata"]["labels"]["app.kubernetes.io/name"] == "weft", one


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_value_is_refused(helm, case):
    done = helm("template", "weft", CHART, "--kube-version", "1.34.0", "--set", REFUSED[case])
    assert done.returncode != 0
    assert "don't meet the specifications of the schema" in done.stderr


@pytest.mark.parametrize("case", MATRIX)
def test_weft_yaml_is_read_by_weftd(template, case, tmp_path, weftd):
    path = tmp_path / "weft.yaml"
    path.write_text(named(template(*MATRIX[case]), "ConfigMap")["data"]["weft.yaml"])
    done = weftd("--config", str(path), "--validate")
    assert done.returncode == 0, done.stderr + path.read_text()


def environment(text):
    return {one["name"]: one.get("value") for one in container(text)["env"]}


def test_weft_check_finds_the_other_nodes_where_they_may_be_asked(template):
    assert environment(template())["WEFT_NODES"] == "weft:9990"
    assert environment(template(*MATRIX["ipv6"]))["WEFT_NODES"].startswith("weft:")
    assert "WEFT_NODES" not in environment(template(*MATRIX["loopback"]))


def test_the_daemon_is_a_privileged_pod_of_the_node_everywhere(template):
    pod = pod_spec(template())
    assert pod["hostPID"] and pod["hostNetwork"] and pod["dnsPolicy"] == "ClusterFirstWithHostNet"
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["priorityClassName"] == "system-node-critical"
    assert pod["containers"][0]["securityContext"]["privileged"] is True
    update = named(template(), "DaemonSet")["spec"]["updateStrategy"]
    assert update == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}


def test_labels_and_annotations_of_values_stand_beside_our_own(template):
    values = "podLabels.team=net,podAnnotations.note=x"
    metadata = named(template("--set", values), "DaemonSet")["spec"]["template"]["metadata"]
    assert metadata["labels"] == {"app.kubernetes.io/name": "weft", "app.kubernetes.io/component": "daemon", "team": "net"}
    assert metadata["annotations"] == {"kubectl.kubernetes.io/default-container": "weftd", "note": "x"}


def test_a_changed_config_restarts_nothing(template):
    before, after = template(), template("--set", "config.log.level=debug")
    assert weft_yaml(before) != weft_yaml(after)
    assert named(before, "DaemonSet") == named(after, "DaemonSet")


def test_the_config_is_mounted_as_a_folder_that_kubelet_can_swap(template):
    mounts = {mount["name"]: mount for mount in container(template())["volumeMounts"]}
    assert mounts["config"]["mountPath"] == "/etc/weft" and "subPath" not in mounts["config"]


def test_the_kubelet_waits_for_the_drain(template):
    text = template("--set", "drainSeconds=90")
    assert weft_yaml(text)["timeouts"]["drain"] == "90s"
    assert pod_spec(text)["terminationGracePeriodSeconds"] > 90


@pytest.mark.parametrize("host, asked", [("0.0.0.0", None), ("::", None), ("127.0.0.1", "127.0.0.1")])
def test_probes_ask_where_weftd_listens(template, host, asked):
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container(template("--set-string", f"admin.host={host}"))[name]["httpGet"].get("host") == asked


def test_weftd_may_only_read_and_write_events(template):
    rules = named(template(), "ClusterRole")["rules"]
    may = {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
    reading = {(what, verb) for verb in ("get", "list", "watch")
               for what in ("pods", "namespaces", "nodes", "services", "endpointslices")}  # fmt: skip
    assert may == reading | {("events", "create")}


def test_other_pods_of_the_chart_hold_no_credentials(template):
    text = template()
    pods = [named(text, "DaemonSet", "weft-leave")["spec"]["template"], named(text, "Job", "weft-leave")["spec"]["template"],
            named(text, "Pod", "weft-test")]  # fmt: skip
    assert [pod["spec"]["automountServiceAccountToken"] for pod in pods] == [False] * 3


def test_uninstall_waits_for_the_nodes_of_the_daemon(template):
    text = template("--set", "uninstall.timeoutSeconds=77")
    command = named(text, "Job", "weft-leave")["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command[2:] == ["--await=weft-leave.weft-system.svc", "--nodes=weft.weft-system.svc", "--timeout=77"]
    assert named(text, "Service")["spec"]["publishNotReadyAddresses"] is True
    assert "publishNotReadyAddresses" not in named(text, "Service", "weft-leave")["spec"]
    hooks = [one["metadata"]["annotations"] for one in documents(text) if one["metadata"]["name"] == "weft-leave"]
    assert sorted((hook["helm.sh/hook"], hook["helm.sh/hook-weight"]) for hook in hooks) == [
        ("pre-delete", "0"), ("pre-delete", "1"), ("pre-delete", "2")]  # fmt: skip


def test_what_cleans_a_node_sees_the_same_folders_as_the_daemon(template):
    text = template("--set", "cni.binDir=/x/bin,cni.confDir=/x/conf")
    leaving = named(text, "DaemonSet", "weft-leave")["spec"]["template"]["spec"]

    def mounts(pod):
        paths = {volume["name"]: volume.get("hostPath", {}).get("path") for volume in pod["volumes"]}
        return {paths[one["name"]]: one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}

    assert mounts(leaving).items() <= mounts(pod_spec(text)).items()
    assert mounts(leaving)["/x/bin"] == "/host/cni/bin" and mounts(leaving)["/x/conf"] == "/host/cni/conf"
    assert "--cni-conf-dir=/host/cni/conf" in leaving["containers"][0]["command"]


@pytest.mark.parametrize("policy, closed", [("open", False), ("closed", True)])
def test_the_plugin_is_looked_after_by_a_container_without_rights(template, policy, closed):
    text = template("--set", f"kubernetes.onProxyDeath={policy}")
    [cni] = [one for one in pod_spec(text)["containers"] if one["name"] == "cni"]
    assert cni["command"][:3] == ["weft", "cni", "watch"] and ("--closed" in cni["command"]) == closed
    assert cni["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    without = pod_spec(template("--set", "cni.enabled=false"))
    assert [one["name"] for one in without["containers"]] == ["weftd"]
    assert not [volume for volume in without["volumes"] if volume["name"].startswith("cni")]
