"""Random histories of a sound system: no check may find anything in them.

Unlike those of `Scribbler`, which no system would leave, these come from a small model that keeps
every promise: messages and promotions are appended, become durable together, and are told only
then; a crash undoes what is not. Several devices share a cursor and supersede each other, marks
are set where a position may have gone to an earlier session, the store drops what was
acknowledged, and inspections see what is not durable yet.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import msgspec
import numpy as np

from harness.history.records import (
    UNTOLD,
    AckCompleted,
    AckInvoked,
    Closed,
    Completed,
    Delivered,
    DeliveredRun,
    EndRead,
    FaultMarked,
    Invoked,
    Opened,
    PhaseMarked,
    Record,
    ResizeCompleted,
    ResizeInvoked,
    Stored,
    StoredEnd,
)
from harness.testing.histories import plain_digest
from harness.testing.oracle import in_order

PRODUCERS = (7, 8, 9)
DEVICES = ("r", "s", "t")
STEPS = (20, 120)
"""Fewest and most steps of a history."""

CURSOR = -2
"""`from_pos` of a login that leaves its place to the cursor."""


@dataclass(slots=True)
class _Entry:
    producer: int
    n: int
    epoch: int
    bucket_count: int
    bucket: int


@dataclass(slots=True)
class _Batch:
    producer: int
    n: int
    count: int
    taken: int = 0


@dataclass(slots=True)
class _Session:
    reader: str
    number: int
    next_pos: int


@dataclass(slots=True)
class _Inbox:
    name: str
    log: list[_Entry] = field(default_factory=list)
    epochs: list[int] = field(default_factory=lambda: [1])
    durable: int = 0
    durable_epochs: int = 1
    floor: int = 0
    cursor: int = -1
    sessions: int = 0
    session: _Session | None = None
    sent_upto: int = -1
    last_of: dict[str, int] = field(default_factory=dict)
    next_n: dict[int, int] = field(default_factory=dict)
    open: list[_Batch] = field(default_factory=list)


class SoundSystem:
    """Writes one history.

    Args:
        seed: Of everything that is drawn.
        trims: The store drops what was acknowledged.
    """

    def __init__(self, seed: int, *, trims: bool) -> None:
        self.rng = random.Random(seed)
        self.trims = trims
        self.t_ns = 0
        self.records: list[Record] = []
        self.inboxes = [_Inbox(name) for name in ("x", "xy")[: self.rng.randint(1, 2)]]
        self.faults = 0

    def write(self) -> list[Record]:
        """Return the history, in the order of time."""
        steps = {
            self._invoke: 6, self._append: 8, self._commit: 8, self._answer: 6, self._open: 3,
            self._deliver: 10, self._ack: 5, self._end: 2, self._close: 1, self._resize: 1,
            self._inspect: 1, self._crash: self.rng.choice((0, 0.3, 1)),
        }  # fmt: skip
        for _ in range(self.rng.randint(*STEPS)):
            (step,) = self.rng.choices(list(steps), list(steps.values()))
            step(self.rng.choice(self.inboxes))
        if self.rng.random() < 0.8:
            self._finish()
        return in_order(self.records)

    def _tick(self) -> int:
        self.t_ns += self.rng.randint(1, 2)
        return self.t_ns

    # Senders

    def _invoke(self, inbox: _Inbox) -> None:
        producer, count = self.rng.choice(PRODUCERS), self.rng.choice((1, 1, 2, 5))
        n = inbox.next_n.get(producer, 0)
        inbox.next_n[producer] = n + count
        inbox.open.append(_Batch(producer, n, count))
        self.records.append(Invoked(self._tick(), 0, producer, inbox.name, n, count))

    def _append(self, inbox: _Inbox) -> None:
        """Take some of the next messages of a producer, in their order."""
        ready: dict[int, _Batch] = {}
        for batch in inbox.open:
            if batch.taken < batch.count:
                ready.setdefault(batch.producer, batch)
        if not ready:
            return
        batch = self.rng.choice(list(ready.values()))
        epoch = len(inbox.epochs) - 1
        buckets = inbox.epochs[-1]
        for _ in range(self.rng.randint(1, batch.count - batch.taken)):
            n = batch.n + batch.taken
            bucket = (batch.producer + n) % buckets
            inbox.log.append(_Entry(batch.producer, n, epoch, buckets, bucket))
            batch.taken += 1

    def _commit(self, inbox: _Inbox) -> None:
        self._tick()
        inbox.durable, inbox.durable_epochs = len(inbox.log), len(inbox.epochs)

    def _answer(self, inbox: _Inbox) -> None:
        """Acknowledge a batch that is durable, line by line, or lose its answer."""
        known = self._positions(inbox)
        done = [
            batch
            for batch in inbox.open
            if all((batch.producer, batch.n + i) in known for i in range(batch.count))
        ]
        if not done:
            return
        batch = self.rng.choice(done)
        inbox.open.remove(batch)
        self._tell(inbox, batch, known if self.rng.random() < 0.85 else {})

    def _positions(self, inbox: _Inbox) -> dict[tuple[int, int], int]:
        durable = inbox.log[: inbox.durable]
        return {(one.producer, one.n): pos for pos, one in enumerate(durable)}

    def _tell(self, inbox: _Inbox, batch: _Batch, known: dict[tuple[int, int], int]) -> None:
        """Record the outcome: ok of what lies at known positions, else info."""
        self._tick()
        at = 0
        while at < batch.count:
            n = batch.n + at
            pos = known.get((batch.producer, n), -1)
            count = 1
            while at + count < batch.count and self._goes_on(inbox, known, batch, at + count, pos):
                count += 1
            epoch = inbox.log[pos].epoch if pos >= 0 else 0
            told = ("ok", pos, epoch, 1, "") if pos >= 0 else ("info", -1, 0, 1, "cut")
            self.records.append(
                Completed(self.t_ns, 0, batch.producer, inbox.name, n, count, *told)
            )
            at += count

    def _goes_on(
        self, inbox: _Inbox, known: dict[tuple[int, int], int], batch: _Batch, at: int, pos: int
    ) -> bool:
        there = known.get((batch.producer, batch.n + at), -1)
        if there < 0 or pos < 0:
            return there == pos
        return (
            there == known[batch.producer, batch.n + at - 1] + 1
            and inbox.log[there].epoch == inbox.log[pos].epoch
        )

    # Readers

    def _open(self, inbox: _Inbox, reader: str = "", *, by_cursor: bool | None = None) -> None:
        reader = reader or self.rng.choice(DEVICES)
        by_cursor = self.rng.random() < 0.4 if by_cursor is None else by_cursor
        begun_ns = self._tick()
        own = inbox.last_of.get(reader, -1)
        from_pos = CURSOR if by_cursor else own
        next_pos = max(inbox.floor, (inbox.cursor if by_cursor else own) + 1)
        self._supersede(inbox)
        inbox.sessions += 1
        inbox.session = _Session(reader, inbox.sessions, next_pos)
        cursor = self.rng.choice((UNTOLD, inbox.cursor))
        if self.rng.random() < 0.05:
            return  # Its answer was lost with the connection.
        self.records.append(
            Opened(
                self._tick(), begun_ns, reader, inbox.name, inbox.sessions, from_pos, next_pos, "e",
                cursor,
            )
        )  # fmt: skip
        inbox.last_of[reader] = max(own, next_pos - 1)

    def _supersede(self, inbox: _Inbox) -> None:
        if inbox.session is not None:
            self._closed(inbox, inbox.session, "superseded")

    def _closed(self, inbox: _Inbox, session: _Session, cause: str) -> None:
        inbox.session = None
        self.records.append(Closed(self._tick(), session.reader, inbox.name, session.number, cause))

    def _close(self, inbox: _Inbox) -> None:
        if inbox.session is not None:
            self._closed(inbox, inbox.session, self.rng.choice(("logout", "abort", "lost")))

    def _deliver(self, inbox: _Inbox) -> None:
        session = inbox.session
        if session is None or not self._is_known(inbox, session):
            return
        first = max(session.next_pos, inbox.floor)
        end = min(inbox.durable, first + self.rng.randint(1, 6))
        for begin, stop, marked in (
            (first, min(end, inbox.sent_upto + 1), True),
            (max(first, inbox.sent_upto + 1), end, False),
        ):
            if begin < stop:
                self._send(inbox, session, begin, stop, marked=marked)

    def _is_known(self, inbox: _Inbox, session: _Session) -> bool:
        """Say whether the reader knows of its session: nothing is recorded of one it does not."""
        return any(
            isinstance(one, Opened) and (one.inbox, one.session) == (inbox.name, session.number)
            for one in self.records
        )

    def _send(
        self, inbox: _Inbox, session: _Session, begin: int, stop: int, *, marked: bool
    ) -> None:
        runs: list[DeliveredRun] = []
        pos = begin
        while pos < stop:
            one, count = inbox.log[pos], 1
            while pos + count < stop and self._same_run(one, inbox.log[pos + count], count):
                count += 1
            digest = plain_digest(one.producer, inbox.name, one.n, count)
            runs.append(
                DeliveredRun(one.producer, one.n, count, one.epoch, one.bucket_count, digest)
            )
            pos += count
        self.records.append(
            Delivered(
                self._tick(), session.reader, inbox.name, session.number, begin, marked, tuple(runs)
            )
        )
        session.next_pos = stop
        inbox.sent_upto = max(inbox.sent_upto, stop - 1)
        inbox.last_of[session.reader] = max(inbox.last_of.get(session.reader, -1), stop - 1)

    @staticmethod
    def _same_run(first: _Entry, other: _Entry, count: int) -> bool:
        return (other.producer, other.n, other.epoch) == (
            first.producer, first.n + count, first.epoch,
        )  # fmt: skip

    def _ack(self, inbox: _Inbox) -> None:
        session = inbox.session
        if session is None or not self._is_known(inbox, session):
            return
        upto = session.next_pos - 1
        if upto < 0:
            return
        self.records.append(
            AckInvoked(self._tick(), session.reader, inbox.name, session.number, upto)
        )
        outcome = self.rng.choice(("ok", "ok", "ok", "info", "fail"))
        if outcome == "ok" or (outcome == "info" and self.rng.random() < 0.5):
            inbox.cursor = max(inbox.cursor, upto)
        self.records.append(
            AckCompleted(self._tick(), session.reader, inbox.name, session.number, upto, outcome)
        )
        if self.trims and self.rng.random() < 0.5:
            inbox.floor = max(inbox.floor, inbox.cursor + 1)

    def _end(self, inbox: _Inbox) -> None:
        begun_ns = self._tick()
        reader = self.rng.choice(DEVICES)
        self.records.append(EndRead(self._tick(), begun_ns, reader, inbox.name, inbox.durable - 1))

    # The store

    def _resize(self, inbox: _Inbox) -> None:
        """Promote or demote; the answer comes once that is durable, or is lost."""
        expected, count = len(inbox.epochs) - 1, self.rng.choice((1, 2, 3, 5))
        self.records.append(ResizeInvoked(self._tick(), inbox.name, expected, count))
        if self.rng.random() < 0.15:
            told = ("info", -1, -1, "cut")  # It never came to the core.
        else:
            pos = len(inbox.log)
            inbox.epochs.append(count)
            if self.rng.random() < 0.3:
                told = ("info", -1, -1, "cut")  # Undone by a crash before its commit, or not.
            else:
                self._commit(inbox)
                told = ("ok", expected + 1, pos, "")
        self.records.append(ResizeCompleted(self._tick(), inbox.name, expected, count, *told))

    def _inspect(self, inbox: _Inbox) -> None:
        begun_ns = self._tick()
        places: dict[tuple[int, int], int] = {}
        for pos, one in enumerate(inbox.log):
            bpos = places.get((one.epoch, one.bucket), 0)
            places[one.epoch, one.bucket] = bpos + 1
            if pos < inbox.floor:
                continue
            columns = (np.array([value], "<u8").tobytes() for value in (pos, one.producer, one.n))
            self.records.append(
                Stored(
                    self._tick(), inbox.name, one.epoch, one.bucket, one.bucket_count, 1, bpos,
                    *columns,
                )
            )  # fmt: skip
        first, last = (inbox.floor, len(inbox.log) - 1) if inbox.log else (0, -1)
        begun_ns = begun_ns if self.rng.random() < 0.8 else -1
        self.records.append(StoredEnd(self._tick(), inbox.name, first, last, begun_ns))

    def _crash(self, _inbox: _Inbox) -> None:
        """Undo what is not durable; senders send it again, sessions are lost, marks are void."""
        self.faults += 1
        self._mark("requested")
        for inbox in self.inboxes:
            for entry in inbox.log[inbox.durable :]:
                self._give_back(inbox, entry)
            del inbox.log[inbox.durable :], inbox.epochs[inbox.durable_epochs :]
            if inbox.session is not None:
                self._closed(inbox, inbox.session, "lost")
            inbox.sent_upto = max(inbox.sent_upto, inbox.durable - 1)
        self._mark("confirmed")
        self._mark("healed")

    @staticmethod
    def _give_back(inbox: _Inbox, entry: _Entry) -> None:
        for batch in inbox.open:
            if batch.producer == entry.producer and batch.n <= entry.n < batch.n + batch.count:
                batch.taken = min(batch.taken, entry.n - batch.n)

    def _mark(self, state: str) -> None:
        effect = {"gone": 1.0} if state != "requested" else {}
        self.records.append(
            FaultMarked(
                self._tick(), f"f{self.faults}", "process_kill", "core", state, bool(effect), effect
            )
        )

    def _finish(self) -> None:
        """Bring everything to rest and let the first reader of each inbox read to its end."""
        for inbox in self.inboxes:
            for batch in inbox.open:
                while batch.taken < batch.count:
                    self._append(inbox)
            self._commit(inbox)
            for batch in inbox.open:
                self._tell(inbox, batch, self._positions(inbox))
            inbox.open.clear()
        self.records.append(PhaseMarked(self._tick(), "quiet", True))
        for inbox in self.inboxes:
            self._end(inbox)
            first = next(
                (one.reader for one in self.records
                 if isinstance(one, Opened) and one.inbox == inbox.name), "r",
            )  # fmt: skip
            self._open(inbox, first, by_cursor=False)
            while inbox.session and inbox.session.next_pos < inbox.durable:
                before = inbox.session.next_pos
                self._deliver(inbox)
                if inbox.session.next_pos == before:
                    break
            self._inspect(inbox)


SPOILED_FIELDS = (
    "session", "from_pos", "next_pos", "cursor", "upto", "pos", "pos_first", "epoch", "bucket",
    "bpos_first", "expected_epoch", "redelivered", "outcome", "cause",
)  # fmt: skip
"""What is changed in a record; its message and its time stay, so that it is not the harness's."""

LOWEST = {"from_pos": CURSOR, "cursor": UNTOLD, "pos": -1, "upto": -1}
"""Below 0 others say nothing: a record that no recorder writes is D4's, not the oracle's."""

OTHER_WORDS = {"outcome": ("ok", "info", "fail"), "cause": ("lost", "superseded", "broken")}


def spoil(records: list[Record], rng: random.Random) -> list[Record]:
    """Return a history in which up to three records are gone, come twice or say something else."""
    spoiled = list(records)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(spoiled))
        one = spoiled[place]
        names = [name for name in SPOILED_FIELDS if name in one.__struct_fields__]
        how = rng.choice(("drop", "double", "edit", "edit", "edit"))
        if isinstance(one, Invoked) or (how == "edit" and not names):
            continue  # Without it, or twice, it is D4's, which the oracle does not judge.
        if how == "drop":
            del spoiled[place]
        elif how == "double":
            spoiled.insert(place, one)
        else:
            name = rng.choice(names)
            spoiled[place] = msgspec.structs.replace(one, **{name: _other(one, name, rng)})
    return spoiled


def _other(record: Record, name: str, rng: random.Random) -> int | str | bool:
    value = getattr(record, name)
    if name in OTHER_WORDS:
        return rng.choice(OTHER_WORDS[name])
    if isinstance(value, bool):
        return not value
    return max(LOWEST.get(name, 0), int(value) + rng.choice((-2, -1, 1, 2)))
