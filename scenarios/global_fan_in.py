"""Global fan-in: five regions write to one core while everybody keeps coming and going.

Method: senders in five regions, most of the messages in batches of 500 to one celebrity's inbox of
many buckets, the rest single messages to normal users. All senders and receivers churn: they are
cut, also right behind a batch whose bytes are under way, and come back through another edge. Each
region is as far away as its latency says. While that goes on, live connections of both kinds of
link are reset, one region is not heard for seconds, the clients of another one hear nothing, and
those of a third are cut off for a moment. A quarter of the readers leave their place to the durable
cursor when they come back. Then everything is healed, and every inbox is read to its confirmed end,
and once more from the start.
"""

from tallystick import (
    AskPresence,
    Churn,
    Drain,
    LinkCut,
    LinkCutOneWay,
    LinkReset,
    Load,
    Login,
    Parameter,
    Parameters,
    Plan,
    ProcessKill,
    Promote,
    Requires,
    Scenario,
    Stream,
    Topology,
    at,
)

LATENCY_MS = {"us-east": 5, "eu-west": 40, "apac": 80, "sa-east": 60, "ap-south": 70}


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    vip = "celebrity"
    users = tuple(f"user_{index}" for index in range(p.users))
    inboxes = (vip, *users)
    vip_rate = p.rate_per_s * p.vip_share
    faults = [
        at(0.15 * p.duration_s, LinkReset(), on="client-edge:eu-west:*"),
        at(0.24 * p.duration_s, LinkReset(), on="edge-core:us-east", optional=True),
        # One that swallows what the region says looks like silence, and has to be given up as well.
        at(
            0.3 * p.duration_s,
            LinkCutOneWay(direction="upstream", duration_s=p.cut_s),
            on="edge-core:apac",
            optional=True,
        ),
        at(
            0.35 * p.duration_s,
            LinkCutOneWay(direction="downstream", duration_s=p.cut_s),
            on="client-edge:ap-south:*",
        ),
        # Where clients reach the core in one hop, this is the cut of which the claim speaks.
        at(0.68 * p.duration_s, LinkCut(duration_s=0.25 * p.cut_s), on="client-edge:sa-east:*"),
    ]
    for index in range(p.core_kills):
        share = (index + 0.5) / p.core_kills
        faults.append(at(share * p.duration_s, ProcessKill(), on="core"))
    regions = tuple(LATENCY_MS)
    for index in range(p.edge_kills):
        share = (index + 0.9) / p.edge_kills
        edge = regions[index % len(regions)]
        faults.append(at(share * p.duration_s, ProcessKill(), on=f"edge:{edge}"))
    promised = int(p.rate_per_s * p.duration_s * 0.95)
    return Plan(
        topology=Topology(edges=regions, latency_ms=LATENCY_MS),
        phases=(
            Promote(inbox=vip, bucket_count=p.bucket_count, optional=True),
            Login(inboxes=inboxes),
            Load(
                duration_s=p.duration_s,
                streams=(
                    Stream(
                        to=(vip,),
                        producers=p.vip_senders,
                        rate_per_s=vip_rate,
                        batch_count=p.batch_count,
                    ),
                    Stream(
                        to=users,
                        producers=p.user_senders,
                        rate_per_s=p.rate_per_s - vip_rate,
                    ),
                ),
                churn=Churn(
                    sender_up_s=p.up_s,
                    receiver_up_s=2 * p.up_s,
                    down_s=p.down_s,
                    from_cursor_share=0.25,
                ),
                faults=tuple(faults),
                presence_every_s=0.25,
                presence_optional=True,
            ),
            AskPresence(users=inboxes, optional=True),
            Drain(within_s=120.0),
        ),
        requires=Requires(
            sends_ok=promised,
            delivered=promised,
            sender_reconnects_each=1,
            receiver_reconnects_each=1,
        ),
        limits=(f"acknowledged_messages >= {p.messages_min}",) if p.messages_min else (),
        optional_limits=(f"core_rss_max_bytes <= {p.core_rss_max_mib * 1024 * 1024}",),
        load_processes=p.load_processes,
    )


SCENARIO = Scenario(
    name="global_fan_in",
    claim="Five churning regions write to one core through resets and cuts: nothing acknowledged "
    "is lost, nothing is stored twice, and every inbox has one order that all readers see.",
    plan=plan,
    checks=("A1", "A5", "A7", "B2", "B4"),
    optional_checks=("D6",),
    smoke=True,
    parameters=(
        Parameter(
            name="duration_s", default=30.0, smoke=8.0, nightly=600.0, unit="s",
            help="How long the load lasts.", minimum=2.0,
        ),
        Parameter(
            name="rate_per_s", default=17_800.0, smoke=4_000.0, unit="messages/s",
            help="Messages per second of all senders together, by schedule.", minimum=100.0,
        ),
        Parameter(
            name="messages_min", default=517_000, smoke=0, unit="messages",
            help="Limit: acknowledged messages of the original design's run; 0: no limit.",
            minimum=0,
        ),
        Parameter(
            name="vip_share", default=0.8, unit="", minimum=0.01, maximum=0.99,
            help="Share of the messages that go to the celebrity.",
        ),
        Parameter(
            name="batch_count", default=500, unit="messages", minimum=1, maximum=65_536,
            help="Messages per batch to the celebrity.",
        ),
        Parameter(
            name="bucket_count", default=50, unit="buckets", minimum=1, maximum=1_024,
            help="Buckets of the celebrity's inbox.",
        ),
        Parameter(
            name="vip_senders", default=20, smoke=10, unit="senders", minimum=1, maximum=1_000,
            help="Senders that write to the celebrity.",
        ),
        Parameter(
            name="user_senders", default=20, smoke=10, unit="senders", minimum=1, maximum=1_000,
            help="Senders of single messages to normal users.",
        ),
        Parameter(
            name="users", default=20, smoke=10, unit="users", minimum=1, maximum=500,
            help="Normal users.",
        ),
        Parameter(
            name="up_s", default=4.0, smoke=2.0, unit="s", minimum=0.2,
            help="Mean time a sender stays connected; receivers stay twice as long.",
        ),
        Parameter(
            name="down_s", default=0.2, unit="s", minimum=0.01,
            help="Mean time between a cut and the next connect.",
        ),
        Parameter(
            name="cut_s", default=4.0, smoke=3.5, unit="s", minimum=0.1,
            help="How long one region's edge-core link is cut in one direction, and the links of "
            "another one's clients in the other; those of a third are cut for a quarter of it.",
        ),
        Parameter(
            name="core_kills", default=0, unit="kills", minimum=0, maximum=1_000,
            help="SIGKILLs of the core, spread over the load.",
        ),
        Parameter(
            name="edge_kills", default=0, unit="kills", minimum=0, maximum=1_000,
            help="SIGKILLs of edges in turn, spread over the load.",
        ),
        Parameter(
            name="core_rss_max_mib", default=286, unit="MiB", minimum=1,
            help="Limit: resident memory of the core, 300 MB.",
        ),
        Parameter(
            name="load_processes", default=2, smoke=1, unit="processes", minimum=1, maximum=16,
            help="Processes that the senders are spread over.",
        ),
    ),
)  # fmt: skip
