"""A small steady load, run again and again by `benchmarks/compare_rate.py`; nothing is broken."""

from tallystick import (
    Drain,
    Load,
    Login,
    Parameter,
    Parameters,
    Plan,
    Requires,
    Scenario,
    Stream,
    Topology,
)


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    return Plan(
        topology=Topology(edges=("here",), latency_ms={"here": p.latency_ms}),
        phases=(
            Login(inboxes=("bob", "ann")),
            Load(
                duration_s=p.duration_s,
                streams=(Stream(to=("bob", "ann"), producers=4, rate_per_s=p.rate_per_s),),
            ),
            Drain(),
        ),
        requires=Requires(sends_ok=1, delivered=1),
    )


SCENARIO = Scenario(
    name="compare_rate",
    claim="A small steady load arrives, each message once and in order.",
    plan=plan,
    parameters=(
        Parameter(name="duration_s", default=1.5, unit="s", help="How long.", minimum=0.1),
        Parameter(name="rate_per_s", default=400.0, unit="messages/s", help="Rate.", minimum=1.0),
        Parameter(name="latency_ms", default=5, unit="ms", help="Of the link.", minimum=0),
    ),
)  # fmt: skip
