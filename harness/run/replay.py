"""Putting a stored schedule of faults into a plan, and saying how the plan has changed since. Pure.

A seed makes the same plan of the same scenario; a stored schedule is put in all the same, so that a
replay strikes as the run did even where the scenario draws differently now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.errors import UsageError
from harness.faults.registry import from_json
from harness.faults.schedule import Planned
from harness.run.brief import Brief
from harness.scenario.performed import Performed, schedules_in
from harness.scenario.phases import Drain, Load, Phase
from harness.scenario.scenario import Plan

INTERLEAVING = "a replay repeats the schedule of load and faults, not the interleaving"


def schedules_of(brief: Brief) -> tuple[tuple[Planned, ...], ...]:
    """Return the faults that a run had planned, load phase by load phase.

    Raises:
        UsageError: One of them is a fault that is not known here.
    """
    return tuple(from_json(phase) for phase in brief.faults)


def with_schedules(plan: Plan, schedules: Sequence[tuple[Planned, ...]]) -> Plan:
    """Return a fitted plan with these faults in its load phases, instead of its own.

    Raises:
        UsageError: It has another number of load phases, those that own phases perform included.
    """
    loads = len(schedules_in(plan.phases))
    if loads != len(schedules):
        raise UsageError(
            f"the scenario has {loads} load phases now, the stored schedule {len(schedules)}"
        )
    left = iter(schedules)
    return replace(plan, phases=tuple(_with(phase, left) for phase in plan.phases))


def _with(phase: Phase, left: Iterator[tuple[Planned, ...]]) -> Phase:
    if isinstance(phase, Load):
        return replace(phase, faults=next(left))
    if isinstance(phase, Performed):
        fitted = (None if one is None else _with(one, left) for one in phase.fitted)
        return replace(phase, fitted=tuple(fitted))
    return phase


def changes_since(brief: Brief, plan: Plan, source_sha256: str) -> list[str]:
    """Say in sentences what is not as it was when the run with this brief was made.

    `plan` has the stored schedules in it already.
    """
    changes: list[str] = []
    if brief.source_sha256 != source_sha256:
        changes.append("the scenario's source has changed since that run")
    now = [repr(phase) for phase in plan.phases]
    # A plan that does not end with a drain gets one when it is run.
    then = brief.phases if len(brief.phases) == len(now) else brief.phases[:-1]
    if now != then and [*now, repr(Drain())] != brief.phases:
        changes.append("the scenario plans other phases now; only the faults are those of that run")
    return changes
