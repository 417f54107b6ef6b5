"""Slow receiver: a VIP does not read, another reads by fits and starts, and memory stays bounded.

Method: one VIP logs in, takes what its window holds and acknowledges nothing more; the link of
another one stands still for a second again and again, so that what is sent to it fills the socket
and the buffers of its edge. Far more than all windows and buffers together is written to both. The
core must hold both back without refusing the writers, keep what waits in the store and not in
memory, and serve the quiet users beside them. Then the first VIP begins to read, the other's link
is healed, and everything has to come, in order.
"""

from tallystick import (
    Drain,
    LinkPause,
    Load,
    Login,
    Parameter,
    Parameters,
    PayloadSpec,
    Plan,
    Read,
    Requires,
    Scenario,
    Stream,
    Topology,
    every,
)

MESSAGE_BYTES = 1_000


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    deaf, halting = "vip_deaf", "vip_halting"
    quiet = tuple(f"user_{index}" for index in range(p.users))
    stops = every(
        2 * p.stop_s,
        LinkPause(direction="downstream", duration_s=p.stop_s),
        on=f"client-edge:*:reader-{halting}",
        begin_s=0.5,
        end_s=p.duration_s - p.stop_s,
    )
    quiet_per_s = 50.0 * p.users
    promised = int((2 * p.vip_rate_per_s + quiet_per_s) * p.duration_s * 0.9)
    return Plan(
        topology=Topology(edges=("us-east", "eu-west")),
        phases=(
            Login(inboxes=(deaf,), reads=False),
            Login(inboxes=(halting, *quiet)),
            Load(
                duration_s=p.duration_s,
                streams=(
                    Stream(
                        to=(deaf, halting),
                        producers=4,
                        rate_per_s=2 * p.vip_rate_per_s,
                        batch_count=100,
                    ),
                    Stream(to=quiet, producers=p.users, rate_per_s=quiet_per_s),
                ),
                faults=stops,
            ),
            Read(inboxes=(deaf,)),
            Drain(within_s=120.0),
        ),
        payload=PayloadSpec(
            size_bytes_min=MESSAGE_BYTES, size_bytes_max=MESSAGE_BYTES, varies=True
        ),
        requires=Requires(
            sends_ok=promised,
            delivered=promised,
            # Half of what is sent to the one who does not read: more than its window holds.
            backlog=int(0.5 * p.vip_rate_per_s * p.duration_s),
            # A load too short for a stop proves nothing about one.
            fault_effects=max(1, len(stops)),
        ),
        optional_limits=(
            f"core_rss_max_bytes <= {p.core_rss_max_mib * 1024 * 1024}",
            f"edge_rss_max_bytes <= {p.edge_rss_max_mib * 1024 * 1024}",
        ),
    )


SCENARIO = Scenario(
    name="slow_receiver",
    claim="Who does not read is held back within the named limits of every buffer, costs nobody "
    "else what was promised, and finds everything when it reads.",
    plan=plan,
    checks=("A1", "A7", "A11", "B2"),
    optional_checks=("D7",),
    parameters=(
        Parameter(
            name="duration_s", default=20.0, smoke=6.0, nightly=300.0, unit="s", minimum=1.0,
            help="How long the load lasts and the VIP does not read.",
        ),
        Parameter(
            name="vip_rate_per_s", default=2_500.0, unit="messages/s", minimum=100.0,
            help="Messages of 1,000 bytes per second to each of the two VIPs.",
        ),
        Parameter(
            name="stop_s", default=1.0, unit="s", minimum=0.1,
            help="How long the second VIP's link stands still, and then carries on.",
        ),
        Parameter(
            name="users", default=6, unit="users", minimum=1, maximum=100,
            help="Quiet users on the same edges, 50 messages/s each.",
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
