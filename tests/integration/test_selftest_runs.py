"""Whole runs with planted bugs: the five that every change must find, and none without a bug.

The rest of them is found by `tallystick selftest`, nightly.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import anyio
import pytest

from harness.cli.check import check_run
from harness.errors import HarnessError
from harness.selftest.campaign import campaign, report_of, trials_of
from harness.selftest.trial import Seen, carry_out
from harness.testing.bugs.registry import PlantedBug, Trial, find_bug

pytestmark = pytest.mark.integration

FIVE = (
    "acknowledge-before-commit",
    "no-dedup",
    "merge-by-arrival",
    "drop-batch-at-reconnect",
    "wrong-bucket",
)

SEED = 4

BASELINES = (
    Trial(scenario="resets"),
    Trial(scenario="churn"),
    Trial(scenario="offline", settings={"kill": "before_login", "bucket_count": "4"}),
)


def test_each_of_the_five_is_named_by_a_check_of_its_own(tmp_path: Path) -> None:
    bugs: list[PlantedBug] = [find_bug(name) for name in FIVE]
    told: list[Seen] = []
    seen = anyio.run(
        partial(
            campaign,
            bugs,
            seed=SEED,
            folder=tmp_path,
            keep=False,
            jobs=2,
            tell=lambda one, _done, _wanted: told.append(one),
        )
    )
    report = report_of(SEED, seen, 0.0)
    assert (report.escaped, report.alarms) == ([], [])
    assert len(told) == len(bugs) + len(trials_of(bugs))
    assert list(tmp_path.iterdir()) == [], "runs that showed what they should are removed"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_reference_itself_raises_no_alarm(tmp_path: Path, seed: int) -> None:
    seen: list[Seen] = []

    async def one(trial: Trial) -> None:
        seen.append(await carry_out(trial, None, seed=seed, folder=tmp_path, keep=False))

    async def all_of_them() -> None:
        async with anyio.create_task_group() as tasks:
            for trial in BASELINES:
                tasks.start_soon(one, trial)

    anyio.run(all_of_them)
    assert {one.trial: (one.verdict, one.failed) for one in seen} == {
        str(trial): ("PASS", []) for trial in BASELINES
    }


def test_a_result_with_a_bug_says_so_and_cannot_deny_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bug = find_bug("wrong-bucket")
    seen = anyio.run(partial(carry_out, bug.trial, bug, seed=SEED, folder=tmp_path, keep=True))
    assert seen.found_by == ["C1"]
    place = tmp_path / bug.name / "result.json"
    assert check_run(place).verdict.exit_code == 1
    assert "had the bug wrong-bucket" in capsys.readouterr().out
    assert "wrong-bucket" in (place.parent / "summary.md").read_text()
    stored = json.loads(place.read_text())
    repeat = f"tallystick selftest --only wrong-bucket --seed {SEED} --keep"
    assert stored["run"]["repeat_command"] == repeat
    stored["system"]["planted_bug"] = None
    place.write_text(json.dumps(stored))
    with pytest.raises(HarnessError, match="say something else"):
        check_run(place)
    assert "planted_bug" in capsys.readouterr().err
