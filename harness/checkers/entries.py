"""What the index keeps one of: a stream, a login, an inspection, something odd that was seen."""

from __future__ import annotations

from dataclasses import dataclass

from harness.checkers.intervals import KEY_BITS, GrowingSet
from harness.history.records import Opened, Record


class Stream:
    """The messages of one producer to one inbox.

    `invoked_upto`: ids below it were handed over, by load process `process`; -1 before any was.
    """

    __slots__ = ("base", "delivered", "inbox", "index", "invoked_upto", "process", "producer")

    def __init__(self, index: int, producer: int, inbox: int) -> None:
        self.index = index
        self.producer = producer
        self.inbox = inbox
        self.base = index << KEY_BITS
        self.invoked_upto = 0
        self.process = -1
        self.delivered = GrowingSet()

    @property
    def delivered_first(self) -> int:
        """Key delivered first of all by its n, 0 if none was: then nothing is a prefix."""
        return self.base | self.delivered.begins[0] if self.delivered.begins else 0

    @property
    def delivered_end(self) -> int:
        """Key behind the highest that was delivered, 0 if none was."""
        return self.base | self.delivered.ends[-1] if self.delivered.ends else 0


@dataclass(slots=True)
class Visits:
    """When a sender or receiver first connected, and how often it came back."""

    first_ns: int
    reconnects: int = 0


class Session:
    """One login of a consumer and what it delivered.

    Attributes:
        is_first: No session of the inbox came before it, not even one that was not recorded.
        marks_are_void: It marked a position as redelivered that cannot have been sent before; so
            its marks excuse nothing.
        marked: Positions that it delivered with a mark when it had not delivered them before.
        sendable_upto: No position from here on was given out when it was opened, so none of them
            was sent to an earlier session; -1 while that is not known.
        opened: Its `Opened`, once that is known: deliveries may be recorded before.
        first_pos: Position delivered first, -1 for none.
        top_pos: Highest position delivered so far.
        delivered: Positions delivered.
        jumps: Stretches [first, end) of positions that it jumped over.
        count: Delivered messages, repetitions counted.
    """

    __slots__ = (
        "count", "delivered", "first_pos", "inbox", "is_first", "jumps", "marked", "marks_are_void",
        "number", "opened", "reader", "sendable_upto", "top_pos",
    )  # fmt: skip

    def __init__(self, reader: int, inbox: int, number: int, *, is_first: bool) -> None:
        self.reader = reader
        self.inbox = inbox
        self.number = number
        self.is_first = is_first
        self.marks_are_void = False
        self.marked = GrowingSet()
        self.sendable_upto = -1
        self.opened: Opened | None = None
        self.first_pos = -1
        self.top_pos = -1
        self.delivered = GrowingSet()
        self.jumps: list[tuple[int, int]] = []
        self.count = 0


class Snapshot:
    """One inspection of an inbox.

    Attributes:
        inbox: Whose.
        asked_ns: Before its first row was read; -1 where that is not known. When a row was recorded
            says nothing of that: the row may have been read long before.
        ended_ns: When its end was recorded; -1 of one that was cut off.
        messages: How many it found.
        lowest: Lowest position of each epoch.
        bucket_counts: Bucket count that the first row of each epoch named.
    """

    __slots__ = ("asked_ns", "bucket_counts", "ended_ns", "inbox", "lowest", "messages")

    def __init__(self, inbox: int) -> None:
        self.inbox = inbox
        self.asked_ns = -1
        self.ended_ns = -1
        self.messages = 0
        self.lowest: dict[int, int] = {}
        self.bucket_counts: dict[int, int] = {}

    @property
    def complete(self) -> bool:
        """Whether it reached its end."""
        return self.ended_ns >= 0


class Oddity:
    """Something decided while the records passed: how often, and its first records."""

    __slots__ = ("count", "records")

    KEPT_MAX = 32

    def __init__(self) -> None:
        self.count = 0
        self.records: list[Record] = []

    def add(self, count: int, record: Record) -> None:
        """Count instances, all shown by `record`."""
        self.count += count
        if len(self.records) < self.KEPT_MAX:
            self.records.append(record)
