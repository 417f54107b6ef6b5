"""Holds the segments of a history against the books that were kept of them. Pure.

Each segment has its books inside, twice a second and at its end, and they must be what lies before
them. Of every load process the runner wrote down the books that it heard last. So nothing can be
missing but what a process that was killed recorded behind those: at the end of its segment, within
its last half second. And a segment may lack its end only if a fault struck that very process, and
not before its last record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.history.books import Books
from harness.history.index import HistoryIndex, Segment
from harness.history.records import FaultMarked, Kept, Line, Record, Watermark
from harness.history.segment import SCHEMA_WITHOUT_BOOKS

RUNNER = "runner"
"""The recorder of the runner itself."""

KILLS = frozenset({"process_kill", "process_terminate"})
"""Kinds of faults behind which a segment may lack its end."""

KINDS_TOLD_MAX = 3
"""Kinds of records that are told of one segment."""

_NOTHING: Line = (0, 0)


@dataclass(slots=True)
class _Page:
    """One segment as far as it has been read.

    Attributes:
        books: What it holds.
        kept: The books that lie in it, each as one number.
        is_closed: Nothing lies behind the last of them.
        odd: How the first of them that is not what lay before it differs.
    """

    segment: Segment
    books: Books = field(default_factory=Books)
    kept: set[int] = field(default_factory=set)
    last_ns: int = 0
    is_closed: bool = False
    odd: str = ""

    def compare(self, own: Kept) -> None:
        self.is_closed = True
        self.kept.add(_as_number(own.lines))
        upto = f"up to {own.t_ns / 1e9:.2f} s"
        self.odd = self.odd or _differ(own.lines, self.books.lines(), upto)


class Audit:
    """Takes the records of each segment in the order of its file; says at the end what is odd.

    Args:
        index: The history's index. In one from before there were books nothing is odd.
    """

    def __init__(self, index: HistoryIndex) -> None:
        self.has_books = index.schema != SCHEMA_WITHOUT_BOOKS
        self._pages = {segment.file: _Page(segment) for segment in index.segments}
        self._heard: dict[str, Kept] = {}
        self._blows: list[FaultMarked] = []

    def see(self, file: str, records: Sequence[Record]) -> None:
        """Take the next records of a segment."""
        if not self.has_books:
            return
        page = self._pages[file]
        name = page.segment.recorder
        for record in records:
            page.last_ns = max(page.last_ns, record.t_ns)
            if type(record) is Kept and record.recorder == name:
                page.compare(record)
                continue
            page.books.enter(record)
            page.is_closed = page.is_closed and type(record) is Watermark
            if name == RUNNER:
                self._hear(record)

    def _hear(self, record: Record) -> None:
        if isinstance(record, Kept):
            self._heard[record.recorder] = record
        elif isinstance(record, FaultMarked) and _is_blow(record):
            self._blows.append(record)

    def complaints(self) -> list[str]:
        """Return a sentence on each recorder whose segment is not what its books say.

        To be called once, after all records were seen.
        """
        if not self.has_books:
            return []
        names = Counter(page.segment.recorder for page in self._pages.values())
        gone = sorted(self._heard.keys() - names.keys())
        return [
            *(f"{name} has {count} segments" for name, count in names.items() if count > 1),
            *(
                f"{page.segment.recorder}: {said}"
                for page in self._pages.values()
                if (said := page.odd or self._odd_end(page))
            ),
            *(f"{name}: the runner heard its books, and it has no segment" for name in gone),
        ]

    def _odd_end(self, page: _Page) -> str:
        is_killed = page.segment.closed == "killed"
        if not is_killed and not page.is_closed:
            return "its segment does not end with its books"
        if page.segment.recorder == RUNNER:
            return "nobody kills the runner and goes on" if is_killed else ""
        heard = self._heard.get(page.segment.recorder)
        if heard is None:
            return "the runner has not heard its books"
        if not is_killed:
            return _differ(heard.lines, page.books.lines(), "as the runner heard at its end")
        if heard.lines and _as_number(heard.lines) not in page.kept:
            upto = "as the runner heard before it was killed"
            return _differ(heard.lines, page.books.lines(), upto) or f"{upto}, they were others"
        return self._odd_kill(page, heard.target)

    def _odd_kill(self, page: _Page, target: str) -> str:
        """Find the blow that ended a segment, which may have ended no other one."""
        for blow in self._blows:
            if blow.target == target and blow.t_ns >= page.last_ns:
                self._blows.remove(blow)
                return ""
        return f"its segment has no end, and no fault killed {target} behind its last record"


def _is_blow(mark: FaultMarked) -> bool:
    return mark.kind in KILLS and mark.state == "confirmed"


def _as_number(lines: Mapping[str, Line]) -> int:
    return hash(tuple(sorted(lines.items())))


def _differ(said: Mapping[str, Line], found: Mapping[str, Line], where: str) -> str:
    """Say where the books differ from what was found, "" where they do not."""
    kinds = [k for k in sorted({*said, *found}) if said.get(k) != found.get(k)]
    if not kinds:
        return ""
    told = []
    for kind in kinds[:KINDS_TOLD_MAX]:
        (one, _), (other, _) = said.get(kind, _NOTHING), found.get(kind, _NOTHING)
        there = f"{other:,}" if one != other else "as many, but others"
        told.append(f"{one:,} {kind}, its segment {there}")
    more = len(kinds) - len(told)
    behind = f" (and {more} more kinds)" if more else ""
    return f"{where} its books have {'; '.join(told)}{behind}"
