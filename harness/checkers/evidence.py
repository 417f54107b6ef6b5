"""Finding the records that prove an anomaly, in a second walk over the history.

The first walk keeps no records, so that its memory stays small; only if something was found is the
history read again, for what concerns the messages and positions of the clues.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import msgspec

from harness.checkers.check import Clue
from harness.history.records import (
    AckCompleted,
    Completed,
    Delivered,
    DeliveredRun,
    EndRead,
    Invoked,
    Opened,
    Record,
    Stored,
)
from harness.report.result import Witness
from harness.report.witness import message_name, place_name, plain_delivery, plain_record

RECORDS_MAX = 8
"""Records shown per witness."""

Placed: TypeAlias = tuple[str, Record]


class _Search:
    """One clue and what was found for it."""

    __slots__ = ("clue", "messages", "places", "records")

    def __init__(self, clue: Clue) -> None:
        self.clue = clue
        own = ((clue.producer, clue.n),) if clue.producer >= 0 else ()
        self.messages = (*own, *clue.others)
        self.places: list[str] = []
        self.records: list[Record] = []

    def wants(self, record: Record) -> bool:
        clue = self.clue
        match record:
            case Completed() if not self.messages:
                return 0 <= record.pos_first <= clue.pos < record.pos_first + record.count
            case Invoked() | Completed():
                return self._is_about(record)
            case Delivered():
                return self._wants_delivery(record)
            case Opened() | AckCompleted() | EndRead():
                return clue.record == record
            case Stored():
                return False
            case _:
                return clue.record == record

    def _is_about(self, run: Invoked | Completed | DeliveredRun) -> bool:
        return any(
            producer == run.producer and run.n_first <= n < run.n_first + run.count
            for producer, n in self.messages
        )

    def _wants_delivery(self, record: Delivered) -> bool:
        clue = self.clue
        if clue.record == record:
            return True
        if not self.messages:
            # What was skipped lies in no delivery: its neighbours show the gap.
            count = sum(run.count for run in record.runs)
            return clue.pos >= 0 and record.pos_first - 1 <= clue.pos <= record.pos_first + count
        return any(map(self._is_about, record.runs))

    def shown(self) -> list[dict[str, Any]]:
        """Return the records as a witness shows them, of long deliveries only what is wanted."""
        found = []
        for record in self.records:
            if isinstance(record, Delivered) and self.messages and record != self.clue.record:
                found.append(plain_delivery(record, self._is_about))
            else:
                found.append(plain_record(record))
        return found


def find_evidence(clues: Sequence[Sequence[Clue]], placed: Iterable[Placed]) -> list[list[Witness]]:
    """Return a witness for each clue of each list, with the records that concern it.

    Args:
        clues: Lists of clues.
        placed: The history again, each record with its place, by time.
    """
    searches = [[_Search(clue) for clue in row] for row in clues]
    by_inbox: dict[str, list[_Search]] = defaultdict(list)
    for row in searches:
        for search in row:
            name = search.clue.inbox or getattr(search.clue.record, "inbox", "")
            by_inbox[name].append(search)
    for place, record in placed:
        about = str(getattr(record, "inbox", "") or getattr(record, "user", ""))
        for search in by_inbox.get(about, ()):
            if len(search.records) < RECORDS_MAX and search.wants(record):
                search.records.append(record)
                search.places.append(place)
    return [[_witness(search) for search in row] for row in searches]


def witness_of(clue: Clue) -> Witness:
    """Return the witness of a clue before its records are looked up."""
    message = ""
    if clue.producer >= 0:
        message = message_name(clue.producer, clue.inbox, clue.n)
    elif clue.pos >= 0:
        message = place_name(clue.inbox, clue.pos)
    return Witness(summary=clue.summary, message=message)


def _witness(search: _Search) -> Witness:
    first = search.places[0] if search.places else ""
    return msgspec.structs.replace(
        witness_of(search.clue),
        records=search.shown(),
        history_ref=f"history/{first}" if first else "",
    )
