"""Producers: which ids of a (producer, inbox) are known, assigned and durable apart.

A producer numbers its messages to an inbox densely, so one number says which ids are known. A
digest of the last range finds a producer id that came back with other content after its outbox was
lost; ids before the last range are taken for what they were.
"""

from __future__ import annotations

import numpy as np
import xxhash

from reference.events import ProducerMark
from reference.wire.messages import Segment


class Lineage:
    """What the core knows of one (producer, inbox).

    `n_assigned` runs ahead of the durable mark while a commit is under way; `group_no` is the
    commit that will make the last assigned ids durable.
    """

    __slots__ = (
        "durable",
        "group_no",
        "inbox",
        "last_digest",
        "last_first",
        "n_assigned",
        "producer",
    )

    def __init__(self, producer: int, inbox: str, durable: ProducerMark | None = None) -> None:
        self.producer = producer
        self.inbox = inbox
        self.durable = durable
        self.group_no = -1
        self.reset()

    def reset(self) -> None:
        """Forget everything that is not durable."""
        durable = self.durable
        self.n_assigned = durable.n_next if durable else 0
        self.last_first = durable.last_first if durable else 0
        self.last_digest = durable.last_digest if durable else 0

    @property
    def n_durable(self) -> int:
        """How many ids are durable."""
        return self.durable.n_next if self.durable else 0

    def assign(self, segment: Segment, skip: int, group_no: int) -> None:
        """Take the ids of a segment behind its first `skip`."""
        self.n_assigned = segment.n_end
        self.last_first = segment.n_first + skip
        self.last_digest = digest(*cut(segment, skip, segment.count))
        self.group_no = group_no

    def mark(self) -> ProducerMark:
        """Return what is to be made durable."""
        return ProducerMark(
            producer=self.producer,
            inbox=self.inbox,
            n_next=self.n_assigned,
            last_first=self.last_first,
            last_digest=self.last_digest,
        )

    def contradicts(self, segment: Segment) -> bool:
        """Tell whether a segment that covers the whole last range holds other content there."""
        if segment.n_first > self.last_first or segment.n_end < self.n_assigned:
            return False
        skip = self.last_first - segment.n_first
        stop = self.n_assigned - segment.n_first
        return stop > skip and digest(*cut(segment, skip, stop)) != self.last_digest


def cut(segment: Segment, start: int, stop: int) -> tuple[bytes, bytes]:
    """Return the lengths and the body of the messages start … stop - 1 of a segment."""
    if start == 0 and stop == segment.count:
        return segment.lengths, segment.body
    lengths = np.frombuffer(segment.lengths, dtype="<u4")
    begin = int(lengths[:start].sum(dtype=np.int64))
    size = int(lengths[start:stop].sum(dtype=np.int64))
    return segment.lengths[4 * start : 4 * stop], segment.body[begin : begin + size]


def digest(lengths: bytes, body: bytes) -> int:
    """Return the content digest of a range: xxh3_64 of its lengths, then its bodies."""
    state = xxhash.xxh3_64(lengths)
    state.update(body)
    return state.intdigest()
