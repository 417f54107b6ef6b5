"""What of a plan applies to a system: the rest is left out, and listed with its reason. Pure.

A scenario is written for systems of every kind. What its claim cannot do without stands in `needs`
and is asked for at the start; beside that, a system is not asked for what it has no ability for,
and faults on nodes and links that it does not have are left out.
"""

from __future__ import annotations

from dataclasses import replace

from harness.errors import UsageError
from harness.faults.fault import SWITCHED
from harness.faults.schedule import Planned
from harness.run.apart import keep_apart
from harness.run.planted import refuse_planted
from harness.run.unsound import absent_checks, refuse_unsound
from harness.scenario.parameters import Parameters
from harness.scenario.phases import (
    AskPresence,
    Inspect,
    Kill,
    Load,
    Phase,
    Promote,
    Restart,
    Start,
    Storm,
)
from harness.scenario.scenario import Plan, Scenario
from harness.systems.port import System, restart_within_s
from harness.systems.promises import IN_WORDS, Ability, Promise

_CORE_LINK = "edge-core:"
_EDGE = "edge:"
_EDGE_METRICS = "edge_"
_MEMORY = "_rss_max_bytes"
_PROCESS_FAULTS = {
    "process_kill": Ability.KILL,
    "process_pause": Ability.PAUSE,
    "process_terminate": Ability.RESTART,
}
_NO_EDGES = "clients reach the node that stores in one hop: there are no edges"


class _Fit:
    """Fits the phases of one plan and keeps what was left out, each thing once."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.left_out: dict[str, None] = {}
        self.faults_kept = 0
        self.faults_lost: dict[str, None] = {}
        self.lost_count = 0

    def lacks(self, ability: Ability, what: str) -> bool:
        """Say whether something is to be left out for want of an ability, and note it."""
        missing = ability not in self._system.abilities
        if missing:
            self._note(what, f"{self._system.name} has no ability {ability.value!r}")
        return missing

    def _note(self, what: str, reason: str) -> None:
        self.left_out[f"not applicable: {what}: {reason}"] = None

    def phase(self, phase: Phase) -> Phase | None:
        """Return a phase as it applies, None if it does not."""
        match phase:
            case Promote():
                return None if self.lacks(Ability.RESIZE, "promotion") else phase
            case AskPresence():
                return None if self.lacks(Ability.PRESENCE, "questions for presence") else phase
            case Inspect():
                return None if self.lacks(Ability.INSPECT, "inspection of the store") else phase
            case Restart() | Kill() | Start() if phase.role == "edge" and self._system.one_hop:
                self._note(f"{type(phase).__name__.lower()} of an edge", _NO_EDGES)
                return None
            case Restart(kill=False):
                return self._asked_for(phase, Ability.RESTART)
            case Restart() | Kill():
                return self._asked_for(phase, Ability.KILL)
            case Load():
                return self._load(phase)
            case _:
                return phase

    def _asked_for(self, phase: Phase, ability: Ability) -> Phase:
        """Return a phase that is never left out: what comes after it presumes that it happened."""
        if ability not in self._system.abilities:
            raise UsageError(
                f"its phase {type(phase).__name__} needs the ability {ability.value!r},"
                f" which {self._system.name} does not have"
            )
        return phase

    def _load(self, load: Load) -> Load:
        every_s = load.presence_every_s
        if every_s and self.lacks(Ability.PRESENCE, "questions for presence"):
            every_s = 0.0
        during = tuple(
            (after_s, event)
            for after_s, event in load.during
            if not (isinstance(event, Promote) and self.lacks(Ability.RESIZE, "promotion"))
        )
        fitted = [self._fault(planned) for planned in load.faults]
        faults = tuple(planned for planned in fitted if planned is not None)
        self.faults_kept += len(faults)
        self.faults_lost.update(
            dict.fromkeys(
                f"{planned.fault.kind} on {planned.on}"
                for planned, kept in zip(load.faults, fitted, strict=True)
                if kept is None
            )
        )
        self.lost_count += len(fitted) - len(faults)
        fitting = replace(load, presence_every_s=every_s, during=during, faults=faults)
        apart = load.waits_for_restarts and self._system.one_hop
        return keep_apart(fitting, restart_within_s(self._system)) if apart else fitting

    def _fault(self, planned: Planned) -> Planned | None:
        kind, on = planned.fault.kind, planned.on
        ability = _PROCESS_FAULTS.get(kind)
        if planned.fault.aims_at == SWITCHED:
            ability = Ability.SWITCHES
        if ability is not None and self.lacks(ability, f"{kind} on {on}"):
            return None
        if self._system.one_hop and on.startswith((_EDGE, _CORE_LINK)):
            self._note(f"{kind} on {on}", _NO_EDGES)
            return None
        return planned

    def limit(self, text: str) -> bool:
        """Say whether a limit on speed or memory has something to be measured by."""
        if text.startswith(_EDGE_METRICS) and self._system.one_hop:
            self._note(f"limit {text}", _NO_EDGES)
            return False
        if _MEMORY in text and Promise.LIMITS not in self._system.promises:
            self._note(f"limit {text}", f"{self._system.name} promises no bound on its memory")
            return False
        return True


def fit(plan: Plan, system: System) -> tuple[Plan, tuple[str, ...]]:
    """Return the plan as it applies to a system, and what was left out, in words.

    Raises:
        UsageError: The plan wants to break things, and nothing of that applies; or it stops nodes,
            which the system cannot do.
    """
    fitting = _Fit(system)
    phases = tuple(fitted for phase in plan.phases if (fitted := fitting.phase(phase)) is not None)
    broken = fitting.faults_kept or any(_disturbs(phase) for phase in phases)
    if fitting.faults_lost and not broken:
        lost = ", ".join(fitting.faults_lost)
        raise UsageError(f"no fault of this scenario applies to {system.name}: {lost}")
    requires = plan.requires
    if Ability.RESIZE not in system.abilities:
        requires = replace(requires, resizes=0)
    if fitting.faults_lost:
        effects = max(0, requires.fault_effects - fitting.lost_count)
        requires = replace(requires, fault_effects=effects)
    limits = tuple(text for text in plan.limits if fitting.limit(text))
    whole = replace(plan, phases=phases, requires=requires, limits=limits)
    return whole, tuple(fitting.left_out)


def lack_of(scenario: Scenario, system: System) -> str:
    """Return what a scenario needs and cannot be done to a system, in words; "" if nothing."""
    missing = sorted(scenario.needs - system.abilities)
    words = ", ".join(IN_WORDS[ability] for ability in missing)
    return f"needs to {words} ({', '.join(missing)})" if missing else ""


def _disturbs(phase: Phase) -> bool:
    """Say whether a phase breaks something besides its faults."""
    match phase:
        case Restart() | Kill():
            return True
        case Load():
            return any(isinstance(event, Storm) for _, event in phase.during)
        case _:
            return False


def fit_scenario(
    scenario: Scenario, parameters: Parameters, system: System, planted_bug: str = ""
) -> tuple[Plan, tuple[str, ...]]:
    """Return the plan of a scenario as it applies to a system, and what was left out, in words.

    The one door to every run: of the command line, of a suite, of a test.

    Raises:
        UsageError: The system lacks an ability that the scenario needs, nothing of the plan is
            left (`fit`), there is a bug that was not asked for (`refuse_planted`), or the plan
            cannot be carried out as it is written (`refuse_unsound`).
    """
    plan = scenario.plan_for(parameters)
    refuse_planted(system, plan, planted_bug)
    if lack := lack_of(scenario, system):
        raise UsageError(f"{scenario.name} {lack}; {system.name} cannot")
    fitted, left_out = fit(plan, system)
    refuse_unsound(scenario, fitted, system)
    return fitted, (*left_out, *absent_checks(scenario, fitted, system))
