"""Small scenarios in which planted bugs show: seconds each, one or two edges, real processes.

Each must PASS with the unmutated reference (the self-test runs it so too), and each is as small as
it can be while the bugs whose entries name it are found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.faults.link_cut import LinkCut
from harness.faults.link_reset import LinkReset
from harness.faults.process_kill import ProcessKill
from harness.faults.schedule import Planned, at
from harness.scenario.parameters import Parameter, Parameters
from harness.scenario.phases import (
    AskPresence,
    CatchUp,
    Churn,
    Drain,
    Inspect,
    Kill,
    Load,
    Login,
    Logout,
    Phase,
    Promote,
    Restart,
    Send,
    Start,
    Stream,
)
from harness.scenario.scenario import PayloadSpec, Plan, Requires, Scenario
from harness.selftest import shapes, waits
from harness.systems.topology import Topology

INBOX = "vip"
AWAY = "away"
EDGES = ("east", "west")

DRAIN = Drain(within_s=8.0, stuck_after_s=2.0)
"""A bug may leave senders or readers stuck; what was seen until then must be enough to name it."""

RESIZES_AT_S = (0.31, 0.52, 0.77, 0.98, 1.21, 1.39)

LAUNCHER = "harness.testing.launch"


def _disk(sync_ms: int) -> dict[str, Any]:
    """Return the topology's option for a core on a disk that loses power when it is killed."""
    return {"launcher": [LAUNCHER, "--held-disk", str(sync_ms)]} if sync_ms else {}


def _sent(producers: int, rate_per_s: float, batch_count: int = 10) -> Stream:
    return Stream(to=(INBOX,), producers=producers, rate_per_s=rate_per_s, batch_count=batch_count)


def _steady(p: Parameters) -> Plan:
    return Plan(
        vary=False,
        topology=Topology(edges=EDGES[:1], latency_ms={EDGES[0]: p.latency_ms}),
        phases=(
            Login(inboxes=(INBOX,)),
            Load(duration_s=p.duration_s, streams=(_sent(3, 2_000),)),
            DRAIN,
        ),
        requires=Requires(sends_ok=100, delivered=100),
    )


def _offline(p: Parameters) -> Plan:
    send = Send(stream=Stream(to=(INBOX,), producers=3, count=100, batch_count=10), within_s=5.0)
    few = Send(stream=Stream(to=(INBOX,), count=10, batch_count=5), within_s=5.0)
    kill = Restart(role="core", kill=True)
    phases: list[Phase] = [
        *([Promote(inbox=INBOX, bucket_count=p.bucket_count)] if p.bucket_count > 1 else []),
        send,
        Inspect(inboxes=(INBOX,)),
        Login(inboxes=(INBOX,), within_s=5.0),
        CatchUp(inboxes=(INBOX,), within_s=5.0),
        # While they are sent, the acknowledgement of what was read before is confirmed.
        few,
        CatchUp(inboxes=(INBOX,), within_s=5.0),
        Logout(inboxes=(INBOX,)),
        # Commits come one after the other: when this is answered, the last cursor is durable.
        Send(stream=Stream(to=(AWAY,), count=10, batch_count=10), within_s=5.0),
        *([kill] if p.kill == "before_send" else []),
        send,
        *([kill] if p.kill == "before_login" else []),
        Login(inboxes=(INBOX,), from_cursor=p.from_cursor, within_s=5.0),
        CatchUp(inboxes=(INBOX,), within_s=5.0),
        Drain(within_s=8.0, stuck_after_s=2.0, reread=p.retention == "run"),
    ]
    return Plan(
        vary=False,
        topology=Topology(edges=EDGES[:1], retention=p.retention),
        phases=tuple(phases),
        requires=Requires(sends_ok=620, delivered=620, receiver_reconnects=1),
    )


def _resets(p: Parameters) -> Plan:
    faults = tuple(
        at(0.3 + 0.4 * index, LinkReset(), on=f"edge-core:{EDGES[0]}") for index in range(p.resets)
    )
    return Plan(
        vary=False,
        topology=Topology(edges=EDGES[:1], latency_ms={EDGES[0]: p.latency_ms}),
        phases=(
            Login(inboxes=(INBOX,), reads=p.reads),
            Load(duration_s=0.5 + 0.4 * p.resets, streams=(_sent(3, 3_000),), faults=faults),
            DRAIN,
        ),
        requires=Requires(sends_ok=100, delivered=100, fault_effects=p.resets),
    )


def _kill(p: Parameters) -> Plan:
    # What is under way in a proxy outlives the node that sent it; a cut takes it away.
    faults = (
        at(0.4, LinkCut(duration_s=0.6), on="edge-core:*"),
        at(0.7, ProcessKill(duration_s=0.1), on=p.target),
    )
    return Plan(
        vary=False,
        topology=Topology(edges=EDGES, latency_ms=dict.fromkeys(EDGES, p.latency_ms)),
        phases=(
            Login(inboxes=(INBOX,), edge=EDGES[1]),
            Load(duration_s=1.5, streams=(_sent(4, 2_000),), faults=faults),
            DRAIN,
        ),
        requires=Requires(sends_ok=100, delivered=100, fault_effects=3),
    )


def _power_loss(p: Parameters) -> Plan:
    faults: list[Planned] = [at(0.8, ProcessKill(duration_s=0.1), on="core")]
    if p.reset_before_s:
        faults.insert(0, at(0.8 - p.reset_before_s, LinkReset(), on="edge-core:*"))
    if p.kill_edges:
        faults.append(at(0.8, ProcessKill(duration_s=0.1), on="edge:*"))
    # What is lost before anybody read it is a loss; a receiver that is online hides it.
    away = Stream(to=(AWAY,), producers=2, rate_per_s=500, batch_count=10)
    return Plan(
        vary=False,
        topology=Topology(edges=EDGES, options=_disk(p.sync_ms)),
        phases=(
            Login(inboxes=(INBOX,)),
            Load(duration_s=1.6, streams=(_sent(4, 2_000), away), faults=tuple(faults)),
            # With a sync that slow every login costs a second: one reader per inbox is enough.
            replace(DRAIN, reread=not p.reset_before_s),
        ),
        requires=Requires(sends_ok=100, delivered=100, fault_effects=len(faults)),
    )


def _churn(p: Parameters) -> Plan:
    return Plan(
        vary=False,
        topology=Topology(edges=EDGES, latency_ms=dict.fromkeys(EDGES, p.latency_ms)),
        phases=(
            Login(inboxes=(INBOX,)),
            Load(
                duration_s=1.5,
                streams=(_sent(4, 2_000),),
                churn=Churn(sender_up_s=0.3, down_s=0.05),
            ),
            DRAIN,
        ),
        requires=Requires(sends_ok=100, delivered=100, sender_reconnects=3),
    )


def _reader_churn(p: Parameters) -> Plan:
    return Plan(
        vary=False,
        topology=Topology(
            edges=EDGES, latency_ms=dict.fromkeys(EDGES, p.latency_ms), retention="ack"
        ),
        phases=(
            Send(stream=Stream(to=(INBOX,), count=10, batch_count=10), within_s=5.0),
            Inspect(inboxes=(INBOX,)),
            Login(inboxes=(INBOX,)),
            Load(
                duration_s=1.8,
                streams=(_sent(4, 2_000),),
                churn=Churn(receiver_up_s=0.4, down_s=0.05),
            ),
            Drain(within_s=8.0, stuck_after_s=2.0, reread=False),
        ),
        requires=Requires(sends_ok=100, delivered=100, receiver_reconnects=2),
    )


def _resize(p: Parameters) -> Plan:
    if p.at_once:
        resizes = [(0.4, Promote(inbox=INBOX, bucket_count=count)) for count in (4, 8)]
    else:
        # What a resize does to messages under way shows only if some wait for a commit just then;
        # one resize may find none, so there are several, at no even distance from the batches.
        resizes = [
            (at_s, Promote(inbox=INBOX, bucket_count=4 + 4 * (index % 2)))
            for index, at_s in enumerate(RESIZES_AT_S)
        ]
    return Plan(
        vary=False,
        topology=Topology(edges=EDGES[:1], options=_disk(p.sync_ms)),
        phases=(
            Login(inboxes=(INBOX,)),
            Load(duration_s=1.6, streams=(_sent(4, 2_000),), during=tuple(resizes)),
            DRAIN,
        ),
        requires=Requires(sends_ok=100, delivered=100, resizes=1),
    )


def _two_lives(p: Parameters) -> Plan:
    def send(count: int) -> Send:
        stream = Stream(to=(INBOX,), producers=1, count=count, batch_count=5)
        return Send(stream=stream, within_s=5.0)

    return Plan(
        vary=False,
        topology=Topology(edges=EDGES[:1]),
        phases=(Login(inboxes=(INBOX,)), send(2 * p.count), send(p.count), DRAIN),
        requires=Requires(sends_ok=3 * p.count, delivered=2 * p.count),
    )


def _tight(p: Parameters) -> Plan:
    options: dict[str, Any] = _disk(p.sync_ms)
    if p.edge_buffer_bytes:
        options["edge"] = {"buffer_bytes_max": p.edge_buffer_bytes}
    if p.core_pending_bytes:
        options["core"] = {"pending_bytes_max": p.core_pending_bytes}
    return Plan(
        vary=False,
        topology=Topology(edges=EDGES[:1], latency_ms={EDGES[0]: p.latency_ms}, options=options),
        phases=(
            Login(inboxes=(INBOX,)),
            Load(duration_s=1.5, streams=(_sent(4, p.rate_per_s, 2),)),
            DRAIN,
        ),
        requires=Requires(sends_ok=100, delivered=100),
        # A small batch finds room where a large one before it did not.
        payload=PayloadSpec(size_bytes_min=10, size_bytes_max=190),
    )


def _presence(p: Parameters) -> Plan:
    send = Send(stream=Stream(to=(INBOX,), count=20, batch_count=10), within_s=5.0)
    login, logout = Login(inboxes=(INBOX,)), Logout(inboxes=(INBOX,))
    phases: list[Phase] = [send, login, CatchUp(inboxes=(INBOX,)), logout, login]
    if p.kill_edge:
        phases.append(Kill(role="edge"))
    phases += [logout, AskPresence(users=(INBOX,))]
    if p.kill_edge:
        phases.append(Start(role="edge"))
    return Plan(
        vary=False,
        topology=Topology(edges=EDGES[:1]),
        phases=(*phases, DRAIN),
        requires=Requires(sends_ok=20, delivered=20),
    )


def _second_device(p: Parameters) -> Plan:
    far, near = EDGES
    mine = (INBOX,)
    # One of two senders sits at the far edge, so it takes as long as a way there and back.
    few = Send(stream=Stream(to=mine, producers=2, count=10, batch_count=10), within_s=5.0)
    return Plan(
        vary=False,
        topology=Topology(edges=(near, far), latency_ms={far: p.latency_ms}, retention=p.retention),
        phases=(
            Login(inboxes=mine, edge=far),
            # At its end deliveries are under way to the first device, which will acknowledge them
            # when the second has logged in.
            Load(duration_s=1.2, streams=(_sent(1, 500),)),
            Login(inboxes=mine, edge=near, device="phone", reads=False),
            few,
            Login(inboxes=mine, edge=near, device="tablet", from_cursor=True),
            CatchUp(inboxes=mine, device="tablet", within_s=5.0),
            replace(DRAIN, reread=p.retention == "run"),
        ),
        requires=Requires(sends_ok=100, delivered=100),
    )


def _takeover(p: Parameters) -> Plan:
    mine = (INBOX,)
    few = Send(stream=Stream(to=mine, count=10, batch_count=10), within_s=5.0)
    return Plan(
        vary=False,
        topology=Topology(edges=EDGES),
        phases=(
            Login(inboxes=mine, edge=EDGES[0]),
            few,
            CatchUp(inboxes=mine, within_s=5.0),
            # Its last acknowledgement is answered before the other device logs in.
            Send(stream=Stream(to=(AWAY,), count=100, batch_count=2), within_s=5.0),
            Login(inboxes=mine, edge=EDGES[1], device="phone"),
            Load(duration_s=p.duration_s, streams=(_sent(1, 100),)),
            # Who was not told waits for ever, and nothing more is learnt from that.
            Drain(within_s=4.0, stuck_after_s=0.5, reread=False),
        ),
        requires=Requires(sends_ok=100, delivered=100),
    )


def _latency(default: int) -> Parameter:
    return Parameter(
        name="latency_ms", default=default, unit="ms", minimum=0, maximum=1_000,
        help="One-way latency between an edge and the core: what is under way when a link breaks.",
    )  # fmt: skip


def _sync(default: int) -> Parameter:
    return Parameter(
        name="sync_ms", default=default, unit="ms", minimum=0, maximum=1_000,
        help="How long the core's disk takes for a sync; 0: the disk of this machine.",
    )  # fmt: skip


def _scenario(
    name: str, claim: str, plan: Callable[[Parameters], Plan], *parameters: Parameter
) -> Scenario:
    return Scenario(name=name, claim=claim, plan=plan, parameters=parameters)


STEADY = _scenario(
    "steady", "Messages flow from three senders to a receiver.", _steady, _latency(0),
    Parameter(
        name="duration_s", default=0.8, unit="s", minimum=0.1, help="How long they flow."
    ),
)  # fmt: skip
OFFLINE = _scenario(
    "offline", "What is sent to a user who is away is read later, twice.", _offline,
    Parameter(
        name="bucket_count", default=1, unit="buckets", minimum=1, maximum=64,
        help="Buckets of the inbox.",
    ),
    Parameter(
        name="kill", default="never", unit="", choices=("never", "before_send", "before_login"),
        help="When in the second round the core is killed and started again.",
    ),
    Parameter(
        name="from_cursor", default=False, unit="", help="The second login asks the cursor."
    ),
    Parameter(
        name="retention", default="run", unit="", choices=("run", "ack"),
        help="ack: what was acknowledged is trimmed.",
    ),
)  # fmt: skip
RESETS = _scenario(
    "resets", "An edge's link to the core is reset under load.", _resets, _latency(30),
    Parameter(name="resets", default=3, unit="resets", minimum=1, maximum=10, help="How often."),
    Parameter(
        name="reads", default=True, unit="",
        help="The receiver acknowledges as it goes; otherwise only at the end.",
    ),
)  # fmt: skip
KILL = _scenario(
    "kill", "A node is killed under load.", _kill, _latency(30),
    Parameter(
        name="target", default="core", unit="", choices=("core", "edge:east"), help="Which one."
    ),
)  # fmt: skip
POWER_LOSS = _scenario(
    "power_loss", "The core's machine loses power under load.", _power_loss, _sync(30),
    Parameter(
        name="reset_before_s", default=0.0, unit="s", minimum=0.0, maximum=0.7,
        help="So long before the edges' links are reset; 0: they are not.",
    ),
    Parameter(
        name="kill_edges", default=False, unit="",
        help="The edges are killed too, so that receivers log in again.",
    ),
)  # fmt: skip
CHURN = _scenario("churn", "Senders come and go.", _churn, _latency(20))
READER_CHURN = _scenario("reader_churn", "A receiver comes and goes.", _reader_churn, _latency(40))
RESIZE = _scenario(
    "resize", "An inbox gets more buckets under load.", _resize, _sync(50),
    Parameter(
        name="at_once", default=False, unit="",
        help="Two changes are asked for at once, so the second expects an epoch that is over.",
    ),
)  # fmt: skip
TWO_LIVES = _scenario(
    "two_lives", "A sender ends, and another one begins.", _two_lives,
    Parameter(
        name="count", default=50, unit="messages", minimum=5, help="Messages of the second."
    ),
)  # fmt: skip
TIGHT = _scenario(
    "tight", "More comes than the buffers hold.", _tight, _latency(100), _sync(0),
    Parameter(
        name="rate_per_s", default=600.0, unit="messages/s", minimum=1.0,
        help="Of all senders together.",
    ),
    Parameter(
        name="edge_buffer_bytes", default=0, unit="bytes", minimum=0,
        help="Limit of the edge's buffer; 0: its own.",
    ),
    Parameter(
        name="core_pending_bytes", default=0, unit="bytes", minimum=0,
        help="Limit of what the core gathers for its next commit; 0: its own.",
    ),
)  # fmt: skip
PRESENCE = _scenario(
    "presence", "A user goes, and is seen to have gone.", _presence,
    Parameter(
        name="kill_edge", default=False, unit="", help="Its edge is killed, and it stays away."
    ),
)  # fmt: skip
SECOND_DEVICE = _scenario(
    "second_device", "A user's second device takes over from one far away.", _second_device,
    _latency(500),
    Parameter(
        name="retention", default="run", unit="", choices=("run", "ack"),
        help="ack: what was acknowledged is trimmed.",
    ),
)  # fmt: skip
TAKEOVER = _scenario(
    "takeover", "A user's second device takes over, and the first one learns of it.", _takeover,
    Parameter(
        name="duration_s", default=4.5, unit="s", minimum=0.1,
        help="How long the second one reads: beyond the bound within which the first must know.",
    ),
)  # fmt: skip

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        STEADY, OFFLINE, RESETS, KILL, POWER_LOSS, CHURN, READER_CHURN, RESIZE, TWO_LIVES, TIGHT,
        PRESENCE, SECOND_DEVICE, TAKEOVER,
    )
} | shapes.SCENARIOS | waits.SCENARIOS  # fmt: skip
"""Every scenario of the self-test by its name."""


def place_of(name: str) -> str:
    """Return how a scenario of the self-test is named to `tallystick run` and load processes."""
    module = next((one.__name__ for one in (shapes, waits) if name in one.SCENARIOS), __name__)
    return f"{module}:{name.upper()}"
