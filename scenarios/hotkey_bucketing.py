"""Hot key: a VIP's writes spread over buckets by the hash and still come back in one order.

Method: the original design's own test first: promote `vip_user` to five buckets, send MSG_0 to
MSG_9, look where they are stored, log in. Then the same at scale, with several senders at once and
5, 50 and 100 buckets; then an inbox that goes 1 → 5 → 50 → 1 while messages flow. Where every
message lies is read from the store and compared with the published hash; the spread over the
buckets must be one that the hash explains. The core is killed before the big inboxes are read,
so that the buckets are merged from the store and not handed out from memory.
"""

from tallystick import (
    Ability,
    CatchUp,
    Drain,
    Inspect,
    Load,
    Login,
    Parameter,
    Parameters,
    PayloadSpec,
    Phase,
    Plan,
    Promote,
    Requires,
    Restart,
    Scenario,
    Send,
    Stream,
    Topology,
)


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    sizes = [(100, 5), (p.messages_medium, 50), (p.messages_large, 100)]
    phases: list[Phase] = [
        Promote(inbox="vip_user", bucket_count=5),
        Send(stream=Stream(to=("vip_user",), count=10)),
        Inspect(inboxes=("vip_user",)),
        Login(inboxes=("vip_user",)),
        CatchUp(inboxes=("vip_user",)),
    ]
    for messages, bucket_count in sizes:
        inbox = f"vip_{messages}"
        count = messages // p.senders
        phases += [
            Promote(inbox=inbox, bucket_count=bucket_count),
            Send(
                stream=Stream(
                    to=(inbox,),
                    producers=p.senders,
                    count=count,
                    batch_count=min(p.batch_count, count),
                )
            ),
        ]
    quarter_s = p.resize_s / 4
    phases += [
        Load(
            duration_s=p.resize_s,
            streams=(
                Stream(
                    to=("vip_resized",),
                    producers=p.senders,
                    rate_per_s=p.resize_rate_per_s,
                    batch_count=p.batch_count,
                ),
            ),
            during=(
                (1 * quarter_s, Promote(inbox="vip_resized", bucket_count=5)),
                (2 * quarter_s, Promote(inbox="vip_resized", bucket_count=50)),
                (3 * quarter_s, Promote(inbox="vip_resized", bucket_count=1)),
            ),
        ),
        # A core that has just written serves its readers from memory; one that starts has to merge
        # the buckets from the store.
        Restart(role="core", kill=True),
        Drain(),
    ]
    sent = 10 + sum(messages // p.senders * p.senders for messages, _ in sizes)
    return Plan(
        topology=Topology(edges=("us-east", "eu-west")),
        phases=tuple(phases),
        payload=PayloadSpec(kind="numbered", varies=True),
        requires=Requires(sends_ok=sent, delivered=sent, resizes=7),
    )


SCENARIO = Scenario(
    name="hotkey_bucketing",
    claim="With N buckets every stored message lies where the hash says, no bucket is fuller or "
    "emptier than chance allows, and login merges all buckets and epochs into one order.",
    plan=plan,
    needs=frozenset({Ability.RESIZE, Ability.INSPECT, Ability.RESTART}),
    checks=("A1", "A7", "B2", "B4", "C1", "C2", "C3", "C4", "C5", "E1"),
    smoke=True,
    parameters=(
        Parameter(
            name="senders", default=4, unit="senders", help="Concurrent senders per inbox.",
            minimum=1, maximum=64,
        ),
        Parameter(
            name="batch_count", default=50, unit="messages", help="Messages per batch.", minimum=1,
            maximum=65_536,
        ),
        Parameter(
            name="messages_medium", default=10_000, smoke=2_000, unit="messages",
            help="Messages to the inbox with 50 buckets.", minimum=64,
        ),
        Parameter(
            name="messages_large", default=100_000, smoke=10_000, nightly=2_000_000,
            unit="messages", help="Messages to the inbox with 100 buckets.", minimum=64,
        ),
        Parameter(
            name="resize_s", default=8.0, smoke=2.0, nightly=60.0, unit="s",
            help="How long messages flow while the bucket count changes.", minimum=0.5,
        ),
        Parameter(
            name="resize_rate_per_s", default=5_000.0, unit="messages/s",
            help="Load on the inbox that is resized.", minimum=1.0,
        ),
    ),
)  # fmt: skip
