"""values_table: prints the table of values for helm/weft/README.md; test_values.py checks that it is there."""

import json
import os
import re

import yaml

CHART = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "weft")
# Maps that are handed over to Kubernetes as they are: one value each.
WHOLE = {"resources"}


def read(name):
    with open(os.path.join(CHART, name), encoding="utf-8") as file:
        return file.read()


def defaults(values=None, prefix=""):
    """(path, value) of everything in values.yaml that is no map of further values."""
    for name, value in (yaml.safe_load(read("values.yaml")) if values is None else values).items():
        path = prefix + name
        if isinstance(value, dict) and value and path not in WHOLE:
            yield from defaults(value, path + ".")
        else:
            yield path, value


def meanings():
    """Path -> the comment that stands right above it."""
    found, path, comment = {}, [], []
    for line in read("values.yaml").splitlines():
        remark, key = re.match(r" *# ?(.*)", line), re.match(r"( *)(\w+):", line)
        if key:
            path[len(key[1]) // 2:] = [key[2]]
            found[".".join(path)] = " ".join(comment)
        comment = comment + [remark[1]] if remark else []
    return found


def rows():
    meaning = meanings()
    for path, value in defaults():
        yield f"| `{path}` | `{json.dumps(value)}` | {meaning[path]} |"


if __name__ == "__main__":
    print("| value | default | meaning |\n|---|---|---|", *rows(), sep="\n")
