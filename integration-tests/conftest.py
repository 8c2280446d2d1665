"""Fixtures: the run's pods, and `mesh`, which gives every test that uses it in its module's MODES."""

import contextlib
import signal
import sys
import os

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import leftovers  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.mesh import SHORTCUTS, Mesh  # noqa: E402
from harness.truth import Truth  # noqa: E402

MODES = ("direct", "weft", *SHORTCUTS)
SECONDS_PER_TEST = 60
SECONDS_PER_BIG_TEST = 240


def pytest_addoption(parser):
    parser.addoption("--mesh", choices=("all", *MODES), default="all", help="only these runs of the tests")


def pytest_configure(config):
    config.addinivalue_line("markers", "big: moves gigabytes")
    config.addinivalue_line("markers", "release: long, and of numbers or of a kill: not under a sanitizer")
    config.addinivalue_line("markers", "seconds(limit): may take so long")
    config.addinivalue_line("markers", "modes(*names): only in these of its module's MODES")


def modes_of(module, chosen):
    """The runs of a module; asked for by itself, weft-auto is run wherever weft-on is."""
    modes = getattr(module, "MODES", ("direct", "weft"))
    if chosen == "weft-auto" and "weft-on" in modes:
        return [chosen]
    return [mode for mode in modes if chosen in ("all", mode)]


def pytest_generate_tests(metafunc):
    if "mesh" in metafunc.fixturenames:
        modes = modes_of(metafunc.module, metafunc.config.getoption("--mesh"))
        metafunc.parametrize("mesh", modes, indirect=True, scope="module")


def pytest_collection_modifyitems(config, items):
    """Leaves out what a test's mark `modes` does not name, and what --mesh is not about."""
    chosen = config.getoption("--mesh")

    def is_wanted(item):
        mode = getattr(item, "callspec", None) and item.callspec.params.get("mesh")
        mark = item.get_closest_marker("modes")
        if mark and mode and mode not in mark.args:
            return False
        if "mesh" in item.fixturenames:
            return chosen == "all" or mode == chosen
        return chosen != "direct" or "daemon" not in item.fixturenames

    left_out = [item for item in items if not is_wanted(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@contextlib.contextmanager
def deadline(seconds, what):
    def late(_number, _frame):
        raise TimeoutError(f"{what} took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    seconds = SECONDS_PER_BIG_TEST if item.get_closest_marker("big") else SECONDS_PER_TEST
    mark = item.get_closest_marker("seconds")
    item.deadline_seconds = mark.args[0] if mark else seconds
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    with deadline(item.deadline_seconds, item.name):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    with deadline(SECONDS_PER_TEST, f"setting up {item.name}"):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item):
    with deadline(SECONDS_PER_TEST, f"tearing down {item.name}"):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what weftd said."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            for mesh in [value] if isinstance(value, Mesh) else getattr(value, "meshes", []):
                if mesh.weftd is not None:
                    report.sections.append(("weftd's log", mesh.weftd.log()[-4000:]))


@pytest.fixture(scope="session")
def cluster():
    leftovers.sweep()
    made = Cluster()
    yield made
    made.close()
    left = leftovers.find(os.getpid())
    assert not left, f"left behind: {left}"


@pytest.fixture(scope="module")
def mesh(request, cluster):
    """The module's SERVICES, direct or through weft (options: WEFT_OPTIONS, POD_OPTIONS, ENROLLED)."""
    module = request.module
    made = Mesh(
        request.param,
        cluster,
        module.SERVICES,
        getattr(module, "WEFT_OPTIONS", None),
        getattr(module, "POD_OPTIONS", None),
        getattr(module, "CLIENTS", ("client",)),
        getattr(module, "ENROLLED", None),
    )
    try:
        made.open()
        yield made
        if made.is_weft:
            made.wait_idle()
    finally:
        made.close()


@pytest.fixture(scope="module")
def truth(mesh):
    """Runs one program direct and through weft and compares what it saw; see harness/truth.py."""
    made = Truth(mesh)
    yield made
    made.close()


@pytest.fixture
def daemon(cluster, request):
    """daemon(services, …) starts a weftd for one test; returns its Mesh."""
    made = []

    def start(services=(), options=None, pod_options=None, clients=("client",), only=None):
        mesh = Mesh("weft", cluster, list(services), options, pod_options, clients, only)
        made.append(mesh)
        return mesh.open()

    start.meshes = made
    yield start
    for mesh in reversed(made):
        mesh.close()
