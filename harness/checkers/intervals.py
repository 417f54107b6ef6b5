"""Sets of whole numbers as sorted, disjoint half-open intervals, handled a column at a time.

Ids of all senders share one number line: ``key = stream << KEY_BITS | n``. So "acknowledged and
never delivered" is one subtraction of two sets, whatever the number of senders, and costs
O(ranges log ranges): a batch of 500 is one range.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

KEY_BITS = 40
"""Bits of n in a key, and of a position beside its inbox: so many messages have room."""

NUMBER_LIMIT = 1 << KEY_BITS
"""n and positions stay below it."""

STREAMS_MAX = 1 << (62 - KEY_BITS)
"""So many (producer, inbox) pairs, and inboxes, have room in a key."""

NEVER = int(np.iinfo(np.int64).max)
"""A time that does not come."""

_EMPTY = np.zeros(0, dtype=np.int64)


def column(values: object) -> Column:
    """Return `values` as a column of int64."""
    return np.asarray(values, dtype=np.int64)


def marks(*columns: Column) -> Column:
    """Return all values of the columns, each once, sorted."""
    values = np.concatenate(columns)
    values.sort()
    if not len(values):
        return values
    fresh = np.ones(len(values), dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=fresh[1:])
    return values[fresh]


@dataclass(frozen=True, slots=True)
class Spans:
    """A set: sorted, disjoint [begins[i], ends[i]), none empty."""

    begins: Column
    ends: Column

    @staticmethod
    def empty() -> Spans:
        """Return the empty set."""
        return Spans(_EMPTY, _EMPTY)

    @staticmethod
    def of(begins: Column, ends: Column) -> Spans:
        """Return the union of intervals in any order, which may overlap."""
        keep = begins < ends
        begins, ends = begins[keep], ends[keep]
        if not len(begins):
            return Spans.empty()
        order = np.argsort(begins, kind="stable")
        begins, ends = begins[order], ends[order]
        reach = np.maximum.accumulate(ends)
        fresh = np.ones(len(begins), dtype=np.bool_)
        fresh[1:] = begins[1:] > reach[:-1]
        last = np.flatnonzero(np.append(fresh[1:], True))
        return Spans(begins[fresh], reach[last])

    @property
    def count(self) -> int:
        """How many numbers are in it."""
        return int((self.ends - self.begins).sum())

    @property
    def cuts(self) -> Column:
        """The points where it begins and ends."""
        return marks(self.begins, self.ends)

    def __bool__(self) -> bool:
        return len(self.begins) > 0

    def contains(self, points: Column) -> Mask:
        """Return for each point whether it is in the set."""
        if not len(self.begins):
            return np.zeros(len(points), dtype=np.bool_)
        place = np.searchsorted(self.begins, points, side="right") - 1
        return (place >= 0) & (points < self.ends[np.maximum(place, 0)])

    def minus(self, other: Spans) -> Spans:
        """Return what is in this set and not in the other."""
        return self._pick(other, wanted=False)

    def both(self, other: Spans) -> Spans:
        """Return what is in both sets."""
        return self._pick(other, wanted=True)

    def union(self, other: Spans) -> Spans:
        """Return what is in either set."""
        return Spans.of(
            np.concatenate((self.begins, other.begins)), np.concatenate((self.ends, other.ends))
        )

    def where(self, keep: Mask) -> Spans:
        """Return the intervals that are marked."""
        return Spans(self.begins[keep], self.ends[keep])

    def _pick(self, other: Spans, *, wanted: bool) -> Spans:
        cuts = marks(other.begins, other.ends)
        _, begins, ends = split(self.begins, self.ends, cuts)
        keep = other.contains(begins) == wanted
        return Spans(begins[keep], ends[keep])


@dataclass(frozen=True, slots=True)
class Steps:
    """A function that is constant on each of its sorted, disjoint intervals."""

    begins: Column
    ends: Column
    values: Column

    @staticmethod
    def of(begins: Column, ends: Column, values: Column) -> Steps:
        """Return the function; where intervals overlap, the one given first counts."""
        keep = begins < ends
        begins, ends, values = begins[keep], ends[keep], values[keep]
        order = np.argsort(begins, kind="stable")
        ordered = Steps(begins[order], ends[order], values[order])
        if len(order) < 2 or not (ordered.begins[1:] < ordered.ends[:-1]).any():
            return ordered
        return _first_wins(begins, ends, values)

    def at(self, points: Column, default: int) -> Column:
        """Return the value at each point, `default` where there is none."""
        if not len(self.begins):
            return np.full(len(points), default, dtype=np.int64)
        place = np.maximum(np.searchsorted(self.begins, points, side="right") - 1, 0)
        inside = (points >= self.begins[place]) & (points < self.ends[place])
        return np.where(inside, self.values[place], default)

    @property
    def cuts(self) -> Column:
        """The points where the value may change."""
        return marks(self.begins, self.ends)


def _first_wins(begins: Column, ends: Column, values: Column) -> Steps:
    """Resolve overlaps one by one; only damaged or odd histories come here."""
    taken = GrowingSet()
    kept: list[tuple[int, int, int]] = []
    rows = zip(begins.tolist(), ends.tolist(), values.tolist(), strict=True)
    for begin, end, value in rows:
        kept += [(first, stop, value) for first, stop in taken.add(begin, end)]
    table = column(sorted(kept)).reshape(-1, 3)
    return Steps(table[:, 0], table[:, 1], table[:, 2])


def split(begins: Column, ends: Column, cuts: Column) -> tuple[Column, Column, Column]:
    """Cut intervals, in any order, at sorted points.

    Returns:
        (origin, begins, ends): the pieces in order, and which interval each comes from.
    """
    first = np.searchsorted(cuts, begins, side="right")
    inner = np.maximum(np.searchsorted(cuts, ends, side="left") - first, 0)
    pieces = inner + 1
    origin = np.repeat(np.arange(len(begins)), pieces)
    within = np.arange(len(origin)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    if not len(cuts):
        return origin, begins[origin], ends[origin]
    at = first[origin] + within
    piece_begins = np.where(within == 0, begins[origin], cuts[np.clip(at - 1, 0, len(cuts) - 1)])
    piece_ends = np.where(
        within == inner[origin], ends[origin], cuts[np.clip(at, 0, len(cuts) - 1)]
    )
    return origin, piece_begins, piece_ends


def depths(begins: Column, ends: Column) -> tuple[Column, Column, Column]:
    """Return (begins, ends, depth): how many of the intervals lie over each stretch, where any."""
    points = np.concatenate((begins, ends))
    change = np.concatenate((np.ones(len(begins), dtype=np.int64), -np.ones_like(ends)))
    cuts, where = np.unique(points, return_inverse=True)
    if not len(cuts):
        return _EMPTY, _EMPTY, _EMPTY
    depth = np.cumsum(np.bincount(where, weights=change, minlength=len(cuts)).astype(np.int64))
    keep = depth[:-1] > 0
    return cuts[:-1][keep], cuts[1:][keep], depth[:-1][keep]


def highest_before(
    group: Column, when: Column, value: Column, ask_group: Column, ask_when: Column
) -> Column:
    """Return for each question the largest value of its group with `when` < `ask_when`, else -1.

    Values lie within 0 … NUMBER_LIMIT - 1, groups within 0 … STREAMS_MAX - 1. O(n log n).
    """
    if not len(group) or not len(ask_group):
        return np.full(len(ask_group), -1, dtype=np.int64)
    moments = marks(when, ask_when)
    place = group * len(moments) + np.searchsorted(moments, when)
    order = np.argsort(place, kind="stable")
    # A later group has larger numbers in its high bits, so one running maximum serves all groups.
    running = np.maximum.accumulate((group << KEY_BITS | value)[order])
    asked = ask_group * len(moments) + np.searchsorted(moments, ask_when)
    found = np.searchsorted(place[order], asked, side="left") - 1
    best = running[np.maximum(found, 0)]
    valid = (found >= 0) & (best >> KEY_BITS == ask_group)
    return np.where(valid, best & (NUMBER_LIMIT - 1), -1)


class GrowingSet:
    """A set that is added to one interval at a time, mostly at its upper end: O(1) amortised."""

    __slots__ = ("begins", "ends")

    def __init__(self) -> None:
        self.begins: list[int] = []
        self.ends: list[int] = []

    def add(self, begin: int, end: int) -> list[tuple[int, int]]:
        """Add [begin, end) and return the parts of it that were not in the set before."""
        begins, ends = self.begins, self.ends
        if begin >= end:
            return []
        if not ends or begin > ends[-1]:
            begins.append(begin)
            ends.append(end)
            return [(begin, end)]
        if begin == ends[-1]:
            ends[-1] = end
            return [(begin, end)]
        first = bisect_left(ends, begin)
        stop = bisect_right(begins, end)
        fresh = []
        at = begin
        for index in range(first, stop):
            if begins[index] > at:
                fresh.append((at, begins[index]))
            at = max(at, ends[index])
        if at < end:
            fresh.append((at, end))
        if first < stop:
            begin = min(begin, begins[first])
            end = max(end, ends[stop - 1])
        begins[first:stop] = [begin]
        ends[first:stop] = [end]
        return fresh

    def count_below(self, limit: int) -> int:
        """Return how many numbers of the set are below `limit`."""
        stop = bisect_left(self.begins, limit)
        return sum(min(self.ends[i], limit) - self.begins[i] for i in range(stop))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.begins, self.ends, strict=True)

    def spans(self) -> Spans:
        """Return the set as columns."""
        return Spans(column(self.begins), column(self.ends))
