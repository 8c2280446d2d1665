"""Compiles peers/*.c into build/peers, once per change."""

import os
import subprocess

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCES = os.path.join(REPOSITORY, "integration-tests", "peers")
OUTPUT = os.path.join(REPOSITORY, "build", "peers")
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-Werror"]


def peer(name):
    """Path of the compiled peer NAME.c, or of the script NAME (.py, .js)."""
    if name.endswith((".py", ".js")):
        return os.path.join(SOURCES, name)
    source = os.path.join(SOURCES, name + ".c")
    program = os.path.join(OUTPUT, name)
    if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
        os.makedirs(OUTPUT, exist_ok=True)
        fresh = f"{program}.{os.getpid()}"
        subprocess.run(
            ["gcc", *FLAGS, source, "-o", fresh, "-Wl,--as-needed", "-luring", "-lpthread"], check=True
        )
        os.rename(fresh, program)
    return program
