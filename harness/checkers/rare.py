"""Which rare states a run reached, as its history tells: those that were counted, and those seen.

Nodes and load processes count the states that only they know of and write the counts down once a
second (`GaugeSeen`, named "reach.NAME"). The states named "run.…" show in the history itself, and
are found here. Both are lower bounds: a process that is killed takes along what it counted since it
last told, and one that was started again counts from 0.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, Final

from harness.checkers.index import Index
from harness.history.records import (
    INFO,
    OK,
    PRESENCE_UNANSWERED,
    Closed,
    Completed,
    Connected,
    Delivered,
    EndRead,
    GaugeSeen,
    Opened,
    PhaseMarked,
    ResizeCompleted,
)
from harness.report.result import Counts

GAUGE_PREFIX: Final = "reach."
"""How the gauges are named that count rare states."""

MANY_MESSAGES: Final = 1 << 16
"""So many messages of one producer to one inbox are many: what is kept of them needs 17 bits."""

MANY_PRODUCERS: Final = 100
"""So many producers of one inbox are many."""

MANY_BUCKETS: Final = 256
"""More buckets than this do not fit a byte."""

POWER_MIN: Final = 31
"""From this power of two on its neighbourhood is where a signed or short number ends."""

POWER_DISTANCE: Final = 16
"""How near to a power of two a producer's number must be."""


class RareStates:
    """Takes the records that tell of rare states; `reached` says how often each was reached."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._told: dict[tuple[str, int, str], int] = {}
        self._edge_of: dict[str, str] = {}
        self._buckets: dict[str, int] = {}
        self._unknown_resizes: set[tuple[str, int]] = set()
        self._is_audited = False

    def seers(self) -> Mapping[type[Any], Callable[[Any], None]]:
        """Return who takes which kind of record."""
        return {
            GaugeSeen: self._counted,
            Completed: self._completed,
            Delivered: self._delivered,
            Opened: self._opened,
            Closed: self._closed,
            Connected: self._connected,
            EndRead: self._end_read,
            ResizeCompleted: self._resized,
            PhaseMarked: self._marked,
        }

    def reached(self, index: Index, counts: Counts) -> dict[str, int]:
        """Return how often each state was reached, by name; none that was not.

        Args:
            index: Of the same records.
            counts: What became of messages, by the same records.
        """
        found = Counter(self._counts)
        found["run.outcome_unknown"] = counts.sends.info
        found["run.unknown_and_stored"] = counts.recovered
        found["run.refused_for_good"] = counts.sends.fail
        _see_names(index.inboxes, found)
        _see_streams(index, found)
        readers: Counter[int] = Counter(
            inbox for reader, inbox in index.readers if not reader.startswith("audit-")
        )
        found["run.inbox_of_several_devices"] = sum(count > 1 for count in readers.values())
        return {name: found[name] for name in sorted(found) if found[name] > 0}

    def _counted(self, record: GaugeSeen) -> None:
        if not record.name.startswith(GAUGE_PREFIX):
            return
        who = (record.role, record.index, record.name)
        before = self._told.get(who, 0)
        gained = record.value - before if record.value >= before else record.value
        self._told[who] = record.value
        self._counts[record.name.removeprefix(GAUGE_PREFIX)] += gained

    def _completed(self, record: Completed) -> None:
        if record.outcome == OK and record.attempts > 1:
            self._counts["run.stored_after_a_resend"] += 1

    def _delivered(self, record: Delivered) -> None:
        if record.redelivered:
            self._counts["run.redelivered"] += 1

    def _opened(self, record: Opened) -> None:
        if record.from_pos == -2 and record.next_pos > 0:
            self._counts["run.login_at_the_cursor"] += 1
        if -1 <= record.from_pos < record.next_pos - 1:
            self._counts["run.login_behind_trimming"] += 1

    def _closed(self, record: Closed) -> None:
        # The auditors of a drain push everybody out: nobody's other device does that.
        if record.cause == "superseded" and not self._is_audited:
            self._counts["run.session_taken_over"] += 1
        elif record.cause == "lost":
            self._counts["run.session_lost"] += 1

    def _connected(self, record: Connected) -> None:
        if record.up:
            who = f"{record.role} {record.name}"
            if self._edge_of.get(who, record.edge) != record.edge:
                self._counts[f"run.{record.role}_moved_to_another_edge"] += 1
            self._edge_of[who] = record.edge

    def _end_read(self, record: EndRead) -> None:
        if record.pos < 0:
            self._counts["run.empty_inbox_read"] += 1

    def _resized(self, record: ResizeCompleted) -> None:
        request = (record.inbox, record.expected_epoch)
        if record.outcome == INFO:
            self._counts["run.promotion_unknown"] += 1
            self._unknown_resizes.add(request)
            return
        if request in self._unknown_resizes:
            # Its epoch was in force after all, or it was not: a crash undid it, or it never came.
            undone = record.outcome == OK
            self._counts["run.promotion_undone" if undone else "run.promotion_found_done"] += 1
            self._unknown_resizes.discard(request)
        if record.outcome == OK:
            if record.bucket_count < self._buckets.get(record.inbox, 1):
                self._counts["run.demoted"] += 1
            if record.bucket_count > MANY_BUCKETS:
                self._counts["run.more_than_256_buckets"] += 1
            self._buckets[record.inbox] = record.bucket_count

    def _marked(self, record: PhaseMarked) -> None:
        if record.name == "audit":
            self._is_audited = True
        elif record.name == PRESENCE_UNANSWERED:
            self._counts["run.presence_unanswered"] += 1


def _see_names(inboxes: Iterable[str], found: Counter[str]) -> None:
    names = sorted(set(inboxes))
    found["run.inbox_in_upper_case"] = sum(name != name.lower() for name in names)
    found["run.inbox_beyond_ascii"] = sum(not name.isascii() for name in names)
    # In order, whatever begins with a name stands right behind it.
    found["run.inbox_is_prefix_of_another"] = sum(
        bool(one) and behind.startswith(one) for one, behind in pairwise(names)
    )


def _see_streams(index: Index, found: Counter[str]) -> None:
    inboxes: dict[int, set[int]] = defaultdict(set)
    producers: Counter[int] = Counter()
    for stream in index.streams:
        if stream.invoked_upto:
            inboxes[stream.producer].add(stream.inbox)
            producers[stream.inbox] += 1
            found["run.producer_of_many_messages"] += stream.invoked_upto > MANY_MESSAGES
    found["run.producer_of_several_inboxes"] = sum(len(some) > 1 for some in inboxes.values())
    found["run.inbox_of_many_producers"] = sum(n >= MANY_PRODUCERS for n in producers.values())
    found["run.producer_near_a_power_of_two"] = sum(map(_is_near_a_power, inboxes))


def _is_near_a_power(number: int) -> bool:
    if not number:
        return False
    powers = (1 << number.bit_length(), 1 << (number.bit_length() - 1))
    return any(p >= 1 << POWER_MIN and abs(p - number) <= POWER_DISTANCE for p in powers)
