"""Making clues of sets of messages: the first few, each in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import numpy as np

from harness.checkers.check import WITNESSES_MAX, Clue
from harness.checkers.entries import Oddity
from harness.checkers.facts import Facts
from harness.checkers.intervals import Column, Spans
from harness.checkers.lines import Lines, held_at, place_of


def seconds(t_ns: int) -> str:
    """Return a time since the start of the run in words."""
    return f"{t_ns / 1e9:.6f} s"


def of_spans(facts: Facts, spans: Spans, tell: Callable[[int], str]) -> list[Clue]:
    """Return clues for the first messages of a set; `tell(key)` says what is wrong with one."""
    keys = (
        key
        for begin, end in zip(spans.begins.tolist(), spans.ends.tolist(), strict=True)
        for key in range(begin, end)
    )
    return [_clue(facts, key, -1, tell(key)) for key in islice(keys, WITNESSES_MAX)]


def of_counts(
    facts: Facts,
    lines: Lines,
    counts: Column,
    tell: Callable[[int], str],
    others: Callable[[Column], Column] | None = None,
) -> list[Clue]:
    """Return clues for the first `counts[i]` messages of each line, where there are any.

    Args:
        facts: Know the names.
        lines: Where messages lie.
        counts: How many of each line are wrong.
        tell: What is wrong with the message of a key.
        others: For some rows of `lines`, the key of the message that each stands against, -1 where
            none is known.
    """
    some = np.flatnonzero(counts > 0)[:WITNESSES_MAX]
    against = np.full(len(some), -1, dtype=np.int64) if others is None else others(some)
    columns = (lines.key[some].tolist(), lines.pos[some].tolist(), counts[some].tolist())
    clues: list[Clue] = []
    for key, pos, count, other in zip(*columns, against.tolist(), strict=True):
        clues += [
            _clue(facts, key + i, pos + i, tell(key + i), other)
            for i in range(min(count, WITNESSES_MAX - len(clues)))
        ]
    return clues


def holders(lines: Lines, inbox: Column, pos: Column) -> Column:
    """Return the key of the message at each position of an inbox; -1 where none is known."""
    return held_at(lines.holders(), place_of(inbox, pos))


def _clue(facts: Facts, key: int, pos: int, told: str, other: int = -1) -> Clue:
    producer, inbox, n = facts.message(key)
    where = f" at position {pos}" if pos >= 0 else ""
    summary = f"{facts.describe(key)}{where} {told}"
    others: tuple[tuple[int, int], ...] = ()
    if other >= 0:
        summary += f": {facts.describe(other)}"
        others = (facts.message(other)[::2],)
    return Clue(summary=summary, inbox=inbox, producer=producer, n=n, pos=pos, others=others)


def of_oddity(oddity: Oddity, tell: Callable[..., str]) -> list[Clue]:
    """Return clues for what was decided while the records passed; `tell(record)` says what."""
    return [Clue(summary=tell(record), record=record) for record in oddity.records]
