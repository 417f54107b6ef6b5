"""Rolling restart: every node moves to the next version, one after the other, while load runs.

Method: edges and core begin as nodes of the version before: they speak its wire protocol and keep
its store. While senders send and everybody reads, the edges are stopped (SIGTERM) one by one and
started as nodes of this version, then the core, which migrates its store; or the core first. So
newer edges talk to an older core, or older ones to a newer core, with clients of this version all
along, and clients of a stopped edge move to others. Then every inbox is read to its end, and once
more from the start. Other systems are restarted in the same order, with nothing else changed.
"""

from tallystick import (
    Ability,
    Drain,
    Load,
    Login,
    Parameter,
    Parameters,
    Plan,
    ProcessTerminate,
    Promote,
    Requires,
    Scenario,
    Stream,
    Topology,
    at,
)

REGIONS = ("us-east", "eu-west", "apac")

WAIT_S = 30.0
"""How long a restart waits for the one before it."""


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    vip = "vip"
    users = tuple(f"user_{index}" for index in range(p.users))
    edges = tuple(f"edge:{region}" for region in REGIONS)
    nodes = (*edges, "core") if p.order == "edges_first" else ("core", *edges)
    gap_s = p.duration_s / len(nodes)
    restarts = tuple(
        at(
            (index + 0.3) * gap_s,
            ProcessTerminate(duration_s=p.away_s, wait_s=WAIT_S),
            on=node,
            # Where there are no edges, the core alone is restarted.
            optional=node != "core",
        )
        for index, node in enumerate(nodes)
    )
    promised = int(p.rate_per_s * p.duration_s * 0.9)
    return Plan(
        topology=Topology(edges=REGIONS, options={"older_first": True}),
        phases=(
            Promote(inbox=vip, bucket_count=p.bucket_count, optional=True),
            Login(inboxes=(vip, *users)),
            Load(
                duration_s=p.duration_s,
                streams=(
                    Stream(to=(vip,), producers=6, rate_per_s=0.7 * p.rate_per_s, batch_count=20),
                    Stream(to=users, producers=6, rate_per_s=0.3 * p.rate_per_s),
                ),
                faults=restarts,
            ),
            Drain(within_s=120.0),
        ),
        requires=Requires(
            sends_ok=promised, delivered=promised, sender_reconnects=3, receiver_reconnects=1
        ),
    )


SCENARIO = Scenario(
    name="rolling_restart",
    claim="All nodes can be moved to the next version one by one under load: what was acknowledged "
    "before, between and after is there once and in order, and nobody has to stop.",
    plan=plan,
    needs=frozenset({Ability.RESTART}),
    checks=("A1", "A7", "A12", "B2", "B4"),
    optional_checks=("C1",),
    parameters=(
        Parameter(
            name="duration_s", default=10.0, smoke=6.0, nightly=120.0, unit="s", minimum=2.0,
            help="How long the load lasts.",
        ),
        Parameter(
            name="order", default="edges_first", unit="", choices=("edges_first", "core_first"),
            help="Which nodes are of the next version first.",
        ),
        Parameter(
            name="away_s", default=0.2, unit="s", minimum=0.0, maximum=60.0,
            help="How long a node stays away before it is started again.",
        ),
        Parameter(
            name="rate_per_s", default=3_000.0, smoke=1_000.0, unit="messages/s", minimum=100.0,
            help="Messages per second of all senders together, by schedule.",
        ),
        Parameter(
            name="bucket_count", default=5, unit="buckets", minimum=1, maximum=1_024,
            help="Buckets of the VIP's inbox.",
        ),
        Parameter(
            name="users", default=6, unit="users", minimum=1, maximum=6, help="Normal users.",
        ),
    ),
)  # fmt: skip
