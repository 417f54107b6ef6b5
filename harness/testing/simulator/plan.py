"""What happens in a simulation: steps at given times, drawn from a seed or by hypothesis."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What a step does. `who` and `how` choose among what is there, modulo their number."""

    SEND = "send"
    SEND_MANY = "send_many"
    SENDER_LEAVES = "sender_leaves"
    SENDER_CRASHES = "sender_crashes"
    RECEIVER_ABORTS = "receiver_aborts"
    RECEIVER_LOGS_OUT = "receiver_logs_out"
    RECEIVER_CRASHES = "receiver_crashes"
    OTHER_DEVICE = "other_device"
    ASK_END = "ask_end"
    RESET = "reset"
    CUT = "cut"
    EDGE_CRASHES = "edge_crashes"
    CORE_CRASHES = "core_crashes"
    CORE_CRASHES_IN_COMMIT = "core_crashes_in_commit"
    PROMOTE = "promote"
    PROMOTE_AND_LOSE_ANSWER = "promote_and_lose_answer"
    STORE_FULL = "store_full"
    DISK_SLOW = "disk_slow"
    ZOMBIE = "zombie"


WEIGHTS: dict[Action, int] = {
    Action.SEND: 30,
    Action.SEND_MANY: 10,
    Action.SENDER_LEAVES: 5,
    Action.SENDER_CRASHES: 1,
    Action.RECEIVER_ABORTS: 4,
    Action.RECEIVER_LOGS_OUT: 2,
    Action.RECEIVER_CRASHES: 2,
    Action.OTHER_DEVICE: 3,
    Action.ASK_END: 5,
    Action.RESET: 8,
    Action.CUT: 4,
    Action.EDGE_CRASHES: 2,
    Action.CORE_CRASHES: 1,
    Action.CORE_CRASHES_IN_COMMIT: 2,
    Action.PROMOTE: 4,
    Action.PROMOTE_AND_LOSE_ANSWER: 1,
    Action.STORE_FULL: 1,
    Action.DISK_SLOW: 2,
    Action.ZOMBIE: 2,
}
"""How often a drawn step is of each kind."""

LOAD_MS = 4_000
"""The span over which the steps of a drawn plan are spread."""

STEPS_MAX = 120
"""Steps of a drawn plan at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happens `wait_ms` after the step before."""

    wait_ms: int
    action: Action
    who: int = 0
    how: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that makes a simulation what it is.

    Attributes:
        seed: For all that is not a step: latencies, jitter, payloads, when a reader acknowledges.
        trims: The core trims what was acknowledged (retention "ack").
        timeout_ms: After so long a sender sends again.
        ack_delay_ms: A reader acknowledges up to so long after a delivery.
    """

    seed: int
    steps: tuple[Step, ...]
    edges: int = 2
    core_links: int = 1
    senders: int = 3
    inboxes: int = 2
    trims: bool = False
    window_bytes: int = 4_096
    timeout_ms: int = 300
    ack_delay_ms: int = 300


def draw_plan(seed: int, focus: tuple[Action, ...] = ()) -> Plan:
    """Return the plan of a seed.

    Each leaves some kinds of steps out, so that others stand out; some keep only very few (swarm
    testing, Groce and others, ISSTA 2012). With `focus` it has no others than these and sends.
    """
    rng = random.Random(seed)
    others = [action for action in Action if action is not Action.SEND]
    kept = list(focus)
    if not kept and rng.random() < 0.5:
        kept = [action for action in others if rng.random() < 0.75]
    elif not kept:
        kept = rng.sample(others, rng.choice((1, 2, 3)))
    actions = [Action.SEND, *kept]
    weights = [WEIGHTS[a] for a in actions]
    count = rng.randrange(10, STEPS_MAX)
    steps = tuple(
        Step(
            wait_ms=rng.choice((0, 0, 1, 5, rng.randrange(2 * LOAD_MS // count + 1))),
            action=rng.choices(actions, weights)[0],
            who=rng.randrange(64),
            how=rng.randrange(256),
        )
        for _ in range(count)
    )
    return Plan(
        seed=seed,
        steps=steps,
        edges=rng.choice((1, 2, 3)),
        core_links=rng.choice((1, 1, 2)),
        senders=rng.choice((1, 2, 4)),
        inboxes=rng.choice((1, 2)),
        trims=rng.random() < 0.3,
        window_bytes=rng.choice((4_096, 4_096, 65_536)),
        timeout_ms=rng.choice((100, 300, 2_000)),
        ack_delay_ms=rng.choice((50, 300, 1_000)),
    )
