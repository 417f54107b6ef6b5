"""What a failure tells in few lines: its rows in the order in which they are read.

What happened comes first, then the claim that it broke, what else failed, one witness with the
command that tells its story, the one that repeats the run, and the figures that matter.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.report import drawn, untried, words
from harness.report.result import Check, CheckStatus, Result
from harness.run.verdict import failed_in_order

ALWAYS = 1_000
"""As `Row.least` of a command: it is there, whatever it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a failure.

    Attributes:
        label: What stands before it; empty: it goes on with the row before.
        body: Its text.
        rank: Of all rows the one with the highest gives up its lines first, where there is no room.
        lines_max: How many lines it takes at most.
        least: How many lines it is left with at least; 0: it may be left out.
        style: A verdict whose colour it has, or a style.
        is_command: It is for copying: it is never wrapped, so it is there whole or left out.
    """

    label: str
    body: str
    rank: int
    lines_max: int = 1
    least: int = 0
    style: str = ""
    is_command: bool = False


def rows(result: Result, run_dir: Path) -> Iterator[Row]:
    """Yield the rows of a failure, in the order in which they are read."""
    root, others = failed_in_order(result.checks, result.diagnosis)
    happened = what(result, root)
    yield Row(label="what", body=happened, rank=1, least=2, lines_max=6, style="FAIL")
    yield Row(label="broken", body=result.run.claim, rank=4, least=1, lines_max=3)
    if result.not_tried:
        left = "; ".join(untried.lines(result.not_tried))
        yield Row(label="not tried", body=left, rank=6, least=1, lines_max=5)
    if root is not None:
        found = f"{root.id} {root.name}, {words.instances(root)}"
        also = f"; also failed: {words.also_failed(others)}" if others else ""
        yield Row(label="anomaly", body=found + also, rank=5, least=1, lines_max=4)
    if root is not None and root.witnesses:
        witness = root.witnesses[0]
        yield Row(label="witness", body=witness.summary, rank=8, lines_max=4)
        for record in witness.records[:2]:
            told = f"- {words.record(record, result.senders)}"
            yield Row(label="", body=told, rank=12, lines_max=2)
        if witness.message:
            name = words.named(witness.message, result.senders)
            look = words.history_command(str(run_dir), name)
            yield Row(label="look", body=look, rank=2, is_command=True)
    again = result.run.repeat_command
    yield Row(label="repeat", body=again, rank=3, style="bold", is_command=True)
    for index, line in enumerate(words.fate(result.counts)):
        label = "" if index else "messages"
        yield Row(label=label, body=line, rank=7, least=int(index < 2), lines_max=2)
    missed = [words.limit(one) for one in result.limits if not one.met]
    if missed:
        told = f"MISSED: {'; '.join(missed)}"
        yield Row(label="limits", body=told, rank=9, lines_max=2, style="MISSED")
    if faults := words.faults_together(result.faults, several=2):
        yield Row(label="faults", body="; ".join(faults), rank=10, lines_max=3)
    if unproven := _unproven(result):
        yield Row(label="unproven", body="; ".join(unproven), rank=11, lines_max=2)
    if result.drawn:
        told = "; ".join(drawn.lines(result.drawn))
        yield Row(label="drawn", body=told, rank=14, lines_max=3)
    passed = sum(one.status is CheckStatus.PASS for one in result.checks)
    counted = f"{len(others) + 1} failed, {passed} passed"
    yield Row(label="checks", body=counted, rank=0, least=1)
    yield Row(label="results", body=f"{run_dir}", rank=13, is_command=True)
    everything = shlex.join(["tallystick", "report", str(run_dir), "--all"])
    yield Row(label="all of it", body=everything, rank=0, least=ALWAYS, is_command=True)


def _unproven(result: Result) -> list[str]:
    found = [
        f"{one.status.value} {one.id} {one.name}"
        for one in result.checks
        if one.status in (CheckStatus.ERROR, CheckStatus.UNKNOWN)
    ]
    return found + [one.reason for one in result.findings]


def what(result: Result, root: Check | None) -> str:
    """Return what happened, in one paragraph."""
    if result.diagnosis is not None:
        return result.diagnosis.text
    return result.verdict.reason if root is None else words.anomaly(root)
