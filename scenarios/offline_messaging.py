"""Offline messaging: what is sent to an offline user waits, and arrives once, complete, in order.

Method: several senders write to users that are not logged in; the core is killed (SIGKILL) and
started again. The users log in on a tablet that takes what its window holds and acknowledges
nothing; then their other device takes over, reads everything, acknowledges, logs out. The core is
killed once more when all of that is confirmed. They log in again, leaving the place to the durable
cursor: nothing may come back. Then more is sent while they are away, the core is restarted in
order, and only the new messages may arrive. With retention "ack" the store deletes what was
acknowledged, so this also tries the trimming; what the core keeps in memory is less than what
waits, so it is read from the store.
"""

from tallystick import (
    Ability,
    AskPresence,
    CatchUp,
    Drain,
    Inspect,
    Login,
    Logout,
    Parameter,
    Parameters,
    Plan,
    Requires,
    Restart,
    Scenario,
    Send,
    Stream,
    Topology,
)

CACHE_BYTES = 32 * 1024
"""What the core may keep in memory: a small part of what waits."""

WINDOW_BYTES = 16 * 1024
"""What a device takes that acknowledges nothing: less than one inbox holds."""


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    users = tuple(f"offline_{index}" for index in range(p.users))
    stream = Stream(
        to=users, producers=p.senders, count=p.messages_per_sender, batch_count=p.batch_count
    )
    one_round = p.senders * p.messages_per_sender
    return Plan(
        topology=Topology(
            edges=("us-east", "eu-west"),
            retention=p.retention,
            cache_bytes=CACHE_BYTES,
            window_bytes=WINDOW_BYTES,
        ),
        phases=(
            Send(stream=stream),
            AskPresence(users=users, optional=True),
            Inspect(inboxes=users, optional=True),
            Restart(role="core", kill=True),
            Login(inboxes=users, device="tablet", reads=False),
            AskPresence(users=users, optional=True),
            Login(inboxes=users),
            CatchUp(inboxes=users),
            # While these are sent, the acknowledgements of all that was read are confirmed.
            Send(stream=Stream(to=("bystander",), count=50)),
            Logout(inboxes=users),
            Restart(role="core", kill=True),
            Login(inboxes=users, from_cursor=True),
            CatchUp(inboxes=users),
            Logout(inboxes=users),
            AskPresence(users=users, optional=True),
            Send(stream=stream),
            Restart(role="core"),
            Login(inboxes=users, from_cursor=True),
            CatchUp(inboxes=users),
            Drain(reread=p.retention == "run"),
        ),
        requires=Requires(
            sends_ok=2 * one_round, delivered=2 * one_round, receiver_reconnects=2 * p.users
        ),
    )


SCENARIO = Scenario(
    name="offline_messaging",
    claim="Messages to an offline user wait, survive a killed core, and arrive complete, in order "
    "and once at login; nothing comes back at the next login.",
    plan=plan,
    needs=frozenset({Ability.KILL, Ability.RESTART}),
    checks=("A1", "A9", "A10", "A11", "A12", "A13"),
    # A store that drops what was acknowledged may forget its ids with it.
    optional_checks=("A7", "B2", "D6"),
    smoke=True,
    parameters=(
        Parameter(
            name="users", default=4, unit="users", help="Users who are offline.", minimum=1,
            maximum=64,
        ),
        Parameter(
            name="senders", default=8, unit="senders", help="Senders, spread over the users.",
            minimum=1, maximum=256,
        ),
        Parameter(
            name="messages_per_sender", default=5_000, smoke=500, nightly=100_000,
            unit="messages", help="Sent by each sender in each of the two rounds.", minimum=1,
        ),
        Parameter(
            name="batch_count", default=50, unit="messages", help="Messages per batch.", minimum=1,
            maximum=65_536,
        ),
        Parameter(
            name="retention", default="ack", unit="", choices=("ack", "run"),
            help="ack: the store deletes what was acknowledged; run: it keeps everything.",
        ),
    ),
)  # fmt: skip
