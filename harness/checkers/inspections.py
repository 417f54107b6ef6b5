"""Inspections of the store: their records become rows of the ranges, inbox by inbox."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.checkers.entries import Oddity, Snapshot, Stream
from harness.checkers.intervals import NUMBER_LIMIT, Column, column
from harness.checkers.ranges import Ranges
from harness.checkers.route import U64Column
from harness.history.records import Stored, StoredEnd


class Inspections:
    """Takes what inspections found, in the order of time.

    Attributes:
        snapshots: Every inspection of an inbox.
        lowest: Lowest stored position per inbox and epoch, over all inspections.
        highest: Highest stored position per inbox and epoch, over all inspections.
        misnumbered: Records whose numbers make no sense, counted with those of the index.
    """

    def __init__(
        self,
        ranges: Ranges,
        misnumbered: Oddity,
        *,
        inbox: Callable[[str], int],
        stream: Callable[[int, str], Stream],
    ) -> None:
        self.snapshots: list[Snapshot] = []
        self.lowest: dict[int, dict[int, int]] = {}
        self.highest: dict[int, dict[int, int]] = {}
        self.misnumbered = misnumbered
        self._ranges = ranges
        self._inbox = inbox
        self._stream = stream
        self._open: dict[str, int] = {}
        self._waiting: list[Stored] = []
        self._producers: dict[str, tuple[U64Column, Column]] = {}

    @property
    def waiting(self) -> bool:
        """Some records are not yet rows."""
        return bool(self._waiting)

    def glue(self) -> None:
        """Let the ranges judge together what epochs that overlap have stored."""
        for inbox, lowest in self.lowest.items():
            for epoch, high in self.highest[inbox].items():
                beyond = [low for other, low in lowest.items() if other > epoch and low < high]
                if beyond:
                    self._ranges.eras.glue_places(inbox, min(beyond), high)

    def stored(self, record: Stored) -> int:
        """Take stored messages; return how many."""
        size = len(record.positions)
        if {size, len(record.producers), len(record.ns)} != {8 * record.count}:
            self.misnumbered.add(1, record)
            return 0
        self._snapshot(record).messages += record.count
        self._waiting.append(record)
        return record.count

    def _snapshot(self, record: Stored | StoredEnd) -> Snapshot:
        number = self._open.get(record.inbox)
        if number is None:
            number = self._open[record.inbox] = len(self.snapshots)
            self.snapshots.append(Snapshot(self._inbox(record.inbox)))
        return self.snapshots[number]

    def put(self) -> None:
        """Make rows of the records that wait, inbox by inbox."""
        waiting, self._waiting = self._waiting, []
        begin = 0
        for end in range(1, len(waiting) + 1):
            if end == len(waiting) or waiting[end].inbox != waiting[begin].inbox:
                self._put_of(waiting[begin].inbox, waiting[begin:end])
                begin = end

    def _put_of(self, inbox: str, records: list[Stored]) -> None:
        producers = np.frombuffer(b"".join(r.producers for r in records), dtype="<u8")
        ns = np.frombuffer(b"".join(r.ns for r in records), dtype="<u8")
        positions = np.frombuffer(b"".join(r.positions for r in records), dtype="<u8")
        limit = np.uint64(NUMBER_LIMIT)
        if (ns >= limit).any() or (positions >= limit).any():
            for record in records:
                self.misnumbered.add(1, record)
            return
        message = np.empty((len(ns), 2), dtype=np.int64)
        message[:, 0] = self._bases(inbox, producers)
        message[:, 0] += ns.view("<i8")
        message[:, 1] = positions.view("<i8")
        self._ranges.stored.rows.frombytes(message.tobytes())
        number = self._open.get(inbox, -1)
        lowest = self.lowest.setdefault(self._inbox(inbox), {})
        highest = self.highest.setdefault(self._inbox(inbox), {})
        snapshot = self.snapshots[number]
        at = 0
        for record in records:
            count = len(record.positions) // 8
            if not count:
                continue
            self._ranges.stored_rows.rows.extend(
                (
                    number,
                    record.epoch,
                    record.bucket,
                    record.bucket_count,
                    record.bpos_first,
                    count,
                )
            )
            snapshot.bucket_counts.setdefault(record.epoch, record.bucket_count)
            low = int(message[at : at + count, 1].min())
            snapshot.lowest[record.epoch] = min(low, snapshot.lowest.get(record.epoch, low))
            lowest[record.epoch] = min(low, lowest.get(record.epoch, low))
            high = int(message[at : at + count, 1].max())
            highest[record.epoch] = max(high, highest.get(record.epoch, high))
            at += count

    def _bases(self, inbox: str, producers: U64Column) -> Column:
        """Return the base of the stream of each of these producers to an inbox."""
        known, bases = self._producers.get(inbox, (producers[:0], column([])))
        at = np.minimum(np.searchsorted(known, producers), max(len(known) - 1, 0))
        if not len(known) or not bool((known[at] == producers).all()):
            known = np.unique(np.concatenate((known, producers)))
            bases = column([self._stream(int(producer), inbox).base for producer in known])
            self._producers[inbox] = (known, bases)
            at = np.searchsorted(known, producers)
        return bases[at]

    def ended(self, record: StoredEnd) -> None:
        """Take the end of an inspection."""
        self.put()
        snapshot = self._snapshot(record)
        snapshot.ended_ns = record.t_ns
        snapshot.asked_ns = record.t_invoked_ns
        del self._open[record.inbox]
