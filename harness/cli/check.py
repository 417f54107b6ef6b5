"""`tallystick check`: judge a stored run again, from its files alone, and compare.

It believes nothing in `result.json` but the list of files, their digests, and the facts that lie in
no other file (`harness.run.recheck`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.check_pages import (
    ALWAYS_LISTED,
    junit_differences,
    remarks,
    suite_junit,
    suite_remarks,
    unlisted,
)
from harness.cli.options import LoadFiles
from harness.errors import DamagedHistory, HarnessError, UsageError
from harness.report.result import Artifact, Limits, Result, Verdict
from harness.report.stored import load_result, load_suite
from harness.report.untried import lines
from harness.report.writer import RESULT_NAME, SUITE_NAME, digest_of
from harness.run.recheck import differences, judge_again
from harness.run.recheck_suite import place_in, suite_differences
from harness.run.verdict import EXIT_ERROR
from harness.scenario.loader import load_file

HISTORY_FOLDER = "history"

DIFFERENCES_SHOWN_MAX = 20
"""Differences told; one is enough to disbelieve a result."""


def check(
    result: Annotated[
        Path, typer.Argument(help="A run or suite folder, or its result.json or suite.json.")
    ],
    load: LoadFiles = None,
) -> None:
    """Judge a stored run again, from its history alone.

    Ends with the exit code of the verdict when both agree, with 70 when a file is damaged or the
    stored result says something else. A run with checks of your own needs the files that hold them.
    """
    for file in load or []:
        load_file(file)
    place = result / _file_in(result) if result.is_dir() else result
    if not place.is_file():
        raise UsageError(f"{result}: no {RESULT_NAME} or {SUITE_NAME} there")
    if place.name == SUITE_NAME:
        raise typer.Exit(_check_suite(place))
    checked = check_run(place)
    typer.echo(f"{_told(checked.verdict)}  {place.parent}: the stored history says the same")
    for line in remarks(place.parent, checked):
        typer.echo(f"      {line}")
    raise typer.Exit(checked.verdict.exit_code)


def check_run(place: Path) -> Result:
    """Return the result of a run, judged again and found equal.

    Args:
        place: Its `result.json`.

    Raises:
        DamagedHistory: A file is missing, altered or unreadable; names it.
        HarnessError: The result says something else than the other files, or is incomplete.
        UsageError: The result cannot be read, or a newer Tallystick has written it.
    """
    stored = load_result(place)
    if not stored.complete:
        raise HarnessError(f"{place}: the run was cut off ({stored.verdict.reason})")
    run_dir = place.parent
    check_files(run_dir, stored.artifacts)
    if not (run_dir / HISTORY_FOLDER).is_dir():
        raise HarnessError(f"{run_dir}: its history was not kept, so it cannot be judged again")
    try:
        again = judge_again(run_dir, stored)
    except DamagedHistory as error:
        # A reader names a file of the history; which run's it is matters in a suite.
        inside = str(run_dir) in str(error)
        raise error if inside else DamagedHistory(f"{run_dir}: {error}") from error
    told = [*differences(run_dir, stored, again), *junit_differences(run_dir, stored)]
    if told:
        for line in told[:DIFFERENCES_SHOWN_MAX]:
            sys.stderr.write(f"  {line}\n")
        times = "1 difference" if len(told) == 1 else f"{len(told)} differences"
        strange = sorted({one.id for one in stored.checks} - {one.id for one in again.checks})
        hint = f"; --load the file that holds check {', '.join(strange)}" if strange else ""
        raise HarnessError(
            f"{place}: the other files of its run say something else ({times}){hint}"
        )
    if stored.system.planted_bug is not None:
        typer.echo(f"PLANTED  {run_dir}: the system had the bug {stored.system.planted_bug}")
    for line in lines(stored.not_tried):
        typer.echo(f"not tried, though planned: {line}")
    return stored


def _told(verdict: Verdict) -> str:
    missed = verdict.limits is Limits.MISSED
    return f"{verdict.status.value}{', limits MISSED' if missed else ''}"


def _file_in(folder: Path) -> str:
    return SUITE_NAME if (folder / SUITE_NAME).is_file() else RESULT_NAME


def check_files(run_dir: Path, listed: list[Artifact]) -> None:
    """See that the files of a run are those that its result lists.

    Raises:
        DamagedHistory: One is missing, altered or was added; names it.
    """
    if len({artifact.path for artifact in listed}) != len(listed):
        raise DamagedHistory(f"{run_dir / RESULT_NAME}: lists a file twice")
    for artifact in listed:
        path = run_dir / artifact.path
        if not path.is_file():
            raise DamagedHistory(f"{path} is missing")
        if path.stat().st_size != artifact.bytes or digest_of(path) != artifact.sha256:
            raise DamagedHistory(f"{path} is damaged: it is not what the run wrote")
    for found in unlisted(run_dir, listed):
        if found.startswith(f"{HISTORY_FOLDER}/") or found in ALWAYS_LISTED:
            raise DamagedHistory(f"{run_dir / found} was added after the run")


def _check_suite(place: Path) -> int:
    suite = load_suite(place)
    if not suite.complete:
        raise HarnessError(f"{place}: the suite was cut off ({suite.verdict.reason})")
    results: dict[str, Result] = {}
    broken = 0
    for row in suite.scenarios:
        try:
            results[row.result] = checked = check_run(place_in(place.parent, row.result))
        except (HarnessError, UsageError) as error:
            sys.stderr.write(f"tallystick: {error}\n")
            broken += 1
            continue
        typer.echo(f"{_told(checked.verdict)}  {row.name}: the stored history says the same")
    if broken:
        return EXIT_ERROR
    told = [*suite_differences(place.parent, suite, results), *suite_junit(place.parent, results)]
    if told:
        for line in told[:DIFFERENCES_SHOWN_MAX]:
            sys.stderr.write(f"  {line}\n")
        sys.stderr.write(f"tallystick: {place}: its runs say something else\n")
        return EXIT_ERROR
    typer.echo(f"{_told(suite.verdict)}  {place.parent}")
    for line in suite_remarks(place.parent, suite, list(results.values())):
        typer.echo(f"      {line}")
    return suite.verdict.exit_code
