"""`weft leave` and `weft cni watch` on this machine as a node, with folders and pins of the test's own."""

import json
import os
import signal
import subprocess
import time

import pytest
from conftest import ROOT

BUILD = os.environ.get("WEFT_BUILD", os.path.join(ROOT, "build"))
LIST = json.dumps({"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "bridge"}]}, indent=2) + "\n"
DEADLINE_S = 30

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="weftd takes root")


def wait_for(condition, what, seconds=DEADLINE_S):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.02)


class Node:
    """Folders like a node's, and the programs that run on it."""

    def __init__(self, root):
        self.root, self.pins = root, f"/sys/fs/bpf/weft-leave-{os.getpid()}"
        self.socket, self.pending = root / "run/weftd.sock", root / "run/pending"
        self.bin, self.conf, self.list = root / "bin", root / "conf", root / "conf/10-net.conflist"
        self.running = []
        for folder in (self.bin, self.conf):
            folder.mkdir()
        self.list.write_text(LIST)
        (root / "weft.yaml").write_text(json.dumps({
            "admin": {"address": "", "socket": str(self.socket)}, "bpf": {"pin_dir": self.pins}}))  # fmt: skip
        self.leave_options = ["--pin-dir", self.pins, "--pending-dir", str(self.pending), "--cni-bin-dir",
                              str(self.bin), "--cni-conf-dir", str(self.conf), "--socket", str(self.socket)]  # fmt: skip
        self.cni_options = ["--bin-dir", str(self.bin), "--conf-dir", str(self.conf), "--socket", str(self.socket),
                            "--program", os.path.join(BUILD, "weft-cni")]  # fmt: skip

    def start(self, program, *arguments, environment=None):
        """The process; its output goes to .log."""
        path = self.root / f"{len(self.running)}.log"
        with open(path, "w", encoding="utf-8") as file:
            process = subprocess.Popen([os.path.join(BUILD, program), *arguments], stdin=subprocess.DEVNULL,
                                       stdout=file, stderr=file, env={**os.environ, **(environment or {})})  # fmt: skip
        process.log = path
        self.running.append(process)
        return process

    def weft(self, *arguments):
        return subprocess.run([os.path.join(BUILD, "weft"), *arguments], capture_output=True, text=True, check=False,
                              timeout=DEADLINE_S)  # fmt: skip

    def start_weftd(self, environment=None):
        return self.start("weftd", "--config", str(self.root / "weft.yaml"), environment=environment)

    def is_served(self):
        return self.weft("pods", "--socket", str(self.socket)).returncode == 0

    def serve(self):
        weftd = self.start_weftd()
        wait_for(self.is_served, "weftd serves")
        return weftd

    def install_cni(self):
        done = self.weft("cni", "install", *self.cni_options)
        assert done.returncode == 0, done.stderr

    def check(self):
        return self.weft("leave", "--check", *self.leave_options)

    def hold(self):
        """A `weft leave --hold` that has cleaned the node."""
        holder = self.start("weft", "leave", "--hold", *self.leave_options)
        wait_for(lambda: "held" in holder.log.read_text(), "the node is held")
        return holder

    def has_plugin(self):
        return [one["type"] for one in json.loads(self.list.read_text())["plugins"]] == ["bridge", "weft-cni"]

    def close(self):
        for process in self.running:
            process.kill()
            process.wait(DEADLINE_S)
        self.weft("leave", *self.leave_options)
        assert self.check().stdout == ""


@pytest.fixture
def node(tmp_path):
    made = Node(tmp_path)
    yield made
    made.close()


def test_leaving_drains_weftd_and_leaves_no_trace(node):
    weftd = node.serve()
    node.install_cni()
    node.pending.mkdir()
    (node.pending / "a.json").write_text("{}")
    for suffix in (".known", ".known.new"):
        node.socket.with_name(node.socket.name + suffix).write_text("{}")
    found = node.check()
    assert found.returncode == 1
    assert [line.split(" in ")[0].split(" that ")[0] for line in found.stdout.splitlines()] == [
        "a weftd", "pins", "pods", *2 * ["what was known of the cluster"], "weft-cni", str(node.bin / "weft-cni")]  # fmt: skip
    done = node.weft("leave", *node.leave_options)
    assert done.returncode == 0, done.stderr
    assert weftd.wait(DEADLINE_S) == 0 and "drained" in weftd.log.read_text()
    assert (node.check().returncode, node.check().stdout) == (0, "")
    assert node.list.read_text() == LIST and list(node.bin.iterdir()) == []
    assert list((node.root / "run").iterdir()) == []


def test_a_restart_leaves_pins_and_plugin_in_place(node):
    weftd = node.serve()
    node.install_cni()
    weftd.send_signal(signal.SIGTERM)
    assert weftd.wait(DEADLINE_S) == 0
    assert os.path.exists(node.pins) and node.has_plugin()
    node.serve()


def test_a_dead_weftd_is_cleaned_up_after(node):
    node.serve().kill()
    node.running[-1].wait(DEADLINE_S)
    wait_for(lambda: node.weft("leave", *node.leave_options).returncode == 0, "the node is clean")
    assert not os.path.exists(node.pins)


def test_a_weftd_that_starts_on_a_held_node_waits_until_the_holder_is_gone(node):
    node.serve()
    holder = node.hold()
    weftd = node.start_weftd()
    wait_for(lambda: "waiting" in weftd.log.read_text(), "weftd waits")
    assert node.check().returncode == 0
    holder.send_signal(signal.SIGTERM)
    wait_for(node.is_served, "weftd serves")


@pytest.fixture
def pods(tmp_path):
    """Environments of two pods, which differ in the folder that lives as long as a pod (an emptyDir)."""
    made = [{"WEFT_POD_DIR": str(tmp_path / name)} for name in ("one", "other")]
    for pod in made:
        os.mkdir(pod["WEFT_POD_DIR"])
    return made


def test_a_pod_of_the_mesh_that_met_a_held_node_stays_out_and_a_later_one_does_not(node, pods):
    """The folder outlives the container, which the kubelet restarts."""
    old, later = pods
    node.start_weftd(old)
    wait_for(node.is_served, "weftd serves")
    holder = node.hold()  # weftd has drained and ended
    for attempt in range(2):
        weftd = node.start_weftd(old)
        wait_for(lambda: "waiting" in weftd.log.read_text(), "weftd waits")
        if attempt == 0:
            holder.send_signal(signal.SIGTERM)
            holder.wait(DEADLINE_S)
        weftd.send_signal(signal.SIGTERM)
        assert weftd.wait(DEADLINE_S) == 0 and "serving" not in weftd.log.read_text()
    node.start_weftd(later)
    wait_for(node.is_served, "weftd serves", 5)


def test_a_pod_of_the_next_release_that_meets_the_holder_joins_a_while_after_it(node, pods):
    """helm install right after helm uninstall: the pods that hold the nodes may still live."""
    holder = node.hold()
    weftd = node.start_weftd(pods[0])
    watch = node.start("weft", "cni", "watch", *node.cni_options, environment=pods[0])
    wait_for(lambda: "waiting" in weftd.log.read_text() and "leaving" in watch.log.read_text(), "both wait")
    assert node.check().returncode == 0
    holder.send_signal(signal.SIGTERM)
    holder.wait(DEADLINE_S)
    assert node.check().returncode == 0
    wait_for(lambda: node.is_served() and node.has_plugin(), "both have joined")


def test_a_weftd_that_waits_ends_at_once_when_it_is_told_to(node):
    node.hold()
    weftd = node.start_weftd()
    wait_for(lambda: "waiting" in weftd.log.read_text(), "weftd waits")
    weftd.send_signal(signal.SIGTERM)
    assert weftd.wait(DEADLINE_S) == 0
    assert node.check().returncode == 0


def test_the_plugin_is_put_in_again_when_another_program_undoes_it(node):
    watch = node.start("weft", "cni", "watch", *node.cni_options)
    wait_for(node.has_plugin, "the plugin is in the list")
    assert (node.bin / "weft-cni").stat().st_mode & 0o111
    node.list.write_text(LIST)
    wait_for(node.has_plugin, "the plugin is in the list again")
    wait_for(lambda: "cni_put_in_again list=10-net.conflist" in watch.log.read_text(), "it says so")
    (node.bin / "weft-cni").unlink()
    wait_for((node.bin / "weft-cni").exists, "the program is back")
    watch.send_signal(signal.SIGTERM)
    watch.wait(DEADLINE_S)
    assert node.has_plugin()


def cni_metrics(node):
    page = subprocess.run(["curl", "-s", "--unix-socket", str(node.socket), "http://weft/metrics"],
                          capture_output=True, text=True, check=True).stdout  # fmt: skip
    return {line.split()[0]: int(line.split()[1]) for line in page.splitlines() if line.startswith("weft_cni_")}


def test_every_time_that_the_plugin_was_put_in_again_is_counted(node):
    environment = {"WEFT_CNI_BIN_DIR": str(node.bin), "WEFT_CNI_CONF_DIR": str(node.conf)}
    node.start_weftd(environment)
    wait_for(node.is_served, "weftd serves")
    assert cni_metrics(node) == {"weft_cni_in_place": 0, "weft_cni_reinsertions_total": 0}
    watch = node.start("weft", "cni", "watch", *node.cni_options)
    wait_for(lambda: cni_metrics(node)["weft_cni_in_place"] == 1, "the plugin is in")
    assert cni_metrics(node)["weft_cni_reinsertions_total"] == 0
    node.list.write_text(LIST)
    wait_for(lambda: cni_metrics(node) == {"weft_cni_in_place": 1, "weft_cni_reinsertions_total": 1}, "once")
    watch.kill()
    watch.wait(DEADLINE_S)
    node.list.write_text(LIST)
    assert cni_metrics(node) == {"weft_cni_in_place": 0, "weft_cni_reinsertions_total": 1}
    # A change of our own settings is none of another program's.
    watch = node.start("weft", "cni", "watch", *node.cni_options)
    wait_for(lambda: cni_metrics(node) == {"weft_cni_in_place": 1, "weft_cni_reinsertions_total": 2}, "twice")
    watch.kill()
    watch.wait(DEADLINE_S)
    node.start("weft", "cni", "watch", "--closed", *node.cni_options)
    wait_for(lambda: '"closed"' in node.list.read_text(), "the other policy")
    assert cni_metrics(node)["weft_cni_reinsertions_total"] == 2
    check = node.weft("check", "--json", "--socket", str(node.socket), "--cni-bin-dir", str(node.bin),
                      "--cni-conf-dir", str(node.conf), "--pin-dir", node.pins)  # fmt: skip
    (line,) = [one for one in json.loads(check.stdout)["checks"] if one["name"] == "cni"]
    assert line["found"] == "weft-cni is in 10-net.conflist, where it was put in again 2 times"
    assert node.weft("leave", *node.leave_options).returncode == 0
    assert not os.path.exists(node.root / "run/cni.json")


def test_a_configuration_that_comes_late_gets_the_plugin(node):
    node.list.unlink()
    watch = node.start("weft", "cni", "watch", *node.cni_options)
    wait_for(lambda: "cni_waits" in watch.log.read_text(), "it waits")
    node.list.write_text(LIST)
    wait_for(node.has_plugin, "the plugin is in the list")


def test_the_plugin_is_not_put_back_into_a_node_that_leaves(node):
    watch = node.start("weft", "cni", "watch", *node.cni_options)
    wait_for(node.has_plugin, "the plugin is in the list")
    holder = node.hold()
    wait_for(lambda: "the node is leaving the mesh" in watch.log.read_text(), "the watch sees it")
    assert node.list.read_text() == LIST and node.check().returncode == 0
    holder.kill()
    wait_for(node.has_plugin, "the plugin is in the list again")


def test_check_tells_whether_the_runtime_uses_the_plugin(node):
    def line():
        done = node.weft("check", "--json", "--cni-bin-dir", str(node.bin), "--cni-conf-dir", str(node.conf))
        [found] = [check for check in json.loads(done.stdout)["checks"] if check["name"] == "cni"]
        return found["result"], found["found"]

    assert line() == ("fail", "weft-cni is not in 10-net.conflist, its program is missing")
    node.install_cni()
    assert line() == ("ok", "weft-cni is in 10-net.conflist")
    (node.conf / "05-other.conflist").write_text(LIST)
    assert line() == ("fail", "weft-cni is not in 05-other.conflist")
    assert "cni" not in node.weft("check", "--json").stdout


def test_awaiting_nodes_ends_when_all_are_there(node):
    assert node.weft("leave", "--await", "localhost", "--nodes", "localhost").returncode == 0
    late = node.weft("leave", "--await", "127.0.0.1", "--nodes", "127.0.0.2", "--timeout", "0")
    assert late.returncode == 1 and "127.0.0.2" in late.stderr
    nobody = node.weft("leave", "--await", "127.0.0.1", "--nodes", "nobody.invalid", "--timeout", "0")
    assert nobody.returncode == 1 and "nobody.invalid" in nobody.stderr


@pytest.mark.parametrize("options", [["--await", "x"], ["--nodes", "x"], ["--timeout", "soon"], ["--cni-bin-dir", "/x"],
                                     ["now"]])  # fmt: skip
def test_misuse_is_refused(node, options):
    assert node.weft("leave", *options).returncode == 2
