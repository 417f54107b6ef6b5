"""The phases that phases of one's own perform: declared, and so a part of the plan. Pure.

Whoever looks for what a plan contains (its loads, faults, promotions) walks it with `phases_of`; a
walk over `Plan.phases` alone misses what an own phase performs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.errors import UsageError
from harness.faults.schedule import Planned
from harness.scenario.phases import Hands, Load, OwnPhase, Phase, Promote


@dataclass(frozen=True, slots=True, kw_only=True)
class Performed:
    """An own phase with what it performs, as that applies to a system.

    Attributes:
        own: The phase as its author made it.
        declared: What it says it performs.
        fitted: The same phases, in the same order, as they apply; None where one is left out.
    """

    own: OwnPhase
    declared: tuple[Phase, ...]
    fitted: tuple[Phase | None, ...]

    @property
    def name(self) -> str:
        """The name of the own phase."""
        return self.own.name

    async def carry_out(self, hands: Hands) -> None:
        """Carry out the own phase; so this is one as well."""
        await self.own.carry_out(hands)

    def as_it_applies(self, asked: Phase) -> tuple[bool, Phase | None]:
        """Return whether a phase is declared, and what of it applies, None if it is left out."""
        for declared, fitted in zip(self.declared, self.fitted, strict=True):
            if declared == asked:
                return True, fitted
        return False, None


def declared_by(phase: object) -> tuple[Phase, ...]:
    """Return what an own phase says it performs; nothing of any other phase.

    Raises:
        UsageError: It says it in something else than a tuple.
    """
    performs = getattr(phase, "performs", ())
    if not isinstance(performs, tuple):
        kind = type(phase).__name__
        raise UsageError(f"{kind}.performs is {performs!r}: a tuple of the phases it performs")
    return performs


def phases_of(phases: Iterable[Phase]) -> Iterator[Phase]:
    """Yield every phase of a plan, each own one followed by those that it performs."""
    for phase in phases:
        if isinstance(phase, Performed):
            yield phase.own
            yield from phases_of(one for one in phase.fitted if one is not None)
        else:
            yield phase
            yield from phases_of(declared_by(phase))


def schedules_in(phases: Iterable[Phase]) -> list[tuple[Planned, ...]]:
    """Return the faults of every load, in the order of `phases_of`."""
    return [phase.faults for phase in phases_of(phases) if isinstance(phase, Load)]


def promotions_in(phases: Iterable[Phase]) -> int:
    """Return how many promotions and demotions are planned, those during loads included."""
    return sum(
        isinstance(phase, Promote)
        or (isinstance(phase, Load) and sum(isinstance(one, Promote) for _, one in phase.during))
        for phase in phases_of(phases)
    )


def churns_in(phases: Iterable[Phase]) -> list[str]:
    """Return whose churn is planned: "sender", "receiver", both or nobody's."""
    churns = [phase.churn for phase in phases_of(phases) if isinstance(phase, Load)]
    senders = any(churn.sender_up_s for churn in churns)
    receivers = any(churn.receiver_up_s for churn in churns)
    return [*(["sender"] if senders else []), *(["receiver"] if receivers else [])]


def must_be_declared(phase: Phase) -> str:
    """Return why an own phase has to declare that it performs a phase; "" if it need not.

    What would not happen, or would go unnoticed, if the plan did not know of it: faults are looked
    for in links that were opened for them, and D5 counts what is planned. A kill or an inspection
    stands in the journal or the history by itself.
    """
    match phase:
        case Load() if phase.faults or phase.during or phase.presence_every_s:
            return "a load with faults, promotions, storms or questions for presence"
        case Promote():
            return "a promotion"
        case _ if declared_by(phase):
            return "a phase that performs others"
        case _:
            return ""
