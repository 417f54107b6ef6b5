"""What a plan must not be, said before anything is started. Pure.

What one definition alone shows is refused when it is made (`harness.definitions`); here is what
shows only beside a system: links, processes, checks.

A mistake that only shows while a run is under way costs the whole run, or, where a check that a
claim rests on is not there at all, makes a PASS that says nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from harness.checkers.check import all_checks
from harness.errors import UsageError
from harness.faults.fault import LINK
from harness.faults.schedule import Planned
from harness.load.groups import groups_of
from harness.scenario.performed import Performed, phases_of
from harness.scenario.phases import Load, Phase
from harness.scenario.scenario import Plan, Scenario
from harness.systems.port import System, promises_in
from harness.systems.topology import CLIENT_LINKS, client_links

CORE_LINKS = "edge-core:"
EDGES = "edge:"


def refuse_unsound(scenario: Scenario, plan: Plan, system: System) -> None:
    """Refuse a scenario whose plan cannot be carried out as it is written.

    Args:
        scenario: Its name and the checks that carry its claim are looked at.
        plan: As it applies to the system (`harness.run.fitting`).
        system: The system under test.

    Raises:
        UsageError: Something cannot be; names it, and what can.
    """
    _refuse_checks(scenario, plan, system)
    links = _links(plan, system)
    for number, phase in enumerate(plan.phases, start=1):
        for each in phases_of((phase,)):
            for trouble in _wrong_faults(each, plan, links):
                place = f"phase {number} ({_kind(phase, each)})"
                raise UsageError(f"{scenario.name}, {place}: {trouble}")


def _kind(phase: Phase, each: Phase) -> str:
    """Return what a phase is, and of one that an own phase performs by which."""
    own = phase.own if isinstance(phase, Performed) else phase
    within = "" if own is each else f", performed by {type(own).__name__}"
    return f"{type(each).__name__}{within}"


def targets_of(planned: Planned, plan: Plan, system: System) -> list[str]:
    """Return what a fault that is planned for a pattern strikes, as far as the plan tells.

    Of client links those are struck that are in use, which nobody knows before; then, and where the
    plan does not name the targets, it is the pattern itself.
    """
    edges = [f"{EDGES}{edge}" for edge in plan.topology.edges]
    known = _links(plan, system) if planned.fault.aims_at == LINK else edges
    found = [name for name in known if fnmatchcase(name, planned.on)]
    unknown = not found or any(name.startswith(CLIENT_LINKS) for name in found)
    return [planned.on] if unknown else found


def _refuse_checks(scenario: Scenario, plan: Plan, system: System) -> None:
    known = {spec.id: spec.needs for spec in all_checks()}
    wanted = (*scenario.checks, *scenario.optional_checks)
    for check_id in wanted:
        if check_id not in known:
            raise UsageError(
                f"{scenario.name}: its claim rests on check {check_id!r}, which does not exist;"
                f" load its file with --load, or name one of {', '.join(known)}"
            )
    promised = promises_in(system, plan.topology)
    if wanted and not any(known[one] is None or known[one] in promised for one in wanted):
        raise UsageError(
            f"{scenario.name}: no check of its claim applies to {system.name}: {', '.join(wanted)}"
        )


def _wrong_faults(phase: Phase, plan: Plan, links: Sequence[str]) -> Iterator[str]:
    """Yield the faults whose target cannot be there. Of processes only edges are known by name."""
    edges = [f"{EDGES}{edge}" for edge in plan.topology.edges]
    for planned in phase.faults if isinstance(phase, Load) else ():
        on = planned.on
        if planned.fault.aims_at == LINK:
            if not any(fnmatchcase(link, on) for link in links):
                yield f"{_told(planned)}: there is no such link{_nearest(on, links)}"
        elif on.startswith((CLIENT_LINKS, CORE_LINKS)):
            yield f"{_told(planned)}: a link, and {planned.fault.kind} is done to a process"
        elif on.startswith(EDGES) and not any(fnmatchcase(edge, on) for edge in edges):
            yield f"{_told(planned)}: there is no such edge; there are: {', '.join(edges)}"


def _told(planned: Planned) -> str:
    return f"{planned.fault.kind} on {planned.on}"


def _nearest(on: str, links: Sequence[str]) -> str:
    near = difflib.get_close_matches(on, links, n=3, cutoff=0.3)
    return f"; nearest are: {', '.join(near or links[:3])}"


def _links(plan: Plan, system: System) -> list[str]:
    """Return the names of all links that a run of the plan has."""
    topology = replace(plan.topology, client_groups=groups_of(plan).names)
    core = [] if system.one_hop else [f"{CORE_LINKS}{edge}" for edge in topology.edges]
    return [*core, *(link for edge in topology.edges for link in client_links(topology, edge))]
