"""Disk full: the core's disk is full, slow and faulty for a time, under load.

Method: while batches flow, every write of the store is refused as if the disk were full: the core
must take nothing back that it acknowledged, refuse what it cannot store, and take it when there is
room again, under the same ids; a few times more it is full for moments only, while what waited
comes in. Between these times every sync is slow, so that commits pile up, and once a sync fails:
nobody knows then what is durable, so the core has to end and to recover from the file. The faults
sit in the file system layer below the store of the real core process.
"""

from tallystick import (
    Ability,
    Drain,
    Load,
    Login,
    Parameter,
    Parameters,
    Plan,
    Planned,
    Requires,
    Scenario,
    StoreFull,
    StoreSlowSync,
    StoreSyncError,
    Stream,
    Topology,
    at,
)

FLAPS = 3
"""How often the disk is full again for a moment, behind each time that it was full for long."""


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    users = tuple(f"user_{index}" for index in range(p.users))
    round_s = p.duration_s / p.rounds
    faults: list[Planned] = []
    for index in range(p.rounds):
        begin_s = index * round_s
        faults += [
            at(begin_s + 0.1 * round_s, StoreFull(duration_s=p.full_s), on="core"),
            # It flaps: full again and again, before what waited has all been taken.
            *(
                at(
                    begin_s + (0.35 + 0.05 * flap) * round_s,
                    StoreFull(duration_s=0.02 * round_s),
                    on="core",
                )
                for flap in range(FLAPS)
            ),
            at(
                begin_s + 0.55 * round_s,
                StoreSlowSync(delay_ms=p.slow_ms, duration_s=0.15 * round_s),
                on="core",
            ),
        ]
    faults.append(at(p.duration_s - 0.15 * round_s, StoreSyncError(), on="core"))
    promised = int(p.rate_per_s * p.duration_s * 0.9)
    return Plan(
        topology=Topology(edges=("us-east", "eu-west")),
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
                faults=tuple(faults),
            ),
            Drain(within_s=120.0),
        ),
        requires=Requires(
            sends_ok=promised,
            delivered=promised,
            # What came while the disk was full was refused, and taken at a later attempt.
            resent=int(0.25 * p.full_s * p.rate_per_s),
            fault_effects=len(faults),
        ),
    )


SCENARIO = Scenario(
    name="disk_full",
    claim="A disk that is full, slow or failing delays messages and loses none: what could not be "
    "stored is refused, and stored once when there is room.",
    plan=plan,
    needs=frozenset({Ability.SWITCHES}),
    checks=("A1", "A2", "A4", "A7", "B2", "B3", "B4"),
    parameters=(
        Parameter(
            name="duration_s", default=20.0, smoke=8.0, nightly=600.0, unit="s", minimum=4.0,
            help="How long the load lasts.",
        ),
        Parameter(
            name="rounds", default=2, smoke=1, nightly=60, unit="rounds", minimum=1, maximum=10_000,
            help="How often the disk is full, and then slow.",
        ),
        Parameter(
            name="full_s", default=2.0, smoke=1.5, unit="s", minimum=0.1,
            help="How long it is full each time.",
        ),
        Parameter(
            name="slow_ms", default=150, unit="ms", minimum=1, maximum=5_000,
            help="How much longer each sync takes while it is slow.",
        ),
        Parameter(
            name="rate_per_s", default=4_000.0, smoke=2_000.0, unit="messages/s", minimum=100.0,
            help="Messages per second of all senders together, by schedule.",
        ),
        Parameter(
            name="batch_count", default=20, unit="messages", minimum=1, maximum=65_536,
            help="Messages per batch.",
        ),
        Parameter(
            name="senders", default=12, unit="senders", minimum=1, maximum=1_000, help="Senders.",
        ),
        Parameter(
            name="users", default=6, unit="users", minimum=1, maximum=500,
            help="Users; each reads its inbox.",
        ),
    ),
)  # fmt: skip
