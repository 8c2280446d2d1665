#!/usr/bin/python3
"""make bench-add-steps: the published demo, direct and through weft in turn (bench/README.md)."""

import argparse
import json
import os
import signal
import statistics
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "integration-tests"))
sys.dont_write_bytecode = True

from harness import add_steps, leftovers  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.mesh import Mesh  # noqa: E402

SUBJECTS = ("direct", "weft")


def run_all(count, seconds):
    """{subject: its figures, one set per round}; each round has a weftd that knows nothing yet."""
    rounds = {subject: [] for subject in SUBJECTS}
    leftovers.sweep()
    cluster = Cluster("steps")
    try:
        with add_steps.AddSteps(cluster) as steps:
            for _ in range(count):
                rounds["direct"] += add_steps.run(seconds, steps.direct())
                mesh = Mesh("weft", cluster, [steps.service])
                try:
                    mesh.open()
                    rounds["weft"] += add_steps.run(seconds, steps.meshed(mesh))
                finally:
                    mesh.close()
    finally:
        cluster.close()
    return rounds


def percent(one):
    return f"{one['success_percent']:.2f} %"


def table(medians):
    lines = ["| subject | success | req/s | p50 ms | p95 ms | p99 ms |", 6 * "|---" + "|"]
    for subject, one in medians.items():
        rest = [f"{one[key]:.0f}" for key in ("requests_per_second", "p50_ms", "p95_ms", "p99_ms")]
        lines.append(f"| {' | '.join([subject, percent(one), *rest])} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the pods are removed on the way out
    rounds = run_all(options.rounds, options.seconds)
    medians = {subject: {key: statistics.median(one[key] for one in of) for key in of[0]}
               for subject, of in rounds.items()}
    os.makedirs(os.path.join(ROOT, "build/bench"), exist_ok=True)
    with open(os.path.join(ROOT, "build/bench/add_steps.json"), "w", encoding="utf-8") as file:
        json.dump({"medians": medians, "rounds": rounds}, file, indent=1)
    print(table(medians))
    missed = [goal for goal, holds in (
        ("all requests succeed through weft", medians["weft"]["success_percent"] >= 99.995),
        ("p99 is less than half", medians["weft"]["p99_ms"] < medians["direct"]["p99_ms"] / 2),
    ) if not holds]
    print(f"missed: {', '.join(missed)}" if missed else "both goals are met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
