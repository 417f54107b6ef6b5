"""The whole self-test: every scenario once without a bug, then every bug in its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

import anyio
import msgspec

from harness.selftest.trial import Seen, carry_out
from harness.testing.bugs.registry import PlantedBug, Trial

SELFTEST_SCHEMA: Literal["tallystick.selftest/1.1"] = "tallystick.selftest/1.1"

RUNS_AT_ONCE_MAX = 8
"""Each run is six processes; more of them would only slow one another down."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a self-test showed.

    Attributes:
        complete: It came to its end.
        seed: Of every run.
        suite: The bugs were planted into the scenarios of the smoke suite, not into their own.
        passed: Every bug was named by a check of its own, and the reference raised no alarm.
        escaped: Bugs that no check of their own named; in the suite, that nothing failed for.
        alarms: Scenarios that did not PASS without a bug.
        bugs: A run for each bug.
        baselines: A run of each scenario that they use, without one.
        duration_s: Of everything.
    """

    schema: Literal["tallystick.selftest/1.1"] = SELFTEST_SCHEMA
    complete: bool
    seed: int
    suite: bool = False
    passed: bool
    escaped: list[str]
    alarms: list[str]
    bugs: list[Seen]
    baselines: list[Seen]
    duration_s: float


def trials_of(bugs: Iterable[PlantedBug]) -> list[Trial]:
    """Return the different trials of the bugs, in their order."""
    by_name = {str(bug.trial): bug.trial for bug in bugs}
    return list(by_name.values())


def report_of(
    seed: int,
    seen: Sequence[Seen],
    duration_s: float,
    *,
    complete: bool = True,
    suite: bool = False,
) -> Report:
    """Return the report over the runs, in the order in which they were asked for."""
    bugs = [one for one in seen if one.bug]
    baselines = [one for one in seen if not one.bug]
    escaped = [one.bug for one in bugs if not one.as_it_should_be]
    alarms = [one.trial for one in baselines if not one.as_it_should_be]
    return Report(
        complete=complete,
        seed=seed,
        suite=suite,
        passed=complete and bool(bugs) and not escaped and not alarms,
        escaped=escaped,
        alarms=alarms,
        bugs=bugs,
        baselines=baselines,
        duration_s=round(duration_s, 1),
    )


async def campaign(
    bugs: Sequence[PlantedBug],
    *,
    seed: int,
    folder: Path,
    keep: bool,
    jobs: int,
    tell: Callable[[Seen, int, int], None],
) -> list[Seen]:
    """Run the baselines and the bugs, up to `jobs` at the same time.

    Args:
        bugs: Which ones.
        seed: Of every run.
        folder: Where the runs lie; exists.
        keep: Whether runs that showed what they should are kept.
        jobs: How many runs at a time; more than one makes each of them slower.
        tell: Is called with each run that ended, how many have, and how many there are.

    Returns:
        What each run showed: baselines first, then the bugs, in their order.
    """
    wanted: list[tuple[Trial, PlantedBug | None]] = [
        *((trial, None) for trial in trials_of(bugs)),
        *((bug.trial, bug) for bug in bugs),
    ]
    seen: dict[int, Seen] = {}
    places = anyio.CapacityLimiter(min(jobs, RUNS_AT_ONCE_MAX))

    async def one(number: int, trial: Trial, bug: PlantedBug | None) -> None:
        async with places:
            seen[number] = await carry_out(trial, bug, seed=seed, folder=folder, keep=keep)
        tell(seen[number], len(seen), len(wanted))

    async with anyio.create_task_group() as tasks:
        for number, (trial, bug) in enumerate(wanted):
            tasks.start_soon(one, number, trial, bug)
    return [seen[number] for number in sorted(seen)]
