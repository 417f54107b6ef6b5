"""Duplicate storm: in waves every acknowledgement comes after the client's patience has ended.

Method: in waves the links between all edges and the core become so long that a round trip takes
longer than a client waits for its acknowledgement. Nothing is lost and nothing is down: everything
is merely late, so every sender sends everything again, some of it several times, and the core gets
each batch more than once. It must store it once and acknowledge the rest as known, also where a
resend is cut differently from the first attempt. After each wave the late answers of all attempts
arrive together.
"""

from tallystick import (
    Drain,
    LinkLatency,
    Load,
    Login,
    Parameter,
    Parameters,
    Plan,
    Requires,
    Scenario,
    Stream,
    Topology,
    at,
)


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    users = tuple(f"user_{index}" for index in range(p.users))
    gap_s = p.duration_s / p.waves
    waves = tuple(
        at(
            (index + 0.1) * gap_s,
            LinkLatency(latency_ms=p.latency_ms, duration_s=0.6 * gap_s),
            on="edge-core:*",
        )
        for index in range(p.waves)
    )
    promised = int(p.rate_per_s * p.duration_s * 0.9)
    return Plan(
        topology=Topology(edges=("us-east", "eu-west")),
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
                faults=waves,
            ),
            Drain(within_s=120.0),
        ),
        requires=Requires(
            sends_ok=promised,
            delivered=promised,
            # A wave holds for 0.6 of its gap; what is sent at its very ends may be in time.
            resent=int(0.5 * p.rate_per_s * p.duration_s),
            fault_effects=2 * len(waves),
        ),
    )


SCENARIO = Scenario(
    name="duplicate_storm",
    claim="When every acknowledgement of a wave comes too late and all of it is sent again, each "
    "message is stored once and in order.",
    plan=plan,
    checks=("A1", "A2", "A7", "B2", "B3", "B4"),
    parameters=(
        Parameter(
            name="duration_s", default=24.0, smoke=8.0, nightly=600.0, unit="s", minimum=4.0,
            help="How long the load lasts.",
        ),
        Parameter(
            name="waves", default=3, smoke=1, nightly=60, unit="waves", minimum=1, maximum=10_000,
            help="How often the links become long.",
        ),
        Parameter(
            name="latency_ms", default=1_150, unit="ms", minimum=10, maximum=10_000,
            help="Added each way. The reference's client waits 2,000 ms for a round trip, and its "
            "nodes 1,500 ms for a sign of life.",
        ),
        Parameter(
            name="rate_per_s", default=3_000.0, smoke=2_000.0, unit="messages/s", minimum=100.0,
            help="Messages per second of all senders together, by schedule.",
        ),
        Parameter(
            name="batch_count", default=20, unit="messages", minimum=1, maximum=65_536,
            help="Messages per batch.",
        ),
        Parameter(
            name="senders", default=12, unit="senders", minimum=1, maximum=1_000, help="Senders.",
        ),
        Parameter(
            name="users", default=6, unit="users", minimum=1, maximum=500,
            help="Users; each reads its inbox.",
        ),
    ),
)  # fmt: skip
