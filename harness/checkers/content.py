"""A5: does every delivered message hold what was sent?

The digest of each delivered range is compared with the one computed anew from the run's seed, so
nothing was stored that could have been damaged with the message. Costs making every message again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.checkers.check import WITNESSES_MAX, Clue, Found, Reach, check
from harness.checkers.facts import Facts
from harness.checkers.index import Index
from harness.checkers.run_facts import RunFacts
from harness.history.records import Delivered, DeliveredRun

TOGETHER_MIN = 8
"""A delivery of so many runs is compared at once where it can be."""


@check("A5", "CORRUPT", "delivered with another content than was sent", reach=Reach.ONCE)
class Corrupt:
    """digest(dlv) != digest(inv). A range that differs counts with all its messages.

    Receivers cut a range so that a wrong message stands alone. What was never sent has no content
    to compare with; A3 finds it.
    """

    sees = (Delivered,)

    def __init__(self) -> None:
        self._examined = 0
        self._instances = 0
        self._clues: list[Clue] = []

    def see(self, record: Delivered, index: Index, run: RunFacts) -> None:
        """Compare each run of a delivery."""
        expected = run.expected_digest
        if expected is None:
            return
        parts = record.runs
        if run.expected_digests is not None and len(parts) >= TOGETHER_MIN:
            parts = self._see_singles(record, index, run.expected_digests)
        for part in parts:
            if not self._was_sent(record, part, index):
                continue
            self._examined += part.count
            if part.digest != expected(part.producer, record.inbox, part.n_first, part.count):
                self._note(record, part)

    def _see_singles(
        self,
        record: Delivered,
        index: Index,
        expected: Callable[[str, Sequence[int], Sequence[int]], list[int]],
    ) -> tuple[DeliveredRun, ...]:
        """Compare the runs of one message, many at once, and return the others."""
        singles = [
            part for part in record.runs if part.count == 1 and self._was_sent(record, part, index)
        ]
        self._examined += len(singles)
        digests = expected(
            record.inbox, [part.producer for part in singles], [part.n_first for part in singles]
        )
        for part, digest in zip(singles, digests, strict=True):
            if part.digest != digest:
                self._note(record, part)
        return tuple(part for part in record.runs if part.count != 1)

    @staticmethod
    def _was_sent(record: Delivered, part: DeliveredRun, index: Index) -> bool:
        stream = index.find_stream(part.producer, record.inbox)
        return stream is not None and part.n_first + part.count <= stream.invoked_upto

    def finish(self, facts: Facts) -> Found:
        """Return what differed."""
        reason = ""
        if facts.run.expected_digest is None:
            reason = "it is not known what was sent"
        elif not self._examined:
            reason = "nothing that was sent was delivered"
        return Found(
            examined=self._examined,
            instances=self._instances,
            clues=self._clues,
            unknown=reason,
        )

    def _note(self, record: Delivered, part: DeliveredRun) -> None:
        self._instances += part.count
        if len(self._clues) == WITNESSES_MAX:
            return
        which = (
            f"message {part.n_first}"
            if part.count == 1
            else f"messages {part.n_first} to {part.n_first + part.count - 1}"
        )
        self._clues.append(
            Clue(
                summary=(
                    f"{record.reader} delivered {which} of producer {part.producer} to "
                    f"{record.inbox} with another content than was sent"
                ),
                inbox=record.inbox,
                producer=part.producer,
                n=part.n_first,
                record=record,
            )
        )
