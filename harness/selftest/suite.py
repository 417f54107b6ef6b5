"""Every bug in a whole suite, as its users run it: what do the scenarios find by themselves?"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import msgspec

from harness.report.result import Status
from harness.scenario.loader import load_all
from harness.scenario.suites import suite_of
from harness.selftest.campaign import RUNS_AT_ONCE_MAX
from harness.selftest.trial import PROFILE, Seen, carry_out
from harness.testing.bugs.registry import PlantedBug, Trial

QUICK_FIRST = (
    "offline_messaging",
    "rebucket_under_fire",
    "hotkey_bucketing",
    "global_fan_in",
)
"""In this order a bug is found soonest, since its first FAIL ends its turn; others come behind."""


def scenarios_of_suite() -> list[str]:
    """Return the names of the scenarios of the suite, those that find most in least time first."""
    names = [loaded.scenario.name for loaded in suite_of(PROFILE, load_all())]
    known = [name for name in QUICK_FIRST if name in names]
    return [*known, *(name for name in names if name not in known)]


async def suite_campaign(
    bugs: Sequence[PlantedBug],
    *,
    seed: int,
    folder: Path,
    keep: bool,
    jobs: int,
    tell: Callable[[Seen, int, int], None],
) -> list[Seen]:
    """Run the scenarios of the suite without a bug, then with each, up to its first FAIL.

    Args:
        bugs: Which ones.
        seed: Of every run.
        folder: Where the runs lie, in a folder for each scenario; exists.
        keep: Whether runs are kept.
        jobs: How many bugs at a time.
        tell: Is called with each bug or baseline that is through, how many are, and how many there
            are.

    Returns:
        What was seen: a baseline for each scenario, then the bugs, in their order.
    """
    scenarios = scenarios_of_suite()
    wanted: list[tuple[list[str], PlantedBug | None]] = [
        *(([name], None) for name in scenarios),
        *((scenarios, bug) for bug in bugs),
    ]
    for name in scenarios:
        (folder / name).mkdir()
    seen: dict[int, Seen] = {}
    places = anyio.CapacityLimiter(min(jobs, RUNS_AT_ONCE_MAX))

    async def one(number: int, names: list[str], bug: PlantedBug | None) -> None:
        async with places:
            seen[number] = await _up_to_a_fail(names, bug, seed=seed, folder=folder, keep=keep)
        tell(seen[number], len(seen), len(wanted))

    async with anyio.create_task_group() as tasks:
        for number, (names, bug) in enumerate(wanted):
            tasks.start_soon(one, number, names, bug)
    return [seen[number] for number in sorted(seen)]


async def _up_to_a_fail(
    names: Sequence[str], bug: PlantedBug | None, *, seed: int, folder: Path, keep: bool
) -> Seen:
    """Run the scenarios until one says FAIL; return what that one, or the last, showed."""
    begun = time.monotonic()
    for name in names:
        trial = Trial(scenario=name)
        seen = await carry_out(trial, bug, seed=seed, folder=folder / name, keep=keep)
        if bug is not None and not keep and seen.run_dir is not None:
            # A suite that says PASS is no escape of the self-test, and its run is a large one.
            await anyio.to_thread.run_sync(shutil.rmtree, seen.run_dir)
            seen = msgspec.structs.replace(seen, run_dir=None)
        if seen.verdict == Status.FAIL.value:
            break
    duration_s = round(time.monotonic() - begun, 2)
    return msgspec.structs.replace(seen, duration_s=duration_s, suite=True)
