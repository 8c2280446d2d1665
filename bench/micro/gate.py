#!/usr/bin/python3
"""gate.py PROGRAM BASELINE [--write]: instructions per call of each case, counted by callgrind,
beside those of BASELINE. Exit status 1 when a case needs over 10 % more, or is not in it; --write
makes them the baseline."""

import glob
import os
import re
import subprocess
import sys
import tempfile

CALLS = 1000  # as in micro.c
ALLOWED = 0.10
SLACK = 5  # instructions: a tenth of very little is noise


def dumps(folder):
    for path in glob.glob(os.path.join(folder, "out.*")):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        name = re.search(r"^desc: Trigger: Client Request: (\S+)$", text, re.MULTILINE)
        totals = re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
        if name and totals:
            yield name[1], int(totals[1]) / CALLS


def count(program):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        run = subprocess.run(["valgrind", "--tool=callgrind", "--collect-atstart=no", "-q",
                              f"--callgrind-out-file={out}", program, "--count"],
                             stderr=subprocess.PIPE, text=True, check=False)
        if run.returncode:
            sys.exit(f"gate.py: valgrind ended with {run.returncode}: {run.stderr[-2000:]}")
        counts = dict(sorted(dumps(folder)))
    if not counts:
        sys.exit("gate.py: no case was counted: micro was built without valgrind/callgrind.h "
                 "(install valgrind, then touch bench/micro/micro.c)")
    return counts


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            rows = [line.split() for line in file if line.strip() and line[0] != "#"]
    except FileNotFoundError:
        rows = []
    return {name: float(value) for name, value in rows}


def write(path, counts):
    with open(path, "w", encoding="utf-8") as file:
        file.write("# case, instructions per call: make bench-micro-baseline wrote it\n")
        for name, value in sorted(counts.items()):
            file.write(f"{name} {value:.0f}\n")


def compare(counts, baseline):
    """Prints the table, returns what is wrong."""
    faults = [f"{name} is in the baseline and was not run" for name in baseline
              if name not in counts]
    for name, value in counts.items():
        before = baseline.get(name)
        note = "new" if before is None else f"{before:8.0f} {(value / before - 1) * 100:+6.1f} %"
        print(f"{name:36} {value:8.0f} instructions/call   {note}")
        if before is None:
            faults.append(f"{name} is not in the baseline")
        elif value > before * (1 + ALLOWED) + SLACK:
            faults.append(f"{name} needs {value:.0f} instructions per call, {before:.0f} before")
    return faults


def main():
    program, path = sys.argv[1:3]
    counts = count(program)
    if "--write" in sys.argv:
        write(path, counts)
        return
    faults = compare(counts, read(path))
    if faults:
        sys.exit("\n".join(faults + [f"If that is wanted: make bench-micro-baseline, and say why "
                                     f"in the commit that changes {path}"]))


if __name__ == "__main__":
    main()
