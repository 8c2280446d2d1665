#!/usr/bin/python3
"""A cluster by hand: up.py [--nodes N] [--cgroups hybrid|v2] [--kube-proxy iptables|nftables|none]. Ends with Ctrl-C
and takes the cluster with it. Writes a folder of commands (kubectl, helm, and n1, n2, … to enter a node)."""

import argparse
import contextlib
import os
import shlex
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from k8s.cluster import Cluster, guarded_run  # noqa: E402


def write_command(path, command, environment):
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
    with open(path, "w", encoding="utf-8") as script:
        script.write(f'#!/bin/sh\n{exports}exec {shlex.join(command)} "$@"\n')
    os.chmod(path, 0o755)


def write_commands(cluster):
    """Path of the folder."""
    folder = f"{cluster.directory}/bin"
    os.makedirs(folder)
    for tool in ("kubectl", "helm"):
        write_command(f"{folder}/{tool}", cluster.control.command([f"{cluster.programs}/{tool}"]),
                      cluster.environment())  # fmt: skip
    for node in cluster.nodes:
        write_command(f"{folder}/{node.name}", node.box.inside(["env"]), node.environment())
    return folder


def show(chosen):
    """Until interrupted."""
    began = time.monotonic()
    mode = None if chosen.kube_proxy == "none" else chosen.kube_proxy
    cluster = Cluster(chosen.nodes, chosen.cgroups, mode).open()
    try:
        print(f"up after {time.monotonic() - began:.1f} s; commands: export PATH={write_commands(cluster)}:$PATH")
        print(f"logs: {cluster.directory}/*/*.log; Ctrl-C ends it", flush=True)
        signal.pause()
    finally:
        cluster.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--cgroups", choices=("hybrid", "v2"))
    parser.add_argument("--kube-proxy", choices=("iptables", "nftables", "none"), default="iptables")
    chosen = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    with guarded_run(), contextlib.suppress(KeyboardInterrupt):
        show(chosen)


if __name__ == "__main__":
    main()
