"""What the administrator sees of a release. Upgrade, rollback and uninstall are in test_daemon_life.py, under load."""

from harness.poll import wait_for
from k8s.weft import NAMESPACE


def test_an_install_runs_on_every_node_and_passes_its_own_tests(cluster, mesh):
    for node in cluster.nodes:
        assert mesh.admin(node.name, "/ready")[0] == 200
        assert "fail " not in mesh.tool(node.name, "check")
    said = cluster.helm("test", "weft", "-n", NAMESPACE, "--timeout", "60s", seconds=70)
    assert "Succeeded" in said and "Failed" not in said


def test_a_changed_value_is_taken_without_a_restart(cluster, mesh):
    before = {pod["metadata"]["uid"] for pod in mesh.pods()}
    mesh.upgrade("--set", "config.log.level=debug")

    def taken():
        return all(mesh.ask(node.name, "config")["settings"]["log"]["level"] == "debug" for node in cluster.nodes)

    wait_for(taken, "the changed ConfigMap to be taken", 100, 0.5)
    assert {pod["metadata"]["uid"] for pod in mesh.pods()} == before
