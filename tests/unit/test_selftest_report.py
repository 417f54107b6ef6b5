"""What counts as found, and what the self-test's exit code rests on."""

from __future__ import annotations

import msgspec
import pytest

from harness.cli.main import run_cli
from harness.report.terminal import make_console
from harness.scenario.loader import find
from harness.selftest.campaign import Report, report_of, trials_of
from harness.selftest.scenarios import SCENARIOS, place_of
from harness.selftest.table import line_of, print_report
from harness.selftest.trial import Seen
from harness.testing.bugs.registry import all_bugs

FOUND = Seen(trial="resets", bug="no-dedup", expected=["A7"], found_by=["A7"], failed=["A7", "B2"])
ESCAPED = Seen(
    trial="resets", bug="wrong-bucket", expected=["C1"], failed=["A7"], verdict="FAIL", run_dir="x"
)
QUIET = Seen(trial="resets", verdict="PASS")


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
    import sys

    print_report(make_console(sys.stdout), report_of(1, [QUIET, FOUND, ESCAPED], 9.0))
    told = capsys.readouterr().out
    assert "no-dedup" in told
    assert "1 of 2 bugs found" in told
    assert "wrong-bucket: ESCAPED (expected C1; failed: A7); see x" in told


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
    told = capsys.readouterr().out
    assert "no-dedup" in told
    assert "A7" in told
