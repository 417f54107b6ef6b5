"""Random schedules, drawn from the run's seed before the run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fnmatch import fnmatchcase

from harness.definitions import check_type, refuse
from harness.faults.fault import LINK, TOXIPROXY, Fault, takes_target
from harness.faults.schedule import PLANNED_MAX, Planned, at, in_order


def random_mix(
    rng: random.Random,
    choices: Sequence[tuple[Fault, str]],
    *,
    count: int,
    begin_s: float,
    end_s: float,
) -> tuple[Planned, ...]:
    """Draw `count` faults from `choices`, at times spread evenly at random over a span.

    Each choice is a fault and its target. Neither do two faults of one kind overlap on a target,
    nor two that end or stop the same process, nor two that pause, cut or reset the same link, nor
    anything on a link a pause of Toxiproxy: a draw that would is moved to another time, and left
    out if none fits.

    Raises:
        DefinitionError: An argument is of a wrong type, there is nothing to choose from, the span
            is empty, or the count negative or beyond `PLANNED_MAX`.
    """
    check_type(rng, random.Random, "random_mix: rng")
    check_type(count, int, "random_mix: count")
    for name, value in (("begin_s", begin_s), ("end_s", end_s)):
        check_type(value, float, f"random_mix: {name}")
    choices = check_type(choices, tuple[tuple[Fault, str], ...], "random_mix: choices")
    if not choices or not begin_s < end_s or count < 0:
        raise refuse("a random mix needs faults to choose from, a span of time and a count")
    if count > PLANNED_MAX:
        raise refuse(f"random_mix: count={count}: {PLANNED_MAX} at most")
    planned: list[Planned] = []
    for _ in range(count):
        fault, on = choices[rng.randrange(len(choices))]
        for _ in range(_TRIES):
            drawn = at(rng.uniform(begin_s, end_s), fault, on=on)
            if not any(_overlap(drawn, other) for other in planned):
                planned.append(drawn)
                break
    return in_order(planned)


_TRIES = 20
"""Times that are drawn for one fault before it is left out of a full span."""

_APART_S = 0.25
"""Least time between the healing of a fault and the next that may not overlap with it."""


def _overlap(one: Planned, other: Planned) -> bool:
    if not _in_the_way(one, other):
        return False
    first, second = sorted((one, other), key=lambda item: item.at_s)
    return second.at_s < first.at_s + first.fault.duration_s + _APART_S


def _in_the_way(one: Planned, other: Planned) -> bool:
    links = [item.fault.aims_at == LINK for item in (one, other)]
    if TOXIPROXY in (one.on, other.on):
        return any(links) or one.on == other.on
    same = fnmatchcase(one.on, other.on) or fnmatchcase(other.on, one.on)
    taken = takes_target(one.fault) and takes_target(other.fault)
    return same and (one.fault.kind == other.fault.kind or taken or not any(links))
