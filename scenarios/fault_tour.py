"""Fault tour: every kind of fault that there is strikes once under load, and is seen to bite.

Method: a tour has one stop after the other, each with a fault behind the edges and often one of the
clients of another region, so that each effect can be told from the other's. Every kind for links
strikes both hops; processes are killed, ended in order and stopped, the core, an edge, the readers
and Toxiproxy itself; the core's disk and clock fail in every way that there is. Links come first
and nodes last; the seed draws the order of the stops, their regions and moments. Everybody churns
meanwhile, so that cursors and outboxes go on behind whatever broke. A stop whose fault shows no
effect makes the run UNKNOWN: a green tour says of every kind that it did what its name says.
"""

import random

from tallystick import (
    Ability,
    AskPresence,
    Churn,
    ClockJump,
    CrashInRecovery,
    Drain,
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
UPLINK = "edge-core:{here}"
CLIENTS = "client-edge:{there}:*"
EDGE = "edge:{here}"

WAIT_S = 10.0
"""How long a blow to an edge's link waits for it to be in use, behind a slow recovery."""


Stop = tuple[Planned, ...]
"""What strikes together, in two regions that the seed draws."""


def on_links(hold_s: float) -> list[Stop]:
    """Return the stops on links: each kind on both hops, in one region and in another.

    Bytes that are held for a client that leaves meanwhile would keep Toxiproxy from healing for
    seconds, so clients are paused on their way up.
    """
    return [
        (at(0, LinkLatency(latency_ms=150, duration_s=hold_s), on=UPLINK),
         at(0, LinkCut(duration_s=hold_s), on=CLIENTS)),
        (at(0, LinkBandwidth(duration_s=hold_s), on=UPLINK),
         at(0, LinkReset(), on=CLIENTS)),
        (at(0, LinkSlicer(duration_s=hold_s), on=UPLINK),
         at(0, LinkPause(direction="upstream", duration_s=hold_s), on=CLIENTS)),
        (at(0, LinkPause(duration_s=hold_s), on=UPLINK),
         at(0, LinkSlicer(direction="downstream", duration_s=hold_s), on=CLIENTS)),
        (at(0, LinkCut(duration_s=hold_s, wait_s=WAIT_S), on=UPLINK),
         at(0, LinkSlowClose(duration_s=hold_s), on=CLIENTS)),
        (at(0, LinkCutOneWay(direction="upstream", duration_s=hold_s), on=UPLINK),
         at(0, LinkBandwidth(duration_s=hold_s), on=CLIENTS)),
        (at(0, LinkCutOneWay(direction="downstream", duration_s=hold_s), on=UPLINK),
         at(0, LinkLimitData(limit_bytes=8_192, duration_s=hold_s), on=CLIENTS)),
        (at(0, LinkReset(wait_s=WAIT_S), on=UPLINK),
         at(0, LinkLatency(latency_ms=200, jitter_ms=50, duration_s=hold_s), on=CLIENTS)),
        (at(0, LinkSlowClose(direction="upstream", duration_s=hold_s), on=UPLINK),
         at(0, LinkCutOneWay(direction="downstream", duration_s=hold_s), on=CLIENTS)),
        (at(0, LinkLimitData(duration_s=hold_s), on=UPLINK),
         at(0, LinkCutOneWay(direction="upstream", duration_s=hold_s), on=CLIENTS)),
    ]  # fmt: skip


def on_nodes(hold_s: float) -> list[Stop]:
    """Return the stops on processes, and on the core's disk and clock."""
    return [
        (at(0, ProcessKill(duration_s=hold_s), on="core"),),
        (at(0, ProcessTerminate(), on="core"),),
        (at(0, ProcessPause(duration_s=hold_s), on="core"),),
        (at(0, CrashInRecovery(kills_count=2), on="core"),),
        (at(0, ProcessKill(duration_s=hold_s), on=EDGE),
         at(0, ProcessPause(duration_s=hold_s), on="load:reader")),
        (at(0, ProcessTerminate(duration_s=hold_s), on=EDGE),
         at(0, ClockJump(jump_s=-86_400.0, duration_s=hold_s), on="core")),
        (at(0, ProcessPause(duration_s=2 * hold_s), on=EDGE),
         at(0, ClockJump(duration_s=hold_s), on="core")),
        (at(0, StoreFull(duration_s=hold_s), on="core"),),
        (at(0, StoreSlowSync(delay_ms=100, duration_s=hold_s), on="core"),),
        (at(0, StoreSyncError(), on="core"),),
        (at(0, StoreWriteError(), on="core"),),
        (at(0, PowerLoss(loss="all"), on="core"),),
        (at(0, PowerLoss(loss="torn"), on="core"),),
    ]  # fmt: skip


def tour(p: Parameters, rng: random.Random) -> list[Planned]:
    """Return one tour.

    Toxiproxy stands still first, since nothing else may be under way on a link then. Nodes come
    last: what is measured through a link needs the node behind it, and on a busy machine a core
    takes longer than a stop to recover.
    """
    hold_s = 0.3 * p.stop_s
    found = [at(0.1 * p.stop_s, ProcessPause(duration_s=hold_s), on="toxiproxy")]
    links, nodes = on_links(hold_s), on_nodes(hold_s)
    rng.shuffle(links)
    rng.shuffle(nodes)
    for index, together in enumerate([*links, *nodes], start=1):
        here, there = rng.sample(REGIONS, 2)
        for stop in together:
            moment_s = (index + rng.uniform(0.05, 0.15)) * p.stop_s
            found.append(at(moment_s, stop.fault, on=stop.on.format(here=here, there=there)))
    return found


def plan(p: Parameters) -> Plan:
    """Return the plan for these parameters."""
    rng = random.Random(p.seed_for("tour"))
    users = tuple(f"user_{index}" for index in range(p.users))
    tour_s = (1 + len(on_links(0)) + len(on_nodes(0))) * p.stop_s
    faults = tuple(
        at(index * tour_s + item.at_s, item.fault, on=item.on)
        for index in range(p.tours)
        for item in tour(p, rng)
    )
    duration_s = p.tours * tour_s
    promised = int(p.rate_per_s * duration_s * 0.9)
    return Plan(
        topology=Topology(edges=REGIONS, latency_ms={"eu-west": 10, "apac": 30}),
        phases=(
            Login(inboxes=users),
            Load(
                duration_s=duration_s,
                streams=(
                    Stream(
                        to=users,
                        producers=p.senders,
                        rate_per_s=p.rate_per_s,
                        batch_count=p.batch_count,
                    ),
                ),
                churn=Churn(sender_up_s=p.up_s, receiver_up_s=p.up_s),
                faults=faults,
                presence_every_s=0.5,
            ),
            AskPresence(users=users),
            Drain(within_s=180.0),
        ),
        requires=Requires(
            sends_ok=promised,
            delivered=promised,
            # Who is away or is cut off by a fault comes back later than drawn.
            sender_reconnects=int(0.5 * p.senders * duration_s / p.up_s),
            receiver_reconnects=int(0.5 * p.users * duration_s / p.up_s),
            resent=p.batch_count,
            fault_effects=len(faults),
        ),
    )


SCENARIO = Scenario(
    name="fault_tour",
    claim="Each kind of fault is seen to bite, and none of them loses, doubles or reorders a "
    "message, or turns a cursor back.",
    plan=plan,
    needs=frozenset({Ability.KILL, Ability.RESTART, Ability.PAUSE, Ability.SWITCHES}),
    checks=("A1", "A4", "A5", "A7", "A9", "A12", "A13", "B2", "B3", "B4", "D5", "D6"),
    parameters=(
        Parameter(
            name="tours", default=1, nightly=20, unit="tours", minimum=1, maximum=1_000,
            help="How often every kind comes, each time in another order.",
        ),
        Parameter(
            name="stop_s", default=2.4, smoke=2.0, unit="s", minimum=1.0,
            help="Time from one stop to the next; most faults hold for 0.3 of it.",
        ),
        Parameter(
            name="rate_per_s", default=2_000.0, smoke=1_000.0, unit="messages/s", minimum=100.0,
            help="Messages per second of all senders together, by schedule.",
        ),
        Parameter(
            name="batch_count", default=10, unit="messages", minimum=1, maximum=65_536,
            help="Messages per batch.",
        ),
        Parameter(
            name="senders", default=12, unit="senders", minimum=3, maximum=1_000,
            help="Senders, spread over the regions and the users.",
        ),
        Parameter(
            name="users", default=6, unit="users", minimum=3, maximum=500,
            help="Users, spread over the regions; each reads its inbox.",
        ),
        Parameter(
            name="up_s", default=6.0, unit="s", minimum=0.5,
            help="Mean time that a sender or reader stays connected before it is cut.",
        ),
    ),
)  # fmt: skip
