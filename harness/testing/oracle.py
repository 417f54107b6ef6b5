"""A brute-force judge: follows the definitions of docs/invariants.md literally, message by message.

It is slow (quadratic and worse) and shares nothing with `harness.checkers` but the records and the
facts about the run, so that the two can be compared on small random histories.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from harness.checkers.run_facts import RunFacts
from harness.history.records import (
    BROKEN,
    UNTOLD,
    AckCompleted,
    AckInvoked,
    Closed,
    Completed,
    Connected,
    Delivered,
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

Message = tuple[int, str, int]


@dataclass(slots=True)
class _Login:
    reader: str
    inbox: str
    opened: Opened | None = None
    positions: list[int] = field(default_factory=list)
    jumped: list[int] = field(default_factory=list)
    number: int = -1
    is_first: bool = False
    lied: bool = False
    marked: set[int] = field(default_factory=set)
    sendable_upto: float = math.inf


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
    disturbed: bool = False

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
    found["A2"] = _missing_middle(records, world, fifo=fifo, trims=run.trims)
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
    found |= _stored(records, world, run)
    found |= _fencing(records, run)
    dense = Promise.DENSE_POSITIONS in run.promises
    new, marked = found.pop("new", 0), found.pop("new, marked", 0)
    found["D7"] = sum(isinstance(r, GaugeSeen) and 0 <= r.limit < r.value for r in records)
    found["D8"] = sum(_is_withheld(records, i, run) for i in range(len(records)))
    found["D9"] = _not_given_up(records, run)
    found["A16"] = _unmarked(world) + (marked if dense and not new else 0)
    return found


def _walk(records: Sequence[Record], run: RunFacts) -> _World:
    world = _World()
    open_logins: dict[tuple[str, str, int], _Login] = {}
    top_first: dict[tuple[str, str], tuple[set[int], int]] = {}

    def login(reader: str, inbox: str, number: int) -> _Login:
        if (reader, inbox, number) not in open_logins:
            is_first = number < 2 and all(other.inbox != inbox for other in world.logins)
            open_logins[reader, inbox, number] = _Login(
                reader, inbox, number=number, is_first=is_first
            )
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
                opened = login(record.reader, record.inbox, record.session)
                opened.opened = record
                opened.sendable_upto = sum(m[1] == record.inbox for m in world.invoked)
            case Delivered():
                session = login(record.reader, record.inbox, record.session)
                seen = top_first.get((record.reader, record.inbox), (set(), -1))
                top_first[record.reader, record.inbox] = _deliver(world, session, record, run, seen)
            case EndRead():
                world.ends.append(record)
            case FaultMarked():
                world.disturbed |= not record.target.startswith(("client-edge:", "load:"))
            case _:
                pass
    return world


def _deliver(
    world: _World, session: _Login, record: Delivered, run: RunFacts, seen: tuple[set[int], int]
) -> tuple[set[int], int]:
    had, top_ever = seen
    pos = record.pos_first
    span = range(pos, pos + sum(part.count for part in record.runs))
    # Marked, and nobody can have been sent it before.
    session.lied |= (
        record.redelivered
        and session.is_first
        and not world.disturbed
        and not set(span) & set(session.positions)
    )
    fresh = set(span) - set(session.positions)
    session.marked |= fresh if record.redelivered else set()
    if not world.disturbed:
        new = sum(pos >= session.sendable_upto for pos in fresh)
        world.count["new, marked" if record.redelivered else "new"] += new
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
            if not record.redelivered or session.lied:
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


def _missing_middle(records: Sequence[Record], world: _World, *, fifo: bool, trims: bool) -> int:
    canonical: dict[str, str] = {}
    for login in world.logins:
        canonical.setdefault(login.inbox, login.reader)
    missing = 0
    for m, ok in world.ok.items():
        reader = canonical.get(m[1])
        if reader is None or not _from_start(world, reader, m[1]):
            continue
        read = world.by_reader[reader, m[1]]
        excused = _left_to_others(records, world, reader, m[1], trims=trims)
        if any((pos, m) in world.log for pos in excused):
            continue
        missing += m not in read and any(
            o[:2] == m[:2] and o[2] > m[2] and (fifo or ok < world.invoked[o])
            for o in read.keys() & set(world.invoked)
        )
    return missing


def _left_to_others(
    records: Sequence[Record], world: _World, reader: str, inbox: str, *, trims: bool
) -> set[int]:
    """Return the positions that a reader's logins by the cursor left out, as others allow.

    Where the store drops what was acknowledged, all its logins.
    """
    left: set[int] = set()
    top = -1
    for login in world.logins:
        if (login.reader, login.inbox) != (reader, inbox):
            continue
        opened = login.opened
        if opened is not None and (trims or opened.from_pos == -2):
            tried = [
                r.upto
                for r in records
                if isinstance(r, AckInvoked)
                and r.inbox == inbox
                and r.reader != reader
                and r.t_ns < opened.t_ns
            ]
            begin = opened.next_pos
            if trims and login.positions:
                begin = max(begin, login.positions[0])
            left |= set(range(top + 1, min(begin, max(tried, default=-1) + 1)))
        top = max([top, *login.positions])
    return left


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
        told_less = opened.cursor != UNTOLD and opened.cursor < confirmed
        found["A13"] += opened.next_pos <= resume or told_less
        last = opened.from_pos if named else attempted
        if named and run.trims:
            last = max(last, attempted)
        begin = login.positions[0] if login.positions else opened.next_pos
        found["A12"] += skipped(login.inbox, range(last + 1, begin))
    return found


def _fenced_off(records: Sequence[Record], ack: AckInvoked, run: RunFacts) -> bool:
    """Return whether an acknowledgement came from a session known to be superseded before."""
    logins = [r for r in records if isinstance(r, Opened) and r.inbox == ack.inbox]
    return Promise.FENCING in run.promises and any(
        login.session > ack.session and login.t_ns < ack.t_ns for login in logins
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    m: Message
    pos: int
    bpos: int
    epoch: int
    bucket: int
    bucket_count: int


@dataclass(slots=True)
class _Inspection:
    """What one inspection of an inbox found; `asked` and `ended` are infinite if not known."""

    inbox: str
    entries: list[_Entry] = field(default_factory=list)
    asked: float = -math.inf
    ended: float = math.inf
    complete: bool = False


def _inspections(records: Sequence[Record]) -> list[_Inspection]:
    found: list[_Inspection] = []
    under_way: dict[str, _Inspection] = {}
    for row in records:
        if not isinstance(row, Stored | StoredEnd):
            continue
        if row.inbox not in under_way:
            under_way[row.inbox] = _Inspection(row.inbox)
            found.append(under_way[row.inbox])
        if isinstance(row, Stored):
            under_way[row.inbox].entries += _entries(row)
        else:
            ended = under_way.pop(row.inbox)
            ended.complete, ended.ended = True, row.t_ns
            ended.asked = row.t_invoked_ns if row.t_invoked_ns >= 0 else -math.inf
    return found


def _entries(row: Stored) -> list[_Entry]:
    columns = (np.frombuffer(column, "<u8") for column in (row.producers, row.ns, row.positions))
    return [
        _Entry(
            (int(p), row.inbox, int(n)), int(pos), row.bpos_first + i, row.epoch, row.bucket,
            row.bucket_count,
        )
        for i, (p, n, pos) in enumerate(zip(*columns, strict=True))
    ]  # fmt: skip


def _places(records: Sequence[Record], world: _World) -> dict[str, int]:
    """A6 and A7: over the log, and over what inspections found of what was settled before them."""
    at: dict[tuple[str, int], set[Message]] = defaultdict(set)
    positions: dict[Message, set[int]] = defaultdict(set)
    for pos, m in world.log:
        at[m[1], pos].add(m)
        positions[m].add(pos)
    logged = {place: set(held) for place, held in at.items()}
    for inspection in _inspections(records):
        settled = {m for m in {*world.ok, *world.first} if world.until(m) < inspection.asked}
        for entry in inspection.entries:
            held = logged.get((entry.m[1], entry.pos), set())
            if entry.m in settled or held & settled:
                at[entry.m[1], entry.pos].add(entry.m)
            if entry.m in settled:
                positions[entry.m].add(entry.pos)
    return {
        "A6": sum(len(held) > 1 for held in at.values()),
        "A7": sum(len(where) > 1 for where in positions.values()),
    }


def _stored(records: Sequence[Record], world: _World, run: RunFacts) -> dict[str, int]:
    """Judge each inspection by itself, but for the epochs that others have proven."""
    found = dict.fromkeys(("C2", "C3", "C4", "C5", "C8", "C9"), 0)
    inspections = _inspections(records)
    told = _told(records)
    proofs = [
        (e.m[1], e.epoch, world.until(e.m))
        for inspection in inspections
        for e in inspection.entries
        if e.m in world.invoked and world.until(e.m) < inspection.asked
    ]
    proofs += [(r.inbox, r.epoch, r.t_ns) for r in _confirmed(records)]
    for inspection in inspections:
        entries = inspection.entries
        stored = {e.m for e in entries}
        begins = [
            (r.epoch, r.pos_first)
            for r in _confirmed(records)
            if r.inbox == inspection.inbox and r.pos_first >= 0
        ]
        found["C9"] += sum(
            world.until(e.m) < inspection.asked
            and _is_otherwise(e, told[inspection.inbox, e.pos], begins)
            for e in entries
        )
        dropped = _may_be_dropped(records, inspection, run)
        found["C8"] += sum(
            m[1] == inspection.inbox
            and inspection.complete
            and m not in stored
            and world.until(m) < inspection.asked
            for m in {m for pos, m in world.log if m in world.invoked and pos > dropped}
        )
        found["C2"] += sum(sum(o.m == m for o in entries) > 1 for m in stored)
        found["C3"] += sum(
            any(
                (o.epoch, o.bucket) == (e.epoch, e.bucket)
                and ((o.bpos < e.bpos and o.pos >= e.pos) or (o.bpos == e.bpos and o.pos != e.pos))
                for o in entries
            )
            for e in entries
        )
        found["C4"] += sum(
            any(o.epoch > e.epoch and o.pos < e.pos for o in entries) for e in entries
        )
        found["C5"] += sum(
            any(
                inbox == e.m[1] and epoch > e.epoch and t < world.invoked.get(e.m, -1)
                for inbox, epoch, t in proofs
            )
            for e in entries
        )
    return found


def _may_be_dropped(records: Sequence[Record], inspection: _Inspection, run: RunFacts) -> int:
    """Return up to which position the store may lack messages: what was acknowledged by its end."""
    if not run.trims:
        return -1
    tried = [
        r.upto
        for r in records
        if isinstance(r, AckInvoked)
        and r.inbox == inspection.inbox
        and r.t_ns <= inspection.ended
        and not _fenced_off(records, r, run)
    ]
    return max(tried, default=-1)


def _unmarked(world: _World) -> int:
    """Count positions that a session with a lower number had, and that came without a mark."""
    return sum(
        len(
            (set(login.positions) - login.marked)
            & {
                pos
                for other in world.logins
                if other.inbox == login.inbox and other.number < login.number
                for pos in other.positions
            }
        )
        for login in world.logins
    )


def _told(records: Sequence[Record]) -> dict[tuple[str, int], set[tuple[int, int]]]:
    """Return by place the epochs and bucket counts that were named of it; -1 for no count."""
    told: dict[tuple[str, int], set[tuple[int, int]]] = defaultdict(set)
    for record in records:
        if isinstance(record, Completed) and record.outcome == "ok" and record.pos_first >= 0:
            for i in range(record.count):
                told[record.inbox, record.pos_first + i].add((record.epoch, -1))
        if isinstance(record, Delivered):
            pos = record.pos_first
            for run in record.runs:
                for _ in range(run.count):
                    told[record.inbox, pos].add((run.epoch, run.bucket_count))
                    pos += 1
    return told


def _is_otherwise(
    entry: _Entry, told: set[tuple[int, int]], begins: Sequence[tuple[int, int]]
) -> bool:
    """Say whether an entry is not where replies, deliveries and resizes said."""
    return any(
        epoch != entry.epoch or count not in (-1, entry.bucket_count) for epoch, count in told
    ) or any((entry.epoch >= epoch) != (entry.pos >= pos) for epoch, pos in begins)


def _confirmed(records: Sequence[Record]) -> list[ResizeCompleted]:
    return [r for r in records if isinstance(r, ResizeCompleted) and r.outcome == "ok"]


def _fencing(records: Sequence[Record], run: RunFacts) -> dict[str, int]:
    """A14, A15, A17 and C7: what late comers are told, and what becomes of who was overtaken."""
    logins = [r for r in records if isinstance(r, Opened)]
    late = 0
    for done in records:
        if not isinstance(done, AckCompleted) or done.outcome != "ok":
            continue
        asked = [
            r.t_ns
            for r in records
            if isinstance(r, AckInvoked)
            and (r.reader, r.inbox, r.session, r.upto)
            == (done.reader, done.inbox, done.session, done.upto)
        ]
        late += bool(asked) and any(
            login.inbox == done.inbox and login.session > done.session and login.t_ns < asked[0]
            for login in logins
        )
    numbered = [(r.inbox, r.session, r.t_ns, r.t_invoked_ns) for r in logins]
    reused = sum(
        any(other[:2] == (inbox, number) for other in numbered[:i])
        or any(
            other == inbox and answered < asked and above > number
            for other, above, answered, _ in numbered
        )
        for i, (inbox, number, _, asked) in enumerate(numbered)
    )
    return {
        "A14": late,
        "A15": reused,
        "A17": _ended_unexplained(records, logins, run),
        "C7": sum(map(partial(_is_stale, records), range(len(_confirmed(records))))),
    }


def _ended_unexplained(records: Sequence[Record], logins: list[Opened], run: RunFacts) -> int:
    """Count sessions that their clients had to end, and those that outlived another unawares.

    No node measured how late it was woken here, no load process was killed and no phase stops one.
    """
    ends = [r for r in records if isinstance(r, Closed)]
    last = max((r.t_ns for r in records), default=0)
    disturbed = min((r.t_ns for r in records if isinstance(r, FaultMarked)), default=math.inf)
    untold = 0
    for login in logins:
        above = [r.t_ns for r in logins if r.inbox == login.inbox and r.session > login.session]
        due = max(min(above, default=math.inf), login.t_ns) + run.presence_bound_ns
        open_until = [
            end.t_invoked_ns if end.t_invoked_ns >= 0 else end.t_ns
            for end in ends
            if (end.reader, end.inbox, end.session) == (login.reader, login.inbox, login.session)
            and end.t_ns >= login.t_ns
        ]
        until = open_until[0] if open_until else last - run.presence_bound_ns
        untold += due < min(until, disturbed)
    downs = [r for r in records if isinstance(r, Connected) and not r.up]
    return untold + sum(r.cause == BROKEN for r in ends) + sum(r.cause == BROKEN for r in downs)


def _last_place(record: Delivered) -> int:
    return record.pos_first + sum(part.count for part in record.runs) - 1


def _is_withheld(records: Sequence[Record], at: int, run: RunFacts) -> bool:
    """Say whether a record is a delivery that a reader at rest had to wait for; nobody was late."""
    delivery, before = records[at], records[:at]
    if not isinstance(delivery, Delivered):
        return False
    mine = [
        r
        for r in before
        if isinstance(r, Opened | Closed | Delivered | AckInvoked)
        and (r.reader, r.inbox, r.session) == (delivery.reader, delivery.inbox, delivery.session)
    ]
    logins = [i for i, r in enumerate(mine) if isinstance(r, Opened)]
    if not logins or any(isinstance(r, Closed) for r in mine[logins[-1] :]):
        return False
    top, since, owes = -1, 0, False
    for r in mine[logins[-1] :]:
        if isinstance(r, Delivered):
            top, since, owes = max(top, _last_place(r)), r.t_ns, True
        elif isinstance(r, Opened) or (isinstance(r, AckInvoked) and r.upto >= top):
            since, owes = r.t_ns, False
    faults = [r for r in before if isinstance(r, FaultMarked)]
    last = {(r.fault, r.target): r.state for r in faults}
    if owes or any(state != "healed" for state in last.values()):
        return False
    since = max([since, *(r.t_ns + 2 * run.presence_bound_ns for r in faults)])
    had = [_last_place(r) for r in before if isinstance(r, Delivered) and r.inbox == delivery.inbox]
    known = [
        r.t_ns
        for r in before
        if isinstance(r, Completed)
        and r.inbox == delivery.inbox
        and r.outcome == "ok"
        and 0 <= r.pos_first <= _last_place(delivery)
        and r.pos_first + r.count > max(delivery.pos_first, max(had, default=-1) + 1)
    ]
    return delivery.t_ns - max(since, min(known, default=delivery.t_ns)) > run.delivery_bound_ns


def _not_given_up(records: Sequence[Record], run: RunFacts) -> int:
    """Count sessions, once per silence that they outlived by more than the bound."""
    last_ns = records[-1].t_ns if records else 0
    faults: dict[tuple[str, str], list[FaultMarked]] = defaultdict(list)
    for r in records:
        if isinstance(r, FaultMarked):
            faults[r.fault, r.target].append(r)
    outlived = 0
    for login in records:
        if not isinstance(login, Opened):
            continue
        ends = [
            r.t_ns
            for r in records
            if isinstance(r, Closed)
            and (r.reader, r.inbox, r.session) == (login.reader, login.inbox, login.session)
            and r.t_ns >= login.t_ns
        ]
        ended = min(ends, default=math.inf)
        for (_, target), marks in faults.items():
            at = {mark.state: mark.t_ns for mark in marks}
            silent = marks[0].kind.startswith(("link_cut", "process_")) and marks[-1].effective
            if target not in (login.link, f"edge:{login.edge}") or not silent:
                continue
            if "confirmed" not in at or ("healed" in at and "healing" not in at):
                continue
            due = at["confirmed"] + run.presence_bound_ns
            until = at.get("healing", last_ns)
            outlived += login.t_ns < at["confirmed"] and due < min(ended, until)
    return outlived


def _is_stale(records: Sequence[Record], number: int) -> bool:
    """Say whether the epoch that a confirmed resize expected cannot have been in force.

    Requests for the same never overlap here, so an answer is that of the last request before it.
    """
    confirmed = _confirmed(records)
    resize = confirmed[number]
    mine = [r for r in confirmed if r.inbox == resize.inbox]
    asked = [r for r in records if isinstance(r, ResizeInvoked) and r.inbox == resize.inbox]
    which = (resize.expected_epoch, resize.bucket_count)
    requests = [
        r.t_ns
        for r in asked
        if (r.expected_epoch, r.bucket_count) == which and r.t_ns <= resize.t_ns
    ]
    before = [r for r in confirmed[:number] if r.inbox == resize.inbox]
    wanted = {r.expected_epoch for r in asked if r.t_ns <= resize.t_ns}
    return (
        resize.epoch != resize.expected_epoch + 1
        or any(r.epoch == resize.epoch for r in before)
        or any(r.epoch > resize.expected_epoch and r.t_ns < max(requests, default=-1) for r in mine)
        or not set(range(resize.expected_epoch)) <= wanted
    )


def in_order(records: Sequence[Record]) -> list[Record]:
    """Return records as a reader yields them: by time, invocations first at equal times."""
    return sorted(records, key=lambda r: (r.t_ns, not isinstance(r, Invoked)))
