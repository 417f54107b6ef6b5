"""Extras: a few senders that a seed draws beside those of a plan. Plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """Senders of one kind, for one phase; `harness.load.variety` draws them.

    Attributes:
        kind: What is rare about them, in one word.
        to: Inboxes; each sender writes to all of them in turn, batch by batch.
        producers: Their ids, one per sender.
        batches: How many messages each batch of a sender holds, in order.
        churns: They are cut as the phase's own senders are.
        leaves: Each of them goes when all that it sent is answered.
    """

    kind: str
    to: tuple[str, ...]
    producers: tuple[int, ...]
    batches: tuple[int, ...]
    churns: bool = True
    leaves: bool = False

    @property
    def messages(self) -> int:
        """How many messages all of them send."""
        return len(self.producers) * sum(self.batches)
