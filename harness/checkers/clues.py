"""Making clues of sets of messages: the first few, each in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from harness.checkers.check import WITNESSES_MAX, Clue
from harness.checkers.facts import Facts
from harness.checkers.index import Oddity
from harness.checkers.intervals import Column, Spans


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
    return of_keys(facts, ((key, -1) for key in keys), tell)


def of_counts(
    facts: Facts, keys: Column, positions: Column, counts: Column, tell: Callable[[int], str]
) -> list[Clue]:
    """Return clues for the first `counts[i]` messages of each run, where there are any."""
    some = np.flatnonzero(counts > 0)[:WITNESSES_MAX]
    columns = (keys[some].tolist(), positions[some].tolist(), counts[some].tolist())
    rows = zip(*columns, strict=True)
    pairs = ((key + i, pos + i) for key, pos, count in rows for i in range(count))
    return of_keys(facts, pairs, tell)


def of_keys(
    facts: Facts, keys: Iterable[tuple[int, int]], tell: Callable[[int], str]
) -> list[Clue]:
    """Return clues for the first of these (key, position or -1)."""
    clues: list[Clue] = []
    for key, pos in keys:
        if len(clues) == WITNESSES_MAX:
            break
        producer, inbox, n = facts.message(key)
        where = f" at position {pos}" if pos >= 0 else ""
        summary = f"{facts.describe(key)}{where} {tell(key)}"
        clues.append(Clue(summary=summary, inbox=inbox, producer=producer, n=n, pos=pos))
    return clues


def of_oddity(oddity: Oddity, tell: Callable[..., str]) -> list[Clue]:
    """Return clues for what was decided while the records passed; `tell(record)` says what."""
    return [Clue(summary=tell(record), record=record) for record in oddity.records]
