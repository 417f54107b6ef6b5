"""What a judge knows about a run beside its history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from harness.systems.promises import Promise


class Requirements(Protocol):
    """What must have happened for a run to count; `harness.scenario.scenario.Requires` fits."""

    @property
    def sends_ok(self) -> int:
        """Acknowledged messages."""

    @property
    def delivered(self) -> int:
        """Distinct delivered messages."""

    @property
    def sender_reconnects(self) -> int:
        """Times a sender came back."""

    @property
    def receiver_reconnects(self) -> int:
        """Times a receiver came back."""

    @property
    def sender_reconnects_each(self) -> int:
        """Times that every sender came back."""

    @property
    def receiver_reconnects_each(self) -> int:
        """Times that every receiver came back that was there before the senders were quiet."""

    @property
    def resizes(self) -> int:
        """Confirmed promotions and demotions."""

    @property
    def own_resizes(self) -> int:
        """Changes of bucket counts by the system's own rule."""

    @property
    def fault_effects(self) -> int:
        """Faults with an observed effect."""

    @property
    def resent(self) -> int:
        """Messages that were acknowledged after more than one attempt."""

    @property
    def backlog(self) -> int:
        """Messages that one inbox held at some moment, acknowledged and not yet delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a judge knows about a run beside its history.

    Attributes:
        promises: What the system under test promises.
        requires: What must have happened for the run to count.
        expected_digest: Digest of a range (producer, inbox, n_first, count) as it was sent, e.g.
            `Payloads.expected_digest`; None: content cannot be judged.
        expected_digests: The same of many single messages (inbox, producers, ns); None: they are
            asked for one by one.
        route: Name of the published bucket route, "" for none.
        presence_bound_ns: Within this time after a change presence is right.
        delivery_bound_ns: Within this time after its acknowledgement a message is delivered to a
            reader that waits; 0 where no time is promised.
        planned: The faults of the schedule, as (kind, target), once per target; a pattern where its
            targets were not known before the run.
        promotions: How many promotions and demotions are planned, None where nobody counted.
        churns: Whose churn is planned ("sender", "receiver").
        trouble: Why the drain did not reach its end, as (code, reason); empty if it did.
        torn: The history was cut off: what is not in it may have happened all the same.
        killed: Load processes that were killed: their sends without an outcome are unknown, not
            miscounted.
        senders: What people call each producer, as far as that is known.
        extra_actors: Names of senders and receivers that the seed drew beside the plan; what is
            required of reconnects and resends speaks of the plan's own.
        trims: The store drops what is acknowledged; False under retention `run`.
    """

    promises: frozenset[Promise]
    requires: Requirements
    expected_digest: Callable[[int, str, int, int], int] | None = None
    expected_digests: Callable[[str, Sequence[int], Sequence[int]], list[int]] | None = None
    route: str = ""
    presence_bound_ns: int = 4_000_000_000
    delivery_bound_ns: int = 1_000_000_000
    planned: tuple[tuple[str, str], ...] = ()
    promotions: int | None = None
    churns: frozenset[str] = frozenset()
    trouble: tuple[tuple[str, str], ...] = ()
    torn: bool = False
    killed: frozenset[int] = frozenset()
    trims: bool = False
    senders: Mapping[int, str] = field(default_factory=dict)
    extra_actors: frozenset[str] = frozenset()

    def sender(self, producer: int) -> str:
        """Return who sent, in words: by name, the id in brackets."""
        name = self.senders.get(producer)
        return f"producer {producer}" if name is None else f"{name} (producer {producer})"
