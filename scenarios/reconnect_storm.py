"""Reconnect storm: every client of every region is cut at one moment, and all come back at once.

Method: many senders and receivers over five regions; at even intervals all of them are cut in the
same moment and reconnect in the same moment, through edges drawn anew. In the second storm the
edges lose their links to the core as well, by a reset, and register their sessions again while the
clients come back. The next storm may strike while somebody still returns. In the end presence must
agree with who is really there.
"""

from tallystick import (
    AskPresence,
    Drain,
    LinkReset,
    Load,
    Login,
    Parameter,
    Parameters,
    Plan,
    Requires,
    Scenario,
    Storm,
    Stream,
    Topology,
    at,
)

LATENCY_MS = {"us-east": 5, "eu-west": 20, "apac": 40, "sa-east": 30, "ap-south": 35}


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    users = tuple(f"user_{index}" for index in range(p.users))
    gap_s = p.duration_s / p.storms
    storms = tuple(((index + 0.3) * gap_s, Storm(down_s=p.down_s)) for index in range(p.storms))
    reset = at(storms[1][0], LinkReset(), on="edge-core:*", optional=True)
    promised = int(p.rate_per_s * p.duration_s * 0.9)
    return Plan(
        topology=Topology(edges=tuple(LATENCY_MS), latency_ms=LATENCY_MS),
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
                faults=(reset,),
                during=storms,
                presence_every_s=0.5,
                presence_optional=True,
            ),
            AskPresence(users=users, optional=True),
            Drain(within_s=120.0),
        ),
        requires=Requires(
            sends_ok=promised,
            delivered=promised,
            # Who was still on the way back is not cut once more.
            sender_reconnects=int(0.8 * p.storms * p.senders),
            receiver_reconnects=int(0.8 * p.storms * p.users),
            fault_effects=len(storms),
        ),
        load_processes=p.load_processes,
    )


SCENARIO = Scenario(
    name="reconnect_storm",
    claim="When all clients of all regions are cut and come back at once, nothing is lost or "
    "doubled, every reader goes on where it was, and presence agrees again.",
    plan=plan,
    checks=("A1", "A7", "A8", "A11", "A12", "B2"),
    optional_checks=("D6",),
    parameters=(
        Parameter(
            name="duration_s", default=20.0, smoke=6.0, nightly=600.0, unit="s", minimum=1.0,
            help="How long the load lasts.",
        ),
        Parameter(
            name="storms", default=4, smoke=2, nightly=60, unit="storms", minimum=2, maximum=10_000,
            help="Storms, spread evenly over the load.",
        ),
        Parameter(
            name="down_s", default=0.2, unit="s", minimum=0.0,
            help="How long everybody stays away.",
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
            name="senders", default=100, smoke=40, nightly=500, unit="senders", minimum=5,
            maximum=2_000, help="Senders, spread over the regions.",
        ),
        Parameter(
            name="users", default=50, smoke=20, nightly=200, unit="users", minimum=5,
            maximum=1_000, help="Users, spread over the regions; each reads its inbox.",
        ),
        Parameter(
            name="load_processes", default=1, nightly=2, unit="processes", minimum=1, maximum=16,
            help="Processes that the senders are spread over.",
        ),
    ),
)  # fmt: skip
