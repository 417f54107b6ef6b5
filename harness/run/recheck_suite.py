"""A stored suite held against the results of its runs. Pure but for looking into its folder.

Told, since nothing else can contradict it: which scenarios were left out, and why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from harness.errors import DamagedHistory
from harness.report.reach import together
from harness.report.result import Result, Suite, SuiteScenario
from harness.report.untried import count_of
from harness.report.writer import RESULT_NAME
from harness.run.recheck import differ
from harness.run.verdict import merge_runs

REACH_SINCE = (1, 3)
"""The version of the format since which a suite adds up what its runs reached."""

TOLD_OF_SUITE = ("not_applicable", "not_run")
"""Parts of a suite that nothing else in its folder can contradict."""


def place_in(suite_dir: Path, result: str) -> Path:
    """Return where a run of a suite lies.

    Raises:
        DamagedHistory: Not in a folder of its own below that of the suite.
    """
    parts = Path(result).parts
    if len(parts) != 2 or parts[1] != RESULT_NAME or parts[0] in ("..", "/"):
        raise DamagedHistory(f"{suite_dir}: names the run {result!r}, which is none of its folders")
    return suite_dir / result


def suite_differences(suite_dir: Path, suite: Suite, results: Mapping[str, Result]) -> list[str]:
    """Return what a suite says otherwise than its runs, a line each.

    Args:
        suite_dir: Its folder.
        suite: What its `suite.json` says.
        results: The result of each of its runs, found to be what their histories say, by the place
            that the suite names.
    """
    return [
        *_rows(suite, results),
        *_whole(suite, results),
        *_folders(suite_dir, suite),
    ]


def _rows(suite: Suite, results: Mapping[str, Result]) -> Iterator[str]:
    for row in suite.scenarios:
        if (result := results.get(row.result)) is not None:
            made = row_of(row.result, result)
            says, given = msgspec.to_builtins(row), msgspec.to_builtins(made)
            yield from differ(row.result, says, given, "its result")


def row_of(place: str, result: Result) -> SuiteScenario:
    """Return what a suite says of a run."""
    return SuiteScenario(
        name=result.run.scenario,
        status=result.verdict.status,
        limits=result.verdict.limits,
        reason=result.verdict.reason,
        duration_s=round(result.run.duration_s, 3),
        result=place,
        not_tried=count_of(result.not_tried),
    )


def _whole(suite: Suite, results: Mapping[str, Result]) -> Iterator[str]:
    verdicts = [(place.rpartition("/")[0], one.verdict) for place, one in results.items()]
    says, given = msgspec.to_builtins(suite.verdict), msgspec.to_builtins(merge_runs(verdicts))
    yield from differ("verdict", says, given, "its runs")
    for place, one in results.items():
        yield from differ("profile", suite.profile, one.run.profile, place)
    if results:
        first, *_, last = [*results.values(), *results.values()]
        yield from differ("seed", suite.seed, first.run.seed, "its first run")
        told, found = (msgspec.to_builtins(one.environment) for one in (suite, last))
        yield from differ("environment", told, found, "its last run")
    if tuple(map(int, suite.schema.rpartition("/")[2].split("."))) >= REACH_SINCE:
        reached, missed = together(results.values())
        yield from differ("reached", suite.reached, reached, "its runs")
        yield from differ("never_reached", suite.never_reached, missed, "its runs")


def _folders(suite_dir: Path, suite: Suite) -> Iterator[str]:
    """See that each run that lies there is listed, and once."""
    listed = Counter(row.result for row in suite.scenarios)
    for place, times in listed.items():
        if times > 1:
            yield f"{place} is listed {times} times"
    for path in sorted(suite_dir.glob(f"*/{RESULT_NAME}")):
        place = path.relative_to(suite_dir).as_posix()
        if place not in listed:
            yield f"{place} lies there, and the suite does not list it"
