"""What a scenario is: a claim, and the plan that tries to disprove it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from harness.scenario.parameters import Parameter, Parameters
from harness.scenario.phases import Phase
from harness.systems.promises import Ability
from harness.systems.topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Requires:
    """What must have happened for a run to count; less makes it UNKNOWN (D5, VACUOUS).

    None of it is ever lowered: a system on which the plan cannot reach it is refused.

    Attributes:
        sends_ok: Acknowledged messages.
        delivered: Distinct delivered messages.
        sender_reconnects: Times a sender came back.
        receiver_reconnects: Times a receiver came back.
        sender_reconnects_each: Times that every single sender came back.
        receiver_reconnects_each: Times that every single receiver came back, of those that were
            there before the senders were quiet (a drain brings readers of its own).
        resizes: Confirmed promotions and demotions; 0: every one that is planned.
        fault_effects: Faults with an observed effect; every planned fault must have one anyway. A
            fault on several links or processes counts on each, one on a pattern of client links
            once; a storm, and a kill or restart by a phase, once.
        resent: Messages that were acknowledged after more than one attempt.
        backlog: Messages that one inbox held at some moment, acknowledged and not yet delivered.
    """

    sends_ok: int = 1
    delivered: int = 1
    sender_reconnects: int = 0
    receiver_reconnects: int = 0
    sender_reconnects_each: int = 0
    receiver_reconnects_each: int = 0
    resizes: int = 0
    fault_effects: int = 0
    resent: int = 0
    backlog: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadSpec:
    """The content of messages, a pure function of (seed, producer, inbox, n).

    Attributes:
        kind: "random": pseudo-random bytes; "numbered": the text ``MSG_<n>`` and a hash of its
            stream, any size given ignored.
        size_bytes_min: Least size of a message, in bytes.
        size_bytes_max: Largest size of a message, in bytes.
    """

    kind: str = "random"
    size_bytes_min: int = 100
    size_bytes_max: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run, fully decided: nothing in it is drawn later but by the run's seed.

    Attributes:
        topology: What is deployed.
        phases: What is done, in order. A plan whose last phase is not `Drain` gets one.
        requires: What must have happened for the run to count.
        limits: Thresholds on speed and liveness, as "metric op number" ("ack_p99_ms <= 500");
            missing one makes `limits` MISSED, never the verdict FAIL.
        optional_limits: More of them, for systems that have what they measure; any other is tried
            without, and the result says so.
        payload: The content of messages.
        load_processes: Processes that the senders are spread over.
    """

    topology: Topology
    phases: tuple[Phase, ...]
    requires: Requires = Requires()
    limits: tuple[str, ...] = ()
    optional_limits: tuple[str, ...] = ()
    payload: PayloadSpec = PayloadSpec()
    load_processes: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A claim in one sentence and how it is tried.

    Attributes:
        name: Words joined by underscores.
        claim: What holds if the verdict is PASS.
        plan: A plan, or a function that makes one from the parameters.
        parameters: The knobs, with a default per profile.
        needs: Abilities a system must have for this scenario to apply.
        checks: Ids of the checks that carry the claim; all others are made too. A system that does
            not promise what one of them judges is refused.
        optional_checks: More of them, that carry the claim on systems that promise what they judge;
            of any other system the result says that the claim was tried without.
        smoke: Whether it belongs to the short suite, `tallystick verify --profile smoke`. Every
            scenario has values for that profile, so that `run` can make any of them short.
    """

    name: str
    claim: str
    plan: Plan | Callable[[Parameters], Plan]
    parameters: tuple[Parameter, ...] = ()
    needs: frozenset[Ability] = field(default_factory=frozenset)
    checks: tuple[str, ...] = ()
    optional_checks: tuple[str, ...] = ()
    smoke: bool = False

    def plan_for(self, parameters: Parameters) -> Plan:
        """Return the plan for these parameters."""
        return self.plan(parameters) if callable(self.plan) else self.plan
