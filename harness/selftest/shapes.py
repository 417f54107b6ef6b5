"""More small scenarios of the self-test: workloads of an unusual shape, and ways to move about.

What a bug needs to show is often a matter of sizes, names, numbers and crowds. As those in
`harness.selftest.scenarios`, each must PASS without a bug and is as small as it can be.
"""

from __future__ import annotations

from harness.faults.clock_jump import ClockJump
from harness.faults.link_cut import LinkCut
from harness.faults.link_pause import LinkPause
from harness.faults.link_reset import LinkReset
from harness.faults.process_kill import ProcessKill
from harness.faults.schedule import Planned, at
from harness.faults.store_full import StoreFull
from harness.scenario.extras import Extra
from harness.scenario.parameters import Parameter, Parameters
from harness.scenario.phases import (
    AskPresence,
    CatchUp,
    Churn,
    Drain,
    Inspect,
    Load,
    Login,
    Logout,
    Phase,
    Promote,
    Restart,
    Send,
    SendExtras,
    Stream,
)
from harness.scenario.scenario import PayloadSpec, Plan, Requires, Scenario
from harness.selftest.intruder import Intruder
from harness.systems.topology import Topology

INBOX = "vip"
FAR, NEAR = "far", "near"

LONG = "a user whose name is longer than anybody who made a column for it thought, number "

ALIKE = {"vip": "VIP", "zoe": "zoë", "vip_1": "vip_10", f"{LONG}1": f"{LONG}2"}
"""Names that are easily taken for one another: the first of a pair is read before the second."""

DRAIN = Drain(within_s=20.0, stuck_after_s=5.0, reread=False)
"""A bug may leave senders or readers stuck; what was seen until then must be enough to name it."""

DAY_S = 86_400.0

LAUNCHER = "harness.testing.launch"


def _bulk(p: Parameters) -> Plan:
    stream = Stream(
        to=(INBOX,), producers=p.producers, count=p.count, batch_count=min(p.batch_count, p.count)
    )
    phases: list[Phase] = [
        Send(stream=stream, within_s=20.0),
        # What was just written is in memory; a core that starts has to read it.
        Restart(role="core", kill=True),
        Login(inboxes=(INBOX,), within_s=5.0),
        CatchUp(inboxes=(INBOX,), within_s=20.0),
        DRAIN,
    ]
    if p.bucket_count > 1:
        phases.insert(0, Promote(inbox=INBOX, bucket_count=p.bucket_count))
    sent = p.producers * p.count
    return Plan(
        vary=False,
        topology=Topology(edges=(NEAR,)),
        phases=tuple(phases),
        payload=PayloadSpec(size_bytes_min=p.size_bytes_min, size_bytes_max=p.size_bytes_max),
        requires=Requires(sends_ok=sent, delivered=sent),
    )


def _crowd(p: Parameters) -> Plan:
    # The way back is long, so that much is stored whose acknowledgement the cut takes away; and it
    # comes when everybody has logged in.
    links = "edge-core:*" if p.kill else f"edge-core:{FAR}"
    cut_s = 2.4 if p.kill else 1.3
    faults: list[Planned] = [at(1.2, LinkCut(duration_s=cut_s), on=links)]
    if p.clock_jump_days:
        faults.append(at(1.4, ClockJump(jump_s=DAY_S * p.clock_jump_days), on="core"))
    if p.kill:
        faults.append(at(3.2, ProcessKill(duration_s=0.1), on="core"))
    one_each = Stream(to=(INBOX,), producers=p.producers, rate_per_s=p.producers / 2, count=1)
    return Plan(
        vary=False,
        topology=Topology(edges=(FAR, NEAR), latency_ms={FAR: 150, NEAR: 150 if p.kill else 0}),
        phases=(
            Login(inboxes=(INBOX,), edge=NEAR),
            Load(duration_s=4.0 if p.kill else 2.6, streams=(one_each,), faults=tuple(faults)),
            # So many connections take their time on a busy machine.
            Drain(within_s=30.0, stuck_after_s=10.0, reread=False),
        ),
        requires=Requires(sends_ok=p.producers, delivered=p.producers, fault_effects=len(faults)),
    )


def _names(p: Parameters) -> Plan:
    firsts, seconds = tuple(ALIKE), tuple(ALIKE.values())
    everybody = (*firsts, *seconds)
    stream = Stream(to=everybody, producers=len(everybody), count=60, batch_count=10)
    return Plan(
        vary=False,
        topology=Topology(edges=(NEAR,), retention=p.retention),
        phases=(
            Send(stream=stream, within_s=5.0),
            Login(inboxes=firsts, within_s=5.0),
            CatchUp(inboxes=firsts, within_s=5.0),
            Logout(inboxes=firsts),
            Restart(role="core", kill=True),
            Inspect(inboxes=everybody),
            Login(inboxes=seconds, within_s=5.0),
            CatchUp(inboxes=seconds, within_s=5.0),
            AskPresence(users=everybody),
            DRAIN,
        ),
        requires=Requires(sends_ok=60 * len(everybody), delivered=60 * len(everybody)),
    )


def _outage(p: Parameters) -> Plan:
    faults = (at(0.4, LinkCut(duration_s=p.cut_s), on="edge-core:*"),)
    stream = Stream(to=(INBOX,), producers=6, rate_per_s=2_000, batch_count=5)
    options = {"launcher": [LAUNCHER, "--recut"]} if p.recut else {}
    return Plan(
        vary=False,
        topology=Topology(edges=(FAR, NEAR), latency_ms={FAR: 100, NEAR: 50}, options=options),
        phases=(
            Login(inboxes=(INBOX,), edge=FAR),
            Load(duration_s=0.6 + p.cut_s, streams=(stream,), faults=faults),
            DRAIN,
        ),
        requires=Requires(sends_ok=100, delivered=100, fault_effects=2),
    )


def _moves(p: Parameters) -> Plan:
    users = tuple(f"user_{index}" for index in range(p.users))
    stream = Stream(to=users, producers=p.users, rate_per_s=10.0 * p.users)
    # What the far edge has to say of those who leave it comes when they are at the near one.
    faults = (
        at(0.3, LinkPause(duration_s=1.0), on=f"edge-core:{FAR}"),
        at(0.5, LinkReset(), on=f"client-edge:{FAR}:*"),
    )
    return Plan(
        vary=False,
        topology=Topology(edges=(FAR, NEAR)),
        phases=(
            Login(inboxes=users, edge=FAR),
            AskPresence(users=users),
            Load(duration_s=1.5, streams=(stream,), faults=faults),
            AskPresence(users=users),
            DRAIN,
        ),
        requires=Requires(sends_ok=100, delivered=100, receiver_reconnects=p.users),
    )


def _clock(p: Parameters) -> Plan:
    jump = ClockJump(jump_s=DAY_S * p.jump_days, duration_s=1.5)
    stream = Stream(to=(INBOX,), producers=2, rate_per_s=200, batch_count=5)
    return Plan(
        vary=False,
        topology=Topology(edges=(NEAR,)),
        phases=(
            Login(inboxes=(INBOX,)),
            Load(
                duration_s=5.0,
                streams=(stream,),
                churn=Churn(receiver_up_s=0.3, down_s=0.05),
                faults=(at(0.1, jump, on="core"),),
            ),
            DRAIN,
        ),
        requires=Requires(sends_ok=100, delivered=100, receiver_reconnects=2, fault_effects=1),
    )


def _full(p: Parameters) -> Plan:
    # Full for a moment, again and again, while batches follow each other without a pause.
    faults = tuple(
        at(0.3 + 0.4 * index, StoreFull(duration_s=0.1), on="core") for index in range(4)
    )
    stream = Stream(to=(INBOX,), producers=8, rate_per_s=2_000, batch_count=5)
    return Plan(
        vary=False,
        topology=Topology(edges=(NEAR,), latency_ms={NEAR: 20}),
        phases=(
            Login(inboxes=(INBOX,)),
            Load(duration_s=3.0, streams=(stream,), faults=faults),
            DRAIN,
        ),
        requires=Requires(sends_ok=100, delivered=100, fault_effects=len(faults)),
    )


def _intruded(p: Parameters) -> Plan:
    send = Send(stream=Stream(to=(INBOX,), producers=2, count=50, batch_count=10), within_s=5.0)
    return Plan(
        vary=False,
        topology=Topology(edges=(NEAR,), retention="ack"),
        phases=(
            send,
            Intruder(inbox=INBOX, edge=NEAR),
            send,
            Login(inboxes=(INBOX,), within_s=5.0),
            CatchUp(inboxes=(INBOX,), within_s=5.0),
            DRAIN,
        ),
        requires=Requires(sends_ok=200),
    )


def _demoted(p: Parameters) -> Plan:
    send = Send(stream=Stream(to=(INBOX,), producers=2, count=100, batch_count=10), within_s=5.0)
    return Plan(
        vary=False,
        topology=Topology(edges=(NEAR,)),
        phases=(
            Promote(inbox=INBOX, bucket_count=8),
            send,
            Promote(inbox=INBOX, bucket_count=3),
            send,
            DRAIN,
        ),
        requires=Requires(sends_ok=400, delivered=400, resizes=2),
    )


def _twice_killed(p: Parameters) -> Plan:
    # First the process alone ends, in a commit; what the next one finds is in the page cache only.
    # Then the power fails, before any other commit is synced.
    words = [LAUNCHER, "--held-disk", str(p.sync_ms), "--power-stays-once"]
    first = (at(0.7, ProcessKill(duration_s=0.1), on="core"),)
    stream = Stream(to=(INBOX,), producers=3, rate_per_s=300, batch_count=10)
    return Plan(
        vary=False,
        topology=Topology(edges=(NEAR,), options={"launcher": words}),
        phases=(
            Load(duration_s=1.0, streams=(stream,), faults=first),
            Load(duration_s=0.7, streams=(stream,)),
            Restart(role="core", kill=True),
            Drain(within_s=30.0, stuck_after_s=10.0, reread=False),
        ),
        requires=Requires(sends_ok=100, delivered=100, fault_effects=1),
    )


def _roaming(p: Parameters) -> Plan:
    # Batch by batch to another inbox: numbers begin anew in each of them.
    inboxes = (INBOX, "second", "third")
    extra = Extra(kind="roamer", to=inboxes, producers=(1, 2, 3), batches=(10, 3, 5) * 4)
    own = Send(stream=Stream(to=(INBOX,), count=10), within_s=5.0)
    sent = len(extra.producers) * sum(extra.batches)
    return Plan(
        vary=False,
        topology=Topology(edges=(FAR, NEAR)),
        phases=(SendExtras(extras=(extra,), within_s=10.0), own, DRAIN),
        requires=Requires(sends_ok=sent, delivered=sent),
    )


def _narrow(p: Parameters) -> Plan:
    options = {"core": {"window_bytes_max": p.window_bytes}}
    send = Send(stream=Stream(to=(INBOX,), producers=3, count=200, batch_count=100), within_s=5.0)
    few = Stream(to=(INBOX,), rate_per_s=50, batch_count=5)
    # The core is killed while the reader is on its way through what was sent before.
    faults = (at(0.7, ProcessKill(duration_s=0.1), on="core"),) if p.kill else ()
    return Plan(
        vary=False,
        topology=Topology(
            edges=(FAR,), latency_ms={FAR: 60}, retention=p.retention, options=options
        ),
        phases=(
            send,
            Login(inboxes=(INBOX,), within_s=5.0),
            Load(duration_s=1.0, streams=(few,), faults=faults),
            DRAIN,
        ),
        requires=Requires(sends_ok=600, delivered=600, fault_effects=len(faults)),
    )


BULK = Scenario(
    name="bulk",
    claim="What is sent in any size and number is there after a kill, whole and in order.",
    plan=_bulk,
    parameters=(
        Parameter(
            name="size_bytes_min", default=100, unit="bytes", minimum=0,
            help="Least size of a message.",
        ),
        Parameter(
            name="size_bytes_max", default=100, unit="bytes", minimum=0,
            help="Largest size of a message.",
        ),
        Parameter(
            name="count", default=200, unit="messages", minimum=1, help="Of each producer."
        ),
        Parameter(
            name="batch_count", default=10, unit="messages", minimum=1,
            help="Messages per batch.",
        ),
        Parameter(
            name="producers", default=2, unit="senders", minimum=1, help="Who send at once."
        ),
        Parameter(
            name="bucket_count", default=1, unit="buckets", minimum=1, maximum=1_024,
            help="Buckets of the inbox.",
        ),
    ),
)  # fmt: skip
CROWD = Scenario(
    name="crowd",
    claim="Hundreds of senders of one message each get it stored once, whatever breaks.",
    plan=_crowd,
    parameters=(
        Parameter(
            name="producers", default=240, unit="senders", minimum=1, help="Who send one each."
        ),
        Parameter(
            name="kill", default=False, unit="",
            help="All edges are cut off and the core is killed; otherwise one edge is cut off.",
        ),
        Parameter(
            name="clock_jump_days", default=0, unit="days", minimum=0,
            help="How far the core's wall clock jumps before the kill.",
        ),
    ),
)  # fmt: skip
NAMES = Scenario(
    name="names",
    claim="Inboxes whose names are alike have nothing to do with one another.",
    plan=_names,
    parameters=(
        Parameter(
            name="retention", default="run", unit="", choices=("run", "ack"),
            help="ack: what was acknowledged is trimmed.",
        ),
    ),
)  # fmt: skip
OUTAGE = Scenario(
    name="outage",
    claim="What was under way when the links broke is stored once, however late they come back.",
    plan=_outage,
    parameters=(
        Parameter(
            name="cut_s", default=2.5, unit="s", minimum=0.1, help="How long they are cut."
        ),
        Parameter(
            name="recut", default=False, unit="",
            help="Edges cut what they send again in other batches than it came in.",
        ),
    ),
)  # fmt: skip
MOVES = Scenario(
    name="moves",
    claim="Users who move between a far and a near edge are online where they are.",
    plan=_moves,
    parameters=(
        Parameter(name="users", default=20, unit="users", minimum=1, help="Who move."),
    ),
)  # fmt: skip
CLOCK = Scenario(
    name="clock",
    claim="A wall clock that jumps changes nothing for those who come and go.",
    plan=_clock,
    parameters=(
        Parameter(
            name="jump_days", default=1, unit="days",
            help="How far, before it jumps back; negative is backwards.",
        ),
    ),
)  # fmt: skip
FULL = Scenario(
    name="full",
    claim="What was refused for want of room is stored once, when there is some.",
    plan=_full,
)
INTRUDED = Scenario(
    name="intruded",
    claim="Who shows a wrong token takes nobody's messages.",
    plan=_intruded,
)
DEMOTED = Scenario(
    name="demoted",
    claim="An inbox gets fewer buckets, and what comes then lies in these.",
    plan=_demoted,
)
TWICE_KILLED = Scenario(
    name="twice_killed",
    claim="What a core shows after a kill survives a power loss behind it.",
    plan=_twice_killed,
    parameters=(
        Parameter(
            name="sync_ms", default=1_500, unit="ms", minimum=1,
            help="How long the core's disk takes for a sync.",
        ),
    ),
)  # fmt: skip
ROAMING = Scenario(
    name="roaming",
    claim="Senders who write to several inboxes in turn are read in each of them.",
    plan=_roaming,
)
NARROW = Scenario(
    name="narrow",
    claim="A reader behind a small window gets everything, in whatever pieces.",
    plan=_narrow,
    parameters=(
        Parameter(
            name="window_bytes", default=4_096, unit="bytes", minimum=4_096,
            help="What the core sends ahead of an acknowledgement.",
        ),
        Parameter(
            name="retention", default="run", unit="", choices=("run", "ack"),
            help="ack: what was acknowledged is trimmed.",
        ),
        Parameter(
            name="kill", default=False, unit="", help="The core is killed in the middle."
        ),
    ),
)  # fmt: skip

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        BULK, CROWD, NAMES, OUTAGE, MOVES, CLOCK, FULL, INTRUDED, DEMOTED, TWICE_KILLED, ROAMING,
        NARROW,
    )
}  # fmt: skip
"""All of them by name."""
