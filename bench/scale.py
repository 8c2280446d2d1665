#!/usr/bin/python3
"""make bench-scale: weftd on a node of a large cluster that never rests. README.md says how to read
it."""

import argparse
import collections
import contextlib
import ctypes
import http.client
import http.server
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "bench"), os.path.join(ROOT, "integration-tests")]

import kube_double  # noqa: E402
import measure  # noqa: E402
from lab import CLONE_NEWNET, ORIGIN_ADDRESS, Child, Lab, libc  # noqa: E402
from run import Case, machine, write_json  # noqa: E402
from subjects import ORIGIN_PORT, WeftTcp  # noqa: E402

LOAD_CORE, WEFT_CORE = 0, 1
WEB, PROBE = "10.96.0.10", "10.96.0.20"  # services
ANSWERERS = ("10.99.0.3", "10.99.0.4")  # endpoints of PROBE, one at a time
CASE = Case("h1-64b-c8", 64, 8)
PERCENTILES = ("p98_us", "p99_us", "p999_us")

WEFT = """
workers: 1
admin: {{address: "", socket: {socket}}}
bpf: {{pin_dir: {pins}, cgroup_root: "{cgroup}"}}
kubernetes: {{enabled: true, api: "{api}", node: n1}}
pods:
  - name: client
    netns: {netns}
"""


class WeftOnANode(WeftTcp):
    """Its services come from the API server's double, which listens in the same namespace."""

    def __init__(self, lab, api):
        super().__init__(lab)
        self.api = api

    def target(self):
        return WEB, 80

    def start(self, core):
        text = WEFT.format(socket=self.lab.socket(self.name), pins=self.lab.pin_dir(self.name),
                           cgroup=self.cgroup, api=self.api.url, netns=self.lab.netns_path)
        self.run([self.lab.weftd, "--config", self.write("weft.yaml", text)], core, in_netns=True,
                 cgroup=self.cgroup)


class Answerer(http.server.BaseHTTPRequestHandler):
    """Says at which address it was asked."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):  # noqa: N802
        who = self.request.getsockname()[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(who)))
        self.end_headers()
        self.wfile.write(who)

    def log_message(self, *_):
        pass


def answer_at(address):
    server = http.server.ThreadingHTTPServer((address, ORIGIN_PORT), Answerer)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def switch_netns(path):
    with open(path, "rb") as netns:
        if libc.setns(netns.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def inside(lab):
    """This process too, with the double, until the lab is cleaned of whoever is inside."""
    for address in ANSWERERS:
        subprocess.run(["ip", "-n", lab.name, "addr", "add", f"{address}/32", "dev", "lo"],
                       check=True)
    with open("/proc/self/ns/net", "rb") as outside:
        switch_netns(lab.netns_path)
        try:
            yield
        finally:
            switch_netns(f"/proc/self/fd/{outside.fileno()}")


def put_service(api, name, ip, endpoint):
    api.put("services", kube_double.service("shop", name, ip))
    move(api, name, endpoint)


def move(api, name, endpoint):
    api.put("endpointslices", kube_double.endpoint_slice(
        "shop", f"{name}-a", name, [kube_double.endpoint(endpoint, f"{name}-{endpoint}")]))


def follow(api):
    """Reads the EndpointSlices' changes, and makes nothing of them."""
    stream = http.client.HTTPConnection(api.url.removeprefix("http://"))
    stream.request("GET", "/apis/discovery.k8s.io/v1/endpointslices?watch=1&timeoutSeconds=3600"
                          f"&resourceVersion={api.version}")
    answer = stream.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"the double's watch was answered with {answer.status}")

    def read():
        with contextlib.suppress(OSError, http.client.HTTPException):
            while answer.read1():
                pass

    threading.Thread(target=read, daemon=True).start()


class Bench:
    """`other` changes as `api` does, and weftd does not follow it: what the changes themselves cost
    this machine."""

    def __init__(self, lab, api, other, options):
        self.lab, self.api, self.other, self.options = lab, api, other, options
        self.changed = collections.Counter()
        self.weft = WeftOnANode(lab, api)
        Child(lab, "origin", [os.path.join(options.build, "bench/backend"), ORIGIN_ADDRESS,
                              str(ORIGIN_PORT)], LOAD_CORE)
        for address in ANSWERERS:
            answer_at(address)

    def start(self):
        kube_double.fill(self.api, self.options.services, self.options.endpoints)
        put_service(self.api, "web", WEB, ORIGIN_ADDRESS)
        put_service(self.api, "probe", PROBE, ANSWERERS[0])
        kube_double.fill(self.other, self.options.services, self.options.endpoints)
        follow(self.other)
        self.weft.start(WEFT_CORE)
        measure.wait_until_it_answers(self.lab, self.weft,
                                      os.path.join(self.options.build, "bench/idle"), LOAD_CORE)

    @contextlib.contextmanager
    def changes(self, api=None):
        over, api = threading.Event(), api or self.api

        def run():
            self.changed[api] = kube_double.change(
                api, self.options.services, self.options.endpoints, self.options.changes,
                over.is_set, self.changed[api])

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def cost(self):
        """Of the changes alone."""
        pids = measure.pids_of(self.weft)
        with self.changes():
            time.sleep(2)
            window, began, changed = measure.Window(pids), time.monotonic(), self.api.version
            time.sleep(self.options.seconds)
            used, took_s = window.close(), time.monotonic() - began
            rate = (self.api.version - changed) / took_s
        return {"cpu_share": (used["user_us"] + used["system_us"]) / 1e6 / took_s,
                "rss_kib": measure.rss_kib(pids), "changes_per_second": rate}

    def data_path(self):
        """Latency in rounds of load without changes, with changes that weftd does not hear of, and
        with changes that it does, in turn; the medians."""
        rounds = collections.defaultdict(list)
        changes = {"quiet": contextlib.nullcontext, "elsewhere": lambda: self.changes(self.other),
                   "changing": self.changes}
        for _ in range(self.options.rounds):
            for name, during in changes.items():
                with during():
                    rounds[name].append(measure.load(self.lab, self.weft, CASE, 3, LOAD_CORE))
        return {name: {figure: statistics.median(load[figure] for load in loads)
                       for figure in PERCENTILES} | {"rounds_p99_us": [load["p99_us"] for load in loads]}
                for name, loads in rounds.items()}

    def effects(self):
        """Seconds from a change at the API server to the first request that begins when the new
        endpoint is used and the old one left for good."""
        probe = Child(self.lab, "probe", [sys.executable, os.path.join(ROOT, "bench/probe.py"), PROBE,
                                          "80"], LOAD_CORE, cgroup=self.weft.cgroup, pipes=True)
        moves, pause = [], random.Random(1)
        with self.changes():
            for number in range(1, self.options.moves + 1):
                time.sleep(pause.uniform(0.4, 0.6))
                moves.append((time.monotonic_ns(), ANSWERERS[number % 2]))
                move(self.api, "probe", ANSWERERS[number % 2])
            time.sleep(2)
        output, _ = probe.process.communicate()
        if probe.process.returncode:
            raise RuntimeError(f"the probe failed:\n{probe.log_tail()}")
        return effects_of(moves, [line.split() for line in output.splitlines()])


def effects_of(moves, answers):
    """`moves`: (ns, to whom); `answers`: [ns when it began, status, who]. Seconds for each move,
    which ends with the next."""
    effects = []
    for (moved_ns, to), (until_ns, _) in zip(moves, moves[1:] + [(float("inf"), None)]):
        during = [(int(ns), who) for ns, status, who in answers
                  if moved_ns <= int(ns) < until_ns and check_status(status)]
        wrong = [i for i, (_, who) in enumerate(during) if who != to]
        first = wrong[-1] + 1 if wrong else 0
        if first >= len(during):
            raise RuntimeError(f"a move took no effect in {len(during)} requests")
        effects.append((during[first][0] - moved_ns) / 1e9)
    return effects


def check_status(status):
    if status != "200":
        raise RuntimeError(f"a request was answered with {status}")
    return True


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def report(options, cost, path, effects):
    lines = [
        ("RSS", f"{cost['rss_kib'] / 1024:.1f} MiB", "60 MiB"),
        (f"CPU at {cost['changes_per_second']:.0f} changes/s",
         f"{100 * cost['cpu_share']:.1f} % of a core", "5 %"),
        (f"time to effect of {len(effects)} changes, p50", f"{percentile(effects, 0.5) * 1e3:.0f} ms", ""),
        ("p99", f"{percentile(effects, 0.99) * 1e3:.0f} ms", "1 s"),
        ("max", f"{max(effects) * 1e3:.0f} ms", ""),
        *((f"requests, {what}: p98, p99, p99.9",
           ", ".join(f"{path[name][figure]:.0f}" for figure in PERCENTILES) + " µs", goal)
          for name, what, goal in (("quiet", "no changes", ""),
                                   ("elsewhere", "changes that weftd does not hear of", ""),
                                   ("changing", "changes", "p99 unchanged"))),
    ]
    print(f"{options.services} services, {options.endpoints} endpoints\n")
    print("| figure | is | goal |\n|---|---|---|")
    for line in lines:
        print("| " + " | ".join(line) + " |")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=5000)
    parser.add_argument("--endpoints", type=int, default=50000)
    parser.add_argument("--changes", type=float, default=100, help="a second")
    parser.add_argument("--seconds", type=int, default=30, help="over which CPU time is taken")
    parser.add_argument("--rounds", type=int, default=4, help="of load, 3 s each")
    parser.add_argument("--moves", type=int, default=100, help="changes whose effect is timed")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    return options


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    noise = measure.machine_share(1)
    os.sched_setaffinity(0, {LOAD_CORE})  # the doubles' threads too
    print(f"machine: {machine()}; otherwise busy: {100 * noise:.0f} %", flush=True)
    with Lab(os.path.join(options.build, "bench")) as lab:
        lab.weftd = os.path.join(options.build, "weftd")
        with inside(lab), kube_double.KubeDouble() as api, kube_double.KubeDouble() as other:
            bench = Bench(lab, api, other, options)
            bench.start()
            cost, path, effects = bench.cost(), bench.data_path(), bench.effects()
            bench.weft.stop()
    report(options, cost, path, effects)
    write_json(os.path.join(options.build, "bench/scale.json"), {
        "machine": machine(), "otherwise_busy": noise, "services": options.services,
        "endpoints": options.endpoints, **cost, **path, "effects_s": effects,
        "effect_p50_s": percentile(effects, 0.5), "effect_p99_s": percentile(effects, 0.99)})


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"bench: {error}\nlogs: build/bench/weft-bench-{os.getpid()}")
    except KeyboardInterrupt:
        sys.exit(130)
