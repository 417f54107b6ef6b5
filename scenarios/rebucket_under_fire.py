"""Rebucketing under fire: promotions and demotions while nodes crash and links break.

Method: one inbox goes from one bucket to many and back, again and again, while messages flow into
it and its reader reads. Kills of the core lie around the moments of a change, so that some requests
are cut off and asked for again under the epoch that they expect; resets and cuts of edges' links
lie between them. Each new count must begin at one position, nothing may move, and where every
message lies is compared with the published hash of the count in force there, at the end and while
all of that goes on.

With rule=on nobody asks for the changes: the load comes in bursts, the core promotes the inbox when
it is hot and demotes it when it has cooled down, and the same faults and checks stand around that.
"""

import random

from tallystick import (
    Ability,
    Drain,
    Inspect,
    LinkCut,
    LinkReset,
    Load,
    Login,
    Parameter,
    Parameters,
    Plan,
    Planned,
    ProcessKill,
    Promote,
    Requires,
    Scenario,
    Stream,
    Topology,
    at,
)

BUCKET_COUNTS = (5, 50, 1, 7, 100, 2)
EDGES = ("us-east", "eu-west")

LOOKS = 2
"""Inspections of the store while load runs."""


VIP = "vip_rebucketed"

HOT_SHARE, COOL_SHARE, QUIET_SHARE = 0.25, 0.05, 0.005
"""Of the rate of a burst: where the rule promotes and demotes, and what comes between bursts."""


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    return _by_rule(p) if p.rule == "on" else _by_request(p)


def _by_rule(p: Parameters) -> Plan:
    """Return bursts with pauses between them, and a fault about where each change will be."""
    bursts = max(1, p.changes // 2)
    half_s = p.duration_s / bursts / 2
    rng = random.Random(p.seed_for("strikes"))
    loads: list[Load] = []
    faults = 0
    for index in range(2 * bursts):
        share = QUIET_SHARE if index % 2 else 1.0
        edge = EDGES[index % len(EDGES)]
        # The rate crosses the threshold a fraction of a second behind the change of the load.
        near_s = half_s * rng.uniform(0.1, 0.3)
        match index % 3:
            case 0:
                strike = at(near_s, ProcessKill(), on="core")
            case 1:
                strike = at(near_s, LinkReset(), on=f"edge-core:{edge}")
            case _:
                strike = at(near_s, LinkCut(duration_s=0.2 * half_s), on=f"edge-core:{edge}")
        faults += 1
        loads.append(
            Load(
                duration_s=half_s,
                streams=(
                    Stream(
                        to=(VIP,),
                        producers=p.senders,
                        rate_per_s=share * p.rate_per_s,
                        batch_count=p.batch_count if share == 1.0 else 1,
                    ),
                ),
                faults=(strike,),
            )
        )
    promised = int(p.rate_per_s * p.duration_s / 2 * 0.9)
    rule = {
        "hot_writes_per_s": max(2, int(HOT_SHARE * p.rate_per_s)),
        "cool_writes_per_s": int(COOL_SHARE * p.rate_per_s),
        "hot_hold_ms": max(200, int(250 * half_s)),
        "hot_window_ms": max(100, int(100 * half_s)),
        "hot_bucket_count": 50,
    }
    return Plan(
        topology=Topology(edges=EDGES, options={"core": rule}),
        phases=(Login(inboxes=(VIP,)), *loads, Drain(within_s=120.0)),
        requires=Requires(
            sends_ok=promised,
            delivered=promised,
            # At least once up and once down.
            own_resizes=max(2, bursts),
            fault_effects=faults,
        ),
    )


def _by_request(p: Parameters) -> Plan:
    """Return one load with promotions and demotions in it, and faults around them."""
    vip = VIP
    gap_s = p.duration_s / p.changes
    changes = tuple(
        (
            (index + 0.5) * gap_s,
            Promote(inbox=vip, bucket_count=BUCKET_COUNTS[index % len(BUCKET_COUNTS)]),
        )
        for index in range(p.changes)
    )
    # Beside the kills: an inspection finds what no crash has undone, and what one may yet undo.
    looks = tuple(
        ((index + 1) * p.duration_s / (LOOKS + 1), Inspect(inboxes=(vip,)))
        for index in range(LOOKS)
    )
    rng = random.Random(p.seed_for("strikes"))
    faults: list[Planned] = []
    for index, (change_s, _) in enumerate(changes):
        edge = EDGES[index % len(EDGES)]
        match index % 3:
            case 0:
                # From a little before the change to a little behind it.
                near_s = change_s + rng.uniform(-0.05, 0.05)
                faults.append(at(near_s, ProcessKill(), on="core"))
            case 1:
                faults.append(at(change_s, LinkReset(), on=f"edge-core:{edge}"))
            case _:
                cut = LinkCut(duration_s=0.4 * gap_s)
                faults.append(at(change_s - 0.1 * gap_s, cut, on=f"edge-core:{edge}"))
    promised = int(p.rate_per_s * p.duration_s * 0.9)
    return Plan(
        topology=Topology(edges=EDGES),
        phases=(
            Login(inboxes=(vip,)),
            Load(
                duration_s=p.duration_s,
                streams=(
                    Stream(
                        to=(vip,),
                        producers=p.senders,
                        rate_per_s=p.rate_per_s,
                        batch_count=p.batch_count,
                    ),
                ),
                faults=tuple(faults),
                during=(*changes, *looks),
            ),
            Drain(within_s=120.0),
        ),
        # A change whose request was cut off has happened without being confirmed.
        requires=Requires(
            sends_ok=promised,
            delivered=promised,
            resizes=(p.changes + 1) // 2,
            fault_effects=len(faults),
        ),
    )


SCENARIO = Scenario(
    name="rebucket_under_fire",
    claim="A bucket count that changes amid crashes and cuts changes at one position: nothing is "
    "lost, doubled, moved or reordered, and every message lies where its epoch's hash says.",
    plan=plan,
    needs=frozenset({Ability.RESIZE, Ability.INSPECT, Ability.KILL}),
    checks=("A1", "A7", "B2", "B4", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8"),
    smoke=True,
    parameters=(
        Parameter(
            name="duration_s", default=24.0, smoke=6.0, nightly=900.0, unit="s", minimum=1.0,
            help="How long the load lasts.",
        ),
        Parameter(
            name="changes", default=12, smoke=3, nightly=300, unit="changes", minimum=1,
            maximum=10_000, help="Promotions and demotions, spread evenly over the load.",
        ),
        Parameter(
            name="rule", default="off", unit="", choices=("off", "on"),
            help="Whether the core changes the count by itself, by how hot the inbox is.",
        ),
        Parameter(
            name="rate_per_s", default=6_000.0, smoke=3_000.0, unit="messages/s", minimum=100.0,
            help="Messages per second of all senders together, by schedule.",
        ),
        Parameter(
            name="batch_count", default=50, unit="messages", minimum=1, maximum=65_536,
            help="Messages per batch.",
        ),
        Parameter(
            name="senders", default=8, unit="senders", minimum=1, maximum=256, help="Senders.",
        ),
    ),
)  # fmt: skip
