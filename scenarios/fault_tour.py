"""Fault tour: every fault there is, one stop after the other, and each has to show its effect.

Method: messages flow and everybody churns while the tour makes its stops. At each stop one kind of
fault strikes and is healed before the next. What breaks a link strikes clients in one region and,
at the same time, the link of another region's edge to the core, so that both hops are broken in
each way. What breaks a process strikes the core, an edge, the readers or Toxiproxy itself; what
breaks a disk or a clock strikes the core. The journal of faults then holds the measured effect of
every kind, and a fault without one makes the run UNKNOWN.
"""

from tallystick import (
    Ability,
    AskPresence,
    Churn,
    ClockJump,
    CrashInRecovery,
    Drain,
    Fault,
    LinkBandwidth,
    LinkCut,
    LinkCutOneWay,
    LinkLatency,
    LinkLimitData,
    LinkPause,
    LinkReset,
    LinkSlicer,
    LinkSlowClose,
    Load,
    Login,
    Parameter,
    Parameters,
    Plan,
    Planned,
    PowerLoss,
    ProcessKill,
    ProcessPause,
    ProcessTerminate,
    Promote,
    Requires,
    Scenario,
    StoreFull,
    StoreSlowSync,
    StoreSyncError,
    StoreWriteError,
    Stream,
    Topology,
    at,
)

REGIONS = ("us-east", "eu-west", "apac")
CLIENTS, UPLINK = "client-edge:eu-west:*", "edge-core:apac"


def stops(hold_s: float) -> list[list[Planned]]:
    """Return what strikes at each stop, at times that count from its begin."""
    on_links: list[Fault] = [
        LinkLatency(latency_ms=150, jitter_ms=50, duration_s=hold_s),
        LinkBandwidth(rate_bytes_per_s=32_000, duration_s=hold_s),
        LinkSlicer(duration_s=hold_s),
        LinkLimitData(limit_bytes=16_384, duration_s=hold_s),
        LinkSlowClose(duration_s=hold_s),
        LinkPause(duration_s=hold_s),
        LinkCutOneWay(direction="upstream", duration_s=hold_s),
        LinkCutOneWay(direction="downstream", duration_s=hold_s),
        LinkReset(),
        LinkCut(duration_s=hold_s),
    ]
    on_processes = [
        [at(0, ProcessPause(duration_s=hold_s), on="core")],
        [at(0, ProcessPause(duration_s=hold_s), on="edge:us-east")],
        [at(0, ProcessPause(duration_s=hold_s), on="load:reader")],
        [at(0, ProcessPause(duration_s=hold_s), on="toxiproxy")],
        [at(0, ProcessKill(), on="core"), at(0, ProcessKill(), on="edge:us-east")],
        [at(0, ProcessTerminate(), on="core"), at(0, ProcessTerminate(), on="edge:eu-west")],
        [at(0, CrashInRecovery(kills_count=2), on="core")],
        [at(0, StoreFull(duration_s=hold_s), on="core")],
        [at(0, StoreSlowSync(delay_ms=100, duration_s=hold_s), on="core")],
        [at(0, StoreWriteError(), on="core")],
        [at(0, StoreSyncError(), on="core")],
        [at(0, PowerLoss(loss="torn"), on="core")],
        [at(0, ClockJump(jump_s=-3_600.0, duration_s=hold_s), on="core")],
    ]
    return [
        *([at(0, fault, on=CLIENTS), at(0, fault, on=UPLINK)] for fault in on_links),
        *on_processes,
    ]


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    tour = stops(round(0.3 * p.stop_s, 3)) * p.rounds
    faults = tuple(
        at((index + 0.1) * p.stop_s, planned.fault, on=planned.on)
        for index, stop in enumerate(tour)
        for planned in stop
    )
    duration_s = (len(tour) + 0.5) * p.stop_s
    users = tuple(f"user_{index}" for index in range(p.users))
    vip = "vip_on_tour"
    promised = int(p.rate_per_s * duration_s * 0.9)
    return Plan(
        topology=Topology(edges=REGIONS, latency_ms={"apac": 20}),
        phases=(
            Promote(inbox=vip, bucket_count=20),
            Login(inboxes=(vip, *users)),
            Load(
                duration_s=duration_s,
                streams=(
                    Stream(to=(vip,), producers=6, rate_per_s=p.rate_per_s / 2, batch_count=50),
                    Stream(
                        to=users,
                        producers=p.senders,
                        rate_per_s=p.rate_per_s / 2,
                        batch_count=10,
                    ),
                ),
                churn=Churn(sender_up_s=8.0, receiver_up_s=12.0, down_s=0.2),
                faults=faults,
                presence_every_s=0.5,
            ),
            AskPresence(users=(vip, *users)),
            Drain(within_s=120.0),
        ),
        requires=Requires(
            sends_ok=promised,
            delivered=promised,
            sender_reconnects_each=1,
            receiver_reconnects_each=1,
            resizes=1,
            resent=1,
            fault_effects=len(faults),
        ),
    )


SCENARIO = Scenario(
    name="fault_tour",
    claim="No kind of fault there is, each with a measured effect, loses, doubles or reorders what "
    "was acknowledged.",
    plan=plan,
    needs=frozenset({Ability.KILL, Ability.PAUSE, Ability.RESTART, Ability.SWITCHES}),
    checks=("A1", "A5", "A7", "A9", "A12", "B2", "B3", "B4", "C1", "D5", "D6"),
    parameters=(
        Parameter(
            name="stop_s", default=3.0, smoke=2.5, nightly=10.0, unit="s", minimum=2.0,
            help="Time for each stop; its fault holds for a third of it.",
        ),
        Parameter(
            name="rounds", default=1, nightly=10, unit="rounds", minimum=1, maximum=1_000,
            help="How often the tour is made.",
        ),
        Parameter(
            name="rate_per_s", default=1_500.0, unit="messages/s", minimum=100.0,
            help="Messages per second of all senders together, by schedule.",
        ),
        Parameter(
            name="senders", default=9, unit="senders", minimum=1, maximum=1_000,
            help="Senders to the users; six more write to the inbox with buckets.",
        ),
        Parameter(
            name="users", default=6, unit="users", minimum=1, maximum=500,
            help="Users; each reads its inbox.",
        ),
    ),
)  # fmt: skip
