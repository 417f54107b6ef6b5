"""`tallystick check`: judge a stored run again, from its files alone, and compare.

It believes nothing in `result.json` but the list of files, their digests, and the facts that lie in
no other file (`harness.run.recheck`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import LoadFiles
from harness.errors import DamagedHistory, HarnessError, UsageError
from harness.report.result import Artifact, Limits, Verdict
from harness.report.stored import load_result, load_suite
from harness.report.untried import lines
from harness.report.writer import RESULT_NAME, SUITE_NAME, describe_artifacts, digest_of
from harness.run.recheck import TOLD, differences, judge_again
from harness.run.verdict import EXIT_ERROR, merge_runs
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
    verdict = check_run(place)
    typer.echo(f"{_told(verdict)}  {place.parent}: the stored history says the same")
    typer.echo(f"      told, and held against nothing: {', '.join(TOLD)}")
    raise typer.Exit(verdict.exit_code)


def check_run(place: Path) -> Verdict:
    """Return the verdict of a run, judged again and found equal to the stored one.

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
    _check_files(run_dir, stored.artifacts)
    if not (run_dir / HISTORY_FOLDER).is_dir():
        raise HarnessError(f"{run_dir}: its history was not kept, so it cannot be judged again")
    try:
        again = judge_again(run_dir, stored)
    except DamagedHistory as error:
        # A reader names a file of the history; which run's it is matters in a suite.
        inside = str(run_dir) in str(error)
        raise error if inside else DamagedHistory(f"{run_dir}: {error}") from error
    told = differences(run_dir, stored, again)
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
    return again.verdict


def _told(verdict: Verdict) -> str:
    missed = verdict.limits is Limits.MISSED
    return f"{verdict.status.value}{', limits MISSED' if missed else ''}"


def _file_in(folder: Path) -> str:
    return SUITE_NAME if (folder / SUITE_NAME).is_file() else RESULT_NAME


def _check_files(run_dir: Path, listed: list[Artifact]) -> None:
    for artifact in listed:
        path = run_dir / artifact.path
        if not path.is_file():
            raise DamagedHistory(f"{path} is missing")
        if path.stat().st_size != artifact.bytes or digest_of(path) != artifact.sha256:
            raise DamagedHistory(f"{path} is damaged: it is not what the run wrote")
    known = {artifact.path for artifact in listed}
    for found in describe_artifacts(run_dir):
        if found.path.startswith(f"{HISTORY_FOLDER}/") and found.path not in known:
            raise DamagedHistory(f"{run_dir / found.path} was added after the run")


def _check_suite(place: Path) -> int:
    suite = load_suite(place)
    if not suite.complete:
        raise HarnessError(f"{place}: the suite was cut off ({suite.verdict.reason})")
    verdicts = []
    broken = 0
    for scenario in suite.scenarios:
        try:
            verdict = check_run(place.parent / scenario.result)
        except (HarnessError, UsageError) as error:
            sys.stderr.write(f"tallystick: {error}\n")
            broken += 1
            continue
        typer.echo(f"{_told(verdict)}  {scenario.name}: the stored history says the same")
        verdicts.append((scenario.name, verdict))
    if broken:
        return EXIT_ERROR
    merged = merge_runs(verdicts)
    if (merged.status, merged.limits) != (suite.verdict.status, suite.verdict.limits):
        sys.stderr.write(
            f"tallystick: {place} says {suite.verdict.status.value}, its scenarios say "
            f"{merged.status.value}\n"
        )
        return EXIT_ERROR
    typer.echo(f"{_told(merged)}  {place.parent}")
    return merged.exit_code
