"""Reads histories: one segment, all of them merged by time, or a live one while it grows.

What comes out is in the order of time. At one and the same nanosecond invocations come first: two
operations that touch are taken for concurrent, which can only weaken a check.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from harness.errors import DamagedHistory
from harness.history.index import (
    READ_BYTES,
    SEGMENT_GLOB,
    HistoryIndex,
    Segment,
    differs,
    read_pieces,
    verify,
)
from harness.history.records import Invoked, Record
from harness.history.segment import ORDER_SLACK_NS, SegmentParser

Placed: TypeAlias = tuple[str, Record]
"""A record with its place, e.g. ``0003.msgpack#17``: the 17th record of that file, from 0."""

Watch: TypeAlias = Callable[[str, Sequence[Record]], None]
"""Takes the name of a segment and its next records."""

T = TypeVar("T")

NEVER = 1 << 80
"""An order behind all that there are."""

_SLACK = 2 * ORDER_SLACK_NS + 2


def read_segment(path: Path, allow_torn: bool = False) -> Iterator[Record]:
    """Yield the records of a segment in the order of their times.

    Args:
        path: The segment.
        allow_torn: Its recorder was killed, so the end may be missing.

    Raises:
        DamagedHistory: It is not what a recorder wrote; the message names file and chunk.
    """
    return merge([path], [path] if allow_torn else [])


def read_placed(path: Path, allow_torn: bool = False) -> Iterator[Placed]:
    """Yield the records of a segment with their places; else as `read_segment`."""
    return _merged([_Sorted(_with_places(path.name, _pieces(path, allow_torn)), _order_placed)])


def merge(paths: Iterable[Path], torn: Collection[Path] = ()) -> Iterator[Record]:
    """Yield the records of several segments by time; at equal times in the order of `paths`.

    Memory is bounded by a chunk and twice ORDER_SLACK_NS of records per segment.

    Raises:
        DamagedHistory: A segment that is not in `torn` is incomplete, or any is damaged.
    """
    return _merged([_Sorted(_pieces(path, path in torn), _order) for path in paths])


def read_folder(folder: Path, watch: Watch | None = None) -> Iterator[Record]:
    """Yield a finished history, every segment compared with the index first.

    Args:
        folder: The history's folder.
        watch: Is shown the records of each segment too, by its name, in the order of the file.

    Raises:
        DamagedHistory: There is no index, or a segment is missing, unlisted, altered or damaged.
    """
    return _merged([_Sorted(pieces, _order) for _, pieces in _verified(folder, watch)])


def read_folder_placed(folder: Path) -> Iterator[Placed]:
    """Yield a finished history with places; else as `read_folder`."""
    return _merged(
        [_Sorted(_with_places(name, pieces), _order_placed) for name, pieces in _verified(folder)]
    )


def read_cut_off(folder: Path) -> Iterator[Record]:
    """Yield that part of an unfinished history in which every recorder has written all it saw.

    Nothing may be written to it any more.

    Raises:
        DamagedHistory: A segment is damaged, beyond an end that is missing.
    """
    paths = sorted(folder.glob(SEGMENT_GLOB))
    floors = [floor for path in paths if (floor := _floor_ns(path)) is not None]
    records = merge(paths, paths)
    return takewhile(lambda record: record.t_ns < min(floors), records) if floors else records


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


def _order_placed(placed: Placed) -> int:
    return _order(placed[1])


class _Sorted(Generic[T]):
    """One segment's items, sorted as far as it is sure that nothing earlier comes.

    Attributes:
        upto: Every item of a lower order has been taken in; NEVER once the segment has ended.
    """

    def __init__(self, pieces: Iterator[list[T]], order: Callable[[T], int]) -> None:
        self.upto = -1
        self.order = order
        self._pieces = pieces
        self._waiting: list[T] = []
        self._newest = -1

    def advance(self) -> None:
        """Take in more, until `upto` has risen."""
        waiting, order = self._waiting, self.order
        for piece in self._pieces:
            if not piece:
                continue
            waiting += piece
            self._newest = max(self._newest, max(map(order, piece)))
            if self._newest - _SLACK > self.upto:
                self.upto = self._newest - _SLACK
                break
        else:
            self.upto = NEVER
        waiting.sort(key=order)

    def take(self, upto: int) -> list[T]:
        """Return and forget the items of a lower order than `upto`, in order."""
        cut = bisect_left(self._waiting, upto, key=self.order)
        ready, self._waiting = self._waiting[:cut], self._waiting[cut:]
        return ready


def _merged(segments: list[_Sorted[T]]) -> Iterator[T]:
    """Yield the items of all segments in order; of equal ones those of the first segment first."""
    while segments:
        behind = min(segments, key=lambda segment: segment.upto)
        behind.advance()
        upto = min(segment.upto for segment in segments)
        ready = [item for segment in segments for item in segment.take(upto)]
        ready.sort(key=behind.order)
        yield from ready
        if upto == NEVER:
            return


def _pieces(path: Path, allow_torn: bool) -> Iterator[list[Record]]:
    parser = SegmentParser(path.name)
    for data in read_pieces(path):
        yield parser.feed(data)
    parser.finish(allow_torn=allow_torn)


def _verified(folder: Path, watch: Watch | None = None) -> list[tuple[str, Iterator[list[Record]]]]:
    """Return (name, pieces) of each segment; at its end it is compared with the index."""
    index = verify(folder)
    return [
        (segment.file, _compared(folder / segment.file, index, segment, watch))
        for segment in sorted(index.segments, key=lambda segment: segment.file)
    ]


def _compared(
    path: Path, index: HistoryIndex, segment: Segment, watch: Watch | None
) -> Iterator[list[Record]]:
    parser = SegmentParser(path.name)
    for data in read_pieces(path):
        records = parser.feed(data)
        if watch is not None:
            watch(segment.file, records)
        yield records
    parser.finish(allow_torn=segment.closed == "killed")
    if odd := differs(index, segment, parser):
        raise DamagedHistory(f"{path}: {odd}")


def _with_places(name: str, pieces: Iterator[list[Record]]) -> Iterator[list[Placed]]:
    at = 0
    for records in pieces:
        yield [(f"{name}#{at + index}", record) for index, record in enumerate(records)]
        at += len(records)


def _floor_ns(path: Path) -> int | None:
    """Return from when on records may be missing, None if none are."""
    parser = SegmentParser(path.name)
    for data in read_pieces(path):
        parser.feed(data)
    parser.finish(allow_torn=True)
    return None if parser.orderly else parser.floor_ns
