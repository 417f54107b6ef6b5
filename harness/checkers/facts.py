"""What follows from a history, as columns and sets: the vocabulary that all checks speak.

For a message m: I its first invocation, C its first ok, D its first delivery, U = min(C, D). What
took effect did so within [I, U]. R is what was delivered, L the positions known from deliveries and
from ok replies. Each property is computed when a check first asks for it, in O(ranges log ranges).
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from harness.checkers.entries import Session
from harness.checkers.index import Index
from harness.checkers.intervals import (
    KEY_BITS,
    NEVER,
    NUMBER_LIMIT,
    Column,
    Mask,
    Spans,
    Steps,
    column,
    depths,
    marks,
    split,
)
from harness.checkers.later import Later
from harness.checkers.lines import Lines, Misplaced, Pieces, held_at, place_of
from harness.checkers.ranges import Part, columns_of
from harness.checkers.route import U64Column
from harness.checkers.run_facts import RunFacts
from harness.checkers.stored import StoredTable, distinct, tables
from harness.history.records import Opened
from harness.systems.promises import Promise

if TYPE_CHECKING:
    from harness.checkers.totals import Totals

QUIET = "quiet"
"""The phase mark after which all senders have ended and all faults are healed."""

DRAINED = "drained"
"""The phase mark after which every inbox was read to its confirmed end."""


class Facts:
    """Everything derived from a part of an index that checks share; a short history is one part.

    What comes from the ranges (sends, deliveries, the log, the store) is about this part; what the
    index itself keeps (sessions, drained inboxes, marks) is about the whole history.

    Attributes:
        is_last: No part is judged after this one.
        later: What carries over from the parts judged before, which lie later in the log.
    """

    def __init__(
        self,
        index: Index,
        run: RunFacts,
        part: Part | None = None,
        *,
        later: Later | None = None,
        totals: Totals | None = None,
        is_last: bool = True,
    ) -> None:
        self.index = index
        self.run = run
        self.is_last = is_last
        self.later = later or Later()
        self._part = part
        self._totals = totals

    def columns(self, name: str) -> list[Column]:
        """Return the columns of a table of this part; `Ranges` names them."""
        part = self._part or self.index.ranges.parts()[0]
        return columns_of(self.index.ranges.load(part, name))

    @property
    def totals(self) -> Totals:
        """Sums over this part and those judged before it."""
        if self._totals is None:
            raise LookupError("these facts are about a part, and no sums were made")
        return self._totals

    @property
    def is_first(self) -> bool:
        """No part was judged before this one."""
        return not self.later.parts

    def promised(self, promise: Promise) -> bool:
        """Return whether the system promises it."""
        return promise in self.run.promises

    # Names

    def message(self, key: int) -> tuple[int, str, int]:
        """Return (producer, inbox, n) of a key."""
        stream = self.index.streams[key >> KEY_BITS]
        return stream.producer, self.index.inboxes[stream.inbox], key & (NUMBER_LIMIT - 1)

    def describe(self, key: int) -> str:
        """Return a message's identity in words."""
        producer, inbox, n = self.message(key)
        return f"message {n} of {self.run.sender(producer)} to {inbox}"

    @cached_property
    def stream_inbox(self) -> Column:
        """The inbox of each stream."""
        return column(self.index.ranges.stream_inbox)

    @cached_property
    def stream_producer(self) -> U64Column:
        """The producer of each stream."""
        return np.array([stream.producer for stream in self.index.streams], dtype=np.uint64)

    def inbox_of(self, keys: Column) -> Column:
        """Return the inbox of each key."""
        inboxes: Column = self.stream_inbox[keys >> KEY_BITS]
        return inboxes

    # Sends

    @cached_property
    def _sent(self) -> list[Column]:
        return self.columns("invoked")

    @cached_property
    def invoked_at(self) -> Steps:
        """I of each message."""
        key, count, t, _ = self._sent
        return Steps.of(key, key + count, t)

    @cached_property
    def due_at(self) -> Steps:
        """When each message was due; its I where it had no schedule."""
        key, count, t, due = self._sent
        return Steps.of(key, key + count, np.where(due < 0, t, due))

    @cached_property
    def invoked(self) -> Spans:
        """Messages that were handed over."""
        return Spans.of(self.invoked_at.begins, self.invoked_at.ends)

    @cached_property
    def _outcomes(self) -> list[Column]:
        return self.columns("completed")

    def _with_outcome(self, outcome: int) -> Spans:
        key, count, _, found, _, _ = self._outcomes
        mine = found == outcome
        return Spans.of(key[mine], (key + count)[mine])

    @cached_property
    def ok(self) -> Spans:
        """Messages of which some attempt is ok."""
        return self._with_outcome(0)

    @cached_property
    def failed(self) -> Spans:
        """Messages of which every attempt failed."""
        return self._with_outcome(1).minus(self.ok).minus(self._with_outcome(2))

    @cached_property
    def unknown(self) -> Spans:
        """Messages that are neither: info, and those without any outcome."""
        return self.invoked.minus(self.ok).minus(self.failed)

    @cached_property
    def without_outcome(self) -> Spans:
        """Messages of which nothing was ever heard."""
        return self.unknown.minus(self._with_outcome(2))

    @cached_property
    def silent(self) -> Spans:
        """The same of senders whose process could have recorded an outcome to the end."""
        if self.run.torn:
            return Spans.empty()
        killed = self.run.killed
        heard = np.array([s.process not in killed for s in self.index.streams], dtype=np.bool_)
        return self.without_outcome.where(heard[self.without_outcome.begins >> KEY_BITS])

    @cached_property
    def ok_at(self) -> Steps:
        """C of each acknowledged message."""
        key, count, t, found, _, _ = self._outcomes
        mine = found == 0
        return Steps.of(key[mine], (key + count)[mine], t[mine])

    @cached_property
    def placed(self) -> Spans:
        """Messages that were acknowledged with a position, so that the system had them."""
        key, count, _, found, pos, _ = self._outcomes
        mine = (found == 0) & (pos >= 0)
        return Spans.of(key[mine], (key + count)[mine])

    # Deliveries

    @cached_property
    def deliveries(self) -> list[Column]:
        """Every delivered run: key, count, t, pos, lineage, number of the run."""
        return self.columns("delivered")

    @cached_property
    def first_at(self) -> Steps:
        """D of each delivered message."""
        key, count, t, _ = self.columns("first")
        return Steps.of(key, key + count, t)

    @cached_property
    def delivered(self) -> Spans:
        """R: messages that were delivered to anyone."""
        return Spans.of(self.first_at.begins, self.first_at.ends)

    def delivered_to(self, lineages: Mask) -> Spans:
        """Return the messages that the marked consumer lineages delivered."""
        key, count, _, _, lineage, _ = self.deliveries
        mine = lineages[lineage]
        return Spans.of(key[mine], (key + count)[mine])

    @cached_property
    def lost(self) -> Spans:
        """Acknowledged, in a drained inbox, and never delivered."""
        missing = self.ok.minus(self.delivered)
        return missing.where(self.drained[self.inbox_of(missing.begins)])

    # The log

    @cached_property
    def log(self) -> Lines:
        """L: every (position, message) that a delivery or an ok reply named, without repetition."""
        key, count, _, pos, _, _ = self.deliveries
        named_key, named_count, _, outcome, named_pos, _ = self._outcomes
        # A position out of range could not share a number line with the others.
        named = (outcome == 0) & (named_pos >= 0) & (named_pos + named_count <= NUMBER_LIMIT)
        key = np.concatenate((key, named_key[named]))
        end = key + np.concatenate((count, named_count[named]))
        shift = np.concatenate((pos, named_pos[named])) - (key & (NUMBER_LIMIT - 1))
        return self.merge_lines(key, end, shift)

    def merge_lines(self, key: Column, end: Column, shift: Column) -> Lines:
        """Unite runs [key, end) of a stream whose positions are equally far (`shift`) from n."""
        stream = key >> KEY_BITS
        order = np.lexsort((key, shift, stream))
        key, end, shift, stream = key[order], end[order], shift[order], stream[order]
        other = np.ones(len(key), dtype=np.bool_)
        other[1:] = (stream[1:] != stream[:-1]) | (shift[1:] != shift[:-1])
        group = np.cumsum(other) - 1
        points = marks(key, end)
        reach = np.maximum.accumulate(group * len(points) + np.searchsorted(points, end))
        fresh = other.copy()
        if len(key):
            begin = group * len(points) + np.searchsorted(points, key)
            fresh[1:] |= begin[1:] > reach[:-1]
        last = np.flatnonzero(np.append(fresh[1:], True)) if len(key) else column([])
        end = points[reach[last] - group[last] * len(points)] if len(key) else end
        key, shift, stream = key[fresh], shift[fresh], stream[fresh]
        pos = (key & (NUMBER_LIMIT - 1)) + shift
        return Lines(key, end, pos, self.stream_inbox[stream], stream)

    @cached_property
    def pieces(self) -> Pieces:
        """The log of invoked messages, with their times."""
        log = self.log
        cuts = marks(self.invoked_at.cuts, self.ok_at.cuts, self.first_at.cuts)
        origin, key, end = split(log.key, log.end, cuts)
        invoked = self.invoked_at.at(key, -1)
        known = invoked >= 0
        origin, key, end, invoked = origin[known], key[known], end[known], invoked[known]
        lines = Lines(
            key, end, log.pos[origin] + key - log.key[origin], log.inbox[origin], log.stream[origin]
        )
        return Pieces(lines, invoked, self.ok_at.at(key, NEVER), self.first_at.at(key, NEVER))

    def until_of(self, keys: Column) -> Column:
        """Return U of each key; NEVER where it has none."""
        return np.minimum(self.ok_at.at(keys, NEVER), self.first_at.at(keys, NEVER))

    @cached_property
    def sent_end(self) -> Column:
        """Per stream the key behind the last message sent and delivered, later parts included."""
        end = self.later.sent_end(len(self.index.streams))
        both = self.delivered.both(self.invoked)
        np.maximum.at(end, both.begins >> KEY_BITS, both.ends)
        return end

    @cached_property
    def canonical_reads(self) -> Spans:
        """Messages that the canonical readers delivered which began at the start of their inbox."""
        chosen = np.zeros(len(self.index.readers), dtype=np.bool_)
        for reader in self.canonical.values():
            chosen[reader] = self.from_start[reader]
        return self.delivered_to(chosen).both(self.invoked)

    @cached_property
    def read_last(self) -> tuple[Column, Column]:
        """Per stream the last key among them and its I, later parts included; -1 for none."""
        last, invoked = self.later.read_last(len(self.index.streams))
        read = self.canonical_reads
        mine = np.full(len(last), -1, dtype=np.int64)
        np.maximum.at(mine, read.begins >> KEY_BITS, read.ends - 1)
        here = mine > last
        invoked[here] = self.invoked_at.at(mine[here], -1)
        return np.maximum(last, mine), invoked

    # The store

    @cached_property
    def stored(self) -> list[StoredTable]:
        """What each inspection of an inbox found."""
        rows, messages = self.columns("stored_rows"), self.columns("stored")
        return tables(self.index, rows, messages, self.stream_producer)

    @cached_property
    def stored_distinct(self) -> list[StoredTable]:
        """The same per inbox, what several inspections found alike only once."""
        return distinct(self.stored)

    @cached_property
    def epoch_proofs(self) -> dict[str, dict[int, int]]:
        """By inbox and epoch when an entry first proved that the epoch had begun.

        An entry proves it by its U, if that lies before the begin of the inspection that found it:
        what was not settled by then may have been undone by a crash. Later parts are included.
        """
        proofs = {inbox: dict(known) for inbox, known in self.later.proofs.items()}
        for table in self.stored:
            if len(self.index.inspections.lowest[self.index.inbox(table.inbox)]) == 1:
                continue
            until = self.until_of(table.key)
            settled = until < self.index.inspections.snapshots[table.inspection].asked_ns
            known = proofs.setdefault(table.inbox, {})
            for epoch in np.unique(table.epoch[settled]).tolist():
                first = int(until[settled & (table.epoch == epoch)].min())
                known[epoch] = min(first, known.get(epoch, first))
        return proofs

    @cached_property
    def misplaced(self) -> Misplaced:
        """What inspections found where the log has another message, or none that is known."""
        found = [(column([]),) * 4]
        if not self.stored:
            return Misplaced(*found[0])
        holders = self.log.holders()
        for table in self.stored:
            held = held_at(holders, place_of(self.index.inbox(table.inbox), table.pos))
            other = np.flatnonzero(held != table.key)
            asked_ns = self.index.inspections.snapshots[table.inspection].asked_ns
            found.append(
                (table.key[other], table.pos[other], np.full(len(other), asked_ns), held[other])
            )
        return Misplaced(*map(np.concatenate, zip(*found, strict=True)))

    @cached_property
    def elsewhere(self) -> Mask:
        """Which of `misplaced` had taken effect before the inspection began.

        An inspection beside the system may see a commit that is not durable yet, and a crash may
        undo it. What was acknowledged or delivered before lies where it will stay.
        """
        return self.until_of(self.misplaced.key) < self.misplaced.asked_ns

    @cached_property
    def places(self) -> Lines:
        """The log, and the other places at which messages are stored."""
        return self.log_and(self.elsewhere)

    def log_and(self, stored: Mask) -> Lines:
        """Return the log and, as more of it, the marked ones of `misplaced`."""
        if not stored.any():
            return self.log
        key, pos = self.misplaced.key[stored], self.misplaced.pos[stored]
        log = self.log
        return self.merge_lines(
            np.concatenate((log.key, key)),
            np.concatenate((log.end, key + 1)),
            np.concatenate((log.pos, pos)) - (np.concatenate((log.key, key)) & (NUMBER_LIMIT - 1)),
        )

    @cached_property
    def seen_elsewhere(self) -> Mask:
        """Which of `misplaced` stand against the log: as `elsewhere`, or where the other had."""
        misplaced = self.misplaced
        other_had = self.until_of(misplaced.held) < misplaced.asked_ns
        return self.elsewhere | (misplaced.held >= 0) & other_had

    @cached_property
    def shared_positions(self) -> tuple[int, Spans]:
        """How many positions are known, and those at which two different messages were seen.

        Over all readers, replays, replies and inspections.
        """
        log = self.log_and(self.seen_elsewhere)
        begin = place_of(log.inbox, log.pos)
        begins, ends, depth = depths(begin, begin + log.count)
        return int((ends - begins).sum()), Spans(begins[depth > 1], ends[depth > 1])

    # Reading

    @cached_property
    def canonical(self) -> dict[int, int]:
        """The canonical lineage of each inbox: the first that opened or delivered."""
        found: dict[int, int] = {}
        for session in self.index.sessions:
            found.setdefault(session.inbox, session.reader)
        return found

    @cached_property
    def _opened_ns(self) -> dict[str, tuple[list[int], list[int]]]:
        """By inbox the sessions that opened, rising, and when each or a later one first did."""
        found: dict[str, tuple[list[int], list[int]]] = {}
        for inbox, events in self.index.session_events.items():
            opened: dict[int, int] = {}
            for event in events:
                if isinstance(event, Opened):
                    opened.setdefault(event.session, event.t_ns)
            numbers = sorted(opened)
            times = [opened[number] for number in reversed(numbers)]
            found[inbox] = numbers, list(accumulate(times, min))[::-1]
        return found

    def superseded_ns(self, inbox: str, session: int) -> int:
        """Return when a session with a higher number was first known to be open; NEVER if not.

        The session's own login need not be known: it may have been cut off behind the answer.
        """
        numbers, times = self._opened_ns.get(inbox, ([], []))
        at = bisect_right(numbers, session)
        return times[at] if at < len(times) else NEVER

    @cached_property
    def from_start(self) -> list[bool]:
        """Whether each lineage began to read at the start of its inbox.

        A login that was cut off leaves no `Opened`; then what it delivered first tells.
        """
        first: dict[int, Session] = {}
        for session in self.index.sessions:
            first.setdefault(session.reader, session)
        begun = [False] * len(self.index.readers)
        for reader, session in first.items():
            opened = session.opened
            asked = opened is not None and (opened.from_pos == -1 or opened.next_pos == 0)
            begun[reader] = asked or session.first_pos == 0
        return begun

    @cached_property
    def read_upto(self) -> list[int]:
        """How far each lineage has read without leaving out what it chose to, -1 for none.

        A login that names a place beyond what its reader has says nothing of what lies between.
        """
        upto = [-1] * len(self.index.readers)
        for session in self.index.sessions:
            opened = session.opened
            begin = session.first_pos if opened is None else opened.next_pos
            named = opened is not None and opened.from_pos >= 0
            if not named or begin <= upto[session.reader] + 1:
                upto[session.reader] = max(upto[session.reader], session.top_pos)
        return upto

    @cached_property
    def drained(self) -> Mask:
        """Drained(x) of each inbox: absence from R proves that a message is not in the log.

        All senders were quiet, then an end was read whose request began later than everything that
        was acknowledged, and a lineage that began at the start has read as far.
        """
        drained = np.zeros(len(self.index.inboxes), dtype=np.bool_)
        quiet = [mark.t_ns for mark in self.index.phases if mark.name == QUIET and mark.begins]
        if not quiet:
            return drained
        busy = np.maximum(column(self.index.busy_ns), quiet[-1])
        top = np.full(len(drained), -1, dtype=np.int64)
        for reader, (_, inbox) in enumerate(self.index.readers):
            if self.from_start[reader]:
                top[inbox] = max(top[inbox], self.read_upto[reader])
        inbox_column, asked, _, pos, _ = self.index.ends.columns()
        proven = (asked > busy[inbox_column]) & (pos <= top[inbox_column])
        drained[inbox_column[proven]] = True
        return drained

    @cached_property
    def undrained_names(self) -> list[str]:
        """Inboxes that something was sent to and that were not read to a confirmed end."""
        used = {stream.inbox for stream in self.index.streams if stream.invoked_upto}
        return [self.index.inboxes[i] for i in sorted(used) if not self.drained[i]]

    def not_drained(self) -> str:
        """Return why absence proves nothing, "" if it does."""
        if not self.undrained_names:
            return ""
        if self.run.trouble:
            code, reason = self.run.trouble[0]
            return f"{code}: {reason}"
        names = ", ".join(self.undrained_names[:3])
        more = len(self.undrained_names) - 3
        behind = f" and {more} more" if more > 0 else ""
        return f"not read to a confirmed end: {names}{behind}"
