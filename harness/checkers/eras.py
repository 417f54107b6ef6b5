"""Cutting a long history into eras that can be judged one after the other.

An era is a range of n per stream and a range of positions per inbox, chosen while the records pass:
at a cut, everything below is what the known log holds below some position. In a sound history the
messages of an era lie at the positions of that era, so no two eras have a duplicate, a shared
position or a pair out of order between them. Where a record says otherwise, the eras that it
connects, and all between them, are glued together and judged as one. So where the cuts fall changes
what judging costs, never what it says.
"""

from __future__ import annotations

import numpy as np

from harness.checkers.intervals import (
    KEY_BITS,
    NUMBER_LIMIT,
    Column,
    Spans,
    column,
    split,
)


class Line:
    """Points of one kind (message keys, or places ``inbox << KEY_BITS | pos``) and their eras.

    `closed[i]` is where the open era of owner i (a stream or an inbox) begins.
    """

    __slots__ = ("_eras", "_points", "closed")

    def __init__(self) -> None:
        self.closed = column([])
        self._points = column([])
        self._eras = column([])

    def grow(self, owners: int) -> None:
        """Make room for so many owners."""
        if owners > len(self.closed):
            more = np.zeros(owners - len(self.closed), dtype=np.int64)
            self.closed = np.concatenate((self.closed, more))

    def close(self, upto: Column, era: int) -> None:
        """Let what lies between `closed` and `upto` of each owner be this era."""
        moved = np.flatnonzero(upto > self.closed)
        points = np.concatenate((self._points, moved << KEY_BITS | self.closed[moved]))
        eras = np.concatenate((self._eras, np.full(len(moved), era, dtype=np.int64)))
        order = np.argsort(points, kind="stable")
        self._points, self._eras = points[order], eras[order]
        self.closed[moved] = upto[moved]

    def era_of(self, values: Column, era: int) -> Column:
        """Return the era of each value; `era` is the one that is open."""
        found = np.full(len(values), era, dtype=np.int64)
        if len(self._points):
            past = (values & (NUMBER_LIMIT - 1)) < self.closed[values >> KEY_BITS]
            at = np.searchsorted(self._points, values[past], side="right") - 1
            found[past] = self._eras[at]
        return found

    def cuts(self) -> Column:
        """Return every point where an era begins, sorted."""
        moved = np.flatnonzero(self.closed)
        points = np.concatenate((self._points, moved << KEY_BITS | self.closed[moved]))
        points.sort()
        return points


class Eras:
    """The eras of a history so far.

    Attributes:
        count: How many there are; the last one is open.
        keys: The eras of messages.
        places: The eras of positions.
    """

    def __init__(self) -> None:
        self.count = 1
        self.keys = Line()
        self.places = Line()
        self._glued: set[tuple[int, int]] = set()
        self._far: dict[tuple[int, int], int] = {}

    def cut(
        self,
        key: Column,
        count: Column,
        pos: Column,
        inbox: Column,
        invoked_upto: Column,
        *,
        least: int,
        over_gaps: bool,
    ) -> bool:
        """Close the open era below what is known of the log, if that are enough messages.

        Args:
            key: First messages of the runs of the log that are at hand.
            count: Their messages.
            pos: Their first positions.
            inbox: Their inboxes.
            invoked_upto: Of each stream: no n from there on was sent.
            least: So many positions must get closed.
            over_gaps: Do not stop where a position is unknown yet.

        Returns:
            Whether an era was closed.
        """
        self.keys.grow(len(invoked_upto))
        closed = self.places.closed
        begin = inbox << KEY_BITS | pos
        fresh = pos + count > closed[inbox]
        spans = Spans.of(begin[fresh], (begin + count)[fresh])
        upto = closed.copy()
        if over_gaps:
            owner = spans.begins >> KEY_BITS
            np.maximum.at(upto, owner, spans.ends - (owner << KEY_BITS))
        elif spans:
            wanted = np.arange(len(closed)) << KEY_BITS | closed
            at = np.searchsorted(spans.begins, wanted, side="right") - 1
            reach = spans.ends[np.maximum(at, 0)]
            joined = (at >= 0) & (reach > wanted)
            upto[joined] = (reach - (np.arange(len(closed)) << KEY_BITS))[joined]
        if int((upto - closed).sum()) < least:
            return False
        below = fresh & (pos < upto[inbox])
        stream = key[below] >> KEY_BITS
        taken = np.minimum(count[below], upto[inbox[below]] - pos[below])
        n_end = np.minimum((key[below] & (NUMBER_LIMIT - 1)) + taken, invoked_upto[stream])
        reached = self.keys.closed.copy()
        np.maximum.at(reached, stream, n_end)
        self.keys.close(reached, self.count - 1)
        self.places.close(upto, self.count - 1)
        self.count += 1
        return True

    def cut_by_force(self, invoked_upto: Column, top: Column) -> None:
        """Close the open era below everything that was sent and every position that is known."""
        self.keys.grow(len(invoked_upto))
        self.keys.close(np.maximum(self.keys.closed, invoked_upto), self.count - 1)
        self.places.close(np.maximum(self.places.closed, top), self.count - 1)
        self.count += 1

    def split(self, key: Column, count: Column) -> tuple[Column, Column, Column, Column]:
        """Return (origin, keys, counts, eras) of the pieces of runs, cut where eras begin."""
        empty = np.flatnonzero(count <= 0)
        origin, begins, ends = split(key, key + count, self.keys.cuts())
        if len(empty):
            keep = begins < ends
            origin, begins, ends = origin[keep], begins[keep], ends[keep]
        return origin, begins, ends - begins, self.keys.era_of(begins, self.count - 1)

    def glue(self, era: Column, inbox: Column, pos: Column, count: Column) -> None:
        """Take notice of runs of these eras, by key, that lie at these positions."""
        self.places.grow(int(inbox.max(initial=-1)) + 1)
        now = self.count - 1
        begin = inbox << KEY_BITS | pos
        ends = (begin,) if bool((count == 1).all()) else (begin, begin + count - 1)
        for place in ends:
            there = self.places.era_of(place, now)
            odd = there != era
            if not odd.any():
                continue
            pairs = np.stack((np.minimum(there, era), np.maximum(there, era)), axis=1)[odd]
            self._glued.update(map(tuple, np.unique(pairs, axis=0).tolist()))
            # Where the open era will be cut is not known yet.
            open_ended = np.flatnonzero(odd & (there == now))
            for row in open_ended.tolist():
                which = (int(era[row]), int(inbox[row]))
                self._far[which] = max(self._far.get(which, 0), int(place[row]))

    def glue_places(self, inbox: int, low: int, high: int) -> None:
        """Let what lies from one position of an inbox to another be judged together."""
        ends = column([inbox << KEY_BITS | low, inbox << KEY_BITS | high])
        first, last = self.places.era_of(ends, self.count - 1).tolist()
        self._glued.add((first, last))

    def parts(self) -> list[tuple[int, int]]:
        """Return the stretches [first, stop) of eras that have to be judged together."""
        joined = np.zeros(self.count + 1, dtype=np.int64)
        pairs = list(self._glued)
        for (era, _), place in self._far.items():
            there = int(self.places.era_of(column([place]), self.count - 1)[0])
            pairs.append((min(era, there), max(era, there)))
        for low, high in pairs:
            joined[low] += 1
            joined[high] -= 1
        inside = np.cumsum(joined)[: self.count - 1] > 0
        begins = [0, *(np.flatnonzero(~inside) + 1).tolist()]
        return list(zip(begins, [*begins[1:], self.count], strict=True))
