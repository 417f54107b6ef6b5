"""The resend buffer of one core link: every batch stays until the core has answered it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from reference.reach import Reach
from reference.wire.errors import ErrorCode
from reference.wire.messages import OkRange, RefusedRange, Segment

PIECE_BYTES: Final = 2 * 1024 * 1024
"""About how much goes to the core as one piece; the rest waits until that was written."""

_LaneKey: TypeAlias = tuple[int, str]


SEGMENT_MEMORY_BYTES: Final = 448
"""What the objects of one batch take beside its lengths and bodies (measured: 424 and a name)."""


def memory_bytes(segment: Segment) -> int:
    """Return about what a batch takes in the buffer, its objects included."""
    return segment.size_bytes + SEGMENT_MEMORY_BYTES


class Holding:
    """What of the buffers came from one connection: as the credit counts it, and in memory."""

    __slots__ = ("memory_bytes", "size_bytes")

    def __init__(self) -> None:
        self.size_bytes = 0
        self.memory_bytes = 0


class _Entry:
    __slots__ = ("dropped", "holding", "order", "segment")

    def __init__(self, segment: Segment, order: int, holding: Holding) -> None:
        self.segment = segment
        self.order = order
        self.holding = holding
        self.dropped = False


class _Sent:
    """What of one (producer, inbox) was sent and not answered, in the order of sending."""

    __slots__ = ("entries", "rising")

    def __init__(self) -> None:
        self.entries: deque[_Entry] = deque()
        self.rising = True

    def append(self, entry: _Entry) -> None:
        if self.entries and entry.segment.n_first < self.entries[-1].segment.n_end:
            self.rising = False
        self.entries.append(entry)

    def take(self, wanted: Callable[[Segment], bool]) -> list[_Entry]:
        """Remove and return the entries that are wanted; only a front of them if n rises."""
        taken: list[_Entry] = []
        if self.rising:
            while self.entries and wanted(self.entries[0].segment):
                taken.append(self.entries.popleft())
            return taken
        kept: deque[_Entry] = deque()
        for entry in self.entries:
            (taken if wanted(entry.segment) else kept).append(entry)
        self.entries = kept
        self.rising = not kept
        return taken


class ResendBuffer:
    """Batches of many clients on their way over one core link, in the order of their arrival.

    A batch is waiting or sent. It goes when the core answered it; when the link is lost everything
    sent is waiting again, oldest first and before what came later.
    """

    def __init__(self, reach: Reach | None = None) -> None:
        self._reach = Reach() if reach is None else reach
        self._waiting: deque[_Entry] = deque()
        self._sent: dict[_LaneKey, _Sent] = {}
        self._known: dict[tuple[int, str, int], _Entry] = {}
        self._order = 0
        self.size_bytes = 0
        """All batches together, their objects included."""
        self.sent_bytes = 0
        """Those that were sent on the present link and not answered."""

    def add(self, segment: Segment, holding: Holding) -> bool:
        """Take a batch, unless just this one is here already: then it will be answered anyway.

        `holding` counts it for whom it came from.
        """
        key = (segment.producer, segment.inbox, segment.n_first)
        known = self._known.get(key)
        if known is not None and known.segment == segment:
            self._reach["edge.batch_here_already"] += 1
            return False
        self._order += 1
        entry = _Entry(segment, self._order, holding)
        self._waiting.append(entry)
        self._known[key] = entry
        self.size_bytes += memory_bytes(segment)
        holding.size_bytes += segment.size_bytes
        holding.memory_bytes += memory_bytes(segment)
        return True

    def send(self, credit_bytes: int) -> Iterator[Segment]:
        """Yield what may be sent now: one piece, and never more unanswered than the credit.

        A batch larger than the whole credit travels alone.
        """
        piece_bytes = 0
        while self._waiting and piece_bytes < PIECE_BYTES:
            entry = self._waiting[0]
            if entry.dropped:
                self._waiting.popleft()
                continue
            segment = entry.segment
            size_bytes = segment.size_bytes
            if self.sent_bytes and self.sent_bytes + size_bytes > credit_bytes:
                self._reach["edge.core_credit_used_up"] += 1
                return
            self._waiting.popleft()
            lane = self._sent.get((segment.producer, segment.inbox))
            if lane is None:
                lane = self._sent[segment.producer, segment.inbox] = _Sent()
            lane.append(entry)
            self.sent_bytes += size_bytes
            piece_bytes += size_bytes
            yield segment

    def acknowledged(self, ok: OkRange) -> None:
        """The core has everything of this (producer, inbox) below the end of the range."""
        n_end = ok.n_first + ok.count
        self._answered((ok.producer, ok.inbox), lambda segment: segment.n_end <= n_end)

    def refused(self, refused: RefusedRange) -> bool:
        """The core did not take the range; return whether it was one that we had sent.

        After a gap the batches that wait behind it are dropped too, up to the first that begins
        where the core goes on: they could only be refused as well, and their client sends them
        again.
        """
        key = (refused.producer, refused.inbox)
        n_end = refused.n_first + refused.count
        lane = self._sent.get(key)
        if lane is None:
            return False
        before = [e for e in lane.entries if e.segment.n_first < refused.n_first]
        # An earlier batch may wait for its commit while a later one is refused at once.
        taken = [
            entry
            for entry in lane.entries
            if refused.n_first <= entry.segment.n_first and entry.segment.n_end <= n_end
        ]
        if not taken:
            return False
        if before or not lane.rising:
            # Of equal ranges only the first was answered; the others have answers of their own.
            first_of: dict[int, _Entry] = {}
            for entry in taken:
                first_of.setdefault(entry.segment.n_first, entry)
            taken = list(first_of.values())
        gone = set(map(id, taken))
        lane.entries = deque(e for e in lane.entries if id(e) not in gone)
        for entry in taken:
            self._forget(entry, sent=True)
        if not lane.entries:
            del self._sent[key]
        if refused.code is ErrorCode.GAP:
            self._drop_behind(key, taken[-1].order, refused.expected)
        return True

    def link_lost(self) -> None:
        """Everything that was sent waits again."""
        if self._sent:
            self._reach["edge.link_lost_amid_batches"] += 1
        entries = [entry for lane in self._sent.values() for entry in lane.entries]
        entries.sort(key=lambda entry: entry.order)
        self._waiting.extendleft(reversed(entries))
        self._sent.clear()
        self.sent_bytes = 0

    def _answered(self, key: _LaneKey, wanted: Callable[[Segment], bool]) -> None:
        lane = self._sent.get(key)
        if lane is None:
            return
        for entry in lane.take(wanted):
            self._forget(entry, sent=True)
        if not lane.entries:
            del self._sent[key]

    def _drop_behind(self, key: _LaneKey, order: int, expected: int) -> None:
        """Drop what came after number `order`, up to where its client had gone back already."""
        lane = self._sent.get(key)
        if lane is not None and any(
            e.order > order and e.segment.n_first <= expected for e in lane.entries
        ):
            return
        for entry in self._waiting:
            segment = entry.segment
            if entry.dropped or entry.order < order or (segment.producer, segment.inbox) != key:
                continue
            if segment.n_first <= expected:
                return
            self._reach["edge.dropped_behind_a_gap"] += 1
            entry.dropped = True
            self._forget(entry, sent=False)

    def _forget(self, entry: _Entry, *, sent: bool) -> None:
        segment = entry.segment
        key = (segment.producer, segment.inbox, segment.n_first)
        if self._known.get(key) is entry:
            del self._known[key]
        self.size_bytes -= memory_bytes(segment)
        entry.holding.size_bytes -= segment.size_bytes
        entry.holding.memory_bytes -= memory_bytes(segment)
        if sent:
            self.sent_bytes -= segment.size_bytes
