"""A stored result held against everything else in its run folder. Pure but for reading that.

Made again from the history and the schedule: verdict, checks, counts, bound, latencies, rates,
bucket loads and limits. Held against what the runner wrote into the history and, before anything
was started, into the schedule: the fault journal, link coverage, trouble, which run, scenario,
system and machine it was, and the notes. Believed, since it lies nowhere else (`TOLD`): what the
processes used, the system's settings, when the run ended, what broke the harness itself.
Whoever writes all files anew, their digests included, is judged by what they say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import DamagedHistory
from harness.faults.journal import JOURNAL_NAME, read_journal
from harness.history.index import read_index
from harness.history.reader import read_segment
from harness.history.records import HEALING, FaultMarked, LinkCounted, TroubleSeen
from harness.report.result import Check, LinkCoverage, Result, Status, Trouble
from harness.run.aftermath import Aftermath
from harness.run.brief import Brief, read_brief
from harness.run.coverage import is_covered
from harness.run.judge import CLAIM_UNCHECKED, HISTORY_FOLDER, judge
from harness.run.verdict import Finding

RECOMPUTED = (
    "diagnosis", "counts", "bound", "latency_ms", "load_latency_ms", "throughput_per_s", "buckets",
    "limits", "reached",
)  # fmt: skip
"""Parts of a result that follow from the history and the schedule, beside verdict and checks."""

TOLD = (
    "processes", "client_errors", "system.config", "run.ended_at", "run.duration_s",
    "findings with ERROR",
)  # fmt: skip
"""Parts of a result that nothing else in its folder can contradict."""

RUNNER = "runner"
"""The recorder of the runner itself."""

LOAD_TARGETS = "load:"
"""How faults name load processes; only their histories may end in mid-sentence."""

COVERAGE_IN_HISTORY_SINCE = 4
"""Minor version of the result's schema since which the runner writes coverage into its history."""
ADDED_IN_1_5 = frozenset({"reached"})
"""Those that results before 1.5 do not have."""

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
        *_from_runner(run_dir, stored),
        *_from_itself(stored),
    ]


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
            "notes": (stored.notes, [*begun.notes, *stored.system.config.get("notes", [])]),
        }
    for name, (says, decided) in told.items():
        says, decided = msgspec.to_builtins(says), msgspec.to_builtins(decided)
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
    for name in ("status", "reason_code", "reason", "limits", "exit_code"):
        says, given = getattr(stored.verdict, name), getattr(again.verdict, name)
        yield from _differ(f"verdict.{name}", says, given, "the history")
    says, given = (
        [one.reason for one in result.findings if one.reason_code == CLAIM_UNCHECKED]
        for result in (stored, again)
    )
    yield from _differ("findings", says, given, "the history")
    version = tuple(map(int, stored.schema.rpartition("/")[2].split(".")))
    for name in RECOMPUTED_BEFORE_1_4 if version < (1, 4) else RECOMPUTED:
        if name in ADDED_IN_1_5 and version < (1, 5):
            continue
        says, given = (msgspec.to_builtins(getattr(one, name)) for one in (stored, again))
        yield from _differ(name, says, given, "the history")
    before, after = ({one.id: one for one in result.checks} for result in (stored, again))
    for check_id in sorted({*before, *after}):
        one, other = before.get(check_id), after.get(check_id)
        name = f"check {check_id}"
        if _found(one) == _found(other):
            says, given = msgspec.to_builtins(one), msgspec.to_builtins(other)
        else:
            says, given = _found(one), _found(other)
        yield from _differ(name, says, given, "the history")


def _found(check: Check | None) -> tuple[str, int, int] | None:
    return None if check is None else (check.status.value, check.instances, check.examined)


def _from_runner(run_dir: Path, stored: Result) -> Iterator[str]:
    """Compare what the runner wrote into its own history: faults, coverage, trouble, kills."""
    history = run_dir / HISTORY_FOLDER
    index = read_index(history)
    marks: list[FaultMarked] = []
    links: list[LinkCoverage] = []
    troubles: list[Trouble] = []
    for segment in index.segments:
        if segment.recorder != RUNNER:
            continue
        for record in read_segment(history / segment.file, segment.closed == "killed"):
            match record:
                case FaultMarked():
                    marks.append(record)
                case LinkCounted():
                    links.append(_coverage_of(record))
                case TroubleSeen():
                    troubles.append(
                        Trouble(
                            status=Status(record.status),
                            reason_code=record.reason_code,
                            reason=record.reason,
                        )
                    )
    yield from _from_marks(stored, marks)
    if links or troubles or _is_counted(stored):
        told = [
            one
            for one in stored.findings
            if one.status is not Status.ERROR and one.reason_code != CLAIM_UNCHECKED
        ]
        seen = [one for one in troubles if one.status is not Status.ERROR]
        for name, says, given in (("coverage", stored.coverage, links), ("findings", told, seen)):
            yield from _differ(
                name, msgspec.to_builtins(says), msgspec.to_builtins(given), "the runner's history"
            )
    killed = [one.recorder for one in index.segments if one.closed == "killed"]
    blows = {(one.fault, one.target) for one in marks if one.target.startswith(LOAD_TARGETS)}
    if len(killed) > len(blows):
        yield (
            f"history: {len(killed)} recorders killed ({', '.join(killed)}), and from the runner's"
            f" history {len(blows)} faults on load processes"
        )


def _is_counted(stored: Result) -> bool:
    """Say whether the result is of a version whose runs write coverage into their history."""
    minor = stored.schema.rpartition(".")[2]
    return int(minor) >= COVERAGE_IN_HISTORY_SINCE


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
        yield from _differ(
            f"fault {' '.join(which)}", says.get(which), seen.get(which), "the history"
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
