"""Region partition: one region loses the core, first wholly, then in one direction only.

Method: everybody sends and reads in three regions. The link between one region's edge and the core
is cut; later it swallows what the edge says; later what the core says. The last two leave all
connections open and look like silence, which only a heartbeat can tell from peace. Senders of that
region stay at their edge and wait; the others must go on meanwhile. Readers come and go, through
regions drawn anew: who leaves a region that is cut off had acknowledged what the core never heard,
and goes on elsewhere, three of ten by the durable cursor. Presence is asked for all the time: in
the middle of a cut that lasts longer than the promised bound nobody may be shown online behind it,
and when all is healed it has to be right within the bound.
"""

from tallystick import (
    AskPresence,
    Churn,
    Drain,
    LinkCut,
    LinkCutOneWay,
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

REGIONS = ("us-east", "eu-west", "apac")
CUT_OFF = "edge-core:apac"

RECEIVER_UP_S = 3.0
"""Mean time that a reader stays logged in; then it comes back and goes on where it was."""


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    users = tuple(f"user_{index}" for index in range(p.users))
    third_s = p.duration_s / (3 * p.rounds)
    cut_s = p.cut_share * third_s
    kinds = (
        LinkCut(duration_s=cut_s),
        LinkCutOneWay(direction="upstream", duration_s=cut_s),
        LinkCutOneWay(direction="downstream", duration_s=cut_s),
    )
    faults = tuple(
        at((index + 0.1) * third_s, kinds[index % 3], on=CUT_OFF) for index in range(3 * p.rounds)
    )
    promised = int(p.rate_per_s * p.duration_s * 0.9)
    # What a cut region's users are sent waits for them; half of one user's share is enough.
    waiting = int(0.5 * cut_s * p.rate_per_s / p.users)
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
                faults=faults,
                churn=Churn(receiver_up_s=RECEIVER_UP_S, from_cursor_share=0.3),
                presence_every_s=0.25,
            ),
            AskPresence(users=users),
            Drain(within_s=120.0),
        ),
        requires=Requires(
            sends_ok=promised,
            delivered=promised,
            backlog=waiting,
            fault_effects=len(faults),
            # Who never comes back proves nothing about a cursor.
            receiver_reconnects=int(p.duration_s / RECEIVER_UP_S),
        ),
    )


SCENARIO = Scenario(
    name="region_partition",
    claim="A region that is cut off, wholly or in one direction, loses and doubles nothing: what "
    "was sent meanwhile is there once and in order when it is back, and every reader goes on where "
    "it was.",
    plan=plan,
    checks=("A1", "A7", "A8", "A9", "A12", "A13", "B2", "B4", "D6"),
    parameters=(
        Parameter(
            name="duration_s", default=27.0, smoke=18.0, nightly=900.0, unit="s", minimum=1.0,
            help="How long the load lasts.",
        ),
        Parameter(
            name="rounds", default=1, nightly=30, unit="rounds", minimum=1, maximum=10_000,
            help="How often all three kinds of cut come.",
        ),
        Parameter(
            name="cut_share", default=0.6, unit="", minimum=0.1, maximum=0.7,
            help="Share of the time between two cuts that a cut lasts.",
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
            name="senders", default=18, smoke=9, unit="senders", minimum=3, maximum=1_000,
            help="Senders, spread over the regions and the users.",
        ),
        Parameter(
            name="users", default=9, smoke=6, unit="users", minimum=3, maximum=500,
            help="Users, spread over the regions; each reads its inbox.",
        ),
    ),
)  # fmt: skip
