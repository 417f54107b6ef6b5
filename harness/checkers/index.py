"""The shared index: folds records into columns of ranges, one row per range and record.

It knows streams (producer, inbox), consumer lineages (reader, inbox), their sessions, and what was
read from the store. Only what depends on the order of events is decided here, while they pass: what
was invoked when something was delivered, which delivery of a message was its first, and what a
session had delivered before. Everything else is computed from the columns afterwards (`facts`).

Cost: a few µs per record whatever its count. The columns of a long history wait on disk (`ranges`);
what is kept in memory besides is bounded by KEPT_BYTES_MAX. A history beyond it is judged as one
that was cut off where it passed the bound: what was found stays found, and nothing else passes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.checkers.entries import Oddity, Session, Stream, Visits
from harness.checkers.gauges import Gauges
from harness.checkers.inspections import Inspections
from harness.checkers.intervals import (
    NUMBER_LIMIT,
    STREAMS_MAX,
    Column,
    GrowingSet,
    column,
)
from harness.checkers.ranges import Ranges, Table
from harness.history.records import (
    BROKEN,
    FAIL,
    OK,
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
    Offered,
    Opened,
    PhaseMarked,
    PresenceSeen,
    Record,
    ResizeCompleted,
    ResizeInvoked,
    Stored,
    StoredEnd,
)

KEPT_BYTES_MAX = 96 * 1024 * 1024
"""About what everything that does not wait on disk may take: see `Index.kept_bytes`."""

SINGLE_BYTES = 300
"""About what a stream, login, fault, answer or another single thing takes."""

INTERVAL_BYTES = 80
"""About what one more interval takes in a set of numbers, since a neighbour is missing."""

WEIGH_EVERY = 1 << 16
"""So many records and delivered runs may pass until what is kept is weighed again."""

CLIENTS = ("client-edge:", "load:")
"""How the targets of faults begin that concern clients only."""

OUTCOMES = {OK: 0, FAIL: 1}
"""Outcomes as numbers; everything else is unknown, 2."""


class Index:
    """Takes a history's records in the order of time. Public attributes are for reading only."""

    def __init__(self, ranges: Ranges | None = None) -> None:
        self.ranges = ranges or Ranges()
        self.streams: list[Stream] = []
        self.inboxes: list[str] = []
        self.readers: list[tuple[str, int]] = []
        self.sessions: list[Session] = []
        self.busy_ns: list[int] = []
        """Per inbox: the last invocation or ok."""
        self.ends = Table(5)
        """inbox, t_invoked, t, pos, lineage"""
        self.acks_invoked = Table(4)
        """lineage, session, upto, t"""
        self.acks_confirmed = Table(4)
        """The same, of those that were."""
        self.resizes_invoked: list[ResizeInvoked] = []
        self.resizes: list[ResizeCompleted] = []
        self.faults: list[FaultMarked] = []
        self.phases: list[PhaseMarked] = []
        self.session_events: dict[str, list[Opened | Closed]] = {}
        self.presence: list[PresenceSeen] = []
        self.last_ns = 0
        self.reconnects = {"sender": 0, "receiver": 0}
        self.visits: dict[tuple[str, str], Visits] = {}
        """Every sender and receiver, by role and name."""
        self.offered = [0, 0, 0]
        self.delivered_count = 0
        self.phantoms = Oddity()
        self.marked_new = Oddity()
        """Marked deliveries of what had not been sent anywhere when its session opened, as long as
        only clients and their links were disturbed."""
        self.unmarked_new = 0
        """How many came without a mark meanwhile."""
        self.told: dict[tuple[int, int, int], GrowingSet] = {}
        """Positions by (inbox, epoch, bucket count) as replies and deliveries told them; a reply
        tells no bucket count, -1."""
        self.repeats = Oddity()
        self.steps_back = Oddity()
        self.late = Oddity()
        self.misnumbered = Oddity()
        self.broken_connections = Oddity()
        """Those that clients ended since the system contradicted itself; sessions aside."""
        self.gauges = Gauges()
        self.inspections = Inspections(
            self.ranges, self.misnumbered, inbox=self.inbox, stream=self.stream
        )
        self._stream_of: dict[tuple[int, str], Stream] = {}
        self._inbox_of: dict[str, int] = {}
        self._reader_of: dict[tuple[str, str], int] = {}
        self.lineage_delivered: list[GrowingSet] = []
        self.lineage_top: list[int] = []
        self._session_of: dict[tuple[str, str, int], Session] = {}
        self._invoked_counts: list[int] = []
        self._disturbed = False
        self._visited: set[int] = set()
        """Inboxes that had a session."""
        self._look_in = self.ranges.look_records
        self._passed = 0
        self._weighed_at = 0
        self._looks = 0
        self._stopped = ""
        self._delivered_number = 0
        self._invoked_rows = self.ranges.invoked.rows.extend
        self._completed_rows = self.ranges.completed.rows.extend
        self._delivered_rows = self.ranges.delivered.rows.extend
        self._first_rows = self.ranges.first.rows.extend
        self._see: dict[type[Any], Callable[[Any], None]] = {
            Invoked: self._invoked,
            Completed: self._completed,
            Delivered: self._delivered,
            Opened: self._opened,
            Closed: self._closed,
            EndRead: self._end_read,
            Stored: self._stored,
            StoredEnd: self.inspections.ended,
            Connected: self._connected,
            GaugeSeen: self.gauges.see,
            Offered: self._offered,
            AckInvoked: self._ack_invoked,
            AckCompleted: self._ack_completed,
            ResizeInvoked: self.resizes_invoked.append,
            ResizeCompleted: self.resizes.append,
            FaultMarked: self._fault_marked,
            PhaseMarked: self.phases.append,
            PresenceSeen: self.presence.append,
        }

    def see(self, record: Record) -> None:
        """Take the next record.

        Raises:
            OverflowError: A number in it is larger than any that a run writes.
            OSError: What has to wait on disk could not be written.
        """
        self.last_ns = record.t_ns
        see = self._see.get(type(record))
        if see is not None:
            see(record)
        self._look_in -= 1
        if not self._look_in:
            self._look()

    def _look(self) -> None:
        self._look_in = self.ranges.look_records
        self._looks += 1
        if self.inspections.waiting:
            self.inspections.put()
        passed = self._looks * self.ranges.look_records + self._delivered_number
        if passed - self._weighed_at >= WEIGH_EVERY:
            self._weighed_at = passed
            if full := self.full:
                self._stopped = f"{full}, reached {self.last_ns / 1e9:.1f} s after the begin"
                self._see.clear()
        if self.ranges.wants_tidying(self._passed):
            self._passed = 0
            self.ranges.tidy(self.invoked_upto, len(self.inboxes))

    def settle(self) -> None:
        """Bring the ranges up to date with what was seen; to be called before they are read."""
        self.inspections.put()
        self.ranges.eras.places.grow(len(self.inboxes))
        self.inspections.glue()

    def invoked_upto(self) -> Column:
        """Return `invoked_upto` of each stream."""
        return column([stream.invoked_upto for stream in self.streams])

    @property
    def stopped(self) -> bool:
        """The budget was used up: no further record is taken."""
        return bool(self._stopped)

    @property
    def kept_bytes(self) -> int:
        """About what is kept in memory and does not wait on disk."""
        singles = (
            len(self.streams)
            + len(self.readers)
            + len(self.sessions)
            + len(self.faults)
            + len(self.phases)
            + len(self.presence)
            + len(self.resizes)
            + len(self.visits)
            + sum(map(len, self.session_events.values()))
            + sum(len(session.jumps) for session in self.sessions)
        )
        intervals = (
            sum(len(stream.delivered.begins) for stream in self.streams)
            + sum(len(one.delivered.begins) + len(one.marked.begins) for one in self.sessions)
            + sum(len(told.begins) for told in self.told.values())
            # Once here, and once in the ledgers of D4.
            + 2 * sum(len(delivered.begins) for delivered in self.lineage_delivered)
        )
        tables = sum(
            len(table.rows) * table.rows.itemsize
            for table in (self.ends, self.acks_invoked, self.acks_confirmed)
        )
        return SINGLE_BYTES * singles + INTERVAL_BYTES * intervals + tables

    @property
    def full(self) -> str:
        """What is larger than the budget, "" while nothing is."""
        if self._stopped:
            return self._stopped
        kept_bytes = self.kept_bytes
        if kept_bytes > KEPT_BYTES_MAX:
            return (
                f"{kept_bytes >> 20} MiB of streams, logins, gaps, acknowledgements and so on; at "
                f"most {KEPT_BYTES_MAX >> 20} are kept"
            )
        if self.ranges.spill.full:
            return "more ranges than may wait on disk"
        return ""

    def stream(self, producer: int, inbox: str) -> Stream:
        """Return the stream of a producer to an inbox, made if it is new."""
        stream = self._stream_of.get((producer, inbox))
        if stream is None:
            if len(self.streams) >= STREAMS_MAX:
                raise OverflowError(f"more than {STREAMS_MAX} streams")
            stream = Stream(len(self.streams), producer, self.inbox(inbox))
            self.streams.append(stream)
            self.ranges.stream_inbox.append(stream.inbox)
            self._stream_of[producer, inbox] = stream
        return stream

    def inbox(self, name: str) -> int:
        """Return the number of an inbox, made if it is new."""
        number = self._inbox_of.get(name)
        if number is None:
            number = self._inbox_of[name] = len(self.inboxes)
            self.inboxes.append(name)
            self.busy_ns.append(-1)
            self._invoked_counts.append(0)
        return number

    def lineage(self, reader: str, inbox: str) -> int:
        """Return the number of a consumer lineage, made if it is new."""
        number = self._reader_of.get((reader, inbox))
        if number is None:
            number = self._reader_of[reader, inbox] = len(self.readers)
            self.readers.append((reader, self.inbox(inbox)))
            self.lineage_top.append(-1)
            self.lineage_delivered.append(GrowingSet())
        return number

    def find_stream(self, producer: int, inbox: str) -> Stream | None:
        """Return the stream of a producer to an inbox if there is one."""
        return self._stream_of.get((producer, inbox))

    def _invoked(self, record: Invoked) -> None:
        stream = self.stream(record.producer, record.inbox)
        n_end = record.n_first + record.count
        if record.n_first != stream.invoked_upto or record.count < 1 or n_end > NUMBER_LIMIT:
            self.misnumbered.add(1, record)
            if record.n_first < stream.invoked_upto or record.count < 1 or n_end > NUMBER_LIMIT:
                return
        self._invoked_counts[stream.inbox] += n_end - stream.invoked_upto
        stream.invoked_upto = n_end
        stream.process = record.process
        self.busy_ns[stream.inbox] = record.t_ns
        self._passed += record.count
        self._invoked_rows(
            (stream.base + record.n_first, record.count, record.t_ns, record.t_due_ns)
        )

    def _completed(self, record: Completed) -> None:
        stream = self.stream(record.producer, record.inbox)
        if (
            record.n_first + record.count > stream.invoked_upto
            or record.n_first < 0
            or record.count < 1
        ):
            self.misnumbered.add(1, record)
            return
        pos = record.pos_first
        if pos < -1 or pos + record.count > NUMBER_LIMIT:
            self.misnumbered.add(1, record)
            pos = -1
        outcome = OUTCOMES.get(record.outcome, 2)
        if not outcome:
            self.busy_ns[stream.inbox] = record.t_ns
            if pos >= 0 and record.epoch >= 0:
                self._tell(stream.inbox, record.epoch, -1, pos, pos + record.count)
        self._completed_rows(
            (
                stream.base + record.n_first,
                record.count,
                record.t_ns,
                outcome,
                pos,
                record.epoch,
            )
        )

    def _delivered(self, record: Delivered) -> None:
        inbox = record.inbox
        lineage = self.lineage(record.reader, inbox)
        pos = record.pos_first
        t_ns = record.t_ns
        number = self._delivered_number
        known, delivered, first = self._stream_of, self._delivered_rows, self._first_rows
        for run in record.runs:
            n_first, count = run.n_first, run.count
            n_end = n_first + count
            stream = known.get((run.producer, inbox)) or self.stream(run.producer, inbox)
            if n_end > stream.invoked_upto:
                self.phantoms.add(min(count, n_end - stream.invoked_upto), record)
            if (
                count < 1
                or pos < 0
                or n_first < 0
                or n_end > NUMBER_LIMIT
                or pos + count > NUMBER_LIMIT
            ):
                if n_end <= stream.invoked_upto:
                    self.misnumbered.add(1, record)
                pos += count
                continue
            base = stream.base
            delivered((base + n_first, count, t_ns, pos, lineage, number))
            number += 1
            ends = stream.delivered.ends
            if ends and ends[-1] == n_first:
                ends[-1] = n_end
                first((base + n_first, count, t_ns, pos))
            else:
                for begin, end in stream.delivered.add(n_first, n_end):
                    first((base + begin, end - begin, t_ns, pos + begin - n_first))
            pos += count
        self._delivered_number = number
        self._session_delivered(record, lineage, pos)
        self._tell_runs(record, self.readers[lineage][1])

    def _tell_runs(self, record: Delivered, inbox: int) -> None:
        """Note what the runs say of their epochs, neighbours that say the same together."""
        begin = end = record.pos_first
        last = (-1, -1)
        for run in record.runs:
            if (run.epoch, run.bucket_count) != last:
                if begin < end:
                    self._tell(inbox, *last, begin, end)
                begin, last = end, (run.epoch, run.bucket_count)
            end += run.count
        if begin < end:
            self._tell(inbox, *last, begin, end)

    def _tell(self, inbox: int, epoch: int, bucket_count: int, begin: int, end: int) -> None:
        told = self.told.get((inbox, epoch, bucket_count))
        if told is None:
            told = self.told[inbox, epoch, bucket_count] = GrowingSet()
        told.add(begin, end)

    def _session_delivered(self, record: Delivered, lineage: int, end: int) -> None:
        pos = record.pos_first
        session = self._session(record.reader, record.inbox, record.session)
        self.delivered_count += end - pos
        self._passed += end - pos
        session.count += end - pos
        top = session.top_pos
        if session.first_pos < 0:
            session.first_pos = pos
        elif pos > top + 1:
            session.jumps.append((top + 1, pos))
        fresh = session.delivered.add(pos, end)
        self._note_marks(session, record, fresh, pos, end)
        if pos <= top and (not record.redelivered or session.marks_are_void):
            self.steps_back.add(min(end, top + 1) - pos, record)
            repeated = end - pos - sum(stop - begin for begin, stop in fresh)
            if repeated:
                self.repeats.add(repeated, record)
        if end > top + 1:
            session.top_pos = end - 1
        self._note_late(record, lineage, end)

    def _note_marks(
        self,
        session: Session,
        record: Delivered,
        fresh: list[tuple[int, int]],
        pos: int,
        end: int,
    ) -> None:
        """Take the mark of a delivery, or that it has none."""
        if record.redelivered:
            if session.is_first and fresh == [(pos, end)] and not self._disturbed:
                session.marks_are_void = True
            for begin, stop in fresh:
                session.marked.add(begin, stop)
        if session.sendable_upto < 0 or self._disturbed:
            return
        new = sum(max(0, stop - max(begin, session.sendable_upto)) for begin, stop in fresh)
        if new and record.redelivered:
            self.marked_new.add(new, record)
        else:
            self.unmarked_new += new

    def _fault_marked(self, record: FaultMarked) -> None:
        self.faults.append(record)
        # A node that was away, or a link between nodes, leaves it open what had been sent.
        self._disturbed |= not record.target.startswith(CLIENTS)

    def _note_late(self, record: Delivered, lineage: int, end: int) -> None:
        """Count first-ever deliveries of a lineage that come behind a higher position's."""
        top = self.lineage_top[lineage]
        fresh = self.lineage_delivered[lineage].add(record.pos_first, end)
        if record.pos_first > top:
            self.lineage_top[lineage] = end - 1
            return
        late = sum(min(stop, top + 1) - begin for begin, stop in fresh if begin <= top)
        if late:
            self.late.add(late, record)
        self.lineage_top[lineage] = max(top, end - 1)

    def _session(self, reader: str, inbox: str, number: int) -> Session:
        session = self._session_of.get((reader, inbox, number))
        if session is None:
            place = self.inbox(inbox)
            # Below 2 no number is left for a session that was cut off before it was recorded.
            is_first = number < 2 and place not in self._visited
            self._visited.add(place)
            session = Session(self.lineage(reader, inbox), place, number, is_first=is_first)
            self._session_of[reader, inbox, number] = session
            self.sessions.append(session)
        return session

    def _opened(self, record: Opened) -> None:
        session = self._session(record.reader, record.inbox, record.session)
        if session.opened is not None:
            # A number that comes twice is another login: its rows start over.
            del self._session_of[record.reader, record.inbox, record.session]
            session = self._session(record.reader, record.inbox, record.session)
        session.opened = record
        session.sendable_upto = self._invoked_counts[session.inbox]
        self.session_events.setdefault(record.inbox, []).append(record)

    def _closed(self, record: Closed) -> None:
        self.session_events.setdefault(record.inbox, []).append(record)

    def _end_read(self, record: EndRead) -> None:
        inbox = self.inbox(record.inbox)
        lineage = self.lineage(record.reader, record.inbox)
        self.ends.rows.extend((inbox, record.t_invoked_ns, record.t_ns, record.pos, lineage))

    def _stored(self, record: Stored) -> None:
        self._passed += self.inspections.stored(record)

    def _ack_invoked(self, record: AckInvoked) -> None:
        lineage = self.lineage(record.reader, record.inbox)
        self.acks_invoked.rows.extend((lineage, record.session, record.upto, record.t_ns))

    def _ack_completed(self, record: AckCompleted) -> None:
        if record.outcome == OK:
            lineage = self.lineage(record.reader, record.inbox)
            self.acks_confirmed.rows.extend((lineage, record.session, record.upto, record.t_ns))

    def _connected(self, record: Connected) -> None:
        if not record.up:
            if record.cause == BROKEN:
                self.broken_connections.add(1, record)
            return
        visits = self.visits.setdefault((record.role, record.name), Visits(record.t_ns))
        if record.cause != "open":
            visits.reconnects += 1
            self.reconnects[record.role] = self.reconnects.get(record.role, 0) + 1

    def _offered(self, record: Offered) -> None:
        self.offered[0] += record.due
        self.offered[1] += record.handed
        self.offered[2] = max(self.offered[2], record.late_ns_max)
