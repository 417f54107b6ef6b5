"""A brute-force judge: follows the definitions of docs/invariants.md literally, message by message.

It is slow (quadratic and worse) and shares nothing with `harness.checkers` but the records and the
facts about the run, so that the two can be compared on small random histories.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.checkers.run_facts import RunFacts
from harness.history.records import (
    AckCompleted,
    AckInvoked,
    Completed,
    Delivered,
    EndRead,
    Invoked,
    Opened,
    PhaseMarked,
    Record,
    ResizeCompleted,
    Stored,
    StoredEnd,
)
from harness.systems.promises import Promise

Message = tuple[int, str, int]


@dataclass(slots=True)
class _Login:
    reader: str
    inbox: str
    opened: Opened | None = None
    positions: list[int] = field(default_factory=list)
    jumped: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _World:
    """Everything that the records say, one entry per message."""

    invoked: dict[Message, float] = field(default_factory=dict)
    ok: dict[Message, float] = field(default_factory=dict)
    outcomes: dict[Message, list[str]] = field(default_factory=lambda: defaultdict(list))
    first: dict[Message, float] = field(default_factory=dict)
    by_reader: dict[tuple[str, str], dict[Message, None]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    log: set[tuple[int, Message]] = field(default_factory=set)
    logins: list[_Login] = field(default_factory=list)
    ends: list[EndRead] = field(default_factory=list)
    count: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def until(self, m: Message) -> float:
        return min(self.ok.get(m, math.inf), self.first.get(m, math.inf))


def oracle(records: Sequence[Record], run: RunFacts) -> dict[str, int]:
    """Return the number of instances of each anomaly, as if every promise had been made.

    Args:
        records: A history in the order of time, invocations first at equal times.
        run: `promises` says whether positions are dense and order within a pipeline is promised;
            `expected_digest` what content was sent.
    """
    world = _walk(records, run)
    found = dict(world.count)
    drained = _drained(records, world)
    fifo = Promise.FIFO_PIPELINED in run.promises
    ok, delivered = set(world.ok), set(world.first)
    failed = {m for m, said in world.outcomes.items() if set(said) == {"fail"}}
    unknown = set(world.invoked) - ok - failed
    found["A1"] = sum(m not in delivered for m in ok if m[1] in drained)
    found["A2"] = _missing_middle(world, fifo)
    found["A4"] = len(failed & delivered)
    found["B6"] = _disagreements(world)
    found["D1"] = len(unknown - delivered)
    found["B3"] = sum(
        m not in delivered
        and m not in failed
        and any(o[:2] == m[:2] and o[2] > m[2] for o in delivered & set(world.invoked))
        for m in world.invoked
        if m[1] in drained
    )
    found |= _log_order(world)
    found |= _places(records, world)
    found |= _resumption(records, world, run)
    found |= _stored(records, world, trims=run.trims)
    return found


def _walk(records: Sequence[Record], run: RunFacts) -> _World:
    world = _World()
    open_logins: dict[tuple[str, str, int], _Login] = {}
    top_first: dict[tuple[str, str], tuple[set[int], int]] = {}

    def login(reader: str, inbox: str, number: int) -> _Login:
        if (reader, inbox, number) not in open_logins:
            open_logins[reader, inbox, number] = _Login(reader, inbox)
            world.logins.append(open_logins[reader, inbox, number])
        return open_logins[reader, inbox, number]

    for record in records:
        match record:
            case Invoked():
                for n in range(record.n_first, record.n_first + record.count):
                    world.invoked[record.producer, record.inbox, n] = record.t_ns
            case Completed():
                for i in range(record.count):
                    m = (record.producer, record.inbox, record.n_first + i)
                    world.outcomes[m].append(record.outcome)
                    if record.outcome == "ok":
                        world.ok.setdefault(m, record.t_ns)
                        if record.pos_first >= 0:
                            world.log.add((record.pos_first + i, m))
            case Opened():
                if login(record.reader, record.inbox, record.session).opened is not None:
                    del open_logins[record.reader, record.inbox, record.session]
                login(record.reader, record.inbox, record.session).opened = record
            case Delivered():
                session = login(record.reader, record.inbox, record.session)
                seen = top_first.get((record.reader, record.inbox), (set(), -1))
                top_first[record.reader, record.inbox] = _deliver(world, session, record, run, seen)
            case EndRead():
                world.ends.append(record)
            case _:
                pass
    return world


def _deliver(
    world: _World, session: _Login, record: Delivered, run: RunFacts, seen: tuple[set[int], int]
) -> tuple[set[int], int]:
    had, top_ever = seen
    pos = record.pos_first
    for part in record.runs:
        phantom = False
        for i in range(part.count):
            m = (part.producer, record.inbox, part.n_first + i)
            if m not in world.invoked:
                phantom = True
                world.count["A3"] += 1
            world.first.setdefault(m, record.t_ns)
            world.by_reader[record.reader, record.inbox].setdefault(m)
            world.log.add((pos, m))
            top = max(session.positions, default=pos - 1)
            if pos > top + 1:
                session.jumped += range(top + 1, pos)
            if not record.redelivered:
                world.count["A8"] += pos in session.positions
                world.count["A10"] += pos <= top and bool(session.positions)
            session.positions.append(pos)
            world.count["B7"] += pos not in had and pos < top_ever
            had.add(pos)
            top_ever = max(top_ever, pos)
            pos += 1
        expected = run.expected_digest
        if expected is not None and not phantom:
            same = part.digest == expected(part.producer, record.inbox, part.n_first, part.count)
            world.count["A5"] += 0 if same else part.count
    return had, top_ever


def _from_start(world: _World, reader: str, inbox: str) -> bool:
    for login in world.logins:
        if (login.reader, login.inbox) == (reader, inbox):
            opened = login.opened
            asked = opened is not None and (opened.from_pos == -1 or opened.next_pos == 0)
            return asked or login.positions[:1] == [0]
    return False


def _drained(records: Sequence[Record], world: _World) -> set[str]:
    quiet = [
        r.t_ns for r in records if isinstance(r, PhaseMarked) and r.name == "quiet" and r.begins
    ]
    drained = set()
    for end in world.ends:
        busy: list[float] = list(quiet[-1:])
        busy += [t for m, t in world.invoked.items() if m[1] == end.inbox]
        busy += [t for m, t in world.ok.items() if m[1] == end.inbox]
        if not quiet or max(busy) >= end.t_invoked_ns:
            continue
        readers = {login.reader for login in world.logins if login.inbox == end.inbox}
        passed = {
            _read_upto(world, reader, end.inbox)
            for reader in readers
            if _from_start(world, reader, end.inbox)
        }
        if max(passed, default=-1) >= end.pos:
            drained.add(end.inbox)
    return drained


def _read_upto(world: _World, reader: str, inbox: str) -> int:
    """Return how far a reader has read without having named a place beyond that."""
    upto = -1
    for login in world.logins:
        if (login.reader, login.inbox) != (reader, inbox):
            continue
        opened = login.opened
        jumped = opened is not None and opened.from_pos >= 0 and opened.next_pos > upto + 1
        if not jumped:
            upto = max([upto, *login.positions])
    return upto


def _missing_middle(world: _World, fifo: bool) -> int:
    canonical: dict[str, str] = {}
    for login in world.logins:
        canonical.setdefault(login.inbox, login.reader)
    missing = 0
    for m, ok in world.ok.items():
        reader = canonical.get(m[1])
        if reader is None or not _from_start(world, reader, m[1]):
            continue
        read = world.by_reader[reader, m[1]]
        missing += m not in read and any(
            o[:2] == m[:2] and o[2] > m[2] and (fifo or ok < world.invoked[o])
            for o in read.keys() & set(world.invoked)
        )
    return missing


def _disagreements(world: _World) -> int:
    canonical: dict[str, str] = {}
    for login in world.logins:
        canonical.setdefault(login.inbox, login.reader)
    wrong = 0
    for (_, inbox), mine in list(world.by_reader.items()):
        order = list(world.by_reader[canonical[inbox], inbox])
        known = [order.index(m) for m in mine if m in order]
        wrong += sum(max(known[:i], default=-1) > at for i, at in enumerate(known))
    return wrong


def _log_order(world: _World) -> dict[str, int]:
    sent = [(pos, m) for pos, m in world.log if m in world.invoked]
    infinity = math.inf

    def same_inbox(m: Message) -> list[tuple[int, Message]]:
        return [(pos, o) for pos, o in sent if o[1] == m[1]]

    found = {
        "B1": sum(
            any(
                o[0] == m[0] and world.ok.get(o, infinity) < world.invoked[m] and there > pos
                for there, o in same_inbox(m)
            )
            for pos, m in sent
        ),
        "B2": sum(
            any(o[:2] == m[:2] and o[2] > m[2] and there < pos for there, o in world.log)
            for pos, m in world.log
        ),
        "B4": sum(
            any(there > pos and world.until(o) < world.invoked[m] for there, o in same_inbox(m))
            for pos, m in sent
        ),
    }
    stale = 0
    for end in world.ends:
        mine = [(pos, m) for pos, m in sent if m[1] == end.inbox]
        beyond = any(pos > end.pos and world.until(m) < end.t_invoked_ns for pos, m in mine)
        earlier = any(
            other.inbox == end.inbox and other.t_ns < end.t_invoked_ns and other.pos > end.pos
            for other in world.ends
        )
        stale += beyond or earlier
    early = sum(
        any(
            end.inbox == m[1] and end.t_ns < world.invoked[m] and pos <= end.pos
            for end in world.ends
        )
        for pos, m in sent
    )
    return found | {"B5": stale + early}


def _resumption(records: Sequence[Record], world: _World, run: RunFacts) -> dict[str, int]:
    held = {(m[1], pos) for pos, m in world.log}
    dense = Promise.DENSE_POSITIONS in run.promises

    def skipped(inbox: str, positions: Sequence[int]) -> int:
        return sum(dense or (inbox, pos) in held for pos in positions)

    found = {"A9": 0, "A11": 0, "A12": 0, "A13": 0}
    for login in world.logins:
        found["A11"] += skipped(login.inbox, login.jumped)
        opened = login.opened
        if opened is None:
            continue
        confirmed = -1
        attempted = -1
        for record in records:
            if isinstance(record, AckCompleted) and record.outcome == "ok":
                mine = (record.reader, record.inbox) == (opened.reader, opened.inbox)
                if mine and record.t_ns < opened.t_invoked_ns:
                    confirmed = max(confirmed, record.upto)
            if isinstance(record, AckInvoked) and record.inbox == opened.inbox:
                counts = record.t_ns < opened.t_ns and not _fenced_off(records, record, run)
                attempted = max(attempted, record.upto if counts else -1)
        named = opened.from_pos != -2
        floor = min(confirmed, opened.from_pos) if named else confirmed
        found["A9"] += len({pos for pos in login.positions if pos <= floor})
        resume = opened.from_pos if named else confirmed
        found["A13"] += opened.next_pos <= resume
        last = opened.from_pos if named else attempted
        begin = login.positions[0] if login.positions else opened.next_pos
        found["A12"] += skipped(login.inbox, range(last + 1, begin))
    return found


def _fenced_off(records: Sequence[Record], ack: AckInvoked, run: RunFacts) -> bool:
    """Return whether an acknowledgement came from a session known to be superseded before."""
    logins = [r for r in records if isinstance(r, Opened) and r.inbox == ack.inbox]
    return (
        Promise.FENCING in run.promises
        and any(login.session == ack.session for login in logins)
        and any(login.session > ack.session and login.t_ns < ack.t_ns for login in logins)
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    m: Message
    pos: int
    bpos: int
    epoch: int
    bucket: int


def _entries(records: Sequence[Record]) -> list[_Entry]:
    return [
        _Entry((int(p), row.inbox, int(n)), int(pos), row.bpos_first + i, row.epoch, row.bucket)
        for row in records
        if isinstance(row, Stored)
        for i, (p, n, pos) in enumerate(
            zip(
                np.frombuffer(row.producers, "<u8"),
                np.frombuffer(row.ns, "<u8"),
                np.frombuffer(row.positions, "<u8"),
                strict=True,
            )
        )
    ]


def _places(records: Sequence[Record], world: _World) -> dict[str, int]:
    """A6 and A7: over the log, and over what one inspection found of what was settled before it."""
    begun: dict[str, float] = {}
    for row in records:
        if isinstance(row, Stored):
            begun.setdefault(row.inbox, row.t_ns)
    at: dict[tuple[str, int], set[Message]] = defaultdict(set)
    positions: dict[Message, set[int]] = defaultdict(set)
    for pos, m in world.log:
        at[m[1], pos].add(m)
        positions[m].add(pos)
    settled = {m for m in {*world.ok, *world.first} if world.until(m) < begun.get(m[1], 0)}
    logged = {place: set(held) for place, held in at.items()}
    for entry in _entries(records):
        held = logged.get((entry.m[1], entry.pos), set())
        if entry.m in settled or held & settled:
            at[entry.m[1], entry.pos].add(entry.m)
        if entry.m in settled:
            positions[entry.m].add(entry.pos)
    return {
        "A6": sum(len(held) > 1 for held in at.values()),
        "A7": sum(len(where) > 1 for where in positions.values()),
    }


def _stored(records: Sequence[Record], world: _World, *, trims: bool) -> dict[str, int]:
    """Judge one inspection; the random histories hold no second one."""
    entries = _entries(records)
    proofs: list[tuple[str, int, float]] = [
        (e.m[1], e.epoch, world.until(e.m)) for e in entries if e.m in world.invoked
    ]
    proofs += [
        (r.inbox, r.epoch, r.t_ns)
        for r in records
        if isinstance(r, ResizeCompleted) and r.outcome == "ok"
    ]

    def of_inbox(e: _Entry) -> list[_Entry]:
        return [o for o in entries if o.m[1] == e.m[1]]

    asked = {r.inbox: r.t_invoked_ns for r in records if isinstance(r, StoredEnd)}
    stored = {e.m for e in entries}
    tried: dict[str, int] = {}
    for r in records:
        if isinstance(r, AckInvoked):
            tried[r.inbox] = max(tried.get(r.inbox, -1), r.upto)
    return {
        "C8": sum(
            m not in stored and world.until(m) < asked.get(m[1], -1)
            for m in {
                m
                for pos, m in world.log
                if m in world.invoked and not (trims and pos <= tried.get(m[1], -1))
            }
        ),
        "C2": sum(sum(o.m == m for o in entries) > 1 for m in {e.m for e in entries}),
        "C3": sum(
            any(
                (o.epoch, o.bucket) == (e.epoch, e.bucket)
                and ((o.bpos < e.bpos and o.pos >= e.pos) or (o.bpos == e.bpos and o.pos != e.pos))
                for o in of_inbox(e)
            )
            for e in entries
        ),
        "C4": sum(any(o.epoch > e.epoch and o.pos < e.pos for o in of_inbox(e)) for e in entries),
        "C5": sum(
            any(
                inbox == e.m[1] and epoch > e.epoch and t < world.invoked.get(e.m, -1)
                for inbox, epoch, t in proofs
            )
            for e in entries
        ),
    }


def in_order(records: Sequence[Record]) -> list[Record]:
    """Return records as a reader yields them: by time, invocations first at equal times."""
    return sorted(records, key=lambda r: (r.t_ns, not isinstance(r, Invoked)))
