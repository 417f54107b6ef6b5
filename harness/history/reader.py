"""Reads histories: one segment, all of them merged by time, or a live one while it grows.

What comes out is in the order of time. At one and the same nanosecond invocations come first: two
operations that touch are taken for concurrent, which can only weaken a check.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias, TypeVar

from harness.history.index import READ_BYTES, SEGMENT_GLOB, read_pieces, verify
from harness.history.records import Invoked, Record
from harness.history.segment import ORDER_SLACK_NS, SegmentParser

Placed: TypeAlias = tuple[str, Record]
"""A record with its place, e.g. ``0003.msgpack#17``: the 17th record of that file, from 0."""

T = TypeVar("T")


def read_segment(path: Path, allow_torn: bool = False) -> Iterator[Record]:
    """Yield the records of a segment in the order of their times.

    Args:
        path: The segment.
        allow_torn: Its recorder was killed, so the end may be missing.

    Raises:
        DamagedHistory: It is not what a recorder wrote; the message names file and chunk.
    """
    return _sort_within_slack(_read_records(path, allow_torn), _order)


def read_placed(path: Path, allow_torn: bool = False) -> Iterator[Placed]:
    """Yield the records of a segment with their places; else as `read_segment`."""
    placed = (
        (f"{path.name}#{index}", record)
        for index, record in enumerate(_read_records(path, allow_torn))
    )
    return _sort_within_slack(placed, lambda item: _order(item[1]))


def merge(paths: Iterable[Path], torn: Collection[Path] = ()) -> Iterator[Record]:
    """Yield the records of several segments by time; at equal times in the order of `paths`.

    Memory is bounded by a chunk and ORDER_SLACK_NS of records per segment.

    Raises:
        DamagedHistory: A segment that is not in `torn` is incomplete, or any is damaged.
    """
    return heapq.merge(*(read_segment(path, path in torn) for path in paths), key=_order)


def read_folder(folder: Path) -> Iterator[Record]:
    """Yield a finished history, every segment compared with the index first.

    Raises:
        DamagedHistory: There is no index, or a segment is missing, unlisted, altered or damaged.
    """
    paths, torn = verify(folder)
    return merge(paths, torn)


def read_folder_placed(folder: Path) -> Iterator[Placed]:
    """Yield a finished history with places; else as `read_folder`."""
    paths, torn = verify(folder)
    streams = [read_placed(path, path in torn) for path in paths]
    return heapq.merge(*streams, key=lambda item: _order(item[1]))


class Tail:
    """Follows a history while it is written, for the live view; a verdict never rests on it.

    Args:
        folder: The history's folder; segments may appear in it at any time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tails: dict[str, _SegmentTail] = {}
        self._waiting: list[Record] = []

    def poll(self) -> list[Record]:
        """Return the records, by time, before which nothing can come any more.

        How far that reaches is set by the slowest recorder that is not closed: each should
        `Recorder.beat` a few times per second.

        Raises:
            DamagedHistory: A segment is damaged.
        """
        # A segment that appears while the others are read may begin before their newest records.
        # It is read too, until a look into the folder finds no new one.
        fresh = True
        while fresh:
            fresh = False
            for path in sorted(self._folder.glob(SEGMENT_GLOB)):
                if path.name not in self._tails:
                    self._tails[path.name] = _SegmentTail(path)
                    fresh = True
            for tail in self._tails.values():
                self._waiting += tail.read()
        floors = [tail.floor_ns for tail in self._tails.values() if not tail.parser.orderly]
        self._waiting.sort(key=_order)
        cut = len(self._waiting)
        if floors:
            cut = bisect_right(self._waiting, 2 * min(floors) - 1, key=_order)
        ready, self._waiting = self._waiting[:cut], self._waiting[cut:]
        return ready

    def close(self) -> None:
        """Close the files."""
        for tail in self._tails.values():
            tail.file.close()


class _SegmentTail:
    def __init__(self, path: Path) -> None:
        self.file = path.open("rb", buffering=0)
        self.parser = SegmentParser(path.name)

    @property
    def floor_ns(self) -> int:
        return self.parser.floor_ns

    def read(self) -> list[Record]:
        records: list[Record] = []
        while data := self.file.read(READ_BYTES):
            records += self.parser.feed(data)
        return records


def _order(record: Record) -> int:
    return 2 * record.t_ns + (type(record) is not Invoked)


def _sort_within_slack(items: Iterable[T], order: Callable[[T], int]) -> Iterator[T]:
    """Yield items by `order`; none may lie behind an earlier one by more than the slack."""
    slack = 2 * ORDER_SLACK_NS + 2
    pending: list[tuple[int, T]] = []
    newest = oldest = 0
    by_order = itemgetter(0)
    for item in items:
        rank = order(item)
        if not pending:
            oldest = rank
        pending.append((rank, item))
        newest = max(newest, rank)
        if newest - oldest > 2 * slack:
            pending.sort(key=by_order)
            cut = bisect_right(pending, newest - slack, key=by_order)
            for _, ready in pending[:cut]:
                yield ready
            del pending[:cut]
            oldest = pending[0][0]
    pending.sort(key=by_order)
    for _, ready in pending:
        yield ready


def _read_records(path: Path, allow_torn: bool) -> Iterator[Record]:
    parser = SegmentParser(path.name)
    for data in read_pieces(path):
        yield from parser.feed(data)
    parser.finish(allow_torn=allow_torn)
