"""The test runner counts what the runners report, and a stage that fails fails the run."""

import importlib.machinery
import importlib.util
import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("runner", os.path.join(ROOT, ".ci/test"))
runner = importlib.util.module_from_spec(importlib.util.spec_from_loader("runner", loader))
loader.exec_module(runner)

CMOCKA_GOOD = ("[==========] tests: Running 3 test(s).\n[ RUN      ] a\n[       OK ] a\n"
               "[==========] tests: 3 test(s) run.\n[  PASSED  ] 3 test(s).\n")
CMOCKA_BAD = ("[==========] tests: 3 test(s) run.\n[  PASSED  ] 2 test(s).\n"
              "[  FAILED  ] tests: 1 test(s), listed below:\n[  FAILED  ] b\n\n 1 FAILED TEST(S)\n")


def test_cmocka_closing_lines_are_counted():
    assert runner.count_cmocka(CMOCKA_GOOD) == (3, 0, 0)
    assert runner.count_cmocka(CMOCKA_GOOD + CMOCKA_GOOD) == (6, 0, 0)
    assert runner.count_cmocka(CMOCKA_BAD) == (2, 1, 0)


def test_a_test_that_dies_has_no_closing_line():
    assert runner.count_cmocka("[ RUN      ] a\n==1==ERROR: AddressSanitizer\n") is None


@pytest.mark.parametrize("line, counts", [
    ("12 passed in 3.02s", (12, 0, 0)),
    ("=== 2 failed, 10 passed, 1 skipped, 1 error in 61.20s (0:01:01) ===", (10, 3, 1)),
    ("no tests ran in 0.01s", None),  # nothing was shown: the caller takes it for a failure
])
def test_pytest_closing_lines_are_counted(line, counts):
    assert runner.count_pytest("....F\n" + line + "\n") == counts


@pytest.fixture
def main(monkeypatch, tmp_path, capsys):
    """Runs the runner with made-up stages; gives its exit status and what it printed."""
    def of(**stages):
        monkeypatch.setattr(runner, "LOGS", str(tmp_path))
        monkeypatch.setattr(runner, "STAGES", stages)
        monkeypatch.setattr(runner.sys, "argv", ["test"])
        with pytest.raises(SystemExit) as end:
            runner.main()
        return end.value.code, capsys.readouterr().out
    return of


def test_help_names_the_stages(capsys):
    with pytest.raises(SystemExit) as end:
        runner.stages_wanted(["--help"])
    assert end.value.code == 0
    shown = "".join(capsys.readouterr().out.split())
    assert ",".join(runner.STAGES) in shown


def test_an_unknown_stage_is_refused_before_anything_runs(capsys):
    with pytest.raises(SystemExit) as end:
        runner.stages_wanted(["build", "nonsense"])
    assert end.value.code == 2
    assert "no stage 'nonsense'" in capsys.readouterr().err


def test_without_a_name_all_stages_run_in_order():
    assert runner.stages_wanted([]) == list(runner.STAGES)
    assert runner.stages_wanted(["demo", "build"]) == ["demo", "build"]


def fails(_log):
    raise runner.Failure("on purpose", runner.Counts(2, 1, 0))


def test_counts_of_all_stages_are_added_up(main):
    status, output = main(a=lambda log: runner.Counts(3, 0, 1), b=lambda log: runner.Counts(4, 0, 0))
    assert status == 0
    assert output.endswith("1 skipped\n7 passed, 0 failed\n")


def test_the_first_failure_ends_the_run(main):
    status, output = main(a=fails, b=lambda log: pytest.fail("must not run"))
    assert status == 1
    assert output.endswith("2 passed, 1 failed\n") and "on purpose" in output


def test_a_command_that_fails_is_a_failure_with_its_output(main, capsys):
    def stage(log):
        status, output = runner.run(log, ["sh", "-c", "echo out; echo err >&2; exit 3"])
        assert (status, output) == (3, "out\nerr\n")
        raise runner.Failure("status 3")
    status, output = main(a=stage)
    assert status == 1 and output.endswith("0 passed, 1 failed\n")


def test_a_command_that_hangs_is_ended(tmp_path):
    status, _ = runner.run(str(tmp_path / "log"), ["sleep", "60"], timeout_s=1)
    assert status != 0
