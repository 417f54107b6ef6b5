"""When nothing came through a link, or from a node, for certain: from the marks of the faults."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from harness.checkers.facts import Facts
from harness.history.records import HEALING, FaultMarked

SILENCING = frozenset(
    {"link_cut", "link_cut_one_way", "process_pause", "process_kill", "process_terminate"}
)
"""Kinds of faults behind which nothing of their target is heard, in one direction at least."""

Spans: TypeAlias = Sequence[tuple[int, int]]


def silences(facts: Facts) -> Mapping[str, Spans]:
    """Return the times [begin, end] of each target's silences.

    They begin when the fault was confirmed and end just before it was healed. One without effect is
    none, nor is one of which nobody says when its healing began.
    """
    marked: dict[tuple[str, str], list[FaultMarked]] = defaultdict(list)
    for mark in facts.index.faults:
        if mark.kind in SILENCING:
            marked[mark.fault, mark.target].append(mark)
    found = defaultdict(list)
    for (_, target), marks in marked.items():
        begun = [mark.t_ns for mark in marks if mark.state == "confirmed"]
        ended = [mark.t_ns for mark in marks if mark.state == HEALING]
        if not begun or not marks[-1].effective or (not ended and marks[-1].state == "healed"):
            continue
        found[target].append((begun[0], ended[0] if ended else facts.index.last_ns))
    return found


def covers(spans: Spans, begin_ns: int, end_ns: int) -> bool:
    """Say whether one silence holds for all of that time."""
    return any(begin <= begin_ns and end_ns <= end for begin, end in spans)
