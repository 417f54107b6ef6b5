"""Carrying runs out under signals: what `run` and `verify` share.

SIGINT, SIGTERM and SIGHUP cancel the work; the runner stops what it started, behind a shield, and
what was recorded stays. The result file is then marked as interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

import anyio
import anyio.abc
import msgspec

from harness.errors import DamagedHistory, HarnessError, UsageError
from harness.nearest import did_you_mean
from harness.report.codec import decode_result
from harness.report.junit import write_junit
from harness.report.result import INTEGER_LIMIT, Result, Verdict
from harness.report.summary import write_summary
from harness.report.writer import RESULT_NAME, describe_artifacts, write_result
from harness.run import verdict
from harness.run.limits import parse as parse_limit
from harness.run.limits import parse_option
from harness.run.observer import Observer
from harness.run.request import RunOutcome, RunRequest
from harness.scenario.loader import LoadedScenario, load_file
from harness.scenario.parameters import Parameters, resolve
from harness.user_code import told, where

SIGNALS_MAX = 3
"""This many signals end the process at once, without waiting for the clean-up."""

HISTORY_FOLDER = "history"
SCHEDULE_NAME = "schedule.json"

KEEP_HISTORY = ("always", "on-failure", "never")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(Generic[T]):
    """How work under signals ended: with a value, or by a signal (its exit code)."""

    value: T | None = None
    interrupted_by: int | None = None


def under_signals(work: Callable[[], Awaitable[T]]) -> Ended[T]:
    """Run async work to its end or until a signal stops it; its exceptions are raised as they are.

    Work that still ends in order after the signal counts as ended.
    """
    return anyio.run(_under_signals, work, backend_options={"use_uvloop": True})


async def _under_signals(work: Callable[[], Awaitable[T]]) -> Ended[T]:
    scope = anyio.CancelScope()
    received: list[int] = []
    values: list[T] = []
    errors: list[Exception] = []
    async with anyio.create_task_group() as tasks:
        await tasks.start(_watch_signals, scope, received)
        with scope:
            try:
                values.append(await work())
            except Exception as error:
                # Raised behind the task group, which would wrap it.
                errors.append(error)
        tasks.cancel_scope.cancel()
    if values:
        return Ended(value=values[0])
    if received:
        for trouble in errors:
            sys.stderr.write(f"trouble while stopping: {type(trouble).__name__}: {trouble}\n")
        return Ended(interrupted_by=128 + received[0])
    raise errors[0] if errors else HarnessError("the run was cancelled from within")


async def _watch_signals(
    scope: anyio.CancelScope,
    received: list[int],
    *,
    task_status: anyio.abc.TaskStatus[None],
) -> None:
    with anyio.open_signal_receiver(*_stopping_signals()) as signals:
        task_status.started()
        async for number in signals:
            received.append(number)
            if len(received) == 1:
                sys.stderr.write("interrupted; stopping what was started\n")
                scope.cancel()
            elif len(received) == SIGNALS_MAX:
                # Nodes and proxies have lifelines: they end with this process.
                os._exit(128 + received[0])
            else:
                sys.stderr.write("still stopping; once more leaves at once\n")


def _stopping_signals() -> list[signal.Signals]:
    """Return what stops a run; a terminal that closes does not where nohup said so."""
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else [])]


def make_request(
    loaded: LoadedScenario,
    place: str,
    *,
    profile: str,
    seed: int,
    assignments: Mapping[str, str],
    system: str,
    run_dir: Path,
    command: str,
    keep_history: str,
    limits: tuple[str, ...] = (),
    files: tuple[str, ...] = (),
    charts: bool = False,
) -> RunRequest:
    """Return the request of a run.

    Raises:
        UsageError: A parameter or limit of the plan is not one.
    """
    return RunRequest(
        loaded=loaded,
        place=place,
        parameters=checked_parameters(loaded, profile, assignments, seed),
        assignments=assignments,
        profile=profile,
        seed=seed,
        system=system,
        run_dir=run_dir,
        command=command,
        keep_history=keep_history,
        limits=limits,
        files=files,
        charts=charts,
    )


def checked_parameters(
    loaded: LoadedScenario, profile: str, assignments: Mapping[str, str], seed: int = 0
) -> Parameters:
    """Return the values of a run after making its plan once, so that mistakes come first.

    Raises:
        UsageError: A parameter or limit is not one; says what is allowed.
    """
    parameters = resolve(loaded.scenario.parameters, profile, assignments, seed)
    plan = loaded.scenario.plan_for(parameters)
    for text in (*plan.limits, *plan.optional_limits):
        try:
            parse_limit(text)
        except UsageError as error:
            place = where(loaded.scenario.plan) or loaded.source
            raise UsageError(f"{place}: {error}") from None
    return parameters


def load_files(places: list[str]) -> tuple[str, ...]:
    """Run the files that ``--load`` names, for what they register, and return their names.

    Raises:
        UsageError: One is not there, or raises.
    """
    for place in places:
        load_file(place)
    return tuple(places)


def checked_limits(texts: list[str]) -> tuple[str, ...]:
    """Return ``--limit`` options as limits.

    Raises:
        UsageError: One is none, or a metric is limited twice in one direction.
    """
    found = [parse_option(text) for text in texts]
    sides = [(one.metric, one.op[0]) for one in map(parse_limit, found)]
    for side in sides:
        if sides.count(side) > 1:
            raise UsageError(f"--limit {side[0]} is given twice")
    return tuple(found)


def parse_assignments(texts: list[str]) -> dict[str, str]:
    """Return ``--set`` options as a mapping.

    Raises:
        UsageError: One is not ``key=value``, or a key is set twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise UsageError(f"--set {text!r}: write key=value")
        if key in found:
            raise UsageError(f"--set {key} is given twice")
        found[key] = value.strip()
    return found


def check_seed(seed: int) -> int:
    """Return the seed.

    Raises:
        UsageError: It is not in 0 … 2^53 - 1.
    """
    if not 0 <= seed < INTEGER_LIMIT:
        raise UsageError(f"--seed {seed}: a whole number from 0 up to {INTEGER_LIMIT - 1}")
    return seed


def check_keep_history(word: str) -> str:
    """Return the word.

    Raises:
        UsageError: It is none of `KEEP_HISTORY`.
    """
    if word not in KEEP_HISTORY:
        hint = did_you_mean(word, KEEP_HISTORY)
        raise UsageError(f"--keep-history {word!r}: one of {', '.join(KEEP_HISTORY)}{hint}")
    return word


async def carry_out(request: RunRequest, observer: Observer) -> RunOutcome:
    """Carry out one run.

    Raises:
        UsageError: The request does not fit the system.
        HarnessError: The run broke in a way that nobody foresaw; says where the traceback lies.
    """
    from harness.run.runner import run

    try:
        return await run(request, observer)
    except (UsageError, HarnessError) as error:
        _mark_broken(request.run_dir, str(error))
        raise
    except Exception as error:
        log = request.run_dir / "logs" / "harness.log"
        log.parent.mkdir(exist_ok=True)
        log.write_text(traceback.format_exc())
        reason = f"{_cause(error)}; the traceback lies in {log}"
        _mark_broken(request.run_dir, reason)
        raise HarnessError(reason) from error


def _cause(error: BaseException) -> str:
    """Return the first trouble of a group, or the one there is, in a line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return told(error)


def mark_interrupted(run_dir: Path, code: int) -> Result | None:
    """Write into a result that a signal ended its run, with what was recorded, and return it.

    Returns None where there is no result, and a result that was complete already as it is.
    """
    found = _result_in(run_dir)
    if found is None or found.complete:
        return found
    partial = _judge_part(run_dir, found)
    return _close(run_dir, partial, verdict.interrupted(partial.verdict, code))


def _mark_broken(run_dir: Path, reason: str) -> None:
    """Write into a result, if there is one, why its run broke."""
    found = _result_in(run_dir)
    if found is not None and not found.complete:
        _close(run_dir, found, verdict.broken(reason))


def _result_in(run_dir: Path) -> Result | None:
    path = run_dir / RESULT_NAME
    if not path.is_file():
        return None
    try:
        return decode_result(path.read_bytes())
    except msgspec.DecodeError as error:
        raise HarnessError(f"{path}: {error}") from error


def _close(run_dir: Path, partial: Result, final: Verdict) -> Result:
    """Write what there is of a run that did not reach its end, under its verdict."""
    marked = msgspec.structs.replace(partial, verdict=final)
    write_summary(run_dir, marked)
    write_junit(run_dir, marked)
    marked = msgspec.structs.replace(marked, artifacts=describe_artifacts(run_dir))
    write_result(run_dir, marked)
    return marked


def _judge_part(run_dir: Path, begun: Result) -> Result:
    from harness.run.aftermath import Aftermath
    from harness.run.judge import judge_cut_off

    now = datetime.now(UTC)
    duration_s = (now - datetime.fromisoformat(begun.run.started_at)).total_seconds()
    begun = msgspec.structs.replace(
        begun, run=msgspec.structs.replace(begun.run, duration_s=round(duration_s, 3))
    )
    if not (run_dir / SCHEDULE_NAME).is_file() or not (run_dir / HISTORY_FOLDER).is_dir():
        return begun
    try:
        return judge_cut_off(run_dir, begun, Aftermath())
    except DamagedHistory as error:
        note = f"what was recorded cannot be read: {error}"
        return msgspec.structs.replace(begun, notes=[*begun.notes, note])
