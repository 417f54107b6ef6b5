"""What a seed draws beside a plan: a workload that varies by default. Pure.

A scenario that always sends messages of 100 bytes in batches of 50 never meets what lies beyond. So
a seed adds what is rare: sizes from 0 bytes to the largest that the system takes, batches near
their limit, names of inboxes that are easily mixed up, more buckets than 256, one sender to several
inboxes, more than 65,536 messages of one sender, hundreds of senders of one message each.

What a plan states is never changed. Rare things are *extras*: a few senders more, to inboxes of
their own, for a small share of the load. Only where a plan leaves the sizes of messages open, or
says that they may vary, one message in hundreds of its own streams gets a rare size as well. What a
plan requires is raised by what the extras send, so it is not met by them.

The draw is a function of the seed, the plan and what the system takes, so the same seed draws the
same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from harness.load.groups import extra_name, reader_name
from harness.scenario.extras import Extra
from harness.scenario.phases import DEVICE, Load, Login, Phase, Promote, SendExtras
from harness.scenario.scenario import PayloadSpec, Plan

SECOND_DEVICE = "tablet"
"""Another receiver of an extra's inbox than the one that reads it to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One thing that a seed drew.

    Attributes:
        what: In words.
        values: What was drawn.
        unit: "bytes", "messages", …; "" where the values speak for themselves.
    """

    what: str
    values: tuple[int | str, ...]
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variety:
    """What a seed drew for a plan.

    Attributes:
        extras: Senders beside the plan's, each with the number of the phase that they belong to.
        own: What the plan's own messages are like with rare sizes; None: as the plan says.
        payloads: What messages to the extras' inboxes are like.
        promotions: Bucket counts of the extras' inboxes, set before anything is sent.
        logins: Receivers that read the extras' inboxes from the start on.
        recut_count: How large the batches are in which some senders send again; 0: as at first.
        told: All of it in words.
    """

    extras: tuple[tuple[int, Extra], ...] = ()
    own: PayloadSpec | None = None
    payloads: Mapping[str, PayloadSpec] = field(default_factory=dict)
    promotions: tuple[Promote, ...] = ()
    logins: tuple[Login, ...] = ()
    recut_count: int = 0
    told: tuple[Drawn, ...] = ()


def vary(plan: Plan, variety: Variety) -> Plan:
    """Return a plan with what was drawn for it."""
    if not variety.extras:
        return plan
    phases: list[Phase] = []
    for index, phase in enumerate(plan.phases):
        here = tuple(extra for place, extra in variety.extras if place == index)
        if index == variety.extras[0][0]:
            phases += variety.logins
        if here and isinstance(phase, Load) and not phase.label:
            phases.append(replace(phase, extras=here))
        else:
            phases += [SendExtras(extras=here), phase] if here else [phase]
    messages = sum(extra.messages for _, extra in variety.extras)
    requires = plan.requires
    return replace(
        plan,
        phases=(*variety.promotions, *phases),
        payload=variety.own or plan.payload,
        payloads=variety.payloads,
        recut_count=variety.recut_count,
        extra_actors=_actors(variety),
        requires=replace(
            requires,
            sends_ok=requires.sends_ok + messages,
            delivered=requires.delivered + messages,
            resizes=requires.resizes + (len(variety.promotions) if requires.resizes else 0),
        ),
    )


def _actors(variety: Variety) -> tuple[str, ...]:
    """Return the names of all senders and receivers that were drawn."""
    senders = sum(len(extra.producers) for _, extra in variety.extras)
    inboxes = dict.fromkeys(inbox for _, extra in variety.extras for inbox in extra.to)
    return (
        *map(extra_name, range(senders)),
        *(reader_name(inbox, device) for device in (DEVICE, SECOND_DEVICE) for inbox in inboxes),
    )
