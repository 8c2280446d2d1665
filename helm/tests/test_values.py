"""values.yaml, its schema, the README's table and weft.yaml's keys say the same."""

import json
import os
import re
import subprocess

import yaml
from conftest import ROOT
from values_table import defaults, meanings, read, rows

# Keys of weft.yaml that other values set.
OWNED = {"admin.address", "admin.socket", "bpf.pin_dir", "bpf.cgroup_root", "timeouts.drain"}


def closed_maps(schema, path="values"):
    """(path, whether other names are refused) of every map whose names the schema lists."""
    if "properties" in schema:
        yield path, schema.get("additionalProperties") is False
        for name, inner in schema["properties"].items():
            yield from closed_maps(inner, f"{path}.{name}")


def schema_of(path):
    schema = json.loads(read("values.schema.json"))
    for name in path.split("."):
        schema = schema["properties"][name]
    return schema


def test_every_value_is_in_the_schema():
    for path, _ in defaults():
        assert {"type", "anyOf"} & schema_of(path).keys(), path


def test_the_schema_refuses_unknown_names_everywhere():
    still_open = [path for path, closed in closed_maps(json.loads(read("values.schema.json"))) if not closed]
    assert still_open == []


def test_every_value_has_a_comment_above_it():
    meaning = meanings()
    assert [path for path, _ in defaults() if not meaning[path]] == []


def test_the_readme_has_the_table_of_values():
    """`python3 helm/tests/values_table.py` prints it anew."""
    assert re.findall(r"^\| `.*$", read("README.md").partition("## Values")[2], re.M) == list(rows())


def test_config_takes_every_key_that_no_other_value_sets():
    """`weft config --reference` is made from the table by which weftd reads its config."""
    reference = subprocess.run([os.path.join(ROOT, "build/weft"), "config", "--reference"], capture_output=True,
                               text=True, check=True).stdout  # fmt: skip
    keys = {key for key in re.findall(r"^ *#   ([\w.]+): ", reference, re.M) if not key.startswith("kubernetes")}
    config = schema_of("config")["properties"]
    offered = {name for name, inner in config.items() if "properties" not in inner} | {
        f"{name}.{key}" for name, inner in config.items() for key in inner.get("properties", ())}  # fmt: skip
    assert offered == keys - OWNED


def test_the_version_of_the_chart_is_that_of_weft():
    chart = yaml.safe_load(read("Chart.yaml"))
    with open(os.path.join(ROOT, "include/weft/version.h"), encoding="utf-8") as file:
        version = re.search(r'WEFT_VERSION "(.*)"', file.read())[1]
    assert chart["version"] == chart["appVersion"] == version
