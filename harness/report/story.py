"""One message's way through a run: every record that concerns it, by time, in words.

Where other messages were seen at its position, their ways stand among its own, with the faults that
held meanwhile: that is what explains a position which was given out twice.

It walks a history as a stream and keeps only what concerns the message, so its memory does not grow
with the run. Nothing is judged here: the words say what each record says, and where it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.errors import UsageError
from harness.history import records as h
from harness.history.reader import Placed
from harness.report.witness import message_name, place_name
from harness.report.words import counted, named

EVENTS_MAX = 2_000
"""Records told of one message; one that was redelivered more often is cut off, and says so."""

TOGETHER_MAX = 8
"""Messages whose ways are told together."""

_U64_MAX = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for: a message by its id, or whatever lies at a position (`pos` >= 0)."""

    inbox: str
    producer: int = -1
    n: int = -1
    pos: int = -1

    def __str__(self) -> str:
        if self.pos >= 0:
            return place_name(self.inbox, self.pos)
        return message_name(self.producer, self.inbox, self.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One record, in words, with the place where it lies in the history.

    `lane` is who did it ("sender 9153", "reader bob", "store", "faults"), `kind` what it is: the
    record's tag, for a completion with its outcome.
    """

    t_ns: int
    text: str
    place: str
    lane: str
    kind: str


@dataclass(slots=True, kw_only=True)
class Story:
    """What a history holds of one message.

    Attributes:
        asked: What was asked for, by id if the id is known.
        events: Its records in the order of time, with the faults that held meanwhile.
        positions: Every position at which it was seen.
        truncated: There were more than `EVENTS_MAX`.
        producers: Who sent to the inbox at all, for hints; the first few.
        together: The messages whose ways are told, where there are several.
    """

    asked: Asked
    events: list[Event] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    truncated: bool = False
    producers: list[int] = field(default_factory=list)
    together: list[Asked] = field(default_factory=list)


def parse_message(text: str, senders: Mapping[str, str] | None = None) -> Asked:
    """Return what ``producer/inbox/n``, ``sender-3/inbox/n`` or ``inbox@position`` asks for.

    Args:
        text: What was typed.
        senders: The name of each sender by its producer as text, as a result has them.

    Raises:
        UsageError: It is neither.
    """
    producer, slash, rest = text.partition("/")
    inbox, second, n = rest.rpartition("/")
    by_name = {name: known for known, name in (senders or {}).items()}
    producer = by_name.get(producer, producer)
    if slash and second and inbox and producer.isdecimal() and n.isdecimal():
        if int(producer) > _U64_MAX:
            raise UsageError(f"--message {text!r}: a producer is a 64-bit number")
        return Asked(inbox=inbox, producer=int(producer), n=int(n))
    inbox, at, pos = text.rpartition("@")
    if at and inbox and pos.isdecimal():
        return Asked(inbox=inbox, pos=int(pos))
    raise UsageError(
        f"--message {text!r}: write producer/inbox/n or the sender's name in its place, as "
        f"reports do, or inbox@position{_known_names(senders)}"
    )


def _known_names(senders: Mapping[str, str] | None) -> str:
    names = list(dict.fromkeys((senders or {}).values()))
    return f"; senders: {', '.join(names[:3])}, …" if names else ""


def find_all_at(
    placed: Iterable[Placed], places: Mapping[str, Collection[int]]
) -> dict[tuple[str, int], list[Asked]]:
    """Return by (inbox, position) every message that was ever seen there, the first seen first.

    Args:
        placed: The history in the order of time.
        places: The positions by inbox.
    """
    found: dict[tuple[str, int], dict[Asked, None]] = {}

    def note(inbox: str, first: int, producer: int, n_first: int, count: int) -> None:
        for pos in places[inbox]:
            if first <= pos < first + count:
                one = Asked(inbox=inbox, producer=producer, n=n_first + pos - first)
                found.setdefault((inbox, pos), {}).setdefault(one)

    for _, record in placed:
        inbox = getattr(record, "inbox", "")
        if inbox not in places:
            continue
        match record:
            case h.Delivered():
                for pos, run in _runs(record):
                    note(inbox, pos, run.producer, run.n_first, run.count)
            case h.Completed() if record.outcome == h.OK and record.pos_first >= 0:
                note(inbox, record.pos_first, record.producer, record.n_first, record.count)
            case h.Stored():
                positions = np.frombuffer(record.positions, "<u8")
                here = np.flatnonzero(np.isin(positions, list(places[inbox])))
                columns = (record.positions, record.producers, record.ns)
                rows = (np.frombuffer(column, "<u8")[here].tolist() for column in columns)
                for pos, producer, n in zip(*rows, strict=True):
                    note(inbox, pos, producer, n, 1)
            case _:
                pass
    return {place: list(seen)[:TOGETHER_MAX] for place, seen in found.items()}


def stories(
    walk: Callable[[], Iterable[Placed]],
    asked: Sequence[Asked],
    senders: Mapping[str, str] | None = None,
) -> list[Story]:
    """Return the story of each message, or of all messages that were seen at its position.

    Args:
        walk: Begins a walk over the history in the order of time; there are up to three.
        asked: Messages, or positions.
        senders: The name of each sender by its producer as text.
    """
    names = senders or {}
    alone = dict(zip(asked, tell_all(walk(), asked, names), strict=True)) if asked else {}
    places: dict[str, set[int]] = {}
    for one in asked:
        places.setdefault(one.inbox, set()).update(alone[one].positions)
    held = find_all_at(walk(), places) if any(places.values()) else {}
    groups = {}
    for one in asked:
        here = [held.get((one.inbox, pos), []) for pos in alone[one].positions]
        own = [one] if one.pos < 0 else []
        together = list(dict.fromkeys([*own, *(other for seen in here for other in seen)]))
        if together and together != [one]:
            groups[one] = together[:TOGETHER_MAX]
    if groups:
        flat = [other for group in groups.values() for other in group]
        tellers = _walked(walk(), flat, names)
        for one, group in groups.items():
            mine, tellers = tellers[: len(group)], tellers[len(group) :]
            alone[one] = _together(one, mine, names)
    return [alone[one] for one in asked]


def _together(asked: Asked, tellers: Sequence[_Teller], names: Mapping[str, str]) -> Story:
    """Return the ways of several messages as one, with what happened to the system meanwhile."""
    if len(tellers) == 1:
        # A position stands for the one message that lies there.
        return tellers[0].finish()
    told = [teller.finish(with_faults=False) for teller in tellers]
    events: dict[tuple[str, str], Event] = {}
    for story in told:
        name = called(story.asked, names)
        for event in story.events:
            own = event.kind.split(" ")[0] in ("invoked", "completed", "delivered", "stored")
            text = f"{name}: {event.text}" if own else event.text
            events.setdefault((event.place, text), replace(event, text=text))
    lives = [teller.life() for teller in tellers if teller.has_events]
    if lives:
        begin, end = min(first for first, _ in lives), max(last for _, last in lives)
        for event in tellers[0].faults_between(begin, end):
            events.setdefault((event.place, event.text), event)
    return Story(
        asked=asked,
        events=sorted(events.values(), key=lambda event: event.t_ns),
        positions=sorted({pos for story in told for pos in story.positions}),
        truncated=any(story.truncated for story in told),
        producers=told[0].producers,
        together=[story.asked for story in told],
    )


def called(asked: Asked, names: Mapping[str, str]) -> str:
    """Return a message's name with its sender as people call it."""
    return named(str(asked), names)


def tell(placed: Iterable[Placed], asked: Asked) -> Story:
    """Return the story of one message.

    Args:
        placed: The history in the order of time, each record with its place.
        asked: The message.
    """
    return tell_all(placed, [asked])[0]


def tell_all(
    placed: Iterable[Placed], asked: Sequence[Asked], senders: Mapping[str, str] | None = None
) -> list[Story]:
    """Return the stories of several messages, in one walk."""
    return [teller.finish() for teller in _walked(placed, asked, senders or {})]


def _walked(
    placed: Iterable[Placed], asked: Sequence[Asked], names: Mapping[str, str]
) -> list[_Teller]:
    tellers = [_Teller(one, names) for one in asked]
    by_inbox: dict[str, list[_Teller]] = {}
    for teller, one in zip(tellers, asked, strict=True):
        by_inbox.setdefault(one.inbox, []).append(teller)
    for place, record in placed:
        concerned = (
            tellers
            if isinstance(record, h.FaultMarked)
            else by_inbox.get(getattr(record, "inbox", ""), ())
        )
        for teller in concerned:
            teller.see(place, record)
    return tellers


def _runs(record: h.Delivered) -> Iterator[tuple[int, h.DeliveredRun]]:
    pos = record.pos_first
    for run in record.runs:
        yield pos, run
        pos += run.count


def reader_lane(name: str) -> str:
    """Return the lane of a reader; the first of an inbox is called "reader-" and the inbox."""
    return f"reader {name.removeprefix('reader-')}"


def _s(t_ns: int) -> str:
    return f"{t_ns / 1e9:.6f} s"


class _Teller:
    """Collects events; faults and sessions are told only where the message is concerned."""

    def __init__(self, asked: Asked, names: Mapping[str, str]) -> None:
        self._asked = asked
        producer = str(asked.producer)
        self._sender = names.get(producer, f"sender {producer}")
        self._in_store = False
        self._missed_ns = -1
        self._story = Story(asked=asked)
        self._positions: set[int] = set() if asked.pos < 0 else {asked.pos}
        self._producers: dict[int, None] = {}
        self._opened: dict[tuple[str, int], tuple[str, h.Opened]] = {}
        self._told_sessions: set[tuple[str, int]] = set()
        self._told_acks: set[tuple[str, int, str]] = set()
        self._told_ends: set[str] = set()
        self._faults: dict[str, list[tuple[str, h.FaultMarked]]] = {}
        self._acknowledged = False
        self._sent_ns = self._completed_ns = self._delivered_ns = -1

    def see(self, place: str, record: h.Record) -> None:
        if isinstance(record, h.FaultMarked):
            self._faults.setdefault(record.fault, []).append((place, record))
            return
        if getattr(record, "inbox", None) != self._asked.inbox:
            return
        match record:
            case h.Invoked():
                self._see_invoked(place, record)
            case h.Completed():
                self._see_completed(place, record)
            case h.Opened():
                self._opened[record.reader, record.session] = (place, record)
            case h.Delivered():
                self._see_delivered(place, record)
            case h.Closed() if (record.reader, record.session) in self._told_sessions:
                what = f"session {record.session} of {record.reader} ended: {record.cause}"
                self._add(record.t_ns, what, place, reader_lane(record.reader), "closed")
            case h.AckInvoked():
                self._see_ack(place, record, "cursor ack up to", "asked for")
            case h.AckCompleted():
                self._see_ack(place, record, "cursor ack up to", record.outcome)
            case h.EndRead():
                self._see_end(place, record)
            case h.Stored():
                self._see_stored(place, record)
            case h.StoredEnd():
                self._see_stored_end(place, record)
            case _:
                pass

    def _add(self, t_ns: int, text: str, place: str, lane: str, kind: str) -> None:
        if len(self._story.events) == EVENTS_MAX:
            self._story.truncated = True
            return
        self._story.events.append(Event(t_ns=t_ns, text=text, place=place, lane=lane, kind=kind))

    def _see_invoked(self, place: str, record: h.Invoked) -> None:
        self._producers.setdefault(record.producer)
        if not self._inside(record.producer, record.n_first, record.count):
            return
        due = ""
        if record.t_due_ns >= 0:
            late_ms = (record.t_ns - record.t_due_ns) / 1e6
            due = f", {late_ms:.1f} ms after it was due"
        if self._sent_ns < 0:
            self._sent_ns = record.t_ns
        self._add(
            record.t_ns, f"send invoked{_in_batch(record)}{due}", place, self._sender, "invoked"
        )

    def _see_completed(self, place: str, record: h.Completed) -> None:
        if not self._inside(record.producer, record.n_first, record.count):
            return
        self._completed_ns = record.t_ns
        tries = counted(record.attempts, "attempt")
        if record.outcome == h.OK:
            self._acknowledged = True
            where = ""
            if record.pos_first >= 0:
                pos = record.pos_first + self._asked.n - record.n_first
                self._positions.add(pos)
                where = f" at position {pos}" + (
                    f" in epoch {record.epoch}" if record.epoch >= 0 else ""
                )
            text = f"acknowledged{where} after {tries}{_in_batch(record)}"
        else:
            word = {h.FAIL: "refused for good", h.INFO: "outcome unknown"}.get(
                record.outcome, record.outcome
            )
            text = f"{word} ({record.error or 'no reason given'}) after {tries}{_in_batch(record)}"
        kind = f"completed {record.outcome}"
        self._add(record.t_ns, text, place, self._sender, kind)

    def _see_delivered(self, place: str, record: h.Delivered) -> None:
        for pos, run in _runs(record):
            if not self._inside(run.producer, run.n_first, run.count):
                continue
            at = pos + self._asked.n - run.n_first
            self._positions.add(at)
            self._tell_session(record.reader, record.session)
            if self._delivered_ns < 0:
                self._delivered_ns = record.t_ns
            again = ", marked as a redelivery" if record.redelivered else ""
            buckets = f"epoch {run.epoch}, {counted(run.bucket_count, 'bucket')}"
            self._add(
                record.t_ns,
                f"delivered to {record.reader} in session {record.session} at position {at} "
                f"({buckets}){again}",
                place,
                reader_lane(record.reader),
                "delivered",
            )

    def _tell_session(self, reader: str, session: int) -> None:
        if (reader, session) in self._told_sessions:
            return
        self._told_sessions.add((reader, session))
        found = self._opened.get((reader, session))
        if found is None:
            return
        place, opened = found
        begun = {-1: "from the start", -2: "from the durable cursor"}.get(
            opened.from_pos, f"behind position {opened.from_pos}"
        )
        self._add(
            opened.t_ns,
            f"session {session} of {reader} opened at {opened.edge}, {begun}, "
            f"next position {opened.next_pos}",
            place,
            reader_lane(reader),
            "opened",
        )

    def _see_ack(
        self, place: str, record: h.AckInvoked | h.AckCompleted, what: str, state: str
    ) -> None:
        # Later acks of a session say nothing new about this message.
        key = (record.reader, record.session, state)
        if key in self._told_acks or not any(pos <= record.upto for pos in self._positions):
            return
        self._told_acks.add(key)
        word = {"ok": "confirmed", "fail": "refused", "info": "unknown"}.get(state, state)
        text = f"{what} {record.upto} by {record.reader} in session {record.session}: {word}"
        self._add(record.t_ns, text, place, reader_lane(record.reader), "cursor")

    def _see_end(self, place: str, record: h.EndRead) -> None:
        past = any(pos <= record.pos for pos in self._positions)
        if record.reader in self._told_ends or not (past or self._acknowledged):
            return
        if past:
            self._told_ends.add(record.reader)
        self._add(
            record.t_ns,
            f"end read by {record.reader}: nothing beyond position {record.pos} "
            f"(asked at {_s(record.t_invoked_ns)})",
            place,
            reader_lane(record.reader),
            "end_read",
        )

    def _see_stored(self, place: str, record: h.Stored) -> None:
        producers = np.frombuffer(record.producers, "<u8")
        ns = np.frombuffer(record.ns, "<u8")
        positions = np.frombuffer(record.positions, "<u8")
        mine = (
            np.flatnonzero((producers == np.uint64(self._asked.producer)) & (ns == self._asked.n))
            if self._asked.producer >= 0
            else np.flatnonzero(positions == self._asked.pos)
        )
        self._in_store |= bool(len(mine))
        for index in mine.tolist():
            pos = int(positions[index])
            self._positions.add(pos)
            self._add(
                record.t_ns,
                f"found stored at position {pos}, epoch {record.epoch}, bucket {record.bucket} of "
                f"{record.bucket_count}, place {record.bpos_first + index} in the bucket",
                place,
                "store",
                "stored",
            )

    def _see_stored_end(self, place: str, record: h.StoredEnd) -> None:
        known = self._acknowledged or self._delivered_ns >= 0
        if known and not self._in_store:
            text = "an inspection of the store did not find it"
            self._add(record.t_ns, text, place, "store", "stored")
            self._missed_ns = record.t_ns
        self._in_store = False

    def _inside(self, producer: int, n_first: int, count: int) -> bool:
        asked = self._asked
        return producer == asked.producer and n_first <= asked.n < n_first + count

    @property
    def has_events(self) -> bool:
        return bool(self._story.events)

    def finish(self, *, with_faults: bool = True) -> Story:
        story = self._story
        if story.events and with_faults:
            story.events += self.faults_between(*self.life())
        story.events.sort(key=lambda event: event.t_ns)
        story.positions = sorted(self._positions)
        story.producers = list(self._producers)[:5]
        return story

    def life(self) -> tuple[int, int]:
        """Return the time in which a fault could matter: until both fates, if both are known.

        If an inspection of the store lacked it afterwards, until then.
        """
        times = [event.t_ns for event in self._story.events]
        begin = self._sent_ns if self._sent_ns >= 0 else min(times)
        fates = (self._completed_ns, self._delivered_ns)
        return begin, max(*fates, self._missed_ns) if min(fates) >= 0 else max(times)

    def faults_between(self, begin_ns: int, end_ns: int) -> Iterator[Event]:
        """Yield the marks of every fault that held at some time of the message's life."""
        for marks in self._faults.values():
            first, last = marks[0][1], marks[-1][1]
            healed = last.t_ns if last.state == "healed" else end_ns
            if first.t_ns > end_ns or healed < begin_ns:
                continue
            # A fault on a pattern of links marks each of them, at about the same time.
            for state in dict.fromkeys(mark.state for _, mark in marks if mark.state != h.HEALING):
                alike = [(place, mark) for place, mark in marks if mark.state == state]
                place, mark = alike[0]
                # The same one in every line, whichever of them was struck first.
                target, *more = sorted(other.target for _, other in alike)
                on = f"{target} and {len(more)} more" if more else target
                seen = ", ".join(f"{name} {value:g}" for name, value in mark.effect.items())
                told = f" ({seen})" if seen and state != "requested" and len(alike) == 1 else ""
                text = f"fault {mark.fault}: {mark.kind} on {on} {state}{told}"
                yield Event(t_ns=mark.t_ns, text=text, place=place, lane="faults", kind="fault")


def _in_batch(record: h.Invoked | h.Completed) -> str:
    if record.count == 1:
        return ""
    return f", with n {record.n_first} to {record.n_first + record.count - 1}"
