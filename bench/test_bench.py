"""Unit tests of the bench's arithmetic. `make test` runs them."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "micro"))

import gate  # noqa: E402
import measure  # noqa: E402
import report  # noqa: E402
import scale  # noqa: E402


def figures(cpu, requests_per_second=1000):
    return {"requests_per_second": requests_per_second, "user_us": cpu / 4,
            "system_us": 3 * cpu / 4, "cpu_us_per_request": cpu,
            "machine_cpu_us_per_request": 2 * cpu, "p50_us": 100, "p99_us": 200, "rss_kib": 4096}


def test_stat_times_are_read_past_a_name_with_blanks_and_brackets():
    line = "7 (a) b (c) S 1 7 7 0 -1 0 0 0 0 0 250 130 0 0 20 0 1 0 5 0 0"
    assert measure.parse_stat_times(line) == (250 * measure.TICK_US, 130 * measure.TICK_US)


def test_idle_counts_waiting_for_disks_and_stolen_time():
    text = "cpu  10 20 30 400 50 6 7 8 0 0\ncpu0 5 10 15 200 25 3 3 4 0 0\n" \
           "cpu1 5 10 15 200 25 3 4 4 0 0\nintr 1\n"
    assert measure.parse_idle_us(text) == ((400 + 50 + 8) * measure.TICK_US, 2)


def test_a_summary_is_the_median_and_says_how_far_the_rounds_are_apart():
    summary = report.summarise([figures(10), figures(30), figures(12)])
    assert summary["cpu_us_per_request"] == 12
    assert summary["spread"] == 20 / 12


def test_ratios_refer_to_the_better_of_nginx_and_haproxy():
    costs = {"weft-tcp": 8, "nginx": 16, "haproxy": 10, "envoy": 5}
    summaries = {name: report.summarise([figures(cost)]) for name, cost in costs.items()}
    assert report.better_peer(summaries, "cpu_us_per_request") == 10
    weft = next(line for line in report.case_table("c", summaries) if "weft-tcp" in line)
    assert "0.80" in weft


def test_results_hold_exactly_the_promised_keys():
    results = report.results({"h1-64b-c32": {"nginx": report.summarise([figures(16)])}})
    assert results == [{"case": "h1-64b-c32", "subject": "nginx", "requests_per_second": 1000,
                        "cpu_us_per_request": 16, "machine_cpu_us_per_request": 32,
                        "p50_us": 100, "p99_us": 200, "rss_kib": 4096}]


def test_without_peers_there_is_no_ratio():
    assert report.better_peer({"direct": figures(0)}, "cpu_us_per_request") is None
    assert report.ratio(0.0, None) == "-"


def test_a_move_has_taken_effect_when_the_old_endpoint_answered_for_the_last_time():
    ms = 1000000
    answers = [(0, "a"), (12, "a"), (14, "b"), (16, "a"), (18, "b"), (30, "b"), (32, "a")]
    lines = [[str(ns * ms), "200", who] for ns, who in answers]
    assert scale.effects_of([(10 * ms, "b"), (31 * ms, "a")], lines) == [0.008, 0.001]


def test_a_move_without_effect_and_a_failed_request_end_the_bench():
    for line in (["5", "200", "a"], ["5", "503", "b"]):
        with pytest.raises(RuntimeError):
            scale.effects_of([(1, "b")], [line])


def test_a_call_that_needs_a_tenth_more_is_named(capsys):
    baseline = {"pick-10": 100, "pick-1000": 1000, "gone": 5}
    assert gate.compare({"pick-10": 114, "pick-1000": 1100, "gone": 1}, baseline) == []
    assert "+10.0 %" in capsys.readouterr().out
    faults = gate.compare({"pick-10": 116, "pick-1000": 1106, "new": 3}, baseline)
    assert sorted(fault.split()[0] for fault in faults) == ["gone", "new", "pick-10", "pick-1000"]


def test_a_baseline_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "baseline.txt"
    assert gate.read(path) == {}
    gate.write(path, {"b": 2.4, "a": 100.0})
    assert gate.read(path) == {"a": 100.0, "b": 2.0}


def test_only_dumps_of_cases_are_counted(tmp_path):
    (tmp_path / "out.1").write_text("desc: Trigger: Client Request: pick-10\nsummary: 120000\ntotals: 120000\n")
    (tmp_path / "out.2").write_text("desc: Trigger: Program termination\ntotals: 99\n")
    assert dict(gate.dumps(tmp_path)) == {"pick-10": 120.0}
