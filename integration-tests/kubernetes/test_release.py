"""Install, upgrade, rollback and uninstall of weft by helm."""

import pytest
from harness.poll import wait_for
from k8s.weft import NAMESPACE, Weft


@pytest.fixture
def release(cluster):
    """weft, not installed yet; gone after the test."""
    made = Weft(cluster)
    yield made
    made.close()


def test_an_install_runs_on_every_node_and_passes_its_own_tests(cluster, release):
    release.install()
    for node in cluster.nodes:
        assert release.admin(node.name, "/ready")[0] == 200
        assert "fail " not in release.tool(node.name, "check")
    said = cluster.helm("test", "weft", "-n", NAMESPACE, "--timeout", "60s", seconds=70)
    assert "Succeeded" in said and "Failed" not in said


def test_a_changed_value_is_taken_without_a_restart(cluster, release):
    release.install()
    before = {pod["metadata"]["uid"] for pod in release.pods()}
    release.upgrade("--set", "config.log.level=debug")

    def taken():
        return all(release.ask(node.name, "config")["settings"]["log"]["level"] == "debug" for node in cluster.nodes)

    wait_for(taken, "the changed ConfigMap to be taken", 100, 0.5)
    assert {pod["metadata"]["uid"] for pod in release.pods()} == before


def test_an_upgrade_and_a_rollback_replace_the_daemons_one_by_one(cluster, release):
    release.install()
    release.add_tag("next")
    release.upgrade(tag="next")
    images = {pod["spec"]["containers"][0]["image"] for pod in release.pods()}
    assert images == {f"{release.repository}:next"}
    release.rollback()
    images = {pod["spec"]["containers"][0]["image"] for pod in release.pods()}
    assert images == {f"{release.repository}:{release.tag}"}


def test_an_uninstall_leaves_nothing_on_any_node(cluster, release):
    release.install()
    assert all(release.traces(node.name) for node in cluster.nodes)
    release.uninstall()
    assert {node.name: release.traces(node.name) for node in cluster.nodes} == {"n1": [], "n2": []}
    wait_for(lambda: not cluster.pods(NAMESPACE), "weft's pods to be gone", 60, 0.2)


def test_a_restart_of_the_daemon_is_no_uninstall(cluster, release):
    release.install()
    cluster.kubectl("rollout", "restart", "-n", NAMESPACE, "ds/weft")
    wait_for(lambda: release.traces("n1"), "pins", 1)
    release.wait_ready()
    assert all(release.traces(node.name) for node in cluster.nodes)
