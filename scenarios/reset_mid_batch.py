"""Reset in mid-batch: connections die by a TCP reset while large batches are on them.

Method: batches of some hundred kilobytes flow all the time, over a distance, so that parts of them
are always under way. At short intervals the live connections of one link after the other are reset:
both ends see ECONNRESET, bytes in every buffer between them are gone, and half a frame is left
over. A batch is atomic and carries its ids, so it is stored once and whole, or again as a whole.
Then all senders hand over as much as they can, so that outboxes and credits are used up.
"""

from tallystick import (
    Drain,
    LinkLatency,
    LinkReset,
    Load,
    Login,
    Parameter,
    Parameters,
    PayloadSpec,
    Plan,
    Requires,
    Scenario,
    Send,
    Stream,
    Topology,
    at,
)

LATENCY_MS = {"us-east": 5, "eu-west": 30}


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    users = tuple(f"user_{index}" for index in range(p.users))
    targets = [f"client-edge:{edge}:*" for edge in LATENCY_MS]
    targets += [f"edge-core:{edge}" for edge in LATENCY_MS]
    gap_s = p.duration_s / p.resets
    # Clients are on the same machine: without a distance nothing of theirs is under way. They come
    # back over the same links.
    distance = LinkLatency(latency_ms=p.distance_ms, duration_s=p.duration_s)
    faults = (
        at(0, distance, on="client-edge:*"),
        *(
            at(
                (index + 0.6) * gap_s,
                LinkReset(),
                on=targets[index % len(targets)],
                optional=targets[index % len(targets)].startswith("edge-core:"),
            )
            for index in range(p.resets)
        ),
    )
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
                        producers=2 * p.users,
                        rate_per_s=p.rate_per_s,
                        batch_count=p.batch_count,
                    ),
                ),
                faults=faults,
            ),
            Send(
                stream=Stream(
                    to=users,
                    producers=2 * p.users,
                    count=p.bulk_count,
                    batch_count=p.batch_count,
                ),
                within_s=120.0,
            ),
            Drain(within_s=120.0),
        ),
        payload=PayloadSpec(size_bytes_min=200, size_bytes_max=1_800, varies=True),
        requires=Requires(
            sends_ok=promised,
            delivered=promised,
            sender_reconnects=p.users,
            receiver_reconnects=1,
            resent=p.batch_count,
        ),
    )


SCENARIO = Scenario(
    name="reset_mid_batch",
    claim="A connection that is reset in the middle of a batch loses nothing of it, stores nothing "
    "of it twice, and leaves no gap behind.",
    plan=plan,
    checks=("A1", "A2", "A5", "A7", "B2", "B3"),
    parameters=(
        Parameter(
            name="duration_s", default=16.0, smoke=6.0, nightly=600.0, unit="s", minimum=1.0,
            help="How long the load lasts.",
        ),
        Parameter(
            name="resets", default=16, smoke=4, nightly=600, unit="resets", minimum=1,
            maximum=10_000, help="Resets, going round over all links.",
        ),
        Parameter(
            name="rate_per_s", default=6_000.0, smoke=4_000.0, unit="messages/s", minimum=100.0,
            help="Messages of 1,000 bytes on average per second, of all senders together.",
        ),
        Parameter(
            name="distance_ms", default=80, unit="ms", minimum=10, maximum=500,
            help="One-way latency between clients and edges, beside that of the region.",
        ),
        Parameter(
            name="batch_count", default=200, unit="messages", minimum=2, maximum=65_536,
            help="Messages per batch.",
        ),
        Parameter(
            name="bulk_count", default=9_000, smoke=200, unit="messages", minimum=1,
            help="Messages that each sender then hands over as fast as they are taken; by default "
            "more than an outbox holds.",
        ),
        Parameter(
            name="users", default=4, unit="users", minimum=1, maximum=100,
            help="Users; two senders write to each.",
        ),
    ),
)  # fmt: skip
