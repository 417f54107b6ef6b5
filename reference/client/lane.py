"""One inbox of a sender: its batches in order of n, and how far each of them has come."""

from __future__ import annotations

from collections import deque

from reference.client.recut import recut
from reference.wire.messages import Segment


class Parcel:
    """A batch in the outbox.

    `attempts` counts how often it was handed to an edge, `open_attempts` how many of these were
    never answered: while it is not 0 the batch may be stored, or come to be.
    """

    __slots__ = ("attempts", "open_attempts", "segment", "sent_ns")

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.attempts = 0
        self.open_attempts = 0
        self.sent_ns = 0


class Lane:
    """The outbox of one inbox.

    `waiting` holds what is to be sent (again), `flying` what was sent on the present connection
    and not answered. Everything in `flying` precedes everything in `waiting`, both in order of n.
    `acked` is the n below which everything is acknowledged, `sent_end` the n below which
    everything was ever handed to an edge, `n_next` the n that the next submitted batch begins at.
    """

    __slots__ = (
        "acked", "blocked_until_ns", "dead", "flying", "inbox", "n_next", "registered", "retry_ms",
        "sent_end", "timeout_ms", "turn", "waiting",
    )  # fmt: skip

    def __init__(self, inbox: str, n_first: int, retry_ms: int, timeout_ms: int) -> None:
        self.inbox = inbox
        self.n_next = n_first
        self.acked = n_first
        self.sent_end = n_first
        self.waiting: deque[Parcel] = deque()
        self.flying: deque[Parcel] = deque()
        self.registered = False
        self.dead = False
        self.turn = False
        self.blocked_until_ns = 0
        self.retry_ms = retry_ms
        self.timeout_ms = timeout_ms

    def rewind(self, n: int) -> int:
        """Take back every flying batch that ends behind `n`; return their bytes.

        They go to the front of `waiting`, so that what is oldest is sent again first.
        """
        taken_bytes = 0
        while self.flying and self.flying[-1].segment.n_end > n:
            parcel = self.flying.pop()
            self.waiting.appendleft(parcel)
            taken_bytes += parcel.segment.size_bytes
        return taken_bytes

    def recut(self, count_max: int) -> int:
        """Cut what waits to be sent again into batches of at most `count_max`, over all boundaries.

        A new batch counts as often attempted, and as often unanswered, as any that it touches: more
        may be stored of it than is known, never less. Returns how many batches there are more.
        """
        old: list[Parcel] = []
        while self.waiting and self.waiting[0].attempts:
            old.append(self.waiting.popleft())
        new: list[Parcel] = []
        for segment in recut([parcel.segment for parcel in old], count_max):
            parcel = Parcel(segment)
            touched = [
                one
                for one in old
                if one.segment.n_first < segment.n_end and segment.n_first < one.segment.n_end
            ]
            parcel.attempts = max(one.attempts for one in touched)
            parcel.open_attempts = max(one.open_attempts for one in touched)
            new.append(parcel)
        self.waiting.extendleft(reversed(new))
        return len(new) - len(old)

    def settle(self, n_end: int) -> tuple[int, int, int, int]:
        """Forget every batch that ends at or below `n_end`.

        Returns:
            How many batches went, their bytes, how many of the bytes were flying, and the largest
            number of attempts among the batches that touch the range.
        """
        count = bytes_all = bytes_flying = attempts = 0
        for queue in (self.flying, self.waiting):
            while queue and queue[0].segment.n_end <= n_end:
                parcel = queue.popleft()
                count += 1
                bytes_all += parcel.segment.size_bytes
                if queue is self.flying:
                    bytes_flying += parcel.segment.size_bytes
                attempts = max(attempts, parcel.attempts)
            if queue and queue[0].segment.n_first < n_end:
                attempts = max(attempts, queue[0].attempts)
        self.acked = max(self.acked, n_end)
        return count, bytes_all, bytes_flying, attempts

    def answer(self, n_first: int, n_end: int) -> bool:
        """Note that an attempt of the range was answered; return whether it was flying."""
        flying = False
        for queue in (self.flying, self.waiting):
            for parcel in queue:
                if parcel.segment.n_first >= n_end:
                    break
                if parcel.segment.n_first >= n_first:
                    parcel.open_attempts = max(0, parcel.open_attempts - 1)
                    flying = flying or queue is self.flying
        return flying
