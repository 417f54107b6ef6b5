"""What a sender has taken and does not know the outcome of yet.

Brokers answer message by message (or batch by batch); the harness wants ranges. Answers that
follow one another become one outcome, told when the range cannot grow any more or when `flush` is
called.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.systems.port import Batch, OutboxFull, Outcome

OUTBOX_BYTES_MAX = 4 * 1024 * 1024
"""What one sender keeps unanswered; a single larger batch is taken alone."""


@dataclass(slots=True, kw_only=True)
class _Entry:
    """A batch; `answered` holds the indices behind the first unanswered one that are answered."""

    batch: Batch
    first: int = 0
    answered: set[int] = field(default_factory=set)
    attempts: int = 0
    sent: bool = False

    @property
    def size_bytes(self) -> int:
        return len(self.batch.lengths) + len(self.batch.body)

    def settle(self, index: int) -> bool:
        """Note an answer; return whether it was news."""
        if not self.first <= index < self.batch.count or index in self.answered:
            return False
        self.answered.add(index)
        while self.first in self.answered:
            self.answered.remove(self.first)
            self.first += 1
        return True

    def open_ranges(self) -> list[tuple[int, int]]:
        """Return (first index, count) of what is unanswered."""
        ranges: list[tuple[int, int]] = []
        begin = self.first
        for index in (*sorted(self.answered), self.batch.count):
            if index > begin:
                ranges.append((begin, index - begin))
            begin = index + 1
        return ranges


@dataclass(slots=True, kw_only=True)
class _Range:
    """Answers of one batch that follow one another and were not told yet."""

    batch: Batch
    attempts: int
    n_first: int
    count: int
    outcome: str
    pos_first: int
    error: str

    def takes(self, one: _Range) -> bool:
        """Append a range that continues this one; return whether it does."""
        pos_next = -1 if self.pos_first < 0 else self.pos_first + self.count
        same = (one.batch, one.attempts, one.outcome, one.error) == (
            self.batch, self.attempts, self.outcome, self.error,
        )  # fmt: skip
        if same and (one.n_first, one.pos_first) == (self.n_first + self.count, pos_next):
            self.count += one.count
            return True
        return False


class Outbox:
    """Batches of one producer in the order in which they were taken.

    Args:
        outcomes: Told what became of ranges.
        wake: Called when an answer wants a `flush` soon.
        reach: Where it counts the rare states that it reaches.
    """

    def __init__(
        self,
        outcomes: Callable[[Outcome], None],
        wake: Callable[[], object],
        reach: Counter[str] | None = None,
    ) -> None:
        self._outcomes = outcomes
        self._wake = wake
        self._reach: Counter[str] = Counter() if reach is None else reach
        self._entries: dict[tuple[str, int], _Entry] = {}
        self._firsts: dict[str, list[int]] = {}
        self._bytes = 0
        self._in_flight = 0
        self._range: _Range | None = None

    @property
    def in_flight(self) -> int:
        """Messages that were handed over on the present connection and are not answered."""
        return self._in_flight

    def take(self, batch: Batch) -> None:
        """Take a batch.

        Raises:
            OutboxFull: There is no room.
        """
        entry = _Entry(batch=batch)
        if self._entries and self._bytes + entry.size_bytes > OUTBOX_BYTES_MAX:
            self._reach["broker.outbox_full"] += 1
            raise OutboxFull
        self._entries[batch.inbox, batch.n_first] = entry
        insort(self._firsts.setdefault(batch.inbox, []), batch.n_first)
        self._bytes += entry.size_bytes

    def rewind(self) -> None:
        """Begin anew on a fresh connection: everything unanswered is unsent."""
        if self._in_flight:
            self._reach["broker.reconnected_amid_batches"] += 1
        self._in_flight = 0
        for entry in self._entries.values():
            entry.sent = False

    def next_unsent(self) -> tuple[Batch, int] | None:
        """Return the oldest batch that was not handed over, and the index to begin at."""
        for entry in self._entries.values():
            if not entry.sent:
                entry.sent = True
                entry.attempts += 1
                if entry.attempts > 1:
                    self._reach["broker.resent"] += 1
                    if entry.first:
                        self._reach["broker.resent_in_part"] += 1
                self._in_flight += entry.batch.count - entry.first
                return entry.batch, entry.first
        return None

    def answer(
        self,
        inbox: str,
        n_first: int,
        count: int,
        *,
        pos_first: int = -1,
        error: str = "",
        definite: bool = True,
        attempts: int = 0,
    ) -> None:
        """Note what became of messages: stored (`pos_first` -1: known before), or not (`error`).

        A `definite` error is a refusal for good; after another one nobody will ever know. Answers
        for what is answered are ignored. `attempts` is what a client library says that sends again
        by itself; 0: as often as the batch was handed over.
        """
        if error:
            self._reach["broker.refused" if definite else "broker.left_unknown"] += 1
        elif pos_first < 0:
            self._reach["broker.answered_as_known"] += 1
        for offset in range(count):
            n = n_first + offset
            firsts = self._firsts.get(inbox, [])
            at = bisect_right(firsts, n) - 1
            entry = self._entries.get((inbox, firsts[at])) if at >= 0 else None
            if entry is None or not entry.settle(n - entry.batch.n_first):
                self._reach["broker.answered_twice"] += 1
                continue
            self._in_flight = max(0, self._in_flight - 1)
            # A refused message may have been stored by an attempt whose answer was lost.
            failed = definite and entry.attempts == 1
            word = "ok" if not error else "fail" if failed else "info"
            self._note(
                _Range(
                    batch=entry.batch,
                    attempts=attempts or entry.attempts,
                    n_first=n,
                    count=1,
                    outcome=word,
                    pos_first=pos_first + offset if pos_first >= 0 else -1,
                    error=error,
                )
            )
            if entry.first == entry.batch.count:
                self._forget(entry)

    def _note(self, one: _Range) -> None:
        if self._range is not None and self._range.takes(one):
            return
        self.flush()
        self._range = one
        self._wake()

    def _forget(self, entry: _Entry) -> None:
        batch = entry.batch
        del self._entries[batch.inbox, batch.n_first]
        self._firsts[batch.inbox].remove(batch.n_first)
        self._bytes -= entry.size_bytes

    def flush(self) -> None:
        """Tell what was answered and not told yet."""
        run, self._range = self._range, None
        if run is not None:
            self._tell(run.batch, run.attempts, run.n_first, run.count, run.outcome,
                       run.pos_first, run.error)  # fmt: skip

    def close(self) -> None:
        """Report what is unanswered: "fail" if it was never handed over, else "info"."""
        self.flush()
        for entry in list(self._entries.values()):
            self._forget(entry)
            for index, count in entry.open_ranges():
                self._tell(entry.batch, entry.attempts, entry.batch.n_first + index, count,
                           "info" if entry.attempts else "fail", -1,
                           "unanswered at the end")  # fmt: skip

    def _tell(
        self, batch: Batch, attempts: int, n_first: int, count: int, outcome: str, pos: int,
        error: str,
    ) -> None:  # fmt: skip
        self._outcomes(
            Outcome(
                inbox=batch.inbox,
                producer=batch.producer,
                n_first=n_first,
                count=count,
                outcome=outcome,
                pos_first=pos,
                attempts=attempts,
                error=error,
            )
        )
