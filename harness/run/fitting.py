"""What of a plan applies to a system. Pure.

A plan is carried out as it is written, or it is refused before anything is started, with all that
the system cannot do. Only what the scenario itself marks as optional may be left out; it is named
beside the verdict (`Result.not_tried`). What a run requires is never lowered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

from harness.errors import UsageError
from harness.faults.schedule import Planned
from harness.load.drawing import draw
from harness.load.variety import vary
from harness.report.result import Drawn, NotTried
from harness.run.apart import keep_apart
from harness.run.lacks import Lack, Lacks, cannot
from harness.run.planted import refuse_planted
from harness.run.replay import with_schedules
from harness.run.unsound import CORE_LINKS, EDGES, refuse_unsound, targets_of
from harness.scenario.parameters import Parameters
from harness.scenario.performed import Performed, declared_by, phases_of, promotions_in
from harness.scenario.phases import Kill, Load, OwnPhase, Phase, Restart, Storm
from harness.scenario.scenario import Plan, Scenario
from harness.systems.port import System, restart_within_s
from harness.systems.promises import IN_WORDS
from harness.systems.takes import takes_of
from harness.systems.topology import CLIENT_LINKS, Topology

HOW_TO_MARK = (
    "Mark as optional what the claim can do without: at(…, optional=True), every(…, optional=True),"
    " optional=True of a phase, Load(presence_optional=True), Plan(optional_limits=…),"
    " Scenario(optional_checks=…); or use a system that has it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A plan as it applies to a system.

    Attributes:
        plan: What will be carried out; nothing in it needs an ability that the system lacks.
        not_tried: What the scenario marks as optional and the system cannot have.
        drawn: What the seed drew beside the plan.
    """

    plan: Plan
    not_tried: tuple[NotTried, ...] = ()
    drawn: tuple[Drawn, ...] = ()


class _Fit:
    """Fits one plan and keeps what is left out and what is refused, in the order of the plan."""

    def __init__(self, plan: Plan, system: System, place: str) -> None:
        self._plan = plan
        self._system = system
        self._lacks = Lacks(system, place, plan.topology)
        self.left_out: Counter[Lack] = Counter()
        self.refused: Counter[Lack] = Counter()
        self.disturbs = 0
        self.disturbances_lost = 0

    def keeps(self, lack: Lack | None, *, optional: bool, disturbs: bool = False) -> bool:
        """Say whether something stays in the plan, and note it where it does not.

        What is refused counts as kept: nothing will be started.
        """
        if lack is not None and optional:
            self.left_out[lack] += 1
            self.disturbances_lost += disturbs
            return False
        if lack is not None:
            self.refused[lack] += 1
        self.disturbs += disturbs
        return True

    def phase(self, phase: Phase) -> Phase | None:
        """Return a phase as it applies, None if it is left out."""
        if isinstance(phase, Load):
            return self._load(phase)
        if isinstance(phase, Performed):
            again = (None if one is None else self.phase(one) for one in phase.fitted)
            return replace(phase, fitted=tuple(again))
        if declared := declared_by(phase):
            fitted = tuple(self.phase(one) for one in declared)
            return Performed(own=cast("OwnPhase", phase), declared=declared, fitted=fitted)
        lack = self._lacks.of_phase(phase)
        optional = bool(getattr(phase, "optional", False))
        kept = self.keeps(lack, optional=optional, disturbs=isinstance(phase, (Restart, Kill)))
        return phase if kept else None

    def _load(self, load: Load) -> Load:
        polls = bool(load.presence_every_s) and self.keeps(
            self._lacks.of_presence(), optional=load.presence_optional
        )
        during = tuple(
            (after_s, event)
            for after_s, event in load.during
            if self.keeps(
                None if isinstance(event, Storm) else self._lacks.of_phase(event),
                optional=bool(getattr(event, "optional", False)),
                disturbs=isinstance(event, Storm),
            )
        )
        faults = tuple(
            planned
            for planned in load.faults
            if self.keeps(
                self._lacks.of_fault(planned, self._plan.topology),
                optional=planned.optional,
                disturbs=True,
            )
        )
        every_s = load.presence_every_s if polls else 0.0
        fitted = replace(load, presence_every_s=every_s, during=during, faults=faults)
        if not (load.waits_for_restarts and self._system.one_hop):
            return fitted
        # Kept apart once: a stored schedule that is replayed is apart already.
        apart = keep_apart(fitted, restart_within_s(self._system))
        return replace(apart, waits_for_restarts=False)

    def limits(self) -> tuple[str, ...]:
        """Return the limits that will be compared."""
        for text in self._plan.limits:
            self.keeps(self._lacks.of_limit(text), optional=False)
        return (
            *self._plan.limits,
            *(
                text
                for text in self._plan.optional_limits
                if self.keeps(self._lacks.of_limit(text), optional=True)
            ),
        )

    def checks(self, scenario: Scenario) -> None:
        """Hold the checks that carry the claim against what the system promises."""
        for optional, ids in ((False, scenario.checks), (True, scenario.optional_checks)):
            for check_id in ids:
                self.keeps(self._lacks.of_check(check_id), optional=optional)


def fit(plan: Plan, system: System, *, place: str = "", scenario: Scenario | None = None) -> Fitted:
    """Return a plan as it applies to a system.

    Args:
        plan: As the scenario makes it, or fitted before.
        system: The system under test.
        place: How it was asked for; says whether its processes are ours.
        scenario: Its name and the checks of its claim, where there is one.

    Raises:
        UsageError: The system cannot have something that is not optional (the message lists all of
            it); all that would have broken something is left out; or what is left cannot reach what
            the plan requires.
    """
    fitting = _Fit(plan, system, place)
    name = scenario.name if scenario else "this plan"
    fitted = [fitting.phase(phase) for phase in plan.phases]
    limits = fitting.limits()
    if scenario is not None:
        fitting.checks(scenario)
    if fitting.refused:
        raise UsageError(_refusal(name, system, fitting.refused))
    if fitting.disturbances_lost and not fitting.disturbs:
        lost = ", ".join(dict.fromkeys(lack.what for lack in fitting.left_out))
        raise UsageError(
            f"{name}: nothing that would break anything applies to {system.name}; all of it is"
            f" optional and would be left out: {lost}"
        )
    phases = tuple(phase for phase in fitted if phase is not None)
    whole = replace(plan, phases=phases, limits=limits, optional_limits=())
    if short := list(_out_of_reach(whole, system)):
        without = f" without what {system.name} cannot do" if fitting.left_out else ""
        raise UsageError(
            f"{name} requires more than it plans{without}: {'; '.join(short)}."
            " Every planned fault must show an effect and every planned promotion be confirmed"
            " anyway; Requires need not count them"
        )
    return Fitted(plan=whole, not_tried=_told(fitting.left_out))


def _varied(fitted: Fitted, system: System, seed: str) -> Fitted:
    """Return a fitted plan with what the seed draws beside it."""
    variety = draw(fitted.plan, takes_of(system), system.abilities, seed)
    told = (Drawn(what=one.what, values=list(one.values), unit=one.unit) for one in variety.told)
    return replace(fitted, plan=vary(fitted.plan, variety), drawn=tuple(told))


def _told(left_out: Counter[Lack]) -> tuple[NotTried, ...]:
    return tuple(
        NotTried(what=lack.what, why=lack.why, times=times) for lack, times in left_out.items()
    )


def _refusal(name: str, system: System, refused: Counter[Lack]) -> str:
    lines = [f"{name} plans what {system.name} cannot have:"]
    for lack, times in refused.items():
        often = f", {times} times" if times > 1 else ""
        lines.append(f"  {lack.what}{often}: {lack.why}")
    return "\n".join([*lines, HOW_TO_MARK])


def _out_of_reach(plan: Plan, system: System) -> Iterator[str]:
    """Yield what is required of faults and promotions beyond what is planned."""
    most = _effects_most(plan, system)
    if most is not None and plan.requires.fault_effects > most:
        yield f"fault_effects={plan.requires.fault_effects}, and {most} can be had"
    promotions = promotions_in(plan.phases)
    if plan.requires.resizes > promotions:
        yield f"resizes={plan.requires.resizes}, and {promotions} are planned"


def _effects_most(plan: Plan, system: System) -> int | None:
    """Return how many effects the plan can have, None where only a running system knows."""
    most = 0
    for phase in phases_of(plan.phases):
        match phase:
            case _ if hasattr(phase, "carry_out") and not declared_by(phase):
                # It may kill nodes by itself, which nobody knows before.
                return None
            case Restart() | Kill():
                most += 1
            case Load():
                most += sum(isinstance(event, Storm) for _, event in phase.during)
                for planned in phase.faults:
                    if not _is_counted(planned.on):
                        return None
                    most += len(targets_of(planned, plan, system))
    return most


def _is_counted(on: str) -> bool:
    """Say whether a plan tells how many effects a fault on a target has."""
    return on.startswith((CLIENT_LINKS, CORE_LINKS, EDGES)) or not set(on) & set("*?[")


def lack_of(scenario: Scenario, system: System) -> str:
    """Return what a scenario needs and cannot be done to a system, in words; "" if nothing."""
    missing = sorted(scenario.needs - system.abilities)
    words = ", ".join(IN_WORDS[ability] for ability in missing)
    return f"needs to {words} ({', '.join(missing)})" if missing else ""


def claimed(scenario: Scenario, system: System, topology: Topology) -> list[str]:
    """Return the checks that carry a scenario's claim, as far as they apply to a system."""
    lacks = Lacks(system, topology=topology)
    ids = (*scenario.checks, *scenario.optional_checks)
    return [check_id for check_id in ids if lacks.of_check(check_id) is None]


def fit_scenario(
    scenario: Scenario,
    parameters: Parameters,
    system: System,
    planted_bug: str = "",
    *,
    place: str = "",
    schedules: Sequence[tuple[Planned, ...]] | None = None,
    limits: Sequence[str] = (),
) -> Fitted:
    """Return the plan of a scenario as it applies to a system.

    The one door to every run: of the command line, of a suite, of a test.

    Args:
        scenario: What is to be run.
        parameters: Its values.
        system: The system under test.
        planted_bug: What the self-test plants.
        place: How the system was asked for; says whether its processes are ours.
        schedules: A stored schedule, load by load, in place of the plan's own faults; it is held
            against the system as the plan is.
        limits: Thresholds from outside of the plan; each must have something to be measured by.

    Raises:
        UsageError: The system lacks an ability that the scenario needs, or cannot have something
            planned (`fit`); there is a bug that was not asked for (`refuse_planted`); or the plan
            cannot be carried out as it is written (`refuse_unsound`).
    """
    plan = scenario.plan_for(parameters)
    refuse_planted(system, plan, planted_bug)
    if lack := lack_of(scenario, system):
        raise UsageError(f"{scenario.name} {lack}; {cannot(place, system.name)}")
    fitted = fit(plan, system, place=place, scenario=scenario)
    if schedules is not None:
        again = fit(with_schedules(fitted.plan, schedules), system, place=place, scenario=scenario)
        left = dict.fromkeys([*fitted.not_tried, *again.not_tried])
        fitted = Fitted(plan=again.plan, not_tried=tuple(left))
    # As it was written: what the seed draws would move the numbers of phases.
    refuse_unsound(scenario, fitted.plan, system)
    if parameters.varies:
        fitted = _varied(fitted, system, parameters.seed_for(f"variety/{scenario.name}"))
    for text in limits:
        if lost := Lacks(system, place).unmeasured(text):
            raise UsageError(f"{lost.what} has nothing to be measured by: {lost.why}")
    return fitted
