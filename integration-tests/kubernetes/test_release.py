"""What the administrator sees of a release. Upgrade, rollback and uninstall are in test_daemon_life.py, under load."""

import json

from harness.poll import wait_for
from k8s.node import CONFLIST_PATH
from k8s.weft import NAMESPACE


def test_an_install_runs_on_every_node_and_passes_its_own_tests(cluster, mesh):
    for node in cluster.nodes:
        assert mesh.admin(node.name, "/ready")[0] == 200
        assert "fail " not in mesh.tool(node.name, "check")
    said = cluster.helm("test", "weft", "-n", NAMESPACE, "--timeout", "60s", seconds=70)
    assert "Succeeded" in said and "Failed" not in said


def test_check_compares_the_versions_of_all_nodes(cluster, mesh):
    for asked in cluster.nodes:
        said = mesh.ask(asked.name, "check")
        (line,) = [check for check in said["checks"] if check["name"] == "versions"]
        assert line["result"] == "ok" and line["found"].endswith(" on all 2 nodes")
        assert [(node["node"], node["error"]) for node in said["nodes"]] == [("n1", ""), ("n2", "")]
        assert {node["address"] for node in said["nodes"]} == {node.address for node in cluster.nodes}
        (version,) = {node["version"] for node in said["nodes"]}
        assert version and version in mesh.tool(asked.name, "version")


def take_plugin_out(node):
    """As a CNI of which weft knows nothing does: a configuration of its own in one move."""
    conflist = json.loads(node.run(["cat", CONFLIST_PATH]).stdout)
    others = [plugin for plugin in conflist["plugins"] if plugin["type"] != "weft-cni"]
    assert len(others) == len(conflist["plugins"]) - 1
    text = json.dumps({**conflist, "plugins": others})
    node.run(["sh", "-c", 'cat >"$0.new" && mv "$0.new" "$0"', CONFLIST_PATH], input=text)


def test_a_plugin_that_is_taken_out_is_put_in_again_and_counted(cluster, mesh):
    node = cluster.node("n1")

    def metrics(name="n1"):
        return [mesh.metrics(name).sum(f"weft_cni_{what}") for what in ("in_place", "reinsertions_total")]

    before, other = metrics(), metrics("n2")
    assert (before[0], other[0]) == (1, 1)
    take_plugin_out(node)
    wait_for(lambda: metrics() == [1, before[1] + 1], "the plugin to be put in again", 10, 0.1)
    assert "weft-cni" in node.run(["cat", CONFLIST_PATH]).stdout
    assert metrics("n2") == other
    (line,) = [check for check in mesh.ask("n1", "check")["checks"] if check["name"].startswith("cni")]
    assert line["result"] == "ok" and "was put in again" in line["found"]


def test_a_changed_value_is_taken_without_a_restart(cluster, mesh):
    before = {pod["metadata"]["uid"] for pod in mesh.pods()}
    mesh.upgrade("--set", "config.log.level=debug")

    def taken():
        return all(mesh.ask(node.name, "config")["settings"]["log"]["level"] == "debug" for node in cluster.nodes)

    wait_for(taken, "the changed ConfigMap to be taken", 100, 0.5)
    assert {pod["metadata"]["uid"] for pod in mesh.pods()} == before
