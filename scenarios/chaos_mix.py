"""Chaos mix: faults of many kinds, in an order and on targets that the seed decides.

Method: two rows of faults run side by side. The first strikes what stores and what carries to it:
the core, its disk and clock, the edges, the links between them. The second strikes the links of
clients, in a region whose edge the first row leaves alone at that moment. A row draws each of its
kinds once before any comes again (a short run does not get through all), and each fault ends before
the next of its row, so that its effect can be told from theirs. Where clients talk to the core
itself, what is planned behind a kill comes later by the time that the system needs to come back,
and behind a pause by the pause.
Everybody churns and one inbox changes its bucket count meanwhile. Another seed is another schedule;
the same seed is the same one, not the same interleaving.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

from tallystick import (
    Ability,
    AskPresence,
    Churn,
    ClockJump,
    CrashInRecovery,
    Drain,
    LinkCut,
    LinkCutOneWay,
    LinkLatency,
    LinkLimitData,
    LinkPause,
    LinkReset,
    LinkSlicer,
    LinkSlowClose,
    Load,
    Login,
    Parameter,
    Parameters,
    Plan,
    Planned,
    PowerLoss,
    ProcessKill,
    ProcessPause,
    ProcessTerminate,
    Promote,
    Requires,
    Scenario,
    StoreFull,
    StoreSlowSync,
    StoreSyncError,
    StoreWriteError,
    Stream,
    Topology,
    at,
)

REGIONS = ("us-east", "eu-west", "apac")
BUCKET_COUNTS = (7, 50, 1, 20)


def inner(hold_s: float) -> list[Planned]:
    """Return what may strike behind the edges, at times to come; "{}" stands for a region.

    Whatever can be killed has a core; edges, and switches inside a node, are of some systems only.
    """
    on_core = [
        at(0, ProcessKill(), on="core"),
        at(0, ProcessTerminate(), on="core"),
        at(0, ProcessPause(duration_s=hold_s), on="core"),
    ]
    elsewhere = [
        at(0, CrashInRecovery(kills_count=2), on="core"),
        at(0, PowerLoss(loss="all"), on="core"),
        at(0, PowerLoss(loss="torn"), on="core"),
        at(0, StoreFull(duration_s=hold_s), on="core"),
        at(0, StoreSlowSync(delay_ms=100, duration_s=hold_s), on="core"),
        at(0, StoreSyncError(), on="core"),
        at(0, StoreWriteError(), on="core"),
        at(0, ClockJump(duration_s=hold_s), on="core"),
        at(0, ClockJump(jump_s=-86_400.0, duration_s=hold_s), on="core"),
        at(0, ProcessKill(duration_s=hold_s), on="edge:{}"),
        at(0, ProcessTerminate(duration_s=hold_s), on="edge:{}"),
        at(0, ProcessPause(duration_s=2 * hold_s), on="edge:{}"),
        at(0, LinkCut(duration_s=hold_s), on="edge-core:{}"),
        at(0, LinkReset(), on="edge-core:{}"),
        at(0, LinkPause(duration_s=hold_s), on="edge-core:{}"),
        at(0, LinkLatency(latency_ms=150, duration_s=hold_s), on="edge-core:{}"),
        at(0, LinkCutOneWay(direction="upstream", duration_s=hold_s), on="edge-core:{}"),
        at(0, LinkCutOneWay(direction="downstream", duration_s=hold_s), on="edge-core:{}"),
    ]
    return [*on_core, *(replace(one, optional=True) for one in elsewhere)]


def outer(hold_s: float) -> list[Planned]:
    """Return what may strike between clients and edges, at times to come."""
    links = "client-edge:{}:*"
    return [
        at(0, LinkCut(duration_s=hold_s), on=links),
        at(0, LinkReset(), on=links),
        at(0, LinkPause(duration_s=hold_s), on=links),
        at(0, LinkLatency(latency_ms=100, jitter_ms=50, duration_s=hold_s), on=links),
        at(0, LinkSlicer(duration_s=hold_s), on=links),
        at(0, LinkLimitData(limit_bytes=8_192, duration_s=hold_s), on=links),
        at(0, LinkSlowClose(duration_s=hold_s), on=links),
        at(0, LinkCutOneWay(direction="downstream", duration_s=hold_s), on=links),
    ]


def drawn(choices: Sequence[Planned], count: int, rng: random.Random) -> list[Planned]:
    """Return `count` of the choices, each once before any comes again."""
    found: list[Planned] = []
    while len(found) < count:
        found += rng.sample(choices, len(choices))
    return found[:count]


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    rng = random.Random(p.seed_for("faults"))
    users = tuple(f"user_{index}" for index in range(p.users))
    vip = "vip_rebucketed"
    gap_s = p.duration_s / p.strikes
    hold_s = 0.3 * gap_s
    faults: list[Planned] = []
    rows = zip(
        drawn(inner(hold_s), p.strikes, rng), drawn(outer(hold_s), p.strikes, rng), strict=True
    )
    for index, (first, second) in enumerate(rows):
        region, other = rng.sample(REGIONS, 2)
        first_s = (index + rng.uniform(0.05, 0.2)) * gap_s
        second_s = (index + rng.uniform(0.05, 0.4)) * gap_s
        faults += [
            replace(first, at_s=first_s, on=first.on.format(region)),
            replace(second, at_s=second_s, on=second.on.format(other)),
        ]
    changes = tuple(
        ((index + 0.5) * p.duration_s / 4, Promote(inbox=vip, bucket_count=count, optional=True))
        for index, count in enumerate(BUCKET_COUNTS)
    )
    promised = int(p.rate_per_s * p.duration_s * 0.9)
    everybody = (vip, *users)
    return Plan(
        topology=Topology(edges=REGIONS, latency_ms={"eu-west": 10, "apac": 30}),
        phases=(
            Login(inboxes=everybody),
            Load(
                duration_s=p.duration_s,
                streams=(
                    Stream(to=(vip,), producers=4, rate_per_s=0.5 * p.rate_per_s, batch_count=50),
                    Stream(
                        to=users,
                        producers=p.senders,
                        rate_per_s=0.5 * p.rate_per_s,
                        batch_count=10,
                    ),
                ),
                churn=Churn(sender_up_s=6.0, receiver_up_s=10.0, down_s=0.2),
                faults=tuple(faults),
                during=changes,
                presence_every_s=0.5,
                presence_optional=True,
                waits_for_restarts=True,
            ),
            AskPresence(users=everybody, optional=True),
            Drain(within_s=180.0),
        ),
        requires=Requires(
            sends_ok=promised,
            delivered=promised,
            sender_reconnects=p.strikes,
            receiver_reconnects=max(1, p.users // 2),
        ),
    )


SCENARIO = Scenario(
    name="chaos_mix",
    claim="Whatever breaks, in whatever order the seed draws, what was acknowledged is stored "
    "once, in one order, in the right bucket, and everybody reads it.",
    plan=plan,
    needs=frozenset({Ability.KILL}),
    checks=("A1", "A5", "A7", "A9", "A12", "A13", "B2", "B3", "B4"),
    optional_checks=("C1", "C4", "D6"),
    parameters=(
        Parameter(
            name="duration_s", default=36.0, smoke=12.0, nightly=3_600.0, unit="s", minimum=4.0,
            help="How long the load and the faults last.",
        ),
        Parameter(
            name="strikes", default=9, smoke=3, nightly=900, unit="faults", minimum=1,
            maximum=100_000, help="Faults in each of the two rows, spread over the load.",
        ),
        Parameter(
            name="rate_per_s", default=2_000.0, smoke=1_500.0, unit="messages/s", minimum=100.0,
            help="Messages per second of all senders together, by schedule.",
        ),
        Parameter(
            name="senders", default=12, unit="senders", minimum=1, maximum=1_000,
            help="Senders to the users; four more write to the inbox that is rebucketed.",
        ),
        Parameter(
            name="users", default=8, unit="users", minimum=1, maximum=500,
            help="Users; each reads its inbox.",
        ),
    ),
)  # fmt: skip
