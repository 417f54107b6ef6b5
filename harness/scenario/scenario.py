"""What a scenario is: a claim, and the plan that tries to disprove it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields

from harness.declared import short
from harness.definitions import (
    at_least,
    between,
    check_fields,
    not_blank,
    not_negative,
    one_of,
    refusal,
    refuse,
    word,
)
from harness.errors import DefinitionError
from harness.nearest import did_you_mean
from harness.scenario.parameters import VARY, Parameter, Parameters
from harness.scenario.performed import phases_of
from harness.scenario.phases import EDGE, Kill, Login, Phase, Restart, Start
from harness.systems.promises import Ability
from harness.systems.topology import Topology
from harness.user_code import blaming, where

PAYLOAD_BYTES_MAX = 1 << 20
"""Largest body of a message, in bytes."""

NUMBERED_BYTES_MAX = 48
"""No numbered message is larger: ``MSG_<n>``, a blank and 16 digits, n being below 2^64."""

_SIZE = between(0, PAYLOAD_BYTES_MAX)


def _sizes(value: tuple[int, ...]) -> str:
    return next(filter(None, map(_SIZE, value)), "")


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
        own_resizes: Changes of bucket counts that the system made by itself, by a rule of its own.
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
    own_resizes: int = 0
    fault_effects: int = 0
    resent: int = 0
    backlog: int = 0

    def __post_init__(self) -> None:
        check_fields(self, **{one.name: not_negative for one in fields(self) if one.type == "int"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadSpec:
    """The content of messages, a pure function of (seed, producer, inbox, n).

    Attributes:
        kind: "random": pseudo-random bytes; "numbered": the text ``MSG_<n>`` and a hash of its
            stream, any size given ignored.
        size_bytes_min: Least size of a message, in bytes.
        size_bytes_max: Largest size of a message, in bytes.
        sizes_bytes: Sizes in turn, in place of these two: message n has the n-th of them, from the
            first again behind the last. None: least and largest say it.
        varies: The seed may give a few messages sizes beyond these (`Plan.vary`). Without it every
            message of the run is as it says here.
        rare_bytes: Sizes that the seed drew; the runner fills them in.
        rare_every: One of so many messages of a stream has one of these; the runner fills it in.
    """

    kind: str = "random"
    size_bytes_min: int = 100
    size_bytes_max: int = 100
    sizes_bytes: tuple[int, ...] = ()
    varies: bool = False
    rare_bytes: tuple[int, ...] = ()
    rare_every: int = 0

    def __post_init__(self) -> None:
        check_fields(
            self, kind=one_of("random", "numbered"), size_bytes_min=_SIZE, size_bytes_max=_SIZE,
            sizes_bytes=_sizes, rare_bytes=_sizes, rare_every=not_negative,
        )  # fmt: skip
        if self.size_bytes_min > self.size_bytes_max:
            raise refusal(self, "size_bytes_max", f"size_bytes_min={self.size_bytes_min} or more")

    @property
    def largest_bytes(self) -> int:
        """The largest size that a message may have, the rare ones aside."""
        if self.kind == "numbered":
            return NUMBERED_BYTES_MAX
        return max(self.sizes_bytes, default=self.size_bytes_max)


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
        payload: The content of messages. Left out, they have 100 bytes, and the seed may vary it.
        load_processes: Processes that the senders are spread over.
        vary: The seed draws a few rare things beside what is planned: other sizes of messages and
            batches, other names of inboxes, more buckets, more and busier senders. What the plan
            states is never changed; the result says what was drawn. ``--set vary=false`` turns it
            off for one run.
        payloads: The content of messages to inboxes that the seed drew; the runner fills it in.
        recut_count: How many messages the batches hold at most in which some senders send again
            what a lost connection left unanswered; 0: as at first. The runner fills it in.
        extra_actors: Names of the senders and receivers that the seed drew, which nothing that is
            required counts; the runner fills them in.
    """

    topology: Topology
    phases: tuple[Phase, ...]
    requires: Requires = Requires()
    limits: tuple[str, ...] = ()
    optional_limits: tuple[str, ...] = ()
    payload: PayloadSpec = PayloadSpec(varies=True)
    load_processes: int = 1
    vary: bool = True
    payloads: Mapping[str, PayloadSpec] = field(default_factory=dict)
    recut_count: int = 0
    extra_actors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, load_processes=at_least(1))
        edges = self.topology.edges
        for number, phase in enumerate(self.phases, start=1):
            for each in phases_of((phase,)):
                if trouble := _wrong_place(each, edges):
                    raise refuse(f"Plan: phase {number} ({type(each).__name__}): {trouble}")


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

    def __post_init__(self) -> None:
        check_fields(self, name=word, claim=not_blank)
        for what, given in (
            ("parameters", [one.name for one in self.parameters]),
            ("checks", [*self.checks, *self.optional_checks]),
        ):
            if twice := sorted({one for one in given if given.count(one) > 1}):
                raise refusal(self, what, f"each once, and {twice[0]!r} is there twice")
        if VARY.name in [one.name for one in self.parameters]:
            raise refusal(self, "parameters", f"none named {VARY.name!r}, which every scenario has")

    def plan_for(self, parameters: Parameters) -> Plan:
        """Return the plan for these parameters.

        Raises:
            DefinitionError: The function that makes it raised, or made no plan; says where.
        """
        if isinstance(self.plan, Plan):
            return self.plan
        with blaming(f"the plan of {self.name}{_with(parameters)}"):
            made = self.plan(parameters)
        if isinstance(made, Plan):
            return made
        if inspect.iscoroutine(made):
            made.close()
        place = f"{where(self.plan)}: " if where(self.plan) else ""
        raise DefinitionError(
            f"{place}the plan of {self.name} is a function that returns a Plan; it returned"
            f" {short(made)}{'; is a return missing?' if made is None else ''}"
        )


def _with(parameters: Parameters) -> str:
    values = ", ".join(f"{name}={value}" for name, value in parameters.as_dict().items())
    return f" with {values}" if values else ""


def _wrong_place(phase: Phase, edges: tuple[str, ...]) -> str:
    """Return why a phase cannot be at the place that it names, "" if it can."""
    match phase:
        case Restart() | Kill() | Start() if phase.role == EDGE and phase.index >= len(edges):
            return f"index={phase.index}: the topology has {len(edges)} edge(s), from 0"
        case Login() if phase.edge and phase.edge not in edges:
            hint = did_you_mean(phase.edge, edges)
            return f"edge={phase.edge!r}: the topology has {', '.join(edges)}{hint}"
        case _:
            return ""
