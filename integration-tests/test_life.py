"""What happens when weftd dies, stops, restarts, drains or learns something new."""

import contextlib
import errno
import json
import os
import signal
import socket
import threading
import time

import pytest

from harness.mesh import Service
from harness.poll import wait_for
from harness.raw import Closed, Connection, Upstream, answer, echo, serve
from harness.weftd import bpftool, is_sanitized

GET = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
# Dials to the server's own address are meshed and end at server2: who answers says which way they went.
WEB = Service("web", ["server2:9301"], at="server:9300", protocol="http")
SLOW_BUILD = 4 if is_sanitized() else 1


@pytest.fixture
def ends(cluster):
    """server answers "direct", server2 "meshed"."""
    with Upstream(cluster.pod("server"), 9300, serve(lambda request: answer("200 OK", b"direct"))):
        with Upstream(cluster.pod("server2"), 9301, serve(lambda request: answer("200 OK", b"meshed"))):
            yield


def fetch(mesh, name="web", seconds=5):
    """What one new connection gets: the answer's text, or the name of the error."""
    try:
        with Connection(mesh.dial(name, seconds=seconds)) as client:
            return client.ask(GET).body.decode()
    except OSError as error:
        return errno.errorcode.get(error.errno, type(error).__name__)
    except Closed:
        return "closed"


class Load:
    """Clients that dial in a loop; keeps (when the dial began, what came of it)."""

    def __init__(self, mesh, clients=4):
        self.mesh = mesh
        self.results = []
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._loop, daemon=True) for _ in range(clients)]

    def _loop(self):
        while not self.stopped.is_set():
            began = time.monotonic()
            self.results.append((began, fetch(self.mesh)))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        wait_for(lambda: len(self.results) > 50, "the load to run")
        return self

    def __exit__(self, *failure):
        self.stopped.set()
        for thread in self.threads:
            thread.join(10)

    def kinds(self, after, until=float("inf")):
        return {what for began, what in self.results if after <= began < until}

    def wait_more(self, count=100):
        have = len(self.results)
        wait_for(lambda: len(self.results) > have + count, "more dials", 20)


def kill_and_let_settle(mesh):
    """SIGKILL; dials of the next 100 ms may be reset, so that time passes here."""
    mesh.weftd.kill()
    time.sleep(0.1)


# ---- death ----


@pytest.mark.parametrize("policy, expected", (("open", {"direct"}), ("closed", {"ECONNREFUSED"})))
def test_sigkill_under_load(daemon, ends, policy, expected):
    mesh = daemon([WEB], pod_options={"client": {"on_proxy_death": policy}})
    with Load(mesh) as load:
        load.wait_more()
        assert load.kinds(0) == {"meshed"}
        killed = time.monotonic()
        mesh.weftd.kill()
        time.sleep(0.3)  # dials of the first 100 ms may be reset
        load.wait_more(200)
    assert load.kinds(killed + 0.1) == expected
    # dials in the moment of death may be reset, never lost in a black hole
    assert "TimeoutError" not in load.kinds(0)


def test_restart_serves_in_a_second_with_its_counters(daemon, ends):
    mesh = daemon([WEB])
    for _ in range(10):
        assert fetch(mesh) == "meshed"
    before = wait_for(
        lambda: (now := mesh.weftd.metrics()).service("weft_requests_total", "web") >= 10 and now, "the count"
    )
    kill_and_let_settle(mesh)
    assert fetch(mesh) == "direct"
    began = time.monotonic()
    mesh.weftd.start()
    took = time.monotonic() - began
    assert fetch(mesh) == "meshed"
    after = mesh.weftd.metrics()
    assert after.service("weft_requests_total", "web") >= before.service("weft_requests_total", "web") + 1
    assert after.captured("client") >= before.captured("client") + 1
    assert after.sum("weft_worker_sessions") <= 1
    assert took < 1.0 * SLOW_BUILD, f"{took:.3f} s"


@pytest.mark.parametrize("policy, expected", (("open", "direct"), ("closed", "ECONNREFUSED")))
def test_a_stopped_weftd_counts_as_dead_after_two_seconds(daemon, ends, policy, expected):
    mesh = daemon([WEB], pod_options={"client": {"on_proxy_death": policy}})
    assert fetch(mesh) == "meshed"
    mesh.weftd.process.send(signal.SIGSTOP)
    stopped = time.monotonic()
    try:
        wait_for(lambda: fetch(mesh, seconds=0.2) == expected, "dials to leave the stopped weftd", 4)
        assert 1.0 < time.monotonic() - stopped < 2.6
        for _ in range(20):
            assert fetch(mesh) == expected
    finally:
        mesh.weftd.process.send(signal.SIGCONT)
    began = time.monotonic()
    wait_for(lambda: fetch(mesh) == "meshed", "dials to come back", 3)
    assert time.monotonic() - began < 1.0 * SLOW_BUILD


def test_a_foreign_listener_never_receives_a_dial(daemon, ends):
    mesh = daemon([WEB])
    assert fetch(mesh) == "meshed"
    dump = json.loads(bpftool("map", "dump", "pinned", f"{mesh.weftd.pin_dir}/weft_pods").stdout)
    ports = {
        socket.ntohs(port)
        for entry in dump
        for listener in entry["formatted"]["value"]["listeners"]
        for port in listener["port4"]
        if port
    }
    assert ports
    mesh.weftd.kill()
    heard, foreign = [], []
    for port in ports:
        with contextlib.suppress(OSError):  # another pod's port
            foreign.append(mesh.client.listen(port, address="127.0.0.1"))
    assert len(foreign) >= len(ports) // max(1, len(dump))
    try:
        time.sleep(0.1)  # dials of the first 100 ms may be reset; the heartbeat stays fresh for two seconds
        for _ in range(30):
            heard.append(fetch(mesh))
        for listener in foreign:
            listener.settimeout(0)
            with pytest.raises(BlockingIOError):
                listener.accept()
    finally:
        for listener in foreign:
            listener.close()
    assert set(heard) == {"direct"}


def test_every_map_can_be_dumped_also_after_death(daemon, ends):
    mesh = daemon([WEB])
    for _ in range(3):
        assert fetch(mesh) == "meshed"
    wait_for(lambda: mesh.weftd.metrics().service("weft_requests_total", "web") >= 3, "the count")
    for is_alive in (True, False):
        maps = {}
        for path in mesh.weftd.pins():
            shown = bpftool("map", "show", "pinned", path)
            if shown.returncode:
                continue
            told = json.loads(shown.stdout)
            # the kernel takes no types for a map of sockets
            assert told.get("btf_id") or told["type"] == "sockhash", f"{path} has no BTF"
            maps[os.path.basename(path)] = path
            if told["type"] != "sk_storage":
                assert bpftool("map", "dump", "pinned", path).returncode == 0, path
        assert {"weft_pods", "weft_destinations", "weft_reasons", "weft_series", "weft_series_labels"} <= set(maps)
        reasons = {
            entry["formatted"]["value"]["name"]: entry["formatted"]["value"]["count"]
            for entry in json.loads(bpftool("map", "dump", "pinned", maps["weft_reasons"]).stdout)
            if entry["formatted"]["value"]["count"]
        }
        assert reasons.get("captured", 0) >= 3, reasons
        if is_alive:
            mesh.weftd.kill()


# ---- the orderly end ----


def test_sigterm_finishes_exchanges_and_closes_idle_connections(cluster, daemon):
    release = threading.Event()

    def script(connection, _number):
        while (request := connection.read_request()) is not None:
            if "/slow" in request.start:
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
                release.wait(20)
                connection.send("done")
            else:
                connection.send(answer("200 OK", b"meshed"))

    with Upstream(cluster.pod("server2"), 9301, script), Upstream(
        cluster.pod("server"), 9300, serve(lambda request: answer("200 OK", b"direct"))
    ):
        mesh = daemon([WEB])
        idle, busy = Connection(mesh.dial("web")), Connection(mesh.dial("web"))
        assert idle.ask(GET).body == b"meshed"
        busy.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        head = busy.read_head()
        mesh.weftd.process.send(signal.SIGTERM)
        assert idle.is_closed(3)
        wait_for(lambda: fetch(mesh) == "direct", "new dials to go direct")
        release.set()
        assert busy.read_body(head).body == b"halfdone"
        assert busy.is_closed(3)
        assert mesh.weftd.process.wait(4) == 0
        idle.socket.close()
        busy.socket.close()


def test_sigterm_cuts_what_overruns_the_drain_limit(cluster, daemon):
    def script(connection, _number):
        connection.read_request()
        connection.read_to_end()

    with Upstream(cluster.pod("server2"), 9301, script):
        cluster.pod("server")
        mesh = daemon([WEB], options={"timeouts": {"drain": "1s"}})
        with Connection(mesh.dial("web")) as client:
            client.send(GET)
            wait_for(lambda: mesh.weftd.metrics().sum("weft_requests_active", endpoint=None) >= 1, "the request")
            began = time.monotonic()
            mesh.weftd.process.send(signal.SIGTERM)
            assert mesh.weftd.process.wait(4) == 0
            assert 0.8 < time.monotonic() - began < 3
            assert client.is_closed()


@pytest.mark.parametrize("policy, expected", (("open", {"direct"}), ("closed", {"ECONNREFUSED"})))
def test_between_two_weftds_dials_go_where_the_pod_says(daemon, ends, policy, expected):
    """An orderly end is no way past a pod that fails closed, and cuts nothing either."""
    mesh = daemon([WEB], pod_options={"client": {"on_proxy_death": policy}})
    with Load(mesh) as load:
        load.wait_more()
        mesh.weftd.process.send(signal.SIGTERM)
        assert mesh.weftd.process.wait(8) == 0
        ended = time.monotonic()
        load.wait_more()
        began = time.monotonic()
        mesh.weftd.start()
        load.wait_more()
    assert load.kinds(ended, began) == expected
    assert load.kinds(0) == {"meshed"} | expected
    assert load.results[-1][1] == "meshed"


def test_drain_by_the_admin_socket(daemon, ends):
    """The node is to leave the mesh: nothing is refused."""
    mesh = daemon([WEB], pod_options={"client": {"on_proxy_death": "closed"}})
    assert fetch(mesh) == "meshed"
    status, _ = mesh.weftd.admin("/drain", method="POST")
    assert status in (200, 202, 204)
    wait_for(lambda: fetch(mesh) == "direct", "new dials to go direct")


# ---- learning ----


def changed(mesh, **service):
    """The config with another service beside the first."""
    config = mesh.config()
    extra = {**config["services"][0], "name": "extra", "addresses": ["10.96.9.9"], **service}
    config["services"].append(extra)
    return config


def fetch_extra(mesh):
    with mesh.client.new_socket() as dialler:
        dialler.settimeout(2)
        try:
            dialler.connect(("10.96.9.9", 9300))
            return Connection(dialler).ask(GET).body.decode()
        except OSError as error:
            return type(error).__name__


@pytest.mark.parametrize("how", ("SIGHUP", "file", "symlink"))
def test_a_reload_makes_a_new_service_usable(daemon, ends, how, tmp_path):
    mesh = daemon([WEB])
    weftd = mesh.weftd
    if how == "symlink":  # as Kubernetes mounts a ConfigMap: weft.yaml -> ..data/weft.yaml, ..data -> ..1
        weftd.process.stop()
        folder = f"{weftd.directory}/mounted"
        os.makedirs(f"{folder}/..1")
        os.makedirs(f"{folder}/..2")
        os.rename(weftd.config_path, f"{folder}/..1/weft.yaml")
        os.symlink("..1", f"{folder}/..data")
        os.symlink("..data/weft.yaml", f"{folder}/weft.yaml")
        weftd.config_path = f"{folder}/weft.yaml"
        weftd.start()
    assert fetch(mesh) == "meshed"
    assert fetch_extra(mesh) != "meshed"
    if how == "symlink":
        weftd.config_path = f"{folder}/..2/weft.yaml"
        weftd.write_config(changed(mesh))
        os.symlink("..2", f"{folder}/..data.new")
        os.rename(f"{folder}/..data.new", f"{folder}/..data")
        weftd.config_path = f"{folder}/weft.yaml"
    else:
        weftd.write_config(changed(mesh))
        if how == "SIGHUP":
            weftd.process.send(signal.SIGHUP)
    wait_for(lambda: "extra" in weftd.service_names(), "the new service", 5)
    wait_for(lambda: fetch_extra(mesh) == "meshed", "the new service to answer", 3)
    assert fetch(mesh) == "meshed"


@pytest.mark.parametrize(
    "text, complaint",
    (
        ("services: [\n", "weft.yaml:"),
        ("workers: 1\nwrokers: 2\n", "wrokers"),
        ("workers: 1\nworkers: 2\n", "workers"),
        ("services:\n  - name: x\n    addresses: [10.96.0.300]\n    ports: [80]\n", "addresses"),
    ),
    ids=("syntax", "unknown key", "duplicate key", "bad value"),
)
def test_a_bad_file_changes_nothing_and_is_shown(daemon, ends, text, complaint):
    mesh = daemon([WEB])
    before = mesh.weftd.service_names()
    mesh.weftd.write_text(text)
    mesh.weftd.process.send(signal.SIGHUP)
    wait_for(lambda: complaint in mesh.weftd.log(), f"{complaint!r} in the log", 5)
    assert complaint in mesh.weftd.admin("/config.json")[1]
    assert mesh.weftd.service_names() == before
    assert fetch(mesh) == "meshed"
    assert mesh.weftd.admin("/ready")[0] == 200


def test_un_enrolment_while_connections_live(daemon, cluster):
    service = Service("echo", ["server2:9303"], at="server:9302", protocol="opaque")
    with Upstream(cluster.pod("server2"), 9303, echo), Upstream(cluster.pod("server"), 9302, echo):
        mesh = daemon([service])
        with Connection(mesh.dial("echo")) as live:
            live.send("before")
            assert live.read(6) == b"before"
            config = mesh.config()
            config["pods"] = [pod for pod in config["pods"] if pod["name"] != "client"]
            mesh.weftd.reload(config, until=lambda: '"client"' not in mesh.weftd.admin("/pods.json")[1]
                              or "draining" in mesh.weftd.admin("/pods.json")[1])  # fmt: skip
            captured = mesh.weftd.metrics().captured("client")
            live.send("after")
            assert live.read(5) == b"after"
            with Connection(mesh.dial("echo")) as fresh:
                fresh.send("direct")
                assert fresh.read(6) == b"direct"
            assert mesh.weftd.metrics().captured("client") in (captured, 0)
            config = mesh.config()
            mesh.weftd.reload(config)
            wait_for(lambda: '"client"' in mesh.weftd.admin("/pods.json")[1], "the pod to be back")


def test_a_node_that_serves_stays_ready_while_a_pod_waits_for_the_one_before_it(daemon, cluster):
    service = Service("echo", ["server2:9303"], at="server:9302", protocol="opaque")

    def state():
        states = [pod["state"] for pod in mesh.weftd.json("/pods.json") if pod["name"] == "client"]
        return states[-1] if states else None

    with Upstream(cluster.pod("server2"), 9303, echo):
        mesh = daemon([service])
        with Connection(mesh.dial("echo")) as live:
            live.send("before")
            assert live.read(6) == b"before"
            without = mesh.config()
            without["pods"] = [pod for pod in without["pods"] if pod["name"] != "client"]
            mesh.weftd.reload(without, until=lambda: state() == "draining")
            mesh.weftd.reload(mesh.config(), until=lambda: state() == "opening")
            assert mesh.weftd.admin("/ready") == (200, "ready\n")
            assert state() == "opening"
        wait_for(lambda: state() == "captured", "the pod to be back")


def test_changing_endpoints_and_enrolment_under_load_loses_nothing(daemon, ends, cluster):
    with Upstream(cluster.pod("server"), 9303, serve(lambda request: answer("200 OK", b"other"))):
        mesh = daemon([WEB])
        other, outside = mesh.config(), mesh.config()
        other["services"][0]["endpoints"] = [{"address": f"{cluster.pod('server').address}:9303"}]
        outside["pods"] = [pod for pod in outside["pods"] if pod["name"] != "client"]
        with Load(mesh) as load:
            for config, wanted in ((other, "other"), (mesh.config(), "meshed"), (outside, "direct")) * 4:
                mesh.weftd.reload(config, until=lambda w=wanted: fetch(mesh) == w)
        assert load.kinds(0) == {"meshed", "other", "direct"}


def test_older_connections_keep_working_and_are_listed(cluster, daemon):
    service = Service("echo", ["server2:9303"], at="server:9302", protocol="opaque")
    with Upstream(cluster.pod("server2"), 9303, echo), Upstream(cluster.pod("server"), 9302, echo):
        cluster.pod("client")
        with cluster.pod("client").new_socket() as old:
            old.settimeout(5)
            old.connect((cluster.pod("server").address, 9302))
            local = "%s:%d" % old.getsockname()
            mesh = daemon([service])
            old.sendall(b"still here")
            assert old.recv(100) == b"still here"
            assert local in mesh.weftd.admin("/pods.json")[1]
            told = json.loads(mesh.weftd.cli("pods", "-o", "json").stdout)
            assert local in json.dumps(told)
        wait_for(lambda: local not in mesh.weftd.admin("/pods.json")[1], "the closed connection to leave the list")


# ---- many ----


def test_two_pods_with_equal_ports_never_mix_bytes(cluster, daemon):
    """Both clients dial from the same source port, so that every address and port is the same in both namespaces."""

    with Upstream(cluster.pod("server"), 9302, echo):
        mesh = daemon([Service("echo", ["server:9302"], protocol="opaque")], clients=("client", "client2"))
        for _ in range(20):
            clients = []
            for name in ("client", "client2"):
                pod = mesh.pod(name)
                dialler = pod.new_socket()
                dialler.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                dialler.settimeout(5)
                dialler.bind(("0.0.0.0", 21000))
                dialler.connect(mesh.address("echo"))
                clients.append((Connection(dialler), name.encode() * 1000))
            for _ in range(3):
                for client, text in clients:
                    client.send(text)
                for client, text in clients:
                    assert client.read(len(text)) == text
            for client, _ in clients:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                client.socket.close()


def test_a_flood_of_dials_that_say_nothing_leaves_nothing(cluster, daemon):
    with Upstream(cluster.pod("server"), 9302, lambda connection, number: connection.read_to_end()):
        mesh = daemon([Service("tcp", ["server:9302"]), Service("http", ["server:9302"], port=81, protocol="http")])
        address = {name: mesh.address(name) for name in mesh.services}
        for round_ in range(400):
            for name in mesh.services:
                dialler = mesh.client.new_socket()
                dialler.settimeout(5)
                dialler.connect(address[name])
                if round_ % 2:
                    dialler.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                dialler.close()
        assert mesh.weftd.metrics().captured("client") == 800
        wait_for(lambda: mesh.weftd.metrics().sum("weft_worker_sessions") == 0, "all sessions to end")
        wait_for(lambda: mesh.weftd.metrics().sum("weft_worker_upstreams") == 0, "all upstreams to end")
        flows = f"{mesh.weftd.pin_dir}/weft_flows"
        wait_for(lambda: not json.loads(bpftool("map", "dump", "pinned", flows).stdout), "all flows to be taken")


def test_running_out_of_descriptors_costs_newcomers_only(cluster, daemon):
    """And weftd waits for better times instead of trying for ever; its admin answers meanwhile."""
    with Upstream(cluster.pod("server"), 9302, serve(lambda request: answer("200 OK", b"ok"))):
        mesh = daemon([Service("web", ["server:9302"], protocol="http")], options={"workers": 1})
        weftd = mesh.weftd
        limit = len(os.listdir(f"/proc/{weftd.process.pid}/fd")) + 40
        weftd.process.stop()
        weftd.start(prefix=["prlimit", f"--nofile={limit}:{limit}"])
        clients = []
        for _ in range(100):
            with contextlib.suppress(OSError):
                clients.append(Connection(mesh.dial("web", seconds=0.05)))
        wait_for(lambda: "-24" in weftd.log() or "Too many open files" in weftd.log(), "weftd to say so")
        began = cpu_seconds(weftd.process.pid)
        time.sleep(1)
        assert cpu_seconds(weftd.process.pid) - began < 0.3
        for _ in range(5):
            assert weftd.admin("/live")[0] == 200
            assert weftd.metrics().sum("weft_worker_sessions") > 0
            assert "web" in weftd.cli("stat").stdout
        for client in clients:
            client.socket.close()
        wait_for(lambda: fetch(mesh) == "ok", "weftd to serve again")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_bytes_are_counted_exactly(cluster, daemon):
    def script(connection, _number):
        connection.read(12345)
        connection.send(bytes(54321))

    with Upstream(cluster.pod("server"), 9302, script):
        mesh = daemon([Service("tcp", ["server:9302"], protocol="opaque")])
        with Connection(mesh.dial("tcp")) as client:
            client.send(bytes(12345))
            assert len(client.read_to_end()) == 54321
        wait_for(lambda: mesh.weftd.metrics().service("weft_connections_closed_total", "tcp") == 1, "the end")
        now = mesh.weftd.metrics()
        for labels in ({"endpoint": None}, {"endpoint": mesh.endpoint("tcp")}):
            assert now.sum("weft_sent_bytes_total", service="tcp", **labels) == 12345
            assert now.sum("weft_received_bytes_total", service="tcp", **labels) == 54321
            assert now.sum("weft_tunnels_opened_total", service="tcp", **labels) == 1
            assert now.sum("weft_tunnels_closed_total", service="tcp", **labels) == 1


def test_requests_are_counted_by_class_and_time(cluster, daemon):
    def respond(request):
        time.sleep(0.12 if "slow" in request.start else 0)
        return answer(request.start.split("/")[1][:3] + " X", b"")

    with Upstream(cluster.pod("server"), 9302, serve(respond)):
        mesh = daemon([Service("web", ["server:9302"], protocol="http")])
        with Connection(mesh.dial("web")) as client:
            for path in ("200", "200", "201", "302", "404", "500", "503", "200slow", "200slow", "200slow"):
                client.ask(f"GET /{path}/ HTTP/1.1\r\nHost: h\r\n\r\n")
        now = wait_for(
            lambda: (now := mesh.weftd.metrics()).service("weft_requests_total", "web") == 10 and now, "the count"
        )
        for labels in ({"endpoint": None}, {"endpoint": mesh.endpoint("web")}):
            classes = {
                digit: now.sum("weft_responses_total", service="web", **{"class": f"{digit}xx"}, **labels)
                for digit in "2345"
            }
            assert classes == {"2": 6, "3": 1, "4": 1, "5": 2}
        name = "weft_request_duration_seconds"
        assert now.service(f"{name}_count", "web") == 10
        assert 0.36 <= now.service(f"{name}_sum", "web") < 2
        buckets = {
            float(labels["le"]): value
            for sample, labels, value in now.samples
            if sample == f"{name}_bucket" and labels["service"] == "web" and "endpoint" not in labels
        }
        values = [buckets[bound] for bound in sorted(buckets)]
        assert values == sorted(values)
        assert buckets[float("inf")] == 10
        assert buckets[0.1] == 7
        assert now.service("weft_proxy_errors_total", "web") == 0


# ---- endpoints ----


def test_an_unreachable_endpoint_is_502_with_the_reason(cluster, daemon):
    mesh = daemon([Service("dead", ["server:9309"], protocol="http")])
    with Connection(mesh.dial("dead")) as client:
        got = client.ask(GET)
        assert got.status == 502
        assert got.get("l5d-err")
        text = got.body.decode()
        assert "dead" in text
        assert mesh.endpoint("dead") in text
        assert "refused" in text.lower()
        assert client.ask(GET).status == 502  # and the client's connection lives on
    now = mesh.weftd.metrics()
    assert now.service("weft_proxy_errors_total", "dead") >= 2
    assert now.sum("weft_connect_failures_total", service="dead", endpoint=mesh.endpoint("dead")) >= 2


def test_an_endpoint_that_never_answers_costs_a_second_and_another_is_taken(cluster, daemon):
    with Upstream(cluster.pod("server2"), 9301, serve(lambda request: answer("200 OK", b"alive"))):
        mesh = daemon(
            [Service("half", ["10.77.0.250:9301", "server2:9301"], protocol="http", balancer="round_robin")]
        )
        took = []
        for _ in range(4):
            began = time.monotonic()
            with Connection(mesh.dial("half")) as client:
                assert client.ask(GET).body == b"alive"
            took.append(time.monotonic() - began)
        assert max(took) < 1.8
        assert max(took) > 0.8 or mesh.weftd.metrics().sum("weft_connect_failures_total", service="half") == 0


def test_a_tunnel_to_a_dead_endpoint_is_reset(daemon):
    mesh = daemon([Service("dead", ["server:9309"], protocol="opaque")])
    with pytest.raises((ConnectionResetError, ConnectionRefusedError)):
        with mesh.dial("dead") as client:
            client.sendall(b"hello")
            assert client.recv(1) == b""


def test_no_endpoint_left_is_503_on_an_open_connection_and_refused_on_a_new_one(daemon, ends):
    mesh = daemon([WEB], pod_options={})
    with Connection(mesh.dial("web")) as client:
        assert client.ask(GET).body == b"meshed"
        config = mesh.config()
        config["services"][0]["endpoints"] = []
        before = mesh.weftd.metrics().decision("refused_no_endpoint", "client")
        mesh.weftd.reload(config, until=lambda: fetch(mesh) == "ECONNREFUSED")
        got = client.ask(GET)
        assert got.status == 503
        assert got.get("l5d-err")
        assert "web" in got.body.decode()
        assert mesh.weftd.metrics().decision("refused_no_endpoint", "client") > before
        mesh.weftd.reload(mesh.config(), until=lambda: fetch(mesh) == "meshed")
        assert client.ask(GET).body == b"meshed"


def test_a_service_without_endpoints_refuses_the_dial_itself(daemon):
    mesh = daemon([Service("empty", [], port=9304), Service("empty6", [], port=9305)])
    for family, name in ((4, "empty"), (6, "empty6")):
        began = time.monotonic()
        with pytest.raises(ConnectionRefusedError):
            mesh.dial(name, family)
        assert time.monotonic() - began < 0.2
    done = mesh.client.run(["curl", "-sS", "http://empty:9304/"], check=False)
    assert done.returncode == 7


# ---- what is captured, and what not ----


@pytest.mark.parametrize(
    "options, reason",
    (
        ({"skip_outbound_ports": [9300]}, "pass_excluded_port"),
        ({"skip_outbound_cidrs": ["10.77.0.0/24"]}, "pass_excluded_cidr"),
    ),
    ids=("port", "cidr"),
)
def test_excluded_destinations_go_direct(daemon, ends, options, reason):
    mesh = daemon([WEB], pod_options={"client": options})
    for _ in range(3):
        assert fetch(mesh) == "direct"
    assert mesh.weftd.metrics().decision(reason, "client") >= 3
    assert mesh.weftd.metrics().captured("client") == 0


def test_a_pod_that_is_not_enrolled_is_untouched(daemon, ends):
    mesh = daemon([WEB], only=("server",))
    assert fetch(mesh) == "direct"
    assert mesh.weftd.metrics().captured() == 0


def test_capture_all_takes_every_dial(cluster, daemon):
    with Upstream(cluster.pod("server2"), 9306, serve(lambda request: answer("200 OK", b"undeclared"))):
        mesh = daemon([], pod_options={"client": {"capture": "all"}})
        address = f"{cluster.pod('server2').address}:9306"
        before = mesh.weftd.metrics().captured("client")
        done = mesh.client.run(["curl", "-sSf", f"http://{address}/"])
        assert done.stdout == "undeclared"
        now = mesh.weftd.metrics()
        assert now.captured("client") == before + 1
        wait_for(lambda: mesh.weftd.metrics().service("weft_requests_total", address) == 1, "the destination's count")


def test_capture_all_of_a_dead_port_ends_as_an_error(cluster, daemon):
    """The dial itself succeeds, since weft accepts it; the refusal arrives as a reset."""
    mesh = daemon([], pod_options={"client": {"capture": "all"}})
    with mesh.client.new_socket() as client:
        client.settimeout(5)
        with pytest.raises((ConnectionResetError, ConnectionRefusedError)):
            client.connect((cluster.pod("server").address, 9308))
            assert client.recv(1) == b""
            raise AssertionError("a refused dial looked like an orderly end")


def test_sockets_that_cannot_be_redirected_pass(cluster, daemon):
    def echo(connection, _number):
        connection.send(connection.read_to_end())

    with Upstream(cluster.pod("server"), 9302, echo):
        mesh = daemon([], pod_options={"client": {"capture": "all"}})
        address = (cluster.pod("server").address, 9302)
        cases = {
            "pass_mptcp": mesh.client.new_socket(protocol=262),
            "pass_device_bound": mesh.client.new_socket(),
        }
        cases["pass_device_bound"].setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        for reason, client in cases.items():
            with client:
                client.settimeout(5)
                client.connect(address)
                assert client.getpeername() == address
                client.sendall(b"x")
                client.shutdown(socket.SHUT_WR)
                assert client.recv(10) == b"x"
            assert mesh.weftd.metrics().decision(reason, "client") == 1, reason


def test_udp_is_counted_as_passed(cluster, daemon):
    mesh = daemon([], pod_options={"client": {"capture": "all"}})
    with cluster.pod("server").new_socket(kind=socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", 9307))
        server.settimeout(5)
        with mesh.client.new_socket(kind=socket.SOCK_DGRAM) as client:
            client.connect((cluster.pod("server").address, 9307))
            client.send(b"datagram")
            assert server.recv(100) == b"datagram"
    assert mesh.weftd.metrics().decision("pass_udp", "client") == 1


# ---- the admin interface ----


def test_the_tcp_admin_is_read_only(daemon, ends):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mesh = daemon([WEB], options={"admin": {"address": f"127.0.0.1:{port}"}})
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        client = Connection(sock)
        for path in ("/metrics", "/ready", "/live", "/config.json", "/services.json", "/pods.json",
                     "/connections.json", "/stat.json", "/routes.json"):  # fmt: skip
            got = client.ask(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")
            assert got.status == 200, (path, got)
            if path.endswith(".json"):
                json.loads(got.body)
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        got = Connection(sock).ask("POST /drain HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        assert got.status in (403, 404, 405)
    assert fetch(mesh) == "meshed"


def test_the_command_line_shows_the_mesh(daemon, ends):
    mesh = daemon([WEB])
    for _ in range(5):
        assert fetch(mesh) == "meshed"
    wait_for(lambda: mesh.weftd.metrics().service("weft_requests_total", "web") >= 5, "the count")
    assert "web" in mesh.weftd.cli("stat").stdout
    assert "100" in mesh.weftd.cli("stat").stdout
    assert "client" in mesh.weftd.cli("pods").stdout
    assert "web" in mesh.weftd.cli("services").stdout
    assert mesh.endpoint("web") in mesh.weftd.cli("endpoints").stdout
    assert f"{mesh.virtual('web')}:9300" in mesh.weftd.cli("routes").stdout
    for command in ("stat", "pods", "services", "endpoints", "routes"):
        json.loads(mesh.weftd.cli(command, "-o", "json").stdout)
    with Connection(mesh.dial("web")) as client:
        client.ask(GET)
        connections = mesh.weftd.json("/connections.json")
        assert "web" in json.dumps(connections)
