"""The self-test over a whole suite: each bug up to the first scenario that fails for it."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import anyio
import pytest

from harness.cli.main import run_cli
from harness.report.terminal import make_console
from harness.selftest import suite
from harness.selftest.campaign import report_of
from harness.selftest.table import print_report
from harness.selftest.trial import Seen
from harness.testing.bugs.registry import PlantedBug, Trial, find_bug

BUGS = [find_bug("no-dedup"), find_bug("wrong-bucket")]
FINDS = {"no-dedup": "rebucket_under_fire"}


def test_what_finds_most_in_least_time_comes_first() -> None:
    names = suite.scenarios_of_suite()
    assert names[0] == "offline_messaging"
    assert sorted(names) == sorted(suite.QUICK_FIRST), "the order names just the smoke suite"


def tried(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *, keep: bool = False
) -> tuple[list[Seen], list[tuple[str, str]]]:
    """Return what a campaign saw whose runs are made up, and which runs these were."""
    runs: list[tuple[str, str]] = []

    async def made_up(
        trial: Trial, bug: PlantedBug | None, *, seed: int, folder: Path, keep: bool
    ) -> Seen:
        name = "" if bug is None else bug.name
        runs.append((trial.scenario, name))
        fails = bug is not None and FINDS.get(name) == trial.scenario
        run_dir = folder / (name or "baseline")
        run_dir.mkdir()
        return Seen(
            trial=str(trial),
            bug=name,
            expected=[] if bug is None else list(bug.named_by),
            found_by=["A7"] if fails else [],
            failed=["A7", "B2"] if fails else [],
            verdict="FAIL" if fails else "PASS",
            run_dir=str(run_dir),
        )

    monkeypatch.setattr(suite, "carry_out", made_up)
    run = partial(
        suite.suite_campaign, BUGS, seed=1, folder=folder, keep=keep, jobs=1, tell=lambda *_: None
    )
    return anyio.run(run), runs


def test_a_bug_has_its_turn_until_a_scenario_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen, runs = tried(monkeypatch, tmp_path)
    scenarios = suite.scenarios_of_suite()
    assert [one for one, bug in runs if not bug] == scenarios
    assert [one for one, bug in runs if bug == "no-dedup"] == scenarios[:2]
    assert [one for one, bug in runs if bug == "wrong-bucket"] == scenarios
    found, missed = seen[-2:]
    assert (found.as_it_should_be, found.trial) == (True, "rebucket_under_fire")
    assert not missed.as_it_should_be
    report = report_of(1, seen, 1.0, suite=True)
    assert (report.passed, report.escaped, report.alarms) == (False, ["wrong-bucket"], [])


@pytest.mark.parametrize("keep", [False, True])
def test_runs_with_a_bug_are_kept_only_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, keep: bool
) -> None:
    tried(monkeypatch, tmp_path, keep=keep)
    assert (tmp_path / "hotkey_bucketing" / "wrong-bucket").exists() is keep


def test_the_table_says_which_scenario_found_it_and_what_was_missed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen, _ = tried(monkeypatch, tmp_path)
    print_report(make_console(sys.stdout), report_of(1, seen, 1.0, suite=True))
    printed = capsys.readouterr().out
    assert "rebucket_under_fire" in printed
    assert "missed" in printed
    assert "1 of 2 bugs found" in printed
    assert "ESCAPED" not in printed


def test_a_suite_names_its_scenarios_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["selftest", "--suite", "--scenario", "core_crash"]) == 2
    assert "--suite" in capsys.readouterr().err
