"""A store that keeps everything in memory: for simulations and for driving a core in one thread.

What was committed is what survives: a simulated crash drops the machine and keeps this object.
`CoreLoop` carries a core's effects out against a store at once, so that a test sees what goes in
and what comes out and nothing between.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable

from reference.core import buckets
from reference.core.buckets import BucketRow
from reference.core.machine import CoreMachine
from reference.events import (
    Close,
    Commit,
    CommitRefused,
    Committed,
    Effect,
    EpochMark,
    Event,
    InboxMark,
    LogRead,
    LogSlice,
    ProducerMark,
    ReadLog,
    ReadRows,
    Received,
    Recovered,
    RowsRead,
    Transmit,
    Writes,
    Written,
)
from reference.store.port import Store, StoreDamaged, StoreFull, page_of
from reference.wire.messages import Message, StoredRow


class MemoryStore:
    """A `Store` without a disk. `full` makes every commit refuse, as a full disk would."""

    def __init__(self) -> None:
        self.full = False
        self.producers: dict[tuple[int, str], ProducerMark] = {}
        self.inboxes: dict[str, InboxMark] = {}
        self.epochs: list[EpochMark] = []
        self.log: dict[str, list[list[BucketRow]]] = {}
        """Per inbox the rows of each append, in position order."""
        self._next: dict[str, tuple[int, list[int]]] = {}

    def copy(self) -> MemoryStore:
        """Return another store with the same contents."""
        other = MemoryStore()
        other.full = self.full
        other.producers = dict(self.producers)
        other.inboxes = dict(self.inboxes)
        other.epochs = list(self.epochs)
        other.log = {inbox: list(appends) for inbox, appends in self.log.items()}
        other._next = dict(self._next)
        return other

    def sync(self) -> None:
        """What was committed is durable. See `Store.sync`."""

    def recover(self) -> Recovered:
        """Return what was committed."""
        return Recovered(
            producers=tuple(self.producers.values()),
            inboxes=tuple(self.inboxes.values()),
            epochs=tuple(sorted(self.epochs, key=lambda mark: (mark.inbox, mark.epoch))),
        )

    def commit(self, writes: Writes) -> None:
        """Keep the writes, unless `full`."""
        if self.full:
            raise StoreFull("told to be full")
        for append in writes.appends:
            epoch, after = self._next.get(append.inbox, (-1, []))
            if epoch != append.epoch:
                after = [0] * append.bucket_count
            rows, after = buckets.split(append, after)
            self._next[append.inbox] = (append.epoch, after)
            self.log.setdefault(append.inbox, []).append(rows)
        self.producers.update({(p.producer, p.inbox): p for p in writes.producers})
        self.inboxes.update({mark.inbox: mark for mark in writes.inboxes})
        self.epochs += writes.epochs
        for inbox, upto in writes.trims:
            kept = [rows for rows in self.log.get(inbox, []) if rows[0].pos_last > upto]
            self.log[inbox] = kept

    def read(self, inbox: str, pos_first: int, pos_upto: int, bytes_max: int) -> LogSlice:
        """Return committed messages, merged. See `Store.read`."""
        appends = self.log.get(inbox, [])
        begin = max(bisect_right(appends, pos_first, key=lambda rows: rows[0].pos_first) - 1, 0)
        taken: list[BucketRow] = []
        size_bytes = 0
        for rows in appends[begin:]:
            if size_bytes >= bytes_max or rows[0].pos_first > pos_upto:
                break
            taken += rows
            if rows[0].pos_first >= pos_first:
                size_bytes += sum(len(row.body) + len(row.lengths) for row in rows)
        return buckets.merge(taken, pos_first, pos_upto, bytes_max)

    def rows(
        self, inbox: str, after_pos: int, after_bucket: int
    ) -> tuple[tuple[StoredRow, ...], bool]:
        """Return bucket rows behind a key. See `Store.rows`."""
        return page_of(
            row.stored()
            for rows in self.log.get(inbox, [])
            for row in rows
            if (row.pos_first, row.bucket) > (after_pos, after_bucket)
        )

    def gauges(self) -> dict[str, int]:
        """Nothing here has a limit. See `Store.gauges`."""
        return {}

    def close(self) -> None:
        """Nothing to let go of."""


class CoreLoop:
    """Runs a core over a store without any waiting, or holds its commits and reads back.

    Attributes:
        sent: Per connection what was transmitted and not yet fetched with `take`.
        closed: Connections that the core closed.
        held: Effects that wait, while `hold` says so for their kind.
        hold_writes: Connections whose writes end only by a `Written` that the test feeds.
    """

    def __init__(self, core: CoreMachine, store: Store, clock: Callable[[], int]) -> None:
        self.core = core
        self.store = store
        self.sent: dict[int, list[Message]] = {}
        self.closed: set[int] = set()
        self.hold: tuple[type, ...] = ()
        self.hold_writes: set[int] = set()
        self.held: deque[Effect] = deque()
        self._clock = clock

    def send(self, conn: int, *messages: Message) -> list[Message]:
        """Let messages arrive one after the other; return what was then sent to `conn`."""
        for message in messages:
            self.event(Received(conn=conn, message=message))
        return self.take(conn)

    def take(self, conn: int) -> list[Message]:
        """Return and forget what was sent to `conn`."""
        return self.sent.pop(conn, [])

    def event(self, event: Event) -> None:
        """Handle an event and everything that follows from it."""
        events = deque([event])
        while events:
            for effect in self.core.handle(events.popleft(), self._clock()):
                if isinstance(effect, self.hold):
                    self.held.append(effect)
                elif (answer := self._carry_out(effect)) is not None:
                    events.append(answer)

    def release(self, count: int = 1) -> None:
        """Carry out the first held effects now."""
        for _ in range(count):
            answer = self._carry_out(self.held.popleft())
            if answer is not None:
                self.event(answer)

    def _carry_out(self, effect: Effect) -> Event | None:
        match effect:
            case Transmit(conn=conn, messages=messages):
                self.sent.setdefault(conn, []).extend(messages)
                return None if conn in self.hold_writes else Written(conn=conn)
            case Close(conn=conn):
                self.closed.add(conn)
                return None
            case Commit(commit_no=commit_no, writes=writes):
                try:
                    self.store.commit(writes)
                except StoreFull:
                    return CommitRefused(commit_no=commit_no)
                return Committed(commit_no=commit_no)
            case ReadLog(read_no=read_no, inbox=inbox):
                log = self.store.read(inbox, effect.pos_first, effect.pos_upto, effect.bytes_max)
                return LogRead(read_no=read_no, inbox=inbox, log=log)
            case ReadRows(read_no=read_no, inbox=inbox):
                try:
                    rows, more = self.store.rows(inbox, effect.after_pos, effect.after_bucket)
                except StoreDamaged:
                    return RowsRead(read_no=read_no, rows=(), more=False, damaged=True)
                return RowsRead(read_no=read_no, rows=rows, more=more)
            case _:
                raise ValueError(f"a core has no such effect: {effect}")
