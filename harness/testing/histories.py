"""Histories for tests: small random ones, and hand-written ones read from files.

The random ones come from no system: they are records as a broken one might leave them, with every
sort of fault mixed in, so that the checkers meet each case that the definitions distinguish.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from harness.history.records import (
    BROKEN,
    UNTOLD,
    AckCompleted,
    AckInvoked,
    Closed,
    Completed,
    Connected,
    Delivered,
    DeliveredRun,
    EndRead,
    FaultMarked,
    GaugeSeen,
    Invoked,
    Opened,
    PhaseMarked,
    Record,
    ResizeCompleted,
    ResizeInvoked,
    Stored,
    StoredEnd,
)
from harness.systems.promises import Promise
from harness.testing.oracle import in_order

Message = tuple[int, int]


FAULTS_SHARE = 0.4
"""Share of the random histories in which faults are marked."""


def plain_digest(producer: int, inbox: str, n_first: int, count: int) -> int:
    """Return a digest of a range that follows from its id alone, for histories without bodies."""
    return zlib.crc32(f"{producer}/{inbox}/{n_first}/{count}".encode())


@dataclass(slots=True)
class _Inbox:
    name: str
    log: list[Message] = field(default_factory=list)
    next_n: dict[int, int] = field(default_factory=dict)
    open: list[tuple[int, int, int]] = field(default_factory=list)
    sessions: int = 0
    readers: dict[str, tuple[int, int]] = field(default_factory=dict)
    acked: int = -1
    epoch: int = 0


class Scribbler:
    """Writes one random history. `trouble` is the chance of a fault at each step."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.t_ns = 0
        self.trouble = self.rng.choice((0.0, 0.1, 0.2, 0.4))
        self.pace = self.rng.choice((1, 3))
        self.records: list[Record] = []
        names = ("x", "y") if self.rng.random() < 0.3 else ("x",)
        self.inboxes = [_Inbox(name) for name in names]
        self.faults: list[FaultMarked] = []

    def write(self) -> list[Record]:
        """Return the history, in the order of time."""
        steps = {
            self._invoke: 4,
            self._place: 7,
            self._complete: 7,
            self._deliver: 8,
            self._open: 2,
            self._ack: 2,
            self._end: 1,
            self._close: 1,
            self._gauge: 0.2,
            self._sender_ends: 0.2,
        }
        if self.rng.random() < FAULTS_SHARE:
            steps[self._fault] = 1.5
        for _ in range(self.rng.randint(10, 60)):
            self._tick()
            step = self.rng.choices(list(steps), list(steps.values()))[0]
            step(self.rng.choice(self.inboxes))
        inspected = self.rng.choice(("no", "no", "no", "before", "after", "twice"))
        if inspected in ("before", "twice"):
            self._inspect()
        if inspected == "twice":
            for _ in range(self.rng.randint(1, 12)):
                self._tick()
                step = self.rng.choices(list(steps), list(steps.values()))[0]
                step(self.rng.choice(self.inboxes))
        if self.rng.random() < 0.7:
            self._finish()
        if inspected in ("after", "twice"):
            self._inspect()
        return in_order(self.records)

    def _bad(self) -> bool:
        return self.rng.random() < self.trouble

    def _tick(self) -> int:
        self.t_ns += self.rng.randint(0, self.pace)
        return self.t_ns

    def _invoke(self, inbox: _Inbox) -> None:
        producer, count = self.rng.choice((7, 8)), self.rng.choice((1, 1, 2, 4))
        n = inbox.next_n.get(producer, 0)
        inbox.next_n[producer] = n + count
        inbox.open.append((producer, n, count))
        self.records.append(Invoked(self._tick(), 0, producer, inbox.name, n, count))

    def _pick(self, inbox: _Inbox) -> tuple[int, int, int] | None:
        if not inbox.open:
            return None
        producer, n, count = self.rng.choice(inbox.open)
        if self.rng.random() < 0.5:
            return producer, n, count
        first = self.rng.randrange(count)
        return producer, n + first, self.rng.randint(1, count - first)

    def _place(self, inbox: _Inbox) -> None:
        picked = self._pick(inbox)
        if picked is None:
            return
        producer, n, count = picked
        fresh = [(producer, n + i) for i in range(count)]
        if not self._bad():
            fresh = [m for m in fresh if m not in inbox.log]
        elif self.rng.random() < 0.5:
            self.rng.shuffle(fresh)
        if self._bad() and inbox.log:
            at = self.rng.randrange(len(inbox.log))
            inbox.log[at : at + len(fresh)] = fresh
        else:
            inbox.log += fresh

    def _complete(self, inbox: _Inbox) -> None:
        picked = self._pick(inbox)
        if picked is None:
            return
        producer, n, count = picked
        stored = [m in inbox.log for m in ((producer, n + i) for i in range(count))]
        outcome = self.rng.choice(("ok", "info")) if all(stored) else "info"
        if not any(stored) and self.rng.random() < 0.5:
            outcome = "fail"
        if self._bad():
            outcome = self.rng.choice(("ok", "fail", "info"))
        pos = -1
        if outcome == "ok" and self.rng.random() < 0.6:
            pos = inbox.log.index((producer, n)) if (producer, n) in inbox.log else -1
            if inbox.log[pos : pos + count] != [(producer, n + i) for i in range(count)]:
                pos = -1
            if self._bad():
                pos = self.rng.randint(0, len(inbox.log) + 1)
        self.records.append(
            Completed(self._tick(), 0, producer, inbox.name, n, count, outcome, pos, 0, 1, "")
        )

    def _open(self, inbox: _Inbox) -> None:
        reader = self.rng.choice("rs")
        _, at = inbox.readers.get(reader, (-1, 0))
        from_pos = self.rng.choice((at - 1, at - 1, -2))
        next_pos = at if from_pos != -2 else max(0, inbox.acked + 1)
        if self._bad():
            from_pos = self.rng.randint(-2, 3)
            next_pos = self.rng.randint(0, 4)
        inbox.sessions += not self._bad()
        cursor = self.rng.choice((UNTOLD, inbox.acked))
        if self._bad():
            cursor = self.rng.randint(-2, 3)
        inbox.readers[reader] = (inbox.sessions, next_pos)
        if self._bad():
            return
        begun_ns = self.t_ns
        self.records.append(
            Opened(
                self._tick(),
                begun_ns,
                reader,
                inbox.name,
                inbox.sessions,
                from_pos,
                next_pos,
                self.rng.choice("ef"),
                cursor,
                f"client-edge:e:{reader}",
            )
        )

    def _close(self, inbox: _Inbox) -> None:
        """End a reader's session, sometimes one that was never seen to open."""
        if not inbox.readers:
            return
        reader = self.rng.choice(list(inbox.readers))
        session, _ = inbox.readers[reader]
        if self._bad():
            session = self.rng.randint(0, 3)
        begun_ns = self.rng.choice((-1, self.t_ns))
        cause = BROKEN if self._bad() else self.rng.choice(("lost", "superseded", "logout"))
        self.records.append(Closed(self._tick(), reader, inbox.name, session, cause, begun_ns))

    def _fault(self, _inbox: _Inbox) -> None:
        """Bring a fault one state further, or ask for a new one."""
        under_way = [mark for mark in self.faults if mark.state != "healed"]
        if under_way and self.rng.random() < 0.8:
            mark = self.rng.choice(under_way)
            self.faults.remove(mark)
            follows = {"requested": "confirmed", "confirmed": "healing", "healing": "healed"}
            state = follows[mark.state]
            if self._bad():
                state = "healed"
            mark = msgspec.structs.replace(
                mark, t_ns=self._tick(), state=state, effective=not self._bad()
            )
        else:
            kind = self.rng.choice(("link_cut", "link_cut_one_way", "link_reset", "process_pause"))
            target = self.rng.choice(
                ("edge:e", "client-edge:e:r", "edge-core:e", "client-edge:f:s")
            )
            number = f"f{len(self.faults)}"
            mark = FaultMarked(self._tick(), number, kind, target, "requested", False, {})
        self.faults.append(mark)
        self.records.append(mark)

    def _gauge(self, _inbox: _Inbox) -> None:
        value, limit = self.rng.randint(0, 3), self.rng.randint(-1, 3)
        value = value if self._bad() or limit < 0 else min(value, limit)
        self.records.append(GaugeSeen(self._tick(), "core", 0, "wal_bytes", value, limit))

    def _sender_ends(self, _inbox: _Inbox) -> None:
        cause = BROKEN if self._bad() else self.rng.choice(("lost", "churn"))
        self.records.append(Connected(self._tick(), 0, "sender", "s-1", "e", False, cause))

    def _deliver(self, inbox: _Inbox) -> None:
        if not inbox.readers:
            self._open(inbox)
        reader = self.rng.choice(list(inbox.readers))
        session, at = inbox.readers[reader]
        if self._bad():
            at = max(0, at + self.rng.randint(-3, 2))
        messages = list(inbox.log[at : at + self.rng.randint(1, 5)])
        if self._bad() and messages:
            spoiled = self.rng.randrange(len(messages))
            messages[spoiled] = (self.rng.choice((7, 8, 9)), self.rng.randint(0, 6))
        if not messages:
            return
        runs = tuple(self._run(inbox, part) for part in _cut(messages))
        inbox.readers[reader] = (session, at + len(messages))
        self.records.append(
            Delivered(self._tick(), reader, inbox.name, session, at, self._bad(), runs)
        )

    def _run(self, inbox: _Inbox, part: list[Message]) -> DeliveredRun:
        producer, n = part[0]
        digest = plain_digest(producer, inbox.name, n, len(part)) + self._bad()
        return DeliveredRun(producer, n, len(part), 0, 1, digest)

    def _ack(self, inbox: _Inbox) -> None:
        if not inbox.readers:
            return
        reader = self.rng.choice(list(inbox.readers))
        session, at = inbox.readers[reader]
        self.records.append(AckInvoked(self._tick(), reader, inbox.name, session, at - 1))
        outcome = self.rng.choice(("ok", "ok", "info"))
        inbox.acked = max(inbox.acked, at - 1)
        self.records.append(
            AckCompleted(self._tick(), reader, inbox.name, session, at - 1, outcome)
        )

    def _end(self, inbox: _Inbox) -> None:
        begun_ns = max(0, self.t_ns - self.rng.randint(0, 2))
        pos = len(inbox.log) - 1 + (self.rng.randint(-2, 1) if self._bad() else 0)
        reader = self.rng.choice("rs")
        self.records.append(EndRead(self._tick(), begun_ns, reader, inbox.name, max(-1, pos)))

    def _finish(self) -> None:
        self._tick()
        self.records.append(PhaseMarked(self._tick(), "quiet", True))
        for inbox in self.inboxes:
            self.t_ns += 1
            begun_ns = self.t_ns
            self.records.append(
                EndRead(self._tick(), begun_ns, "r", inbox.name, len(inbox.log) - 1)
            )
            for _ in range(3):
                self._deliver(inbox)

    def _inspect(self) -> None:
        for inbox in self.inboxes:
            self._store(inbox)

    def _resize(self, inbox: _Inbox) -> None:
        expected = inbox.epoch if not self._bad() else self.rng.randint(0, 3)
        count = self.rng.choice((2, 2, 3))
        self.records.append(ResizeInvoked(self._tick(), inbox.name, expected, count))
        outcome = self.rng.choice(("ok", "ok", "info"))
        if outcome == "ok" or self.rng.random() < 0.5:
            inbox.epoch = expected + 1
        epoch = expected + 1 if not self._bad() else self.rng.randint(0, 3)
        self.records.append(
            ResizeCompleted(self._tick(), inbox.name, expected, count, outcome, epoch, 0, "")
        )

    def _store(self, inbox: _Inbox) -> None:
        while self.rng.random() < 0.5:
            self._resize(inbox)
            if self.rng.random() < 0.5:
                self._invoke(inbox)
                self._place(inbox)
        cuts = sorted(self.rng.randint(0, len(inbox.log)) for _ in range(2))
        next_bpos: dict[tuple[int, int], int] = {}
        begun_ns = self._tick()
        for pos, (producer, n) in enumerate(inbox.log):
            if self._bad() and self._bad():
                continue
            epoch = sum(pos >= cut for cut in cuts) if not self._bad() else self.rng.randint(0, 2)
            bucket = (producer + n) % (epoch + 1)
            bpos = next_bpos.get((epoch, bucket), 0)
            next_bpos[epoch, bucket] = bpos + (not self._bad())
            place = max(0, pos + self.rng.choice((-1, 0, 1, 3))) if self._bad() else pos
            self.records.append(
                Stored(
                    self.t_ns,
                    inbox.name,
                    epoch,
                    bucket,
                    epoch + 1,
                    1,
                    bpos,
                    np.array([place], "<u8").tobytes(),
                    np.array([producer], "<u8").tobytes(),
                    np.array([n], "<u8").tobytes(),
                )
            )
        # Not every system says when it began to look.
        begun_ns = begun_ns if self.rng.random() < 0.8 else -1
        self.records.append(StoredEnd(self._tick(), inbox.name, 0, len(inbox.log) - 1, begun_ns))


def _cut(messages: list[Message]) -> list[list[Message]]:
    """Cut into runs of one producer with rising n."""
    parts = [[messages[0]]]
    for producer, n in messages[1:]:
        if parts[-1][-1] == (producer, n - 1):
            parts[-1].append((producer, n))
        else:
            parts.append([(producer, n)])
    return parts


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenHistory:
    """A hand-written history and what it must be judged.

    Attributes:
        check_id: The check it is about, from the file's name: ``A1-acknowledged-gone.bad.json``.
        verdict: "ok", "bad" or "unknown", from there too.
        says: What happens in it, in a sentence.
        records: The history.
        without: Promises that its system does not make.
        trims: Whether its store drops what was acknowledged.
        found: Instances of every anomaly that it holds, also of others than `check_id`.
    """

    check_id: str
    verdict: str
    says: str
    records: list[Record]
    without: frozenset[Promise]
    trims: bool
    found: dict[str, int]


def read_written(path: Path) -> WrittenHistory:
    """Return the history in a file of `tests/histories`.

    Its records are JSON arrays as `harness.history.records` has them, but for two things that are
    written shorter: the digest of a delivered run is "right" or "wrong", and a stored row ends in
    a list of [position, producer, n] or [position, producer, n, count].
    """
    text = msgspec.json.decode(path.read_bytes())
    rows = [_spelled_out(row) for row in text["history"]]
    name, verdict, _ = path.name.split(".")
    return WrittenHistory(
        check_id=name.split("-")[0],
        verdict=verdict,
        says=text["says"],
        records=msgspec.convert(rows, list[Record]),
        without=frozenset(map(Promise, text.get("without", []))),
        trims=text.get("trims", False),
        found=text["found"],
    )


def _spelled_out(row: list[Any]) -> list[Any]:
    match row:
        case ["delivered", t_ns, reader, inbox, session, pos, again, runs]:
            spelled = []
            for producer, n, count, epoch, buckets, digest in runs:
                value = plain_digest(producer, inbox, n, count) + (digest == "wrong")
                spelled.append([producer, n, count, epoch, buckets, value])
            return ["delivered", t_ns, reader, inbox, session, pos, again, spelled]
        case ["stored", t_ns, inbox, epoch, bucket, buckets, bpos, entries]:
            table = np.concatenate([_entries(*entry) for entry in entries], axis=1).astype("<u8")
            columns = [column.tobytes() for column in table]
            count = table.shape[1]
            return ["stored", t_ns, inbox, epoch, bucket, buckets, count, bpos, *columns]
        case _:
            return row


def _entries(pos: int, producer: int, n: int, count: int = 1) -> npt.NDArray[np.uint64]:
    steps = np.arange(count, dtype=np.uint64)
    return np.stack((steps + np.uint64(pos), 0 * steps + np.uint64(producer), steps + np.uint64(n)))
