"""Long churn: everybody comes and goes for a long time, and the store forgets what was read.

Method: senders and receivers of three regions are cut and come back at random all the time, half of
the senders' cuts right behind a batch whose bytes are under way. The store deletes what was
acknowledged (retention "ack"), so for the whole time messages are trimmed behind cursors that move
while their readers change edges. Some users are never there until the drain; what waits for them,
in several buckets, is inspected while load runs, and before the drain. The core keeps little in
memory, so who comes back reads from the store. A third of the readers leave their place to the
durable cursor, the others name it. Memory of the nodes is limited: what churn leaves behind would
show there in a long run.
"""

from tallystick import (
    Ability,
    AskPresence,
    Churn,
    Drain,
    Inspect,
    LinkReset,
    Load,
    Login,
    Parameter,
    Parameters,
    Plan,
    Promote,
    Requires,
    Scenario,
    Stream,
    Topology,
    every,
)

REGIONS = ("us-east", "eu-west", "apac")

CACHE_BYTES = 256 * 1024
"""What the core may keep in memory: those who come back read from a store that is trimmed."""


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    users = tuple(f"user_{index}" for index in range(p.users))
    away = tuple(f"away_{index}" for index in range(max(1, p.users // 4)))
    resets = every(
        p.duration_s / 4,
        LinkReset(),
        on="edge-core:apac",
        begin_s=p.duration_s / 8,
        end_s=p.duration_s,
    )
    promised = int(p.rate_per_s * p.duration_s * 0.9)
    # Half of what the mean times promise: a cut that finds nobody connected does not count.
    sender_cycles = p.duration_s / (p.up_s + p.down_s)
    receiver_cycles = p.duration_s / (2 * p.up_s + p.down_s)
    return Plan(
        topology=Topology(
            edges=REGIONS, latency_ms={"apac": 30}, retention="ack", cache_bytes=CACHE_BYTES
        ),
        phases=(
            *(Promote(inbox=user, bucket_count=5) for user in away),
            Login(inboxes=users),
            Load(
                duration_s=p.duration_s,
                streams=(
                    Stream(
                        to=(*users, *away),
                        producers=p.senders,
                        rate_per_s=p.rate_per_s,
                        batch_count=p.batch_count,
                    ),
                ),
                churn=Churn(
                    sender_up_s=p.up_s,
                    receiver_up_s=2 * p.up_s,
                    down_s=p.down_s,
                    from_cursor_share=0.3,
                ),
                during=((p.duration_s / 2, Inspect(inboxes=away)),),
                faults=resets,
                presence_every_s=0.25,
            ),
            AskPresence(users=users),
            Inspect(inboxes=away),
            Drain(within_s=180.0, reread=False),
        ),
        requires=Requires(
            sends_ok=promised,
            delivered=promised,
            sender_reconnects=int(0.5 * sender_cycles * p.senders),
            receiver_reconnects=int(0.5 * receiver_cycles * p.users),
            resizes=len(away),
            fault_effects=len(resets),
        ),
        limits=(
            f"core_rss_max_bytes <= {p.core_rss_max_mib * 1024 * 1024}",
            f"edge_rss_max_bytes <= {p.edge_rss_max_mib * 1024 * 1024}",
        ),
    )


SCENARIO = Scenario(
    name="long_churn",
    claim="While everybody comes and goes and the store trims behind their cursors, each message "
    "arrives once and in order, nothing comes back, and memory stays within its limits.",
    plan=plan,
    needs=frozenset({Ability.RESIZE, Ability.INSPECT}),
    checks=("A1", "A7", "A9", "A11", "A12", "B2", "B4", "D6"),
    parameters=(
        Parameter(
            name="duration_s", default=30.0, smoke=8.0, nightly=3_600.0, unit="s", minimum=2.0,
            help="How long the load lasts.",
        ),
        Parameter(
            name="rate_per_s", default=4_000.0, smoke=2_000.0, unit="messages/s", minimum=100.0,
            help="Messages per second of all senders together, by schedule.",
        ),
        Parameter(
            name="batch_count", default=10, unit="messages", minimum=1, maximum=65_536,
            help="Messages per batch.",
        ),
        Parameter(
            name="senders", default=32, smoke=16, unit="senders", minimum=1, maximum=1_000,
            help="Senders.",
        ),
        Parameter(
            name="users", default=16, smoke=8, unit="users", minimum=1, maximum=500,
            help="Users who read; a quarter as many more are away until the drain.",
        ),
        Parameter(
            name="up_s", default=2.0, smoke=1.5, unit="s", minimum=0.2,
            help="Mean time a sender stays connected; receivers stay twice as long.",
        ),
        Parameter(
            name="down_s", default=0.2, unit="s", minimum=0.01,
            help="Mean time between a cut and the next connect.",
        ),
        Parameter(
            name="core_rss_max_mib", default=400, unit="MiB", minimum=1,
            help="Limit: resident memory of the core.",
        ),
        Parameter(
            name="edge_rss_max_mib", default=300, unit="MiB", minimum=1,
            help="Limit: resident memory of an edge.",
        ),
    ),
)  # fmt: skip
