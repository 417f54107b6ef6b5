"""An edge that cuts what it sends again otherwise than its client did.

Protocol and core allow it: only the numbers of messages count, not the batches that they came in.
`harness.testing.launch --recut` starts such an edge, so that a core can be tried with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from reference.core.producers import cut
from reference.edge.buffer import ResendBuffer
from reference.wire.messages import Segment

_link_lost = ResendBuffer.link_lost


def link_lost_and_recut(self: ResendBuffer) -> None:
    """Let everything that was sent wait again, each batch in two."""
    sent = {id(entry) for lane in self._sent.values() for entry in lane.entries}
    _link_lost(self)
    waiting, self._waiting = self._waiting, deque()
    for entry in waiting:
        if entry.dropped:
            continue
        self._forget(entry, sent=False)
        for piece in _halves(entry.segment) if id(entry) in sent else (entry.segment,):
            self.add(piece, entry.holding)


def _halves(segment: Segment) -> Iterator[Segment]:
    middle = segment.count // 2
    for start, stop in ((0, middle), (middle, segment.count)):
        if start < stop:
            lengths, body = cut(segment, start, stop)
            n_first, count = segment.n_first + start, stop - start
            yield replace(segment, n_first=n_first, count=count, lengths=lengths, body=body)


def recut() -> None:
    """Let the edges of this process do so from now on."""
    setattr(ResendBuffer, "link_lost", link_lost_and_recut)  # noqa: B010 - a method to mypy
