"""Small scenarios in which somebody waits: for a slow reader, or for who says nothing any more.

As those of `harness.selftest.scenarios`, whose `SCENARIOS` has these too.
"""

from __future__ import annotations

from harness.faults.link_cut_one_way import LinkCutOneWay
from harness.faults.schedule import at
from harness.load.groups import reader_name
from harness.scenario.parameters import Parameter, Parameters
from harness.scenario.phases import Drain, Load, Login, Read, Send, Stream
from harness.scenario.scenario import Plan, Requires, Scenario
from harness.systems.topology import Topology

INBOX = "vip"
AWAY = "away"
EDGES = ("east", "west")

DRAIN = Drain(within_s=8.0, stuck_after_s=2.0)

CUT_AT_S = 0.3


def _held_back(p: Parameters) -> Plan:
    mine = (INBOX,)
    return Plan(
        topology=Topology(edges=EDGES[:1], window_bytes=p.window_bytes, cache_bytes=p.cache_bytes),
        phases=(
            Send(stream=Stream(to=mine, producers=2, count=2_000, batch_count=50), within_s=5.0),
            Login(inboxes=mine, reads=False),
            # What is sent meanwhile gives the window time to fill.
            Send(stream=Stream(to=(AWAY,), count=200, batch_count=2), within_s=5.0),
            Read(inboxes=mine),
            DRAIN,
        ),
        requires=Requires(sends_ok=4_200, delivered=4_000),
    )


def _silent(p: Parameters, on: str, presence_every_s: float) -> Plan:
    cut = LinkCutOneWay(direction=p.direction, duration_s=p.cut_s)
    # Senders at the other edge go on, so that who is cut off has something to miss.
    stream = Stream(to=(INBOX,), producers=2, rate_per_s=500, batch_count=10)
    return Plan(
        topology=Topology(edges=EDGES),
        phases=(
            Login(inboxes=(INBOX,), edge=EDGES[0]),
            Load(
                duration_s=CUT_AT_S + p.cut_s + 0.2,
                streams=(stream,),
                faults=(at(CUT_AT_S, cut, on=on),),
                presence_every_s=presence_every_s,
            ),
            DRAIN,
        ),
        requires=Requires(sends_ok=100, delivered=100, fault_effects=1),
    )


def _silent_edge(p: Parameters) -> Plan:
    return _silent(p, f"edge-core:{EDGES[0]}", 0.2)


def _silent_client(p: Parameters) -> Plan:
    return _silent(p, f"client-edge:{EDGES[0]}:{reader_name(INBOX)}", 0.0)


_CUT = (
    Parameter(
        name="direction", default="upstream", unit="", choices=("upstream", "downstream"),
        help="Which way is swallowed: what the client of the link says, or its server.",
    ),
    Parameter(
        name="cut_s", default=5.0, unit="s", minimum=0.1,
        help="For how long: beyond the bound within which it must be noticed.",
    ),
)  # fmt: skip

HELD_BACK = Scenario(
    name="held_back",
    claim="Who does not read is sent a window and no more, from a store larger than the cache.",
    plan=_held_back,
    parameters=(
        Parameter(
            name="window_bytes", default=65_536, unit="bytes", minimum=4_096,
            help="What a receiver takes before it acknowledges.",
        ),
        Parameter(
            name="cache_bytes", default=65_536, unit="bytes", minimum=1,
            help="What the core keeps in memory of what it stored last.",
        ),
    ),
)  # fmt: skip
SILENT_EDGE = Scenario(
    name="silent_edge",
    claim="An edge that is not heard is given up, and its user shown absent.",
    plan=_silent_edge,
    parameters=_CUT,
)
SILENT_CLIENT = Scenario(
    name="silent_client",
    claim="A session over a link that swallows one direction ends in time.",
    plan=_silent_client,
    parameters=_CUT,
)

SCENARIOS = {one.name: one for one in (HELD_BACK, SILENT_EDGE, SILENT_CLIENT)}
