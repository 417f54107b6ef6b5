"""The whole path at full speed: one inbox, batches of 500, closed loop, everything checked.

Run by `benchmarks/whole_path.py`, or by itself:
``tallystick run benchmarks/whole_path_scenario.py --set bucket_count=50``.
"""

from tallystick import (
    Ability,
    Churn,
    Drain,
    Load,
    Login,
    Parameter,
    Parameters,
    PayloadSpec,
    Plan,
    Promote,
    Requires,
    Scenario,
    Stream,
    Topology,
)


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    promote = (Promote(inbox="hot", bucket_count=p.bucket_count),) if p.bucket_count > 1 else ()
    churn = Churn(sender_up_s=p.up_s, receiver_up_s=2 * p.up_s) if p.up_s else Churn()
    return Plan(
        vary=False,
        topology=Topology(edges=("us-east",)),
        phases=(
            *promote,
            Login(inboxes=("hot",)),
            Load(
                duration_s=p.duration_s,
                streams=(
                    Stream(
                        to=("hot",),
                        producers=p.senders,
                        count=p.count,
                        batch_count=p.batch_count,
                    ),
                ),
                churn=churn,
            ),
            # Nobody reads a second time: the benchmark measures the path once.
            Drain(within_s=120.0, reread=False),
        ),
        payload=PayloadSpec(size_bytes_min=p.size_bytes, size_bytes_max=p.size_bytes),
        requires=Requires(sends_ok=1, delivered=1),
        load_processes=p.load_processes,
    )


SCENARIO = Scenario(
    name="whole_path",
    claim="At full speed, too, nothing acknowledged is lost, doubled or out of order.",
    plan=plan,
    needs=frozenset({Ability.RESIZE}),
    parameters=(
        Parameter(name="duration_s", default=10.0, unit="s", help="How long.", minimum=0.1),
        Parameter(name="senders", default=2, unit="senders", help="Senders.", minimum=1),
        Parameter(
            name="count", default=0, unit="messages", help="Per sender; 0: as many as it can.",
            minimum=0,
        ),
        Parameter(name="batch_count", default=500, unit="messages", help="Per batch.", minimum=1),
        Parameter(name="size_bytes", default=100, unit="bytes", help="Per message.", minimum=1),
        Parameter(
            name="bucket_count", default=50, unit="buckets", help="Buckets of the inbox.",
            minimum=1, maximum=1_024,
        ),
        Parameter(name="up_s", default=0.0, unit="s", help="Mean time up; 0: no churn.", minimum=0),
        Parameter(
            name="load_processes", default=1, unit="processes", help="For the senders.", minimum=1
        ),
    ),
)  # fmt: skip
