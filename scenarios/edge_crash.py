"""Edge crash: edges are killed one after the other, and their clients move to other edges.

Method: senders and receivers are spread over all regions. One edge after the other is killed
(SIGKILL) and stays away for longer than its clients wait: they come back through edges drawn anew,
with batches that the dead edge had taken and not yet had answered. Half-way the core's links of a
living edge are reset as well. Presence is asked for all along: who sat on the dead edge must be
shown absent and then at the new edge within the promised bound.
"""

from tallystick import (
    Ability,
    AskPresence,
    Drain,
    LinkReset,
    Load,
    Login,
    Parameter,
    Parameters,
    Plan,
    ProcessKill,
    Requires,
    Scenario,
    Stream,
    Topology,
    at,
)

REGIONS = ("us-east", "eu-west", "apac")


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    users = tuple(f"user_{index}" for index in range(p.users))
    gap_s = p.duration_s / p.kills
    kills = tuple(
        at(
            (index + 0.3) * gap_s,
            ProcessKill(duration_s=p.away_share * gap_s),
            on=f"edge:{REGIONS[index % len(REGIONS)]}",
        )
        for index in range(p.kills)
    )
    # The region after the one that is away then.
    alive = REGIONS[(p.kills // 2 + 1) % len(REGIONS)]
    reset = at((p.kills // 2 + 0.5) * gap_s, LinkReset(), on=f"edge-core:{alive}")
    promised = int(p.rate_per_s * p.duration_s * 0.9)
    return Plan(
        topology=Topology(edges=REGIONS, latency_ms={"apac": 40}),
        phases=(
            Login(inboxes=users),
            Load(
                duration_s=p.duration_s,
                streams=(
                    Stream(
                        to=users,
                        producers=p.senders,
                        rate_per_s=p.rate_per_s,
                        batch_count=p.batch_count,
                    ),
                ),
                faults=(*kills, reset),
                presence_every_s=0.25,
            ),
            AskPresence(users=users),
            Drain(within_s=120.0),
        ),
        requires=Requires(
            sends_ok=promised,
            delivered=promised,
            sender_reconnects=p.kills * (p.senders // len(REGIONS)) // 2,
            receiver_reconnects=p.kills,
            fault_effects=len(kills) + 1,
        ),
    )


SCENARIO = Scenario(
    name="edge_crash",
    claim="When an edge dies its clients go on through others: what it had taken and not had "
    "answered is stored once, in order, and presence follows.",
    plan=plan,
    needs=frozenset({Ability.KILL}),
    checks=("A1", "A7", "A12", "B2", "B4", "D6"),
    parameters=(
        Parameter(
            name="duration_s", default=24.0, smoke=9.0, nightly=600.0, unit="s", minimum=1.0,
            help="How long the load lasts.",
        ),
        Parameter(
            name="kills", default=6, smoke=2, nightly=120, unit="kills", minimum=1, maximum=10_000,
            help="SIGKILLs of edges, one region after the other.",
        ),
        Parameter(
            name="away_share", default=0.5, unit="", minimum=0.0, maximum=0.6,
            help="Share of the time between two kills that an edge stays away.",
        ),
        Parameter(
            name="rate_per_s", default=4_000.0, smoke=2_000.0, unit="messages/s", minimum=100.0,
            help="Messages per second of all senders together, by schedule.",
        ),
        Parameter(
            name="batch_count", default=20, unit="messages", minimum=1, maximum=65_536,
            help="Messages per batch.",
        ),
        Parameter(
            name="senders", default=24, smoke=12, unit="senders", minimum=3, maximum=1_000,
            help="Senders, spread over the regions and the users.",
        ),
        Parameter(
            name="users", default=12, smoke=6, unit="users", minimum=3, maximum=500,
            help="Users, spread over the regions; each reads its inbox.",
        ),
    ),
)  # fmt: skip
