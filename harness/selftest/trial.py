"""One run of the self-test: a small scenario, with a planted bug or without."""

from __future__ import annotations

import re
import shutil
import time
import traceback
from pathlib import Path

import anyio
import msgspec

from harness.errors import HarnessError, UsageError
from harness.report.result import CheckStatus, Result, Status
from harness.run.observer import NullObserver
from harness.run.request import REFERENCE_SYSTEM, RunRequest
from harness.run.runner import run
from harness.scenario.loader import find
from harness.scenario.parameters import resolve
from harness.selftest.scenarios import SCENARIOS, place_of
from harness.testing.bugs.registry import PlantedBug, Trial
from harness.testing.planted_system import place_of as system_of

RUN_WITHIN_S = 120.0
"""Deadline of one run; a bug that holds the harness up for longer was not found."""

PROFILE = "smoke"
"""Of every run; the self-test's own scenarios have one size only."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What one run showed.

    Attributes:
        trial: The scenario and its parameters.
        bug: The planted bug, "" for the unmutated reference.
        category: What kind of promise the bug breaks.
        place: The process that it was put into.
        medium: What it takes to see it.
        expected: The checks that may name it.
        found_by: Those of them that failed; the run with a bug counts only by these.
        failed: Every check that failed.
        verdict: The run's status, "" where it did not come to one.
        reason: Of the verdict, or why there is none.
        duration_s: Start, load, drain and judgement.
        run_dir: Where it lies, if it was kept.
        suite: It ran in a whole suite, where whichever check fails has found it.
    """

    trial: str
    bug: str = ""
    category: str = ""
    place: str = ""
    medium: str = ""
    expected: list[str] = []
    found_by: list[str] = []
    failed: list[str] = []
    verdict: str = ""
    reason: str = ""
    duration_s: float = 0.0
    run_dir: str | None = None
    suite: bool = False

    @property
    def as_it_should_be(self) -> bool:
        """A bug was named by a check of its own; the reference raised no alarm."""
        if self.bug and self.suite:
            return bool(self.failed) and self.verdict == Status.FAIL.value
        if self.bug:
            return bool(self.found_by)
        return self.verdict == Status.PASS.value


def name_of(trial: Trial, bug: PlantedBug | None) -> str:
    """Return the name of a run and its folder."""
    if bug is not None:
        return bug.name
    words = [f"{name}-{value}" for name, value in trial.settings.items()]
    return re.sub(r"[^A-Za-z0-9_.]+", "-", "-".join(["baseline", trial.scenario, *words]))


def request_for(trial: Trial, bug: PlantedBug | None, seed: int, run_dir: Path) -> RunRequest:
    """Return the request of a run.

    Raises:
        UsageError: There is no such scenario, or a parameter of the trial is none of it.
    """
    own = trial.scenario in SCENARIOS
    place = place_of(trial.scenario) if own else trial.scenario
    loaded = find(place)
    return RunRequest(
        loaded=loaded,
        place=place,
        parameters=resolve(loaded.scenario.parameters, PROFILE, trial.settings, seed),
        assignments=dict(trial.settings),
        profile=PROFILE,
        seed=seed,
        system=REFERENCE_SYSTEM if bug is None else system_of(bug),
        run_dir=run_dir,
        command="tallystick selftest",
        planted_bug="" if bug is None else bug.name,
    )


async def carry_out(
    trial: Trial, bug: PlantedBug | None, *, seed: int, folder: Path, keep: bool
) -> Seen:
    """Carry a run out and return what it showed.

    Its folder, below `folder`, is kept if `keep` says so or if it did not show what it should.
    """
    run_dir = folder / name_of(trial, bug)
    run_dir.mkdir()
    begun = time.monotonic()
    result: Result | None = None
    reason = f"it did not end within {RUN_WITHIN_S:g} s"
    try:
        with anyio.move_on_after(RUN_WITHIN_S):
            outcome = await run(request_for(trial, bug, seed, run_dir), NullObserver())
            result, reason = outcome.result, outcome.result.verdict.reason
    except (HarnessError, UsageError) as error:
        reason = str(error)
    except Exception as error:
        # Whatever a bug does to the harness, the other bugs have to be tried.
        reason = f"the harness broke: {type(error).__name__}: {error}"
        (run_dir / "traceback.txt").write_text(traceback.format_exc())
    seen = told(trial, bug, result, reason, time.monotonic() - begun, run_dir)
    if seen.as_it_should_be and not keep:
        await anyio.to_thread.run_sync(shutil.rmtree, run_dir)
        return msgspec.structs.replace(seen, run_dir=None)
    return seen


def told(
    trial: Trial,
    bug: PlantedBug | None,
    result: Result | None,
    reason: str,
    duration_s: float,
    run_dir: Path,
) -> Seen:
    """Return what a run showed, from its result (None where there is none) and the reason of it."""
    failed = [
        check.id for check in (result.checks if result else []) if check.status is CheckStatus.FAIL
    ]
    # A result that does not say which bug it was made with would pass for an honest one.
    marked = result is not None and bug is not None and result.system.planted_bug == bug.name
    came = result is not None and result.verdict.status is not Status.ERROR
    if bug is not None and came and not marked:
        reason = f"the result does not say that {bug.name} was planted"
    return Seen(
        trial=str(trial),
        bug="" if bug is None else bug.name,
        category="" if bug is None else bug.category.value,
        place="" if bug is None else bug.place.value,
        medium="" if bug is None else bug.medium.value,
        expected=[] if bug is None else list(bug.named_by),
        found_by=[check for check in bug.named_by if check in failed] if bug and marked else [],
        failed=failed,
        verdict="" if result is None else result.verdict.status.value,
        reason=reason,
        duration_s=round(duration_s, 2),
        run_dir=str(run_dir),
    )
