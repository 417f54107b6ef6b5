"""Delivery: committed messages to the sessions that are online, in position order, within windows.

Sessions that keep up are served from a bounded cache of the last committed appends; those that lag
read from the store, one read at a time each. Only what is durable is ever looked at.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import TypeAlias

import numpy as np

from reference.core.links import Link
from reference.core.sequencing import Inbox
from reference.core.settings import APPEND_COUNT_MAX, APPEND_RUNS_MAX, READ_BYTES_MAX
from reference.events import Append, LogSlice, ReadLog
from reference.reach import Reach
from reference.window import Window
from reference.wire import messages as m

Piece: TypeAlias = Append | LogSlice

WINDOW_SHARE = 4
"""A piece is cut to fit only when at least this share of the window is free (no tiny pieces)."""


class Session:
    """An open session of an inbox on a link."""

    __slots__ = ("inbox", "link", "next_pos", "number", "read_no", "stalled", "window")

    def __init__(
        self, inbox: Inbox, number: int, link: Link, next_pos: int, window_bytes: int
    ) -> None:
        self.inbox = inbox
        self.number = number
        self.link = link
        self.next_pos = next_pos
        self.window = Window(window_bytes)
        self.read_no = -1
        """The read from the store that is under way, or -1."""
        self.stalled = False
        """Its window was full when there was more to send."""


class TailCache:
    """The appends committed last, of all inboxes together at most `bytes_max`, oldest out first."""

    def __init__(self, bytes_max: int, reach: Reach) -> None:
        self._bytes_max = bytes_max
        self._reach = reach
        self._order: deque[Append] = deque()
        self._tails: dict[str, tuple[list[int], list[Append]]] = {}
        self.size_bytes = 0

    def add(self, append: Append) -> None:
        """Keep an append that was just committed."""
        firsts, appends = self._tails.setdefault(append.inbox, ([], []))
        firsts.append(append.pos_first)
        appends.append(append)
        self._order.append(append)
        self.size_bytes += len(append.body) + len(append.lengths)
        while self.size_bytes > self._bytes_max:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._reach["core.cache_evicted"] += 1
        append = self._order.popleft()
        self.size_bytes -= len(append.body) + len(append.lengths)
        firsts, appends = self._tails[append.inbox]
        del firsts[0], appends[0]
        if not firsts:
            del self._tails[append.inbox]

    def find(self, inbox: str, pos: int) -> Append | None:
        """Return the append that holds a position, if it is kept."""
        tail = self._tails.get(inbox)
        if tail is None or pos < tail[0][0]:
            return None
        append = tail[1][bisect_right(tail[0], pos) - 1]
        return append if pos < append.pos_first + append.count else None

    def first_pos(self, inbox: str) -> int | None:
        """Return the first position that is kept of an inbox."""
        tail = self._tails.get(inbox)
        return tail[0][0] if tail else None


class Deliverer:
    """Sends the open sessions what is durable. `reads` are the store reads that became due."""

    def __init__(self, tail_cache_bytes_max: int, reach: Reach | None = None) -> None:
        self._reach = Reach() if reach is None else reach
        self.tail = TailCache(tail_cache_bytes_max, self._reach)
        self.active: dict[str, Session] = {}
        """The one open session of each inbox that has one: who is online."""
        self.reads: list[ReadLog] = []
        self._sent_upto: dict[str, int] = {}
        self._read_no = 0
        self._reading: dict[int, tuple[Session, int]] = {}

    def presume_sent(self, inbox: Inbox) -> None:
        """After a recovery: all that was durable may have been sent to an earlier session."""
        if inbox.session_durable > 0:
            self._sent_upto[inbox.name] = inbox.pos_end - 1

    def open(self, session: Session) -> None:
        """Make a session the active one of its inbox; the caller ended the one before."""
        self.active[session.inbox.name] = session
        session.link.sessions[session.inbox.name] = session

    def end(self, session: Session) -> None:
        """Close a session: nothing more is sent to it."""
        name = session.inbox.name
        if self.active.get(name) is session:
            del self.active[name]
        if session.link.sessions.get(name) is session:
            del session.link.sessions[name]
        session.link.stalled.pop(name, None)

    def pump(self, session: Session) -> None:
        """Send what is durable, fits the window and finds room on the link."""
        inbox = session.inbox
        while session.read_no < 0 and session.next_pos < inbox.pos_end:
            link = session.link
            if not link.wants_more:
                self._reach["core.link_full"] += 1
                link.stalled[inbox.name] = session
                return
            piece = self.tail.find(inbox.name, session.next_pos)
            if piece is None:
                if session.window.room_bytes * WINDOW_SHARE >= session.window.limit_bytes:
                    self._read(session)
                return
            if not self._send(session, piece):
                return

    def written(self, link: Link) -> None:
        """Go on with those that waited for the link."""
        stalled = list(link.stalled.values())
        link.stalled.clear()
        for session in stalled:
            self.pump(session)

    def log_read(self, read_no: int, log: LogSlice | None) -> Session | None:
        """Send what a read brought, if its session is still there; None: nothing sound.

        Returns:
            The session, if durable messages that it comes to next did not come back.
        """
        session, reserved_bytes = self._reading.pop(read_no)
        session.read_no = -1
        session.link.reading_bytes -= reserved_bytes
        sound = self._log_came(session, log)
        if session.link.stalled and session.link.wants_more:
            self.written(session.link)
        return None if sound else session

    def _log_came(self, session: Session, log: LogSlice | None) -> bool:
        inbox = session.inbox
        if self.active.get(inbox.name) is not session:
            return True
        # Only its own acknowledgements trim while it is open, and they stay behind it.
        if log is None or not log.pos_first <= session.next_pos < log.pos_first + log.count:
            return False
        while session.next_pos < log.pos_first + log.count:
            if not self._send(session, log):
                # It fits only when more is acknowledged, and that pumps again.
                return True
        self.pump(session)
        return True

    def _read(self, session: Session) -> None:
        inbox = session.inbox
        cached = self.tail.first_pos(inbox.name)
        end = inbox.pos_end
        if cached is not None and session.next_pos < cached:
            end = min(end, cached)
        self._reach["core.read_from_store"] += 1
        self._read_no += 1
        session.read_no = self._read_no
        bytes_max = max(1, min(READ_BYTES_MAX, session.window.room_bytes))
        self._reading[self._read_no] = (session, bytes_max)
        session.link.reading_bytes += bytes_max
        self.reads.append(
            ReadLog(
                read_no=self._read_no,
                inbox=inbox.name,
                pos_first=session.next_pos,
                pos_upto=end - 1,
                bytes_max=bytes_max,
            )
        )

    def _send(self, session: Session, piece: Piece) -> bool:
        """Send as much of a piece as may be sent now; False if that is nothing."""
        name = session.inbox.name
        sent_upto = self._sent_upto.get(name, -1)
        begin = session.next_pos - piece.pos_first
        stop = piece.count
        redelivered = session.next_pos <= sent_upto
        if redelivered:
            stop = min(stop, sent_upto + 1 - piece.pos_first)
        stop = min(stop, begin + APPEND_COUNT_MAX)
        cut = _cut(piece, begin, stop, session.window)
        if cut is None:
            self._reach["core.window_full"] += 1
            session.stalled = True
            return False
        if session.stalled:
            self._reach["core.window_open_again"] += 1
            session.stalled = False
        if redelivered:
            self._reach["core.redelivered"] += 1
        runs, lengths, body = cut
        delivery = m.Delivery(
            inbox=name,
            session=session.number,
            pos_first=session.next_pos,
            redelivered=redelivered,
            runs=runs,
            lengths=lengths,
            body=body,
        )
        session.link.offer(m.Deliver(deliveries=(delivery,)))
        session.window.sent(session.next_pos, lengths, delivery.size_bytes)
        session.next_pos += delivery.count
        self._sent_upto[name] = max(sent_upto, session.next_pos - 1)
        return True


def _cut(
    piece: Piece, begin: int, stop: int, window: Window
) -> tuple[tuple[m.Run, ...], bytes, bytes] | None:
    """Cut begin … stop - 1 out of a piece, less if the window asks for it, None for nothing.

    A message that is larger than the whole window goes alone when nothing else is under way.
    """
    room = window.room_bytes
    free = window.in_flight_bytes == 0
    whole = begin == 0 and stop == piece.count and len(piece.runs) <= APPEND_RUNS_MAX
    if whole and len(piece.body) + len(piece.lengths) <= room:
        return piece.runs, piece.lengths, piece.body
    runs = _cut_runs(piece.runs, begin, stop)
    stop = begin + sum(run.count for run in runs)
    lengths = np.frombuffer(piece.lengths, dtype="<u4")
    sizes = np.cumsum(lengths[begin:stop], dtype=np.int64)
    costs = sizes + 4 * np.arange(1, len(sizes) + 1)
    count = int(np.searchsorted(costs, room, side="right"))
    if count < len(sizes):
        if not free and room * WINDOW_SHARE < window.limit_bytes:
            return None
        if count == 0 and not free:
            return None
        count = max(count, 1)
        stop = begin + count
        runs = _cut_runs(runs, 0, count)
    at = int(lengths[:begin].sum(dtype=np.int64))
    body = piece.body[at : at + int(sizes[count - 1])]
    return runs, piece.lengths[4 * begin : 4 * stop], body


def _cut_runs(runs: tuple[m.Run, ...], begin: int, stop: int) -> tuple[m.Run, ...]:
    """Cut the runs of the messages begin … stop - 1 out, at most APPEND_RUNS_MAX of them."""
    kept: list[m.Run] = []
    at = 0
    for run in runs:
        skip = max(begin - at, 0)
        count = min(run.count, stop - at) - skip
        at += run.count
        if count > 0:
            kept.append(m.Run(run.producer, run.n_first + skip, count, run.epoch, run.bucket_count))
            if len(kept) == APPEND_RUNS_MAX:
                break
        if at >= stop:
            break
    return tuple(kept)
