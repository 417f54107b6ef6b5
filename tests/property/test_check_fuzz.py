"""`check` over damaged runs: an exit code of its own, and never a PASS that is none.

`python -m harness.testing.fuzz_campaign` does the same by the thousand.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from harness.report.result import Status
from harness.testing.fuzz import Mutation, Seal, is_void, make_run
from harness.testing.fuzz_campaign import campaign, judge_mutation

MUTATIONS = 160


def test_damaged_runs_never_crash_check_and_never_turn_into_a_pass() -> None:
    outcomes = list(campaign(range(MUTATIONS)))
    assert [f"{o.seed}: {o.mutation}: {o.wrong}" for o in outcomes if o.wrong] == []
    codes = Counter(outcome.code for outcome in outcomes)
    assert codes[70] > MUTATIONS // 2
    assert len({outcome.mutation.how for outcome in outcomes}) > 15


def test_a_check_that_believes_everything_is_noticed(monkeypatch) -> None:
    monkeypatch.setattr("harness.testing.fuzz_campaign.run_cli", lambda _words: 0)
    outcomes = list(campaign(range(40)))
    assert sum(bool(outcome.wrong) for outcome in outcomes) > 30


@pytest.mark.parametrize("status", [Status.PASS, Status.FAIL])
def test_an_untouched_run_keeps_its_verdict(status: Status, tmp_path: Path, monkeypatch) -> None:
    make_run(tmp_path / "run", seed=1, status=status)
    untouched = Mutation(file="", how="nothing", sealed=Seal.NONE)
    monkeypatch.setattr("harness.testing.fuzz_campaign.mutate", lambda _dir, _seed: untouched)
    outcome = judge_mutation(tmp_path / "run", status, 1, tmp_path / "copy")
    assert (outcome.code, outcome.wrong) == (0 if status is Status.PASS else 1, "")
    copy = Path(shutil.copytree(tmp_path / "run", tmp_path / "other"))
    assert is_void(tmp_path / "run", copy, Seal.NONE)
    (copy / "schedule.json").write_text("{}")
    assert not is_void(tmp_path / "run", copy, Seal.NONE)
