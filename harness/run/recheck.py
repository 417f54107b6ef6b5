"""A stored result held against everything else in its run folder. Pure but for reading that.

Believed are the list of files and their digests, and the facts that lie nowhere else: what the
processes used, what the proxies counted, trouble of the harness. Everything else that a result says
follows from the history, the schedule or the journal of faults, and is made again from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import DamagedHistory
from harness.faults.journal import JOURNAL_NAME, read_journal
from harness.report.result import Result
from harness.run.aftermath import Aftermath
from harness.run.brief import Brief, read_brief
from harness.run.coverage import is_covered
from harness.run.judge import judge
from harness.run.verdict import Finding

RECOMPUTED = (
    "diagnosis", "counts", "bound", "latency_ms", "load_latency_ms", "throughput_per_s", "buckets",
    "limits",
)  # fmt: skip
"""Parts of a result that follow from the history and the schedule, beside verdict and checks."""

RECOMPUTED_BEFORE_1_4 = ("throughput_per_s", "buckets")
"""The same of results before 1.4, whose counts and latencies left out what 1.4 counts."""

SHOWN_CHARS_MAX = 60
"""How much of a value is told."""


def judge_again(run_dir: Path, stored: Result) -> Result:
    """Return the result that the stored history gives.

    Raises:
        DamagedHistory: A file is not what was written; names it.
    """
    aftermath = Aftermath(
        findings=[
            Finding(status=one.status, reason_code=one.reason_code, reason=one.reason)
            for one in stored.findings
        ],
        faults=list(stored.faults),
        processes=list(stored.processes),
        coverage=list(stored.coverage),
        config=dict(stored.system.config),
        senders=dict(stored.senders),
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


def differences(run_dir: Path, stored: Result, again: Result) -> list[str]:
    """Return what a result says otherwise than the other files of its run, a line each.

    Args:
        run_dir: The folder of the run.
        stored: What its `result.json` says.
        again: What `judge_again` returned.

    Raises:
        DamagedHistory: The schedule or the journal cannot be read.
    """
    return [
        *_from_schedule(stored, read_brief(run_dir)),
        *_from_journal(run_dir, stored),
        *_from_history(stored, again),
        *_from_itself(stored),
    ]


def _from_schedule(stored: Result, brief: Brief) -> Iterator[str]:
    told = {
        "run.scenario": (stored.run.scenario, brief.scenario),
        "run.seed": (stored.run.seed, brief.seed),
        "system.promises": (sorted(stored.system.promises), sorted(brief.promises)),
        "system.planted_bug": (stored.system.planted_bug, brief.planted_bug or None),
    }
    if stored.system.place:
        told["system.place"] = (stored.system.place, brief.system)
    if brief.parameters is not None:
        told["run.parameters"] = (dict(stored.run.parameters), brief.parameters)
    for name, (says, decided) in told.items():
        yield from _differ(name, says, decided, "the schedule")


def _from_journal(run_dir: Path, stored: Result) -> Iterator[str]:
    path = run_dir / JOURNAL_NAME
    if not path.is_file() and stored.faults:
        raise DamagedHistory(f"{path} is missing")
    journal = read_journal(path) if path.is_file() else []
    yield from _differ(
        "faults", msgspec.to_builtins(stored.faults), msgspec.to_builtins(journal), "the journal"
    )


def _from_history(stored: Result, again: Result) -> Iterator[str]:
    for name in ("status", "limits", "exit_code"):
        says, given = getattr(stored.verdict, name), getattr(again.verdict, name)
        yield from _differ(f"verdict.{name}", says, given, "the history")
    older = tuple(map(int, stored.schema.rpartition("/")[2].split("."))) < (1, 4)
    for name in RECOMPUTED_BEFORE_1_4 if older else RECOMPUTED:
        says, given = (msgspec.to_builtins(getattr(one, name)) for one in (stored, again))
        yield from _differ(name, says, given, "the history")
    before = {one.id: (one.status.value, one.instances, one.examined) for one in stored.checks}
    after = {one.id: (one.status.value, one.instances, one.examined) for one in again.checks}
    for check_id in sorted({*before, *after}):
        yield from _differ(
            f"check {check_id}", before.get(check_id), after.get(check_id), "the history"
        )


def _from_itself(stored: Result) -> Iterator[str]:
    for row in stored.coverage:
        covered = is_covered(row)
        if covered is not None:
            yield from _differ(
                f"coverage of {row.link}: covered", row.covered, covered, "its own counts"
            )


def _differ(name: str, stored: Any, other: Any, source: str) -> Iterator[str]:
    """Yield a line for each of the innermost values that differ."""
    if stored == other:
        return
    match stored, other:
        case dict(), dict():
            for key in dict.fromkeys([*stored, *other]):
                yield from _differ(f"{name}.{key}", stored.get(key), other.get(key), source)
        case list(), list() if len(stored) == len(other):
            for index, (one, another) in enumerate(zip(stored, other, strict=True)):
                yield from _differ(f"{name}[{index}]", one, another, source)
        case list(), list():
            yield f"{name}: stored {len(stored)} of them, from {source} {len(other)}"
        case _:
            yield f"{name}: stored {_short(stored)}, from {source} {_short(other)}"


def _short(value: object) -> str:
    told = str(value)
    return told if len(told) <= SHOWN_CHARS_MAX else f"{told[: SHOWN_CHARS_MAX - 2]} …"
