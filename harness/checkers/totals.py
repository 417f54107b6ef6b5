"""What adds up over the parts of a history: counts, waits, loads, a few sets that stay small."""

from __future__ import annotations

from collections import Counter

import numpy as np

from harness.checkers.duplicated import doubled
from harness.checkers.extent import Extent
from harness.checkers.facts import Facts
from harness.checkers.fifo import reordered
from harness.checkers.intervals import (
    KEY_BITS,
    NEVER,
    Column,
    Mask,
    Spans,
    Steps,
    column,
    highest_before,
    split,
)
from harness.checkers.spread import Spread
from harness.checkers.stored import StoredTable
from harness.checkers.vanished import gone
from harness.systems.promises import Promise

MS_NS = 1_000_000

LABEL_PREFIX = "load:"
"""Phases whose names begin so are loads with a label, which are compared (E2)."""


class Totals:
    """Sums over all parts taken so far.

    Attributes:
        vanished, passed_by: Messages that are gone from the log, and that a reader left out.
        reused: Messages whose position was given to another one.
        gone: How far lost and vanished messages reach, together.
        prefix, suffix: Lost messages by their place among what their sender had delivered.
        ack, delivery: Waits from when a message was due to its ok and to its first delivery.
        held: ``inbox << KEY_BITS | position`` of what is known to hold a message; only where
            positions are not promised to be dense.
        end_floor: For each end that was read, the highest position of its inbox that was complete
            before it was asked for; -1 for none.
        loads: Of each inspection, what its epochs hold.
        distinct_loads: Of each inbox the same, what several inspections found alike only once.
    """

    def __init__(self) -> None:
        self.invoked = self.ok = self.failed = self.unknown = 0
        self.delivered = self.unresolved = self.recovered = 0
        self.lost = self.prefix = self.suffix = self.doubled = self.reordered = 0
        self.vanished = self.passed_by = self.reused = 0
        self.gone = Extent()
        self.unseen = 0
        self.oldest_unseen_ns = NEVER
        self.first_invoked_ns = NEVER
        self.last_invoked_ns = self.last_ok_ns = self.last_first_ns = -1
        self.ack, self.delivery = Spread(), Spread()
        self.label_ack: dict[str, Spread] = {}
        self.label_delivery: dict[str, Spread] = {}
        self.sent_in: dict[str, set[int]] = {}
        self.held = Spans.empty()
        self.end_floor = column([])
        self.loads: dict[int, dict[int, EpochLoad]] = {}
        self.distinct_loads: dict[str, dict[int, EpochLoad]] = {}
        self._waiting: list[tuple[Column, Column, Column]] = []

    def add(self, facts: Facts) -> None:
        """Add a part."""
        self.invoked += facts.invoked.count
        self.ok += facts.ok.count
        self.failed += facts.failed.count
        self.unknown += facts.unknown.count
        self.delivered += facts.delivered.count
        self.unresolved += facts.unknown.minus(facts.delivered).count
        self.recovered += facts.unknown.both(facts.delivered).count
        self.doubled += doubled(facts).count
        self.reordered += int(reordered(facts)[1].sum())
        self._add_lost(facts)
        self._add_gone(facts)
        self._add_times(facts)
        self._add_floors(facts)
        self._add_loads(facts)
        if facts.run.requires.backlog:
            self._waiting.append(_changes(facts))
            if len(self._waiting) > 1:
                self._waiting = [_merged(self._waiting)]
        if not facts.promised(Promise.DENSE_POSITIONS):
            begin = np.bitwise_or(facts.log.inbox << KEY_BITS, facts.log.pos)
            self.held = self.held.union(Spans.of(begin, begin + facts.log.count))

    def _add_lost(self, facts: Facts) -> None:
        lost = facts.lost
        self.lost += lost.count
        stream = lost.begins >> KEY_BITS
        first = np.array([facts.index.streams[i].delivered_first for i in stream], dtype=np.int64)
        end = np.array([facts.index.streams[i].delivered_end for i in stream], dtype=np.int64)
        self.prefix += int(np.clip(np.minimum(lost.ends, first) - lost.begins, 0, None).sum())
        self.suffix += int(np.clip(lost.ends - np.maximum(lost.begins, end), 0, None).sum())
        waiting = facts.ok.minus(facts.delivered).minus(lost)
        if waiting:
            self.unseen += waiting.count
            oldest = int(facts.ok_at.at(waiting.begins, NEVER).min())
            self.oldest_unseen_ns = min(self.oldest_unseen_ns, oldest)

    def _add_gone(self, facts: Facts) -> None:
        found = gone(facts)
        self.vanished += found.vanished.count
        self.passed_by += found.passed_by.count
        self.reused += found.reused
        self.gone = self.gone.plus(found.extent)

    def _add_times(self, facts: Facts) -> None:
        if len(facts.invoked_at.values):
            self.first_invoked_ns = min(self.first_invoked_ns, int(facts.invoked_at.values.min()))
            self.last_invoked_ns = max(self.last_invoked_ns, int(facts.invoked_at.values.max()))
        self.last_ok_ns = max(self.last_ok_ns, int(facts.ok_at.values.max(initial=-1)))
        self.last_first_ns = max(self.last_first_ns, int(facts.first_at.values.max(initial=-1)))
        windows = label_windows(facts)
        for reached, spread, labelled in (
            (facts.ok_at, self.ack, self.label_ack),
            (facts.first_at, self.delivery, self.label_delivery),
        ):
            for times, waiting in ((reached, False), (_still_waiting(facts, reached), True)):
                due, wait, count, inbox = _since_due(facts, times)
                spread.add(np.zeros_like(wait), wait, count, waiting=waiting)
                for label, spans in windows.items():
                    inside = _within(due, spans)
                    labelled.setdefault(label, Spread()).add(
                        inbox[inside], wait[inside], count[inside], waiting=waiting
                    )
        for label, spans in windows.items():
            due_at = facts.due_at
            sent = np.unique(facts.inbox_of(due_at.begins[_within(due_at.values, spans)]))
            self.sent_in.setdefault(label, set()).update(sent.tolist())

    def _add_floors(self, facts: Facts) -> None:
        inbox, asked, _, _, _ = facts.index.ends.columns()
        pieces = facts.pieces
        lines = pieces.lines
        done = pieces.until < NEVER
        last = (lines.pos + lines.count - 1)[done]
        floor = highest_before(lines.inbox[done], pieces.until[done], last, inbox, asked)
        self.end_floor = np.maximum(self.end_floor, floor) if len(self.end_floor) else floor

    def _add_loads(self, facts: Facts) -> None:
        for one in facts.stored:
            _count_loads(self.loads.setdefault(one.inspection, {}), one)
        for one in facts.stored_distinct:
            _count_loads(self.distinct_loads.setdefault(one.inbox, {}), one)

    def backlog(self) -> int:
        """Return the most messages that one inbox held, acknowledged and not yet delivered.

        In a history of several parts times are rounded to ms so that it is never too many.
        """
        if not self._waiting:
            return 0
        inbox, t, change = self._waiting[0]
        # What comes and goes at one moment never waited, so goings are counted first.
        return int(np.cumsum(change[np.lexsort((change, t, inbox))]).max(initial=0))


def _changes(facts: Facts) -> tuple[Column, Column, Column]:
    """Return (inbox, t, messages more or less that wait) of each piece."""
    origin, begins, ends = split(facts.ok_at.begins, facts.ok_at.ends, facts.first_at.cuts)
    stored = facts.ok_at.values[origin]
    taken = np.maximum(facts.first_at.at(begins, NEVER), stored)
    inbox = facts.inbox_of(begins)
    return (
        np.concatenate((inbox, inbox)),
        np.concatenate((stored, taken)),
        np.concatenate((ends - begins, begins - ends)),
    )


def _merged(parts: list[tuple[Column, Column, Column]]) -> tuple[Column, Column, Column]:
    """Return all changes, those of one inbox and millisecond as one coming and one going."""
    inbox, t, change = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    coming = change > 0
    t = np.where(t == NEVER, t, np.where(coming, -(-t // MS_NS), t // MS_NS) * MS_NS)
    order = np.lexsort((coming, t, inbox))
    inbox, t, change, coming = inbox[order], t[order], change[order], coming[order]
    fresh = np.ones(len(t), dtype=np.bool_)
    fresh[1:] = (inbox[1:] != inbox[:-1]) | (t[1:] != t[:-1]) | (coming[1:] != coming[:-1])
    begin = np.flatnonzero(fresh)
    return inbox[begin], t[begin], np.add.reduceat(change, begin) if len(begin) else change


def _still_waiting(facts: Facts, reached: Steps) -> Steps:
    """Return the end of the history for every message that had not got there, nor was refused."""
    left = facts.invoked.minus(Spans.of(reached.begins, reached.ends)).minus(facts.failed)
    return Steps(left.begins, left.ends, np.full(len(left.begins), facts.index.last_ns))


def _since_due(facts: Facts, reached: Steps) -> tuple[Column, Column, Column, Column]:
    """Return (due, ns from then on, messages, inbox) of the pieces that have both times."""
    origin, begins, ends = split(reached.begins, reached.ends, facts.due_at.cuts)
    due = facts.due_at.at(begins, -1)
    known = due >= 0
    begins, ends, due = begins[known], ends[known], due[known]
    return due, reached.values[origin[known]] - due, ends - begins, facts.inbox_of(begins)


def _within(times: Column, spans: list[tuple[int, int]]) -> Mask:
    inside = np.zeros(len(times), dtype=np.bool_)
    for begin_ns, end_ns in spans:
        inside |= (times >= begin_ns) & (times < end_ns)
    return inside


def label_windows(facts: Facts) -> dict[str, list[tuple[int, int]]]:
    """Return the times of each label's loads, labels in the order of their first load."""
    found: dict[str, list[tuple[int, int]]] = {}
    begun: dict[str, int] = {}
    for mark in facts.index.phases:
        if not mark.name.startswith(LABEL_PREFIX):
            continue
        label = mark.name.removeprefix(LABEL_PREFIX)
        if mark.begins:
            begun[label] = mark.t_ns
        elif label in begun:
            found.setdefault(label, []).append((begun.pop(label), mark.t_ns))
    return found


def _count_loads(loads: dict[int, EpochLoad], table: StoredTable) -> None:
    """Add what lies in the buckets of each epoch."""
    for epoch in np.unique(table.row_epoch).tolist():
        rows = table.row_epoch == epoch
        loads.setdefault(epoch, EpochLoad()).add(
            table.row_bucket[rows], table.counts[rows], int(table.row_bucket_count[rows].max())
        )


class EpochLoad:
    """How many messages of one epoch lie in each bucket."""

    def __init__(self) -> None:
        self.count = 1
        self._loads: Counter[int] = Counter()

    def add(self, buckets: Column, messages: Column, count: int) -> None:
        """Add rows of so many messages each; `count` buckets are said to be there."""
        self.count = max(self.count, count)
        known, which = np.unique(buckets, return_inverse=True)
        sums = np.bincount(which, weights=messages).astype(np.int64)
        self._loads.update(dict(zip(known.tolist(), sums.tolist(), strict=True)))

    def loads(self) -> list[int]:
        """Return the messages of each bucket; what lies outside of all counts nowhere."""
        return [self._loads[bucket] for bucket in range(self.count)]
