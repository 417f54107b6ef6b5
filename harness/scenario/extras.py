"""Extras: a few senders that a seed draws beside those of a plan. Plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """Somebody who goes back and forth, cut each time without a word.

    Attributes:
        between: Edges, in turn.
        every_s: Seconds from one move to the next.
    """

    between: tuple[str, ...]
    every_s: float


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
        moves: How they move; None: they stay where they are.
    """

    kind: str
    to: tuple[str, ...]
    producers: tuple[int, ...]
    batches: tuple[int, ...]
    churns: bool = True
    leaves: bool = False
    moves: Moves | None = None

    @property
    def messages(self) -> int:
        """How many messages all of them send."""
        return len(self.producers) * sum(self.batches)
