"""What counts as found, and what the self-test's exit code rests on."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from harness.cli.main import run_cli
from harness.report.terminal import make_console
from harness.scenario.loader import find
from harness.selftest.campaign import Report, report_of, trials_of
from harness.selftest.scenarios import SCENARIOS, place_of
from harness.selftest.table import line_of, print_report
from harness.selftest.trial import Seen, told
from harness.testing.bugs.registry import all_bugs, find_bug
from harness.testing.example_results import failed

FOUND = Seen(trial="resets", bug="no-dedup", expected=["A7"], found_by=["A7"], failed=["A7", "B2"])
ESCAPED = Seen(
    trial="resets", bug="wrong-bucket", expected=["C1"], failed=["A7"], verdict="FAIL", run_dir="x"
)
QUIET = Seen(trial="resets", verdict="PASS")


def test_the_list_fits_a_terminal_of_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["selftest", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(not line.startswith("    ") for line in lines) == len(all_bugs())


def test_a_bug_that_another_check_alone_named_has_escaped() -> None:
    report = report_of(1, [QUIET, FOUND, ESCAPED], 9.0)
    assert (report.passed, report.escaped, report.alarms) == (False, ["wrong-bucket"], [])
    assert "ESCAPED" in line_of(ESCAPED, 3, 3)


@pytest.mark.parametrize("verdict", ["FAIL", "UNKNOWN", "ERROR", ""])
def test_a_baseline_that_does_not_pass_is_an_alarm(verdict: str) -> None:
    alarm = msgspec.structs.replace(QUIET, verdict=verdict)
    report = report_of(1, [alarm, FOUND], 9.0)
    assert (report.passed, report.escaped, report.alarms) == (False, [], ["resets"])


def test_all_found_and_no_alarm_passes_and_nothing_else_does() -> None:
    assert report_of(1, [QUIET, FOUND], 9.0).passed
    assert not report_of(1, [QUIET, FOUND], 9.0, complete=False).passed
    assert not report_of(1, [QUIET], 9.0).passed


def test_the_report_can_be_read_back() -> None:
    report = report_of(1, [QUIET, FOUND, ESCAPED], 9.0)
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_the_table_names_bug_check_and_what_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(make_console(sys.stdout), report_of(1, [QUIET, FOUND, ESCAPED], 9.0))
    printed = capsys.readouterr().out
    assert "no-dedup" in printed
    assert "1 of 2 bugs found" in printed
    assert all(line == line.rstrip() for line in printed.splitlines())
    assert "wrong-bucket: ESCAPED (expected C1; failed: A7); see x" in printed


@pytest.mark.parametrize(
    ("bug", "marked_as", "found_by"),
    [
        ("drop-batch-at-reconnect", "drop-batch-at-reconnect", ["A1"]),
        # A1 and B4 failed in this result; neither is a check of this bug.
        ("wrong-bucket", "wrong-bucket", []),
        # Without its mark the result would pass for one about the real system.
        ("drop-batch-at-reconnect", None, []),
        ("drop-batch-at-reconnect", "wrong-bucket", []),
    ],
)
def test_only_its_own_checks_in_a_marked_result_find_a_bug(
    bug: str, marked_as: str | None, found_by: list[str]
) -> None:
    planted = find_bug(bug)
    result = failed()
    system = msgspec.structs.replace(result.system, planted_bug=marked_as)
    result = msgspec.structs.replace(result, system=system)
    seen = told(planted.trial, planted, result, result.verdict.reason, 1.0, Path("x"))
    assert (seen.found_by, seen.failed) == (found_by, ["A1", "B4"])
    assert seen.as_it_should_be is bool(found_by)


def test_a_run_that_came_to_no_verdict_found_nothing() -> None:
    bug = find_bug("no-dedup")
    seen = told(bug.trial, bug, None, "the harness broke", 1.0, Path("x"))
    assert (seen.as_it_should_be, seen.verdict, seen.reason) == (False, "", "the harness broke")


def test_every_scenario_is_used_and_found_by_its_place() -> None:
    used = {trial.scenario for trial in trials_of(all_bugs().values())}
    assert used == set(SCENARIOS)
    for name, scenario in SCENARIOS.items():
        assert find(place_of(name)).scenario is scenario


def test_a_wrong_name_is_answered_with_the_right_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["selftest", "--only", "no-such-bug"]) == 2
    assert "no-dedup" in capsys.readouterr().err


def test_list_starts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["selftest", "--list", "--only", "no_dedup"]) == 0
    printed = capsys.readouterr().out
    assert "no-dedup" in printed
    assert "A7" in printed


def test_a_bug_can_be_tried_in_any_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["selftest", "--only", "no-dedup", "--list", "--scenario"]
    assert run_cli([*asked, "offline-messaging"]) == 0
    assert "offline-messaging" in capsys.readouterr().out
    assert run_cli([*asked, "no_such_scenario"]) == 2
    assert "no scenario" in capsys.readouterr().err
