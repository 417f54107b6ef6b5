"""Noisy neighbour: what quiet users pay while a celebrity is written to, at 1 bucket and at many.

Method: a few quiet users are sent single messages at a steady rate, in loads that take turns: alone
(the baseline), beside a spike of batches to a celebrity's inbox of one bucket, alone, beside the
same spike to one of many buckets, alone. The baselines lie between the spikes, so that a machine
that is slow for a while is slow for all of them. The p99 of the same quiet users is then compared,
load against load (E2, `load_latency_ms`). Whether buckets buy the neighbours anything in this store
is what comes out, nothing or a cost included.
"""

from tallystick import (
    CatchUp,
    Drain,
    Load,
    Login,
    Parameter,
    Parameters,
    Phase,
    Plan,
    Promote,
    Requires,
    Scenario,
    Stream,
    Topology,
)


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    users = tuple(f"user_{index}" for index in range(p.users))
    spiked = {"celebrity_1": "1 bucket", "celebrity_many": f"{p.bucket_count} buckets"}
    everybody = (*users, *spiked)
    quiet = Stream(to=users, producers=p.users, rate_per_s=p.quiet_rate_per_s)

    def load(label: str, *celebrities: str) -> tuple[Phase, ...]:
        spikes = (
            Stream(
                to=(celebrity,),
                producers=4,
                rate_per_s=p.spike_rate_per_s,
                batch_count=p.batch_count,
            )
            for celebrity in celebrities
        )
        streams = (quiet, *spikes)
        # Nothing of one load may wait into the next.
        return (
            Load(duration_s=p.load_s, streams=streams, label=label),
            CatchUp(inboxes=everybody),
        )

    # The order turns round from one round to the next.
    rounds: list[Phase] = []
    for index in range(p.rounds):
        turns = list(spiked.items()) if index % 2 == 0 else list(reversed(spiked.items()))
        for celebrity, label in turns:
            rounds += [*load("baseline"), *load(label, celebrity)]
    loads = 4 * p.rounds + 1
    sent = p.load_s * (p.quiet_rate_per_s * loads + p.spike_rate_per_s * 2 * p.rounds)
    return Plan(
        topology=Topology(edges=("us-east", "eu-west")),
        phases=(
            Promote(inbox="celebrity_many", bucket_count=p.bucket_count, optional=True),
            Login(inboxes=everybody),
            *rounds,
            *load("baseline"),
            Drain(reread=False),
        ),
        requires=Requires(
            sends_ok=int(0.9 * sent),
            delivered=int(0.9 * sent),
        ),
        limits=(f"noisy_neighbour_ratio <= {p.ratio_max}",) if p.ratio_max else (),
    )


SCENARIO = Scenario(
    name="noisy_neighbour",
    claim="A celebrity's spike delays quiet users by a measured factor, at one bucket and at many, "
    "and costs them nothing else.",
    plan=plan,
    checks=("A1", "A7", "B2", "E2"),
    parameters=(
        Parameter(
            name="load_s", default=3.0, smoke=1.5, nightly=20.0, unit="s", minimum=0.5,
            help="How long each of the loads lasts.",
        ),
        Parameter(
            name="rounds", default=2, smoke=1, nightly=10, unit="rounds", minimum=1, maximum=1_000,
            help="How often all loads take turns.",
        ),
        Parameter(
            name="quiet_rate_per_s", default=800.0, unit="messages/s", minimum=100.0,
            help="Single messages per second to all quiet users together.",
        ),
        Parameter(
            name="spike_rate_per_s", default=20_000.0, unit="messages/s", minimum=100.0,
            help="Messages per second to the celebrity during a spike.",
        ),
        Parameter(
            name="batch_count", default=100, unit="messages", minimum=1, maximum=65_536,
            help="Messages per batch to the celebrity.",
        ),
        Parameter(
            name="bucket_count", default=50, unit="buckets", minimum=2, maximum=1_024,
            help="Buckets of the second celebrity's inbox.",
        ),
        Parameter(
            name="users", default=8, unit="users", minimum=1, maximum=200, help="Quiet users.",
        ),
        Parameter(
            name="ratio_max", default=0.0, unit="", minimum=0.0,
            help="Limit: the quiet users' p99 against their baseline; 0: none, only measured.",
        ),
    ),
)  # fmt: skip
