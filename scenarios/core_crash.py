"""Core crash: the core is killed again and again while messages are being acknowledged.

Method: senders in three regions write batches to a VIP's inbox of several buckets and single
messages to users, and everybody reads. The core is killed (SIGKILL) at even intervals and started
again, so each kill finds commits, acknowledgements and cursors under way; every third time it is
killed once more while it recovers. The seed makes some first absences longer than anybody waits for
a sign of life, and some clocks days off from before a kill until after it. Senders send again what
was not answered; half of the receivers resume behind the last position they have, the others leave
their place to the durable cursor. Then comes a moment in which all is read and confirmed, and one
more kill: whoever logs in by the cursor after that must be given nothing again. At the end every
inbox is read to its confirmed end, and once more from the start. SIGKILL leaves the page cache
alone: what an `fsync` is worth shows where power is lost (`chaos_mix`, and the power-loss tests),
not here.
"""

import random
from dataclasses import replace

from tallystick import (
    Ability,
    AskPresence,
    CatchUp,
    Churn,
    ClockJump,
    CrashInRecovery,
    Drain,
    Load,
    Login,
    Logout,
    Parameter,
    Parameters,
    Plan,
    ProcessKill,
    Promote,
    Requires,
    Restart,
    Scenario,
    Send,
    Stream,
    Topology,
    at,
)

WAIT_S = 30.0
"""How long a kill waits for the core to be back from the one before it."""

LONG_AWAY_S = 4.0
"""An absence that outlasts the deadline for signs of life, 3 s on the reference."""

DAYS_OFF = (-30, -3, 1, 6)
"""Days that the clock jumps by over a restart. A core may forget who sent nothing for 7 days."""

RECEIVER_UP_S = 2.0
"""Mean time that a reader stays logged in; then it comes back and goes on where it was."""


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    vip = "vip"
    users = tuple(f"user_{index}" for index in range(p.users))
    gap_s = p.duration_s / p.kills
    # On a busy machine a recovery may take longer than the next kill is away; that one waits.
    again = CrashInRecovery(kills_count=p.again_count, duration_s=p.away_s, wait_s=WAIT_S)
    once = ProcessKill(duration_s=p.away_s, wait_s=WAIT_S)
    rng = random.Random(p.seed_for("outages"))
    first = replace(once, duration_s=LONG_AWAY_S) if rng.random() < 0.5 else once
    kills = tuple(
        at(
            (index + 0.4) * gap_s,
            # Every third time it is killed once more while it recovers.
            again if index % 3 == 1 else once if index else first,
            on="core",
            # Only a node with switches inside is seen to be in its recovery.
            optional=index % 3 == 1,
        )
        for index in range(p.kills)
    )
    over = rng.randrange(0, p.kills, 3)
    jump = ClockJump(jump_s=86_400.0 * rng.choice(DAYS_OFF), duration_s=0.7 * gap_s)
    jumps = [at((over + 0.2) * gap_s, jump, on="core", optional=True)]
    if rng.random() < 0.5:
        jumps.clear()
    promised = int(p.rate_per_s * p.duration_s * 0.9)
    return Plan(
        topology=Topology(edges=("us-east", "eu-west", "apac")),
        phases=(
            Promote(inbox=vip, bucket_count=p.bucket_count, optional=True),
            Login(inboxes=(vip, *users)),
            Load(
                duration_s=p.duration_s,
                streams=(
                    Stream(to=(vip,), producers=6, rate_per_s=0.8 * p.rate_per_s, batch_count=100),
                    Stream(to=users, producers=6, rate_per_s=0.2 * p.rate_per_s),
                ),
                faults=(*kills, *jumps),
                churn=Churn(receiver_up_s=RECEIVER_UP_S, from_cursor_share=0.5),
                presence_every_s=0.5,
                presence_optional=True,
            ),
            AskPresence(users=(vip, *users), optional=True),
            CatchUp(inboxes=(vip, *users)),
            # While these are sent, the acknowledgements of all that was read are confirmed.
            Send(stream=Stream(to=("bystander",), count=50)),
            Logout(inboxes=(vip, *users)),
            Restart(role="core", kill=True),
            Login(inboxes=(vip, *users), from_cursor=True),
            Drain(within_s=120.0),
        ),
        requires=Requires(
            sends_ok=promised,
            delivered=promised,
            # Who never comes back proves nothing about a cursor.
            receiver_reconnects=int(p.duration_s / RECEIVER_UP_S),
        ),
    )


SCENARIO = Scenario(
    name="core_crash",
    claim="However often the core is killed under load, what it acknowledged is there once and in "
    "order, and no confirmed cursor goes back.",
    plan=plan,
    needs=frozenset({Ability.KILL}),
    checks=("A1", "A7", "A9", "A12", "A13", "B2", "B4"),
    optional_checks=("C1", "D6"),
    parameters=(
        Parameter(
            name="duration_s", default=20.0, smoke=6.0, nightly=600.0, unit="s", minimum=1.0,
            help="How long the load lasts.",
        ),
        Parameter(
            name="kills", default=6, smoke=2, nightly=200, unit="kills", minimum=1, maximum=10_000,
            help="SIGKILLs of the core, spread evenly over the load.",
        ),
        Parameter(
            name="again_count", default=2, unit="kills", minimum=1, maximum=10,
            help="SIGKILLs in the middle of a recovery, at every third kill.",
        ),
        Parameter(
            name="away_s", default=0.2, unit="s", minimum=0.0,
            help="How long the core stays away before it is started again.",
        ),
        Parameter(
            name="rate_per_s", default=6_000.0, smoke=3_000.0, unit="messages/s", minimum=100.0,
            help="Messages per second of all senders together, by schedule.",
        ),
        Parameter(
            name="bucket_count", default=5, unit="buckets", minimum=1, maximum=1_024,
            help="Buckets of the VIP's inbox.",
        ),
        Parameter(
            name="users", default=6, unit="users", minimum=1, maximum=500, help="Normal users.",
        ),
    ),
)  # fmt: skip
