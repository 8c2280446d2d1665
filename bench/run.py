#!/usr/bin/python3
"""make bench: weft beside direct, nginx, HAProxy and Envoy. README.md says how to read it."""

import argparse
import collections
import json
import os
import platform
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import measure  # noqa: E402
import report  # noqa: E402
from lab import ORIGIN_ADDRESS, Child, Lab  # noqa: E402
from subjects import ORIGIN_PORT, SUBJECTS  # noqa: E402

Case = collections.namedtuple("Case", "name body_bytes connections")
CASES = [Case("h1-64b-c32", 64, 32), Case("h1-64b-c1", 64, 1), Case("h1-16k-c32", 16384, 32),
         Case("h1-1m-c8", 1 << 20, 8), Case("h1-64b-c1000", 64, 1000)]
IDLE_CONNECTIONS = 5000
NOISE_WARNING = 0.05  # share of the machine that something else uses


def parse_arguments():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only h1-64b-c32, under 50 seconds")
    parser.add_argument("--rounds", type=int, help="rounds of each case (5; quick: 3)")
    parser.add_argument("--seconds", type=int, help="length of a round (4; quick: 2)")
    parser.add_argument("--subjects", default="", help="comma-separated; default: all")
    parser.add_argument("--cases", default="", help="comma-separated; default: all")
    parser.add_argument("--apart", action="store_true",
                        help="the origin is out of weft's sight: only the app's leg has the shortcut")
    parser.add_argument("--build", default=os.path.join(root, "build"))
    parser.add_argument("--weftd", default=os.path.join(root, "build/weftd"))
    parser.add_argument("--cores", default="0,1", help="of load and origin, of the proxy")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    options.weftd = os.path.abspath(options.weftd)
    options.rounds = options.rounds or (3 if options.quick else 5)
    options.seconds = options.seconds or (2 if options.quick else 4)
    options.load_core, options.proxy_core = map(int, options.cores.split(","))
    wanted = options.cases.split(",") if options.cases else [c.name for c in CASES]
    options.cases = [c for c in CASES if c.name in wanted][:1 if options.quick else None]
    return options


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        model = next((line.split(":")[1].strip() for line in cpuinfo
                      if line.startswith("model name")), platform.machine())
    return f"{model}, {os.cpu_count()} CPUs, Linux {platform.release()}"


def pick_subjects(options):
    wanted = options.subjects.split(",") if options.subjects else [s.name for s in SUBJECTS]
    chosen = []
    for subject in SUBJECTS:
        if subject.name not in wanted:
            continue
        reason = subject.missing(options)
        if reason:
            print(f"left out: {subject.name}: {reason}", flush=True)
        else:
            chosen.append(subject)
    return chosen


class Bench:
    def __init__(self, lab, options, subjects):
        self.lab, self.options = lab, options
        self.subjects = [subject(lab) for subject in subjects]
        self.idle_program = os.path.join(options.build, "bench/idle")
        origin = Child(lab, "origin", [os.path.join(options.build, "bench/backend"),
                                       ORIGIN_ADDRESS, str(ORIGIN_PORT)], options.load_core,
                       cgroup=None if options.apart else lab.part_cgroup("weft-shortcut"))
        lab.origin = origin

    def start_all(self):
        for subject in self.subjects:
            subject.start(self.options.proxy_core)
        for subject in self.subjects:
            measure.wait_until_it_answers(self.lab, subject, self.idle_program,
                                          self.options.load_core)

    def stop_all(self):
        for subject in self.subjects:
            subject.stop()

    def memory(self):
        """Idle connections on processes that have served nothing else."""
        self.start_all()
        memory = {subject.name: measure.idle_memory(self.lab, subject, self.idle_program,
                                                    IDLE_CONNECTIONS, self.options.load_core)
                  for subject in self.subjects if subject.children}
        self.stop_all()
        return memory

    def case(self, case):
        """Round-robin: each round visits every subject, so that drift hits all of them alike."""
        rounds = {subject.name: [] for subject in self.subjects}
        for _ in range(self.options.rounds):
            for subject in self.subjects:
                rounds[subject.name].append(measure.load(
                    self.lab, subject, case, self.options.seconds, self.options.load_core))
        return {name: report.summarise(figures) for name, figures in rounds.items()}

    def cases(self):
        self.start_all()
        by_case = {}
        for case in self.options.cases:
            by_case[case.name] = self.case(case)
            print("\n" + "\n".join(report.case_table(case.name, by_case[case.name])), flush=True)
        self.stop_all()
        return by_case


def write_json(path, value):
    with open(path + ".new", "w") as file:
        json.dump(value, file, indent=1)
        file.write("\n")
    os.replace(path + ".new", path)
    if "SUDO_UID" in os.environ:
        os.chown(path, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    began = time.monotonic()
    noise = measure.machine_share(1)
    print(f"machine: {machine()}; otherwise busy: {100 * noise:.0f} %")
    if noise > NOISE_WARNING:
        print("warning: something else is using this machine, the figures will be off")
    print(f"load and origin on core {options.load_core}, proxy on core {options.proxy_core}; "
          f"{options.rounds} rounds of {options.seconds} s, interleaved, medians; "
          "ratio: to the better of nginx and haproxy")
    subjects = pick_subjects(options)
    with Lab(os.path.join(options.build, "bench")) as lab:
        lab.weftd = options.weftd
        bench = Bench(lab, options, subjects)
        memory = bench.memory()
        by_case = bench.cases()
    if memory:
        print("\n" + "\n".join(report.idle_table(IDLE_CONNECTIONS, memory)))
    path = os.path.join(options.build, "bench/results.json")
    write_json(path, report.results(by_case))
    write_json(os.path.join(options.build, "bench/details.json"),
               {"machine": machine(), "otherwise_busy": noise, "cases": by_case, "idle": memory})
    print(f"\nresults: {path} ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"bench: {error}\nlogs and configurations: build/bench/weft-bench-{os.getpid()}")
    except KeyboardInterrupt:
        sys.exit(130)
