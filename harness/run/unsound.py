"""What a plan must not be, said before anything is started. Pure.

A mistake that only shows while a run is under way costs the whole run, or, where a check that a
claim rests on is not there at all, makes a PASS that says nothing.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from harness.checkers.check import all_checks
from harness.errors import UsageError
from harness.faults.fault import LINK
from harness.faults.schedule import Planned
from harness.load.groups import groups_of
from harness.nearest import did_you_mean
from harness.scenario.performed import Performed, phases_of
from harness.scenario.phases import (
    AskPresence,
    CatchUp,
    Drain,
    Inspect,
    Kill,
    Load,
    Login,
    Logout,
    Phase,
    Promote,
    Read,
    Restart,
    Send,
    Start,
    Storm,
    Stream,
)
from harness.scenario.scenario import Plan, Scenario
from harness.systems.port import System, promises_in
from harness.systems.topology import CLIENT_LINKS, client_links

CORE_LINKS = "edge-core:"
EDGES = "edge:"

_NAME = re.compile(r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*")
"""A name becomes a folder, and a word on a command line."""


def refuse_unsound(scenario: Scenario, plan: Plan, system: System) -> None:
    """Refuse a scenario whose plan cannot be carried out as it is written.

    Args:
        scenario: Its name and the checks that carry its claim are looked at.
        plan: As it applies to the system (`harness.run.fitting`).
        system: The system under test.

    Raises:
        UsageError: Something cannot be; names it, and what can.
    """
    if not _NAME.fullmatch(scenario.name):
        raise UsageError(
            f"a scenario named {scenario.name!r}: words of letters and digits, joined by _"
        )
    _refuse_checks(scenario, plan, system)
    edges = plan.topology.edges
    if not edges:
        raise UsageError(f"{scenario.name}: its topology names no edge")
    if strange := sorted(set(plan.topology.latency_ms) - set(edges)):
        raise UsageError(
            f"{scenario.name}: its topology has a latency for {strange[0]!r}, which is no edge of"
            f" it{did_you_mean(strange[0], edges)}"
        )
    links = _links(plan, system)
    for number, phase in enumerate(plan.phases, start=1):
        for each in phases_of((phase,)):
            wrong = (*_wrong_in(each), *_wrong_place(each, plan), *_wrong_faults(each, plan, links))
            for trouble in wrong:
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
                f"{scenario.name}: its claim rests on check {check_id!r}, which there is not;"
                f" load its file with --load, or name one of {', '.join(known)}"
            )
    promised = promises_in(system, plan.topology)
    if wanted and not any(known[one] is None or known[one] in promised for one in wanted):
        raise UsageError(
            f"{scenario.name}: no check of its claim applies to {system.name}: {', '.join(wanted)}"
        )


def _wrong_in(phase: Phase) -> Iterator[str]:
    match phase:
        case Load():
            yield from _not_positive(duration_s=phase.duration_s)
            for stream in phase.streams:
                yield from _wrong_stream(stream)
            churn = phase.churn
            yield from _negative(
                sender_up_s=churn.sender_up_s,
                receiver_up_s=churn.receiver_up_s,
                down_s=churn.down_s,
                presence_every_s=phase.presence_every_s,
            )
            for after_s, event in phase.during:
                if not 0 <= after_s <= phase.duration_s:
                    yield f"{event} at {after_s:g} s of a load of {phase.duration_s:g} s"
                if isinstance(event, Storm):
                    yield from _negative(down_s=event.down_s)
                else:
                    yield from _wrong_promotion(event)
            for planned in phase.faults:
                if not 0 <= planned.at_s <= phase.duration_s:
                    yield (
                        f"{planned.fault.kind} on {planned.on} at {planned.at_s:g} s of a load of"
                        f" {phase.duration_s:g} s"
                    )
        case Send():
            yield from _wrong_stream(phase.stream)
            if phase.stream.count < 1:
                yield f"count={phase.stream.count}: how many messages each producer sends"
            yield from _not_positive(within_s=phase.within_s)
        case Promote():
            yield from _wrong_promotion(phase)
        case Login() | CatchUp():
            yield from _nobody(phase.inboxes)
            yield from _not_positive(within_s=phase.within_s)
        case Read() | Inspect() | Logout():
            yield from _nobody(phase.inboxes)
        case AskPresence():
            yield from _nobody(phase.users)
        case Drain():
            yield from _not_positive(within_s=phase.within_s, stuck_after_s=phase.stuck_after_s)
        case _:
            return


def _wrong_place(phase: Phase, plan: Plan) -> Iterator[str]:
    """Yield the nodes and edges that a phase names and that are not there."""
    edges = plan.topology.edges
    match phase:
        case Login(edge=edge) if edge and edge not in edges:
            yield f"edge={edge!r}: there is no such edge; there are: {', '.join(edges)}"
        case Restart() | Kill() | Start():
            count = {"core": 1, "edge": len(edges)}.get(phase.role, 0)
            if not count:
                yield f'role={phase.role!r}: "core" or "edge"'
            elif not 0 <= phase.index < count:
                yield f"index={phase.index}: from 0 up to {count - 1} for role={phase.role!r}"
        case _:
            return


def _wrong_stream(stream: Stream) -> Iterator[str]:
    if not stream.to:
        yield "to=(): a stream needs an inbox to write to"
    inboxes = len(set(stream.to))
    if 1 <= stream.producers < inboxes:
        yield (
            f"producers={stream.producers} for {inboxes} inboxes: each producer writes to one of"
            f" them, so {inboxes - stream.producers} would get nothing; at least {inboxes}"
        )
    if stream.producers < 1 or stream.batch_count < 1 or stream.count < 0:
        yield (
            f"producers={stream.producers}, batch_count={stream.batch_count}, count={stream.count}:"
            " at least 1, 1 and 0"
        )
    yield from _negative(rate_per_s=stream.rate_per_s)


def _wrong_promotion(promote: Promote) -> Iterator[str]:
    if promote.bucket_count < 1:
        yield f"bucket_count={promote.bucket_count}: at least 1"


def _nobody(names: Sequence[str]) -> Iterator[str]:
    if not names:
        yield "it names nobody"


def _not_positive(**fields: float) -> Iterator[str]:
    for name, value in fields.items():
        if not (value > 0 and math.isfinite(value)):
            yield f"{name}={value!r}: more than 0"


def _negative(**fields: float) -> Iterator[str]:
    for name, value in fields.items():
        if not (value >= 0 and math.isfinite(value)):
            yield f"{name}={value!r}: 0 or more"


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
