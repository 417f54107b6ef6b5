"""A stored result held against everything else in its run folder. Pure but for reading that.

Made again from the history and the schedule: verdict, checks, counts, bound, latencies, rates,
bucket loads and limits. Held against what the runner wrote into the history and, before anything
was started, into the schedule: all the rest, but for what nothing else in the folder can
contradict (`TOLD`). Whoever writes all files anew, digests, books and all, is judged by what they
say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import DamagedHistory
from harness.faults.journal import JOURNAL_NAME, read_journal
from harness.history.audit import RUNNER
from harness.history.index import read_index
from harness.history.reader import read_segment
from harness.history.records import (
    HEALING,
    FaultMarked,
    LinkCounted,
    PartTold,
    Record,
    TroubleSeen,
)
from harness.history.segment import SCHEMA_WITHOUT_BOOKS
from harness.report.result import Check, LinkCoverage, Result, Status, Trouble
from harness.run.aftermath import HARNESS_ROLE, Aftermath
from harness.run.brief import Brief, read_brief
from harness.run.coverage import is_covered
from harness.run.judge import HISTORY_FOLDER, RECOMPUTED_CODES, RECORDS_LOST, judge
from harness.run.verdict import Finding

RECOMPUTED = (
    "diagnosis", "counts", "bound", "latency_ms", "load_latency_ms", "throughput_per_s", "buckets",
    "limits", "processes", "reached",
)  # fmt: skip
"""Parts of a result that follow from the history and the schedule, beside verdict and checks."""

TOLD = {
    "run.ended_at": "when the run had ended",
    "run.duration_s": "how long it took beyond its last record",
    "processes[harness]": "what the harness itself used",
    "findings[ERROR]": "what broke the harness",
}
"""Parts of a result that nothing else in its folder can contradict, in words."""

TOLD_BEFORE = {
    (1, 4): "which run, system and machine it was, and what went through the links",
    (1, 5): "what processes used, client errors, settings, and whether records were lost",
}
"""What was told besides by results of before a version."""

ADDED_IN_1_5 = frozenset({"processes", "reached"})
"""Those that earlier results do not have, or did not hold in their histories."""

RECOMPUTED_BEFORE_1_4 = ("throughput_per_s", "buckets")
"""The same of results before 1.4, whose counts and latencies left out what 1.4 counts."""

ROUNDED_S = 0.001
"""By how much a stored duration may be rounded down."""

SHOWN_CHARS_MAX = 60
"""How much of a value is told."""


def judge_again(run_dir: Path, stored: Result) -> Result:
    """Return the result that the stored history gives.

    Raises:
        DamagedHistory: A file is not what was written; names it.
    """
    bare = Result(
        complete=False,
        verdict=stored.verdict,
        run=stored.run,
        system=stored.system,
        environment=stored.environment,
    )
    aftermath = _aftermath_of(stored)
    if _version(stored) >= (1, 5):
        commits = _read_runner(run_dir).parts.get("commits", 0)
        aftermath.commits = commits if isinstance(commits, int) else 0
    return judge(run_dir, bare, aftermath)


def _aftermath_of(stored: Result) -> Aftermath:
    return Aftermath(
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
        client_errors=list(stored.client_errors),
    )


def told_by(stored: Result) -> list[str]:
    """Return what a result says that nothing else in its folder can contradict, in words."""
    older = [told for since, told in TOLD_BEFORE.items() if _version(stored) < since]
    return [*TOLD.values(), *older]


def _version(stored: Result) -> tuple[int, int]:
    major, minor = stored.schema.rpartition("/")[2].split(".")
    return int(major), int(minor)


def differences(run_dir: Path, stored: Result, again: Result) -> list[str]:
    """Return what a result says otherwise than the other files of its run, a line each.

    Args:
        run_dir: The folder of the run.
        stored: What its `result.json` says.
        again: What `judge_again` returned.

    Raises:
        DamagedHistory: The schedule or the journal cannot be read.
    """
    brief = read_brief(run_dir)
    return [
        *_lost(stored, again),
        *_from_versions(stored, brief, read_index(run_dir / HISTORY_FOLDER).schema),
        *_from_schedule(stored, brief),
        *_from_journal(run_dir, stored),
        *_from_history(stored, again),
        *_from_runner(run_dir, stored),
        *_from_itself(stored),
    ]


def _lost(stored: Result, again: Result) -> Iterator[str]:
    """Tell in full what the books of the history say otherwise than its segments."""
    said = {one.reason for one in stored.findings}
    for one in again.findings:
        if one.reason_code == RECORDS_LOST and one.reason not in said:
            yield f"history: {one.reason}"


def _from_versions(stored: Result, brief: Brief, history: str) -> Iterator[str]:
    """See that a result is not of an older version than its files, of which less is compared."""
    version = _version(stored)
    if brief.begun is not None and version < (1, 4):
        yield f"schema: stored {stored.schema}, and the schedule is of 1.4 or later"
    if (history != SCHEMA_WITHOUT_BOOKS) is not (version >= (1, 5)):
        yield f"schema: stored {stored.schema}, and the history is {history}"


def _from_schedule(stored: Result, brief: Brief) -> Iterator[str]:
    told: dict[str, tuple[Any, Any]] = {
        "run.id": (stored.run.id, brief.run_id),
        "run.scenario": (stored.run.scenario, brief.scenario),
        "run.seed": (stored.run.seed, brief.seed),
        "system.promises": (sorted(stored.system.promises), sorted(brief.promises)),
        "not_tried": tuple(map(msgspec.to_builtins, (stored.not_tried, brief.not_tried))),
        "system.planted_bug": (stored.system.planted_bug, brief.planted_bug or None),
    }
    if stored.system.place:
        told["system.place"] = (stored.system.place, brief.system)
    if brief.parameters is not None:
        told["run.parameters"] = (dict(stored.run.parameters), brief.parameters)
    if (begun := brief.begun) is not None:
        ended = {"ended_at": stored.run.ended_at, "duration_s": stored.run.duration_s}
        config = {"config": stored.system.config, "planted_bug": stored.system.planted_bug}
        told |= {
            "run": (stored.run, msgspec.structs.replace(begun.run, **ended)),
            "system": (stored.system, msgspec.structs.replace(begun.system, **config)),
            "environment": (stored.environment, begun.environment),
            "drawn": (stored.drawn, brief.drawn),
            "notes": (stored.notes, [*begun.notes, *stored.system.config.get("notes", [])]),
        }
    for name, (says, decided) in told.items():
        says, decided = msgspec.to_builtins(says), msgspec.to_builtins(decided)
        yield from differ(name, says, decided, "the schedule")


def _from_journal(run_dir: Path, stored: Result) -> Iterator[str]:
    path = run_dir / JOURNAL_NAME
    if not path.is_file() and stored.faults:
        raise DamagedHistory(f"{path} is missing")
    journal = read_journal(path) if path.is_file() else []
    yield from differ(
        "faults", msgspec.to_builtins(stored.faults), msgspec.to_builtins(journal), "the journal"
    )


def _from_history(stored: Result, again: Result) -> Iterator[str]:
    for name in ("status", "reason_code", "reason", "limits", "exit_code"):
        says, given = getattr(stored.verdict, name), getattr(again.verdict, name)
        yield from differ(f"verdict.{name}", says, given, "the history")
    says, given = (
        [one.reason for one in result.findings if one.reason_code in RECOMPUTED_CODES]
        for result in (stored, again)
    )
    yield from differ("findings", says, given, "the history")
    older = _version(stored) < (1, 4)
    for name in RECOMPUTED_BEFORE_1_4 if older else RECOMPUTED:
        if name in ADDED_IN_1_5 and _version(stored) < (1, 5):
            continue
        says, given = (msgspec.to_builtins(getattr(one, name)) for one in (stored, again))
        yield from differ(name, says, given, "the history")
    before, after = ({one.id: one for one in result.checks} for result in (stored, again))
    if len(before) != len(stored.checks):
        yield f"checks: stored {len(stored.checks)} of them, of {len(before)} ids"
    for check_id in sorted({*before, *after}):
        one, other = before.get(check_id), after.get(check_id)
        name = f"check {check_id}"
        if _found(one) == _found(other):
            says, given = msgspec.to_builtins(one), msgspec.to_builtins(other)
        else:
            says, given = _found(one), _found(other)
        yield from differ(name, says, given, "the history")


def _found(check: Check | None) -> tuple[str, int, int] | None:
    return None if check is None else (check.status.value, check.instances, check.examined)


@dataclass(slots=True)
class _Runner:
    """What the runner wrote into its own history."""

    marks: list[FaultMarked] = field(default_factory=list)
    links: list[LinkCoverage] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    parts: dict[str, Any] = field(default_factory=dict)
    last_ns: int = 0

    def take(self, record: Record) -> None:
        self.last_ns = max(self.last_ns, record.t_ns)
        match record:
            case FaultMarked():
                self.marks.append(record)
            case LinkCounted():
                self.links.append(_coverage_of(record))
            case TroubleSeen():
                status = Status(record.status)
                self.troubles.append(
                    Trouble(status=status, reason_code=record.reason_code, reason=record.reason)
                )
            case PartTold():
                self.parts[record.part] = msgspec.json.decode(record.value)


def _from_runner(run_dir: Path, stored: Result) -> Iterator[str]:
    """Compare what the runner wrote into its own history: faults, coverage, trouble, parts."""
    runner = _read_runner(run_dir)
    yield from _from_marks(stored, runner.marks)
    if runner.links or runner.troubles or _version(stored) >= (1, 4):
        yield from _from_end(stored, runner)
    if _version(stored) >= (1, 5):
        yield from _from_parts(stored, runner)


def _read_runner(run_dir: Path) -> _Runner:
    """Return what the runner wrote into its own history.

    Raises:
        DamagedHistory: It holds what no runner writes.
    """
    history = run_dir / HISTORY_FOLDER
    runner = _Runner()
    for segment in read_index(history).segments:
        if segment.recorder == RUNNER:
            try:
                for record in read_segment(history / segment.file, segment.closed == "killed"):
                    runner.take(record)
            except ValueError as error:
                raise DamagedHistory(f"{history / segment.file}: {error}") from error
    return runner


def _from_end(stored: Result, runner: _Runner) -> Iterator[str]:
    """Compare coverage and trouble; what broke the harness may have come later, but not gone."""
    told = [
        one
        for one in stored.findings
        if one.status is not Status.ERROR and one.reason_code not in RECOMPUTED_CODES
    ]
    seen = [one for one in runner.troubles if one.status is not Status.ERROR]
    for name, says, given in (
        ("coverage", stored.coverage, runner.links),
        ("findings", told, seen),
    ):
        yield from differ(
            name, msgspec.to_builtins(says), msgspec.to_builtins(given), "the runner's history"
        )
    broken = [one.reason for one in runner.troubles if one.status is Status.ERROR]
    if broken and not any(one.status is Status.ERROR for one in stored.findings):
        yield f"findings: stored none with ERROR, from the runner's history {broken[0]!r}"


def _from_parts(stored: Result, runner: _Runner) -> Iterator[str]:
    """Compare what the runner alone knew, and how long the run took at least."""
    says = _aftermath_of(stored).parts()
    del says["commits"]  # The bound was made again with it.
    for part, value in says.items():
        yield from differ(part, value, runner.parts.get(part), "the runner's history")
    own = sum(one.role == HARNESS_ROLE for one in stored.processes)
    if own > 1:
        yield f"processes: stored {own} of the harness, and there was 1"
    if round(runner.last_ns / 1e9, 3) > stored.run.duration_s + ROUNDED_S:
        yield (
            f"run.duration_s: stored {stored.run.duration_s}, from the runner's history at least"
            f" {runner.last_ns / 1e9:.3f}"
        )
    if stored.run.ended_at is None or stored.run.ended_at < stored.run.started_at:
        yield f"run.ended_at: stored {stored.run.ended_at}, begun {stored.run.started_at}"


def _coverage_of(record: LinkCounted) -> LinkCoverage:
    row = LinkCoverage(
        link=record.link,
        connections=record.connections,
        forwarded=record.forwarded,
        connections_counted=record.connections_counted,
        bytes=record.bytes_up + record.bytes_down,
        bytes_up=record.bytes_up,
        bytes_down=record.bytes_down,
        bytes_counted=record.bytes_counted,
        counted=record.counted,
        covered=False,
    )
    return msgspec.structs.replace(row, covered=bool(is_covered(row)))


def _from_marks(stored: Result, marks: Sequence[FaultMarked]) -> Iterator[str]:
    """Compare the faults with their marks; only their parameters lie nowhere in the history."""
    seen: dict[tuple[str, str, str], dict[str, Any]] = {}
    for mark in marks:
        if mark.state == HEALING:
            continue
        entry = seen.setdefault((mark.fault, mark.kind, mark.target), {})
        entry |= {mark.state: mark.t_ns, "effect": mark.effect, "effective": mark.effective}
    says = {
        (one.id, one.kind, one.target): {
            state: t_ns
            for state, t_ns in (
                ("requested", one.requested_ns),
                ("confirmed", one.confirmed_ns),
                ("healed", one.healed_ns),
            )
            if t_ns is not None
        }
        | {"effect": one.effect, "effective": one.effective}
        for one in stored.faults
    }
    for which in dict.fromkeys([*says, *seen]):
        yield from differ(
            f"fault {' '.join(which)}", says.get(which), seen.get(which), "the history"
        )


def _from_itself(stored: Result) -> Iterator[str]:
    for row in stored.coverage:
        covered = is_covered(row)
        if covered is not None:
            yield from differ(
                f"coverage of {row.link}: covered", row.covered, covered, "its own counts"
            )


def differ(name: str, stored: Any, other: Any, source: str) -> Iterator[str]:
    """Yield a line for each of the innermost values that differ.

    Args:
        name: What the values are.
        stored: What was stored, as plain values.
        other: What `source` says.
        source: Where that is from, in words.
    """
    if stored == other:
        return
    match stored, other:
        case dict(), dict():
            for key in dict.fromkeys([*stored, *other]):
                yield from differ(f"{name}.{key}", stored.get(key), other.get(key), source)
        case list(), list() if len(stored) == len(other):
            for index, (one, another) in enumerate(zip(stored, other, strict=True)):
                yield from differ(f"{name}[{index}]", one, another, source)
        case list(), list():
            yield f"{name}: stored {len(stored)} of them, from {source} {len(other)}"
        case _:
            yield f"{name}: stored {_short(stored)}, from {source} {_short(other)}"


def _short(value: object) -> str:
    told = str(value)
    return told if len(told) <= SHOWN_CHARS_MAX else f"{told[: SHOWN_CHARS_MAX - 2]} …"
