"""The real weft-cni, run as a container runtime runs it, with a weftd of Python behind the socket."""

import concurrent.futures
import contextlib
import json
import os
import socketserver
import subprocess
import threading
import time

import pytest
from conftest import ROOT

VERSIONS = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]
PLUGIN = os.path.join(os.environ.get("WEFT_BUILD", os.path.join(ROOT, "build")), "weft-cni")
NETNS = "/run/netns/weft-test-none"
PATIENCE_S = 2  # of the plugin
DEADLINE_S = 20  # of a test
CAPTURED = b'HTTP/1.1 200 OK\r\nContent-Length: 22\r\nConnection: close\r\n\r\n{"verdict":"captured"}'
NOT_MESHED = CAPTURED.replace(b"captured", b"not_meshed").replace(b"22", b"24")
UNKNOWN = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class FakeWeftd(socketserver.ThreadingUnixStreamServer):
    """Gives its answers in turn, the last one for ever; an answer is bytes, or a function of the connection."""

    daemon_threads = True

    def __init__(self, path, answers):
        self.answers, self.asked = list(answers), []
        self.closing = threading.Event()
        super().__init__(path, Handler)


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        line = self.rfile.readline().decode()
        head = {}
        while header := self.rfile.readline().strip():
            name, _, value = header.decode().partition(": ")
            head[name.lower()] = value
        body = self.rfile.read(int(head["content-length"]))
        self.server.asked.append((line.split()[1], json.loads(body)))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        with contextlib.suppress(BrokenPipeError):
            answer(self) if callable(answer) else self.wfile.write(answer)


def silence(handler):
    """Takes the request and says nothing until the test is over."""
    handler.server.closing.wait(DEADLINE_S)


def drip(handler):
    """An answer without end, byte by byte."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while not handler.server.closing.wait(0.05):
            handler.wfile.write(b"H")
            handler.wfile.flush()


class Plugin:
    """plugin(command, …) runs weft-cni."""

    def __init__(self, folder):
        self.folder, self.pending = folder, folder / "run/pending"

    def __call__(self, command, version="1.0.0", policy="open", namespace="shop", container="0a1b", config=None,
                 netns=NETNS, **more):  # fmt: skip
        given = {"cniVersion": version, "name": "net", "type": "weft-cni", "socket": str(self.folder / "weftd.sock"),
                 "pendingDir": str(self.pending), "onProxyDeath": policy, **more}  # fmt: skip
        if command in ("ADD", "CHECK", "DEL"):
            given.setdefault("prevResult", result(version))
        environment = {"CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_NETNS": str(netns),
                       "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/cni/bin"}  # fmt: skip
        if namespace:
            environment["CNI_ARGS"] = f"IgnoreUnknown=1;K8S_POD_NAMESPACE={namespace};K8S_POD_NAME=web-1;K8S_POD_UID=u-1"
        return subprocess.run([PLUGIN], input=json.dumps(given) if config is None else config, env=environment,
                              capture_output=True, text=True, check=False, timeout=DEADLINE_S)  # fmt: skip


class Scene:
    """A folder, the plugin there, and weftds behind the socket that it uses."""

    def __init__(self, folder):
        self.folder, self.plugin = folder, Plugin(folder)
        self.running = []

    def weftd(self, *answers):
        """Starts one."""
        server = FakeWeftd(str(self.folder / "weftd.sock"), answers)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        self.running.append((server, thread))
        return server

    def close(self):
        for server, thread in self.running:
            server.closing.set()
            server.shutdown()
            server.server_close()
            thread.join(DEADLINE_S)


@pytest.fixture
def scene(tmp_path):
    made = Scene(tmp_path)
    yield made
    made.close()


@pytest.fixture
def weftd(scene):
    return scene.weftd


@pytest.fixture
def plugin(scene):
    return scene.plugin


def result(version):
    """What a plugin before ours said, with things that ours need not know."""
    ip = {"address": "10.244.1.5/24", "gateway": "10.244.1.1", "interface": 0}
    if version.startswith("0."):
        ip["version"] = "4"
    return {"cniVersion": version, "interfaces": [{"name": "eth0", "mac": "aa:bb:cc:dd:ee:ff"}], "ips": [ip],
            "routes": [{"dst": "0.0.0.0/0"}], "dns": {}, "x": [1.50, "ä\\n", None]}  # fmt: skip


def assert_started(done, version="1.0.0"):
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == result(version)


def assert_refused(done, code, version="1.0.0"):
    assert done.returncode != 0
    said = json.loads(done.stdout)
    assert (said["cniVersion"], said["code"]) == (version, code) and said["msg"]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_add_hands_over_the_pod_and_returns_the_result_unchanged(weftd, plugin, version):
    server = weftd(CAPTURED)
    assert_started(plugin("ADD", version), version)
    assert server.asked == [("/cni/add", {
        "container_id": "0a1b", "netns": NETNS, "interface": "eth0", "namespace": "shop",
        "pod": "web-1", "pod_uid": "u-1", "addresses": ["10.244.1.5"]})]  # fmt: skip
    assert not plugin.pending.exists()


def test_the_path_of_the_namespace_has_no_links(weftd, plugin, tmp_path):
    """weftd finds it below the node's root, where a link would lead it back into its own container."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real/cni-1").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    server = weftd(CAPTURED)
    assert_started(plugin("ADD", netns=tmp_path / "link/cni-1"))
    assert server.asked[0][1]["netns"] == str(tmp_path / "real/cni-1")


def test_the_result_is_returned_byte_by_byte(weftd, plugin):
    weftd(NOT_MESHED)
    before = '{ "cniVersion":"1.0.0", "ips":[] , "n":1.10e2,"s":"\\u0041" }'
    done = plugin("ADD", config='{"cniVersion":"1.0.0","name":"n","type":"weft-cni","socket":"%s","prevResult":%s}'
                  % (plugin.pending.parent.parent / "weftd.sock", before))  # fmt: skip
    assert (done.returncode, done.stdout) == (0, before)


def test_a_pod_that_is_not_meshed_starts(weftd, plugin):
    weftd(NOT_MESHED)
    assert_started(plugin("ADD"))
    assert not plugin.pending.exists()


def test_a_weftd_that_cannot_tell_yet_is_asked_again(weftd, plugin):
    server = weftd(UNKNOWN, b"", b"nonsense", CAPTURED)
    assert_started(plugin("ADD"))
    assert [path for path, _ in server.asked] == ["/cni/add"] * 4
    assert not plugin.pending.exists()


def test_a_weftd_that_starts_meanwhile_is_found(weftd, plugin):
    late = threading.Timer(0.5, weftd, [CAPTURED])
    late.start()
    assert_started(plugin("ADD"))
    late.join()
    assert not plugin.pending.exists()


SILENT = {"silent": silence, "slow": drip, "garbage": b"\x00\xff" * 10, "cut": CAPTURED[:-1], "unknowing": UNKNOWN,
          "huge": CAPTURED[:-1] + b" " * 100000}  # fmt: skip


class Run:
    """One run of the plugin that takes all of its patience, with a weftd that answers so; how: one of SILENT, or None for
    no weftd."""

    def __init__(self, folder, command, how, policy="open", has_folder=True):
        self.scene, self.command, self.policy = Scene(folder), command, policy
        self.server = self.scene.weftd(SILENT[how]) if how else None
        if not has_folder:
            self.scene.plugin.pending.parent.write_text("a file where a folder should be")

    def __call__(self):
        began = time.monotonic()
        self.done = self.scene.plugin(self.command, policy=self.policy)
        self.took = time.monotonic() - began


PATIENT = {
    **{("ADD", how): ("ADD", how) for how in (None, *SILENT)},
    **{("DEL", how): ("DEL", how) for how in (None, *SILENT)},
    "closed": ("ADD", "silent", "closed"),
    "no folder": ("ADD", None, "open", False),
    "before a DEL": ("ADD", None),
}


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """{name in PATIENT: its Run}; they wait at the same time."""
    runs = {name: Run(tmp_path_factory.mktemp("patient"), *options) for name, options in PATIENT.items()}
    threads = [threading.Thread(target=run) for run in runs.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    yield runs
    for run in runs.values():
        run.scene.close()


@pytest.mark.parametrize("how", SILENT)
def test_a_pod_starts_without_an_answer_and_is_filed(patient, how):
    run = patient["ADD", how]
    assert_started(run.done)
    assert PATIENCE_S <= run.took < PATIENCE_S + 2
    [file] = run.scene.plugin.pending.iterdir()
    assert file.name == "0a1b.json" and json.loads(file.read_text()) == run.server.asked[0][1]
    assert "shop/web-1 starts unmeshed" in run.done.stderr


def test_a_pod_starts_without_a_weftd_and_is_filed(patient):
    run = patient["ADD", None]
    assert_started(run.done)
    [file] = run.scene.plugin.pending.iterdir()
    assert json.loads(file.read_text())["pod"] == "web-1"


def test_a_pod_starts_though_it_cannot_be_filed(patient):
    run = patient["no folder"]
    assert_started(run.done)
    assert "cannot be filed" in run.done.stderr


def test_where_nodes_are_closed_the_runtime_must_try_again(patient):
    run = patient["closed"]
    assert_refused(run.done, 11)
    assert not run.scene.plugin.pending.exists()


def test_where_nodes_are_closed_a_verdict_still_starts_the_pod(weftd, plugin):
    weftd(NOT_MESHED)
    assert_started(plugin("ADD", policy="closed"))


@pytest.mark.parametrize("namespace", ["kube-system", None])
@pytest.mark.parametrize("policy", ["open", "closed"])
def test_the_cluster_itself_and_what_is_no_pod_are_never_asked_about(weftd, plugin, namespace, policy):
    server = weftd(silence)
    began = time.monotonic()
    assert_started(plugin("ADD", policy=policy, namespace=namespace))
    assert plugin("DEL", policy=policy, namespace=namespace).returncode == 0
    assert server.asked == [] and time.monotonic() - began < PATIENCE_S
    assert not plugin.pending.exists()


def test_a_del_tells_weftd_and_forgets_the_pending_file(patient):
    scene = patient["before a DEL"].scene
    server = scene.weftd(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    assert list(scene.plugin.pending.iterdir()) != []
    done = scene.plugin("DEL")
    assert (done.returncode, done.stdout) == (0, "")
    assert [(path, body["container_id"]) for path, body in server.asked] == [("/cni/del", "0a1b")]
    assert list(scene.plugin.pending.iterdir()) == []


@pytest.mark.parametrize("how", [None, *SILENT])
def test_a_del_never_fails(patient, how):
    done = patient["DEL", how].done
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("config", ["", "{", "[]", '{"cniVersion":"9.9.9"}'])
def test_a_del_that_makes_no_sense_does_not_fail_either(plugin, config):
    assert plugin("DEL", config=config).returncode == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_a_check_is_well(plugin, version):
    done = plugin("CHECK", version)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_status_is_well(plugin):
    done = plugin("STATUS", "1.1.0")
    assert (done.returncode, done.stdout) == (0, "")


def test_garbage_collection_forgets_sandboxes_that_are_gone(plugin):
    with concurrent.futures.ThreadPoolExecutor() as at_once:
        for done in at_once.map(lambda container: plugin("ADD", container=container), ("gone", "here")):
            assert_started(done)
    done = plugin("GC", "1.1.0", **{"cni.dev/valid-attachments": [{"containerID": "here", "ifname": "eth0"}]})
    assert done.returncode == 0
    assert [file.name for file in plugin.pending.iterdir()] == ["here.json"]


@pytest.mark.parametrize("version", VERSIONS)
def test_version_lists_what_is_spoken(plugin, version):
    said = json.loads(plugin("VERSION", version).stdout)
    assert said == {"cniVersion": version, "supportedVersions": VERSIONS}


@pytest.mark.parametrize("config, code", [("", 6), ("{", 6), ("[1]", 6), ('{"cniVersion":"0.2.0"}', 1),
                                          ('{"cniVersion":"1.0.0"}', 7)])  # fmt: skip
def test_an_add_that_makes_no_sense_is_refused_with_the_code_of_the_specification(plugin, config, code):
    version = "0.2.0" if "0.2.0" in config else "1.0.0"
    assert_refused(plugin("ADD", config=config), code, version)


@pytest.mark.parametrize("container", ["", "../../etc/x", "a/b"])
def test_a_container_id_that_is_no_name_is_refused(plugin, container):
    assert_refused(plugin("ADD", container=container), 4)


def test_an_unknown_command_is_refused(plugin):
    assert_refused(plugin("DANCE"), 4)


def test_it_needs_no_library():
    headers = subprocess.run(["readelf", "-lW", os.path.join(ROOT, "build/weft-cni")], capture_output=True, text=True, check=True).stdout
    assert " LOAD " in headers and " INTERP " not in headers
