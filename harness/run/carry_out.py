"""A request carried out, with its result marked where the run broke or was interrupted."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from harness.errors import DamagedHistory, HarnessError, UsageError
from harness.report.codec import decode_result
from harness.report.junit import write_junit
from harness.report.result import Result, Verdict
from harness.report.summary import write_summary
from harness.report.writer import RESULT_NAME, describe_artifacts, write_result
from harness.run import verdict
from harness.run.observer import Observer
from harness.run.request import RunOutcome, RunRequest
from harness.user_code import told

HISTORY_FOLDER = "history"
SCHEDULE_NAME = "schedule.json"


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
