"""The ranges of a history: in memory while it is short, on disk by eras when it is not.

A part is what is judged at once: a stretch of eras. A short history is one part and touches no
disk.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.checkers.eras import Eras
from harness.checkers.intervals import KEY_BITS, NUMBER_LIMIT, Column
from harness.checkers.spill import Spill

ROWS_MAX = 150_000
"""So many rows, some 40 bytes each, wait in memory before they are sorted into eras."""

ERA_MESSAGES = 200_000
"""A history is cut about each so many messages."""

LOOK_RECORDS = 256
"""After each so many records it is asked whether the ranges want to be brought to disk."""

PART_ROWS_MAX = 4_000_000
"""So many rows, some 200 bytes of memory each, are judged at once. Most histories come in parts of
a few hundred thousand; larger ones hang together, as where readers fell far behind under overload.
What is larger still is judged by eras, which finds no less within each, and makes PASS UNKNOWN
where two eras would have to be compared."""

Rows = npt.NDArray[np.int64]

WIDTHS = {"invoked": 4, "completed": 6, "delivered": 6, "first": 4, "stored_rows": 6, "stored": 2}
"""The tables and their columns; `Ranges` names them."""


class Table:
    """Rows of int64 that grow at the end."""

    __slots__ = ("rows", "width")

    def __init__(self, width: int) -> None:
        self.rows = array("q")
        self.width = width

    def __len__(self) -> int:
        return len(self.rows) // self.width

    def table(self) -> Rows:
        """Return a copy as rows."""
        return np.array(self.rows, dtype=np.int64).reshape(-1, self.width)

    def columns(self) -> list[Column]:
        """Return a copy as columns."""
        # A view of its own would keep the rows from growing.
        return columns_of(np.frombuffer(self.rows, dtype=np.int64).reshape(-1, self.width))

    def hold(self, rows: Rows) -> None:
        """Hold these rows instead."""
        del self.rows[:]
        self.rows.frombytes(np.ascontiguousarray(rows).tobytes())


def columns_of(table: Rows) -> list[Column]:
    """Return rows as columns that are contiguous each."""
    return list(table.T.copy())


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stretch of a history that can be judged by itself.

    Attributes:
        first, stop: Its eras.
        rows: How many rows it has.
        loose: It hangs together with its neighbours, but all together are too large.
        hangs: One of these neighbours is the part before it, which is judged next.
    """

    first: int
    stop: int
    rows: int
    loose: bool = False
    hangs: bool = False


class Ranges:
    """Every range that was sent, answered, delivered and stored.

    Attributes:
        invoked: key, count, t, due
        completed: key, count, t, outcome, pos (-1: not said), epoch
        delivered: key, count, t, pos, lineage, number of the row
        first: key, count, t, pos: first deliveries, disjoint
        stored_rows: snapshot, epoch, bucket, bucket count, first bpos, messages
        stored: key, pos: the messages of the stored rows, one after the other
    """

    def __init__(
        self,
        rows_max: int = ROWS_MAX,
        era_messages: int = ERA_MESSAGES,
        look_records: int = LOOK_RECORDS,
    ) -> None:
        self.look_records = look_records
        self.invoked, self.completed = Table(4), Table(6)
        self.delivered, self.first = Table(6), Table(4)
        self.stored_rows, self.stored = Table(6), Table(2)
        self.eras = Eras()
        self.spill = Spill()
        self.stream_inbox = array("q")
        self._rows_max = rows_max
        self._era_messages = era_messages
        self._rows_next = rows_max

    @property
    def tables(self) -> dict[str, Table]:
        """All tables by name."""
        return {name: getattr(self, name) for name in WIDTHS}

    @property
    def at_hand(self) -> int:
        """Rows in memory."""
        return sum(len(table) for table in self.tables.values())

    def wants_tidying(self, messages: int) -> bool:
        """Return whether enough has come since the last time, `messages` being those known."""
        return (
            messages >= self._era_messages
            or self.at_hand >= self._rows_next
            or len(self.stored) >= max(1, self._era_messages // 2)
        )

    def tidy(self, invoked_upto: Callable[[], Column], inboxes: int) -> None:
        """Cut if that is possible, and bring closed eras to disk.

        Raises:
            OSError: The disk refused it.
        """
        self.eras.places.grow(inboxes)
        upto = invoked_upto()
        crowded = self.at_hand >= self._rows_next
        self._cut(upto, 1 if crowded else self._era_messages // 2, over_gaps=False)
        self._put_away()
        if self.at_hand >= 2 * self._rows_max and self._cut(upto, 1, over_gaps=True):
            self._put_away()
        if self.at_hand >= 3 * self._rows_max:
            self.eras.cut_by_force(upto, self._top(inboxes))
            self._put_away()
        self._rows_next = self.at_hand + self._rows_max

    def _cut(self, upto: Column, least: int, *, over_gaps: bool) -> bool:
        key, count, pos = self._log()
        inbox = self.inbox_of(key)
        return self.eras.cut(key, count, pos, inbox, upto, least=least, over_gaps=over_gaps)

    def _log(self) -> tuple[Column, Column, Column]:
        """Return the runs at hand whose positions are known."""
        key, count, _, pos, _, _ = self.delivered.columns()
        named, named_count, _, outcome, named_pos, _ = self.completed.columns()
        # A position out of range could not share a number line with the others.
        said = (outcome == 0) & (named_pos >= 0) & (named_pos + named_count <= NUMBER_LIMIT)
        return (
            np.concatenate((key, named[said])),
            np.concatenate((count, named_count[said])),
            np.concatenate((pos, named_pos[said])),
        )

    def _top(self, inboxes: int) -> Column:
        key, count, pos = self._log()
        top = np.zeros(inboxes, dtype=np.int64)
        np.maximum.at(top, self.inbox_of(key), pos + count)
        return top

    def inbox_of(self, keys: Column) -> Column:
        """Return the inbox of each key."""
        owners: Column = np.frombuffer(self.stream_inbox, dtype=np.int64)[keys >> KEY_BITS]
        return owners.copy()

    def _put_away(self) -> None:
        """Bring the rows of closed eras to disk and keep the others."""
        if self.eras.count == 1:
            return
        self.eras.keys.grow(len(self.stream_inbox))
        for name in ("invoked", "completed", "delivered", "first"):
            table = self.tables[name]
            if not len(table):
                continue
            rows, era = self._by_era(table.table(), name)
            closed = era < self.eras.count - 1
            self._take_notice(name, rows[closed], era[closed])
            self.spill.put(name, era[closed], rows[closed])
            table.hold(rows[~closed])
        self._put_stored_away()

    def _by_era(self, rows: Rows, name: str) -> tuple[Rows, Column]:
        origin, key, count, era = self.eras.split(rows[:, 0].copy(), rows[:, 1].copy())
        cut = rows[origin]
        moved = key - cut[:, 0]
        cut[:, 0], cut[:, 1] = key, count
        where = {"completed": 4, "delivered": 3, "first": 3}.get(name)
        if where is not None:
            known = cut[:, where] >= 0
            cut[known, where] += moved[known]
        return cut, era

    def _take_notice(self, name: str, rows: Rows, era: Column) -> None:
        """Let the eras know of rows that lie at positions of another era."""
        match name:
            case "delivered":
                pos = rows[:, 3]
            case "completed":
                pos = rows[:, 4]
                named = (rows[:, 3] == 0) & (pos >= 0) & (pos + rows[:, 1] <= NUMBER_LIMIT)
                rows, era, pos = rows[named], era[named], pos[named]
            case "stored":
                pos = rows[:, 1]
            case _:
                return
        count = np.ones_like(pos) if name == "stored" else rows[:, 1]
        self.eras.glue(era, self.inbox_of(rows[:, 0]), pos, count)

    def _put_stored_away(self) -> None:
        if not len(self.stored):
            return
        message, rows = self.stored.table(), self.stored_rows.table()
        era = self.eras.keys.era_of(message[:, 0].copy(), self.eras.count - 1)
        counts = rows[:, 5]
        origin = np.repeat(np.arange(len(rows)), counts)
        within = np.arange(len(origin)) - np.repeat(np.cumsum(counts) - counts, counts)
        begins = np.ones(len(origin), dtype=np.bool_)
        begins[1:] = (origin[1:] != origin[:-1]) | (era[1:] != era[:-1])
        begin = np.flatnonzero(begins)
        pieces = rows[origin[begin]]
        pieces[:, 4] += within[begin]
        pieces[:, 5] = np.diff(np.append(begin, len(origin)))
        closed = era < self.eras.count - 1
        self._take_notice("stored", message[closed], era[closed])
        self.spill.put("stored", era[closed], message[closed])
        self.stored.hold(message[~closed])
        closed = closed[begin]
        self.spill.put("stored_rows", era[begin][closed], pieces[closed])
        self.stored_rows.hold(pieces[~closed])

    # Judging

    def parts(self) -> list[Part]:
        """Return the parts of the history so far, the latest first."""
        if self.eras.count == 1:
            return [Part(first=0, stop=1, rows=self.at_hand)]
        self._put_away()
        now = self.eras.count - 1
        for name in ("completed", "delivered", "stored"):
            table = self.tables[name].table()
            self._take_notice(name, table, np.full(len(table), now, dtype=np.int64))
        rows = [self.spill.rows(era) for era in range(self.eras.count)]
        rows[now] += self.at_hand
        found: list[Part] = []
        for first, stop in reversed(self.eras.parts()):
            total = sum(rows[first:stop])
            if total <= PART_ROWS_MAX or stop == first + 1:
                found.append(Part(first=first, stop=stop, rows=total))
                continue
            found += [
                Part(first=era, stop=era + 1, rows=rows[era], loose=True, hangs=era > first)
                for era in range(stop - 1, first - 1, -1)
            ]
        return found

    def load(self, part: Part, name: str) -> Rows:
        """Return the rows of a table that belong to a part."""
        table = self.tables[name]
        if self.eras.count == 1:
            return table.table()
        eras = range(part.first, part.stop)
        found: Sequence[Rows] = [self.spill.get(name, era, table.width) for era in eras]
        if part.stop == self.eras.count:
            found = [*found, table.table()]
        return found[0] if len(found) == 1 else np.concatenate(found)


def whole(parts: Sequence[Part]) -> Part | None:
    """Return all parts as one, None if that is more than can be judged at once."""
    rows = sum(part.rows for part in parts)
    if rows > PART_ROWS_MAX:
        return None
    last = parts[0]
    return Part(first=parts[-1].first, stop=last.stop, rows=rows)
