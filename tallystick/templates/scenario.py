"""Template title: say in a sentence or two what is tried, and how.

Method: a few senders write to one inbox while nobody reads it; their links are cut for a time. Then
the reader logs in, and everything must be there, in order, once. It runs on every system: a broker
has no edges behind which a link could be cut.

Run it with ``tallystick run ./template_name.py``; see its knobs with ``tallystick show``.
"""

from tallystick import (
    Drain,
    LinkCut,
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
    return Plan(
        topology=Topology(edges=("here",)),
        phases=(
            Load(
                duration_s=p.duration_s,
                streams=(Stream(to=("bob",), producers=2, rate_per_s=p.rate_per_s),),
                faults=(at(0.25 * p.duration_s, LinkCut(duration_s=0.5), on="client-edge:here:*"),),
            ),
            Login(inboxes=("bob",)),
            Drain(),
        ),
        # Less than this, and the run proves nothing: it ends UNKNOWN.
        requires=Requires(sends_ok=100, delivered=100, fault_effects=1),
        # Counted from when a message was due: the cut is in it, and the client's way back.
        limits=("ack_p99_ms <= 10000",),
    )


SCENARIO = Scenario(
    name="template_name",
    claim="What is sent through a cut link to somebody who is away waits for the login, in order.",
    plan=plan,
    parameters=(
        Parameter(
            name="duration_s",
            default=4.0,
            smoke=2.0,
            nightly=60.0,
            unit="s",
            help="How long messages flow.",
            minimum=1.0,
        ),
        Parameter(
            name="rate_per_s",
            default=500.0,
            unit="messages/s",
            help="Messages per second of all senders together.",
            minimum=1.0,
        ),
    ),
)
