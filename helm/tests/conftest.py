"""Fixtures: the helm program and the image, both made when they are missing."""

import functools
import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHART = os.path.join(ROOT, "helm/weft")


def helm_program():
    """$HELM, or the one that the Kubernetes tests build."""
    if "HELM" in os.environ:
        return os.environ["HELM"]
    sys.path.insert(0, os.path.join(ROOT, "integration-tests/kubernetes"))
    from k8s import builder

    return os.path.join(builder.build(), "helm")


@pytest.fixture(scope="session")
def helm():
    """helm(command, …) runs it; the result has returncode, stdout and stderr."""
    program = helm_program()

    def run(*arguments):
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)

    return run


@pytest.fixture(scope="session")
def template(helm):
    """template(*options): what the chart becomes, or an AssertionError with helm's complaint; made once."""

    @functools.cache
    def render(*options):
        done = helm("template", "weft", CHART, "--namespace", "weft-system", "--kube-version", "1.34.0", *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return render


@pytest.fixture(scope="session")
def weftd():
    """weftd(option, …) runs the one that was built."""

    def run(*arguments):
        return subprocess.run([os.path.join(ROOT, "build/weftd"), *arguments], capture_output=True, text=True,
                              check=False, timeout=60)  # fmt: skip

    return run
