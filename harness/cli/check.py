"""`tallystick check`: judge a stored run again, from its history alone, and compare.

It believes nothing in `result.json` but the list of files, their digests, and the facts that no
history can hold (what the processes used, what went through the proxies, trouble of the harness).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from harness.cli.options import LoadFiles
from harness.errors import DamagedHistory, HarnessError, UsageError
from harness.report.codec import decode_result, decode_suite
from harness.report.result import Artifact, Result, Suite, Verdict
from harness.report.writer import RESULT_NAME, SUITE_NAME, describe_artifacts, digest_of
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
    typer.echo(f"{verdict.status.value}  {place.parent}: the stored history says the same")
    raise typer.Exit(verdict.exit_code)


def check_run(place: Path) -> Verdict:
    """Return the verdict of a run, judged again and found equal to the stored one.

    Args:
        place: Its `result.json`.

    Raises:
        DamagedHistory: A file is missing, altered or unreadable; names it.
        HarnessError: The stored result says something else than the history, or is incomplete.
    """
    stored = _decode(place)
    if not stored.complete:
        raise HarnessError(f"{place}: the run was cut off ({stored.verdict.reason})")
    run_dir = place.parent
    _check_files(run_dir, stored.artifacts)
    if not (run_dir / HISTORY_FOLDER).is_dir():
        raise HarnessError(f"{run_dir}: its history was not kept, so it cannot be judged again")
    again = judge_again(run_dir, stored)
    told = [*_planted_otherwise(run_dir, stored), *differences(stored, again)]
    if told:
        for line in told[:DIFFERENCES_SHOWN_MAX]:
            sys.stderr.write(f"  {line}\n")
        strange = sorted({one.id for one in stored.checks} - {one.id for one in again.checks})
        hint = f"; --load the file that holds check {', '.join(strange)}" if strange else ""
        raise HarnessError(
            f"{place}: the history says something else ({len(told)} differences){hint}"
        )
    if stored.system.planted_bug is not None:
        typer.echo(f"PLANTED  {run_dir}: the system had the bug {stored.system.planted_bug}")
    return again.verdict


def _planted_otherwise(run_dir: Path, stored: Result) -> Iterator[str]:
    """Yield a line if the result does not own up to the bug that the run was asked to plant."""
    from harness.run.brief import read_brief

    asked_for = read_brief(run_dir).planted_bug or None
    yield from _differ("system.planted_bug", stored.system.planted_bug, asked_for)


def judge_again(run_dir: Path, stored: Result) -> Result:
    """Return the result that the stored history gives."""
    from harness.run.aftermath import Aftermath
    from harness.run.judge import judge
    from harness.run.verdict import Finding

    aftermath = Aftermath(
        findings=[
            Finding(status=one.status, reason_code=one.reason_code, reason=one.reason)
            for one in stored.findings
        ],
        faults=list(stored.faults),
        processes=list(stored.processes),
        coverage=list(stored.coverage),
        config=dict(stored.system.config),
        commits=0 if stored.bound is None else stored.bound.commits,
    )
    bare = Result(
        complete=False,
        verdict=stored.verdict,
        run=stored.run,
        system=stored.system,
        environment=stored.environment,
    )
    return judge(run_dir, bare, aftermath)


RECOMPUTED = ("bound", "latency_ms", "load_latency_ms", "throughput_per_s", "buckets")
"""Parts of a result that follow from its history alone, beside verdict, counts and checks."""


def differences(stored: Result, again: Result) -> Iterator[str]:
    """Yield what the two say differently of all that comes from the history."""
    yield from _differ("verdict", stored.verdict.status, again.verdict.status)
    yield from _differ("limits", stored.verdict.limits, again.verdict.limits)
    yield from _differ("exit_code", stored.verdict.exit_code, again.verdict.exit_code)
    old, new = msgspec.to_builtins(stored.counts), msgspec.to_builtins(again.counts)
    for key, value in old.items():
        yield from _differ(f"counts.{key}", value, new[key])
    for name in RECOMPUTED:
        yield from _differ(name, getattr(stored, name), getattr(again, name))
    before = {one.id: (one.status.value, one.instances, one.examined) for one in stored.checks}
    after = {one.id: (one.status.value, one.instances, one.examined) for one in again.checks}
    for check_id in sorted({*before, *after}):
        yield from _differ(f"check {check_id}", before.get(check_id), after.get(check_id))


def _differ(name: str, stored: object, again: object) -> Iterator[str]:
    if stored != again:
        yield f"{name}: stored {stored}, from the history {again}"


def _file_in(folder: Path) -> str:
    return SUITE_NAME if (folder / SUITE_NAME).is_file() else RESULT_NAME


def _decode(place: Path) -> Result:
    try:
        return decode_result(place.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise DamagedHistory(f"{place} is damaged: {error}") from error


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
    try:
        suite: Suite = decode_suite(place.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise DamagedHistory(f"{place} is damaged: {error}") from error
    if not suite.complete:
        raise HarnessError(f"{place}: the suite was cut off ({suite.verdict.reason})")
    verdicts = []
    broken = 0
    for scenario in suite.scenarios:
        try:
            verdict = check_run(place.parent / scenario.result)
        except HarnessError as error:
            sys.stderr.write(f"tallystick: {error}\n")
            broken += 1
            continue
        typer.echo(f"{verdict.status.value}  {scenario.name}: the stored history says the same")
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
    typer.echo(f"{merged.status.value}  {place.parent}")
    return merged.exit_code
