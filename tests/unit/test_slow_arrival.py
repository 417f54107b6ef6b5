"""A large message over a slow link: its parts are signs of life, and questions go on meanwhile."""

from __future__ import annotations

import pytest

from harness.testing.core_script import CoreScript
from harness.testing.edge_script import EdgeScript
from reference.client.receiver import ReceiverMachine, ReceiverSettings
from reference.client.sender import SenderMachine, SenderSettings
from reference.events import Arriving, Close, Opened, Received, Tick, Transmit, Written
from reference.wire import messages as m
from reference.wire.limits import PROTOCOL_VERSION

MS = 1_000_000
STEP_MS = 200


def client_machine(kind: str) -> SenderMachine | ReceiverMachine:
    if kind == "sender":
        return SenderMachine(SenderSettings(producer=7, token="t", name="s"))
    return ReceiverMachine(ReceiverSettings(inbox="ann", token="t", name="r"))


@pytest.mark.parametrize("kind", ["sender", "receiver"])
@pytest.mark.parametrize("arriving", [True, False])
def test_a_client_waits_for_a_message_that_is_under_way(kind: str, arriving: bool) -> None:
    machine = client_machine(kind)
    now_ns = 0
    out: list[object] = []

    def feed(event: Opened | Received | Tick | Arriving) -> None:
        for effect in machine.handle(event, now_ns):
            out.append(effect)
            if isinstance(effect, Transmit):
                out.extend(machine.handle(Written(conn=1), now_ns))

    if isinstance(machine, SenderMachine):
        machine.connect(now_ns)
    else:
        machine.login(-1, now_ns)
    feed(Opened(conn=1, link=0))
    feed(Received(conn=1, message=m.Welcome(PROTOCOL_VERSION, "edge", 1)))
    for _ in range(10_000 // STEP_MS):
        now_ns += STEP_MS * MS
        if arriving:
            feed(Arriving(conn=1))
        feed(Tick())
    assert any(isinstance(effect, Close) for effect in out) is not arriving
    sent = [x for effect in out if isinstance(effect, Transmit) for x in effect.messages]
    asked = [message for message in sent if isinstance(message, m.Heartbeat)]
    # The other end hears nothing else of a client that only waits: it must not fall silent.
    assert len(asked) >= (5 if arriving else 1)


@pytest.mark.parametrize("arriving", [True, False])
@pytest.mark.parametrize("whose", ["client", "core"])
def test_an_edge_waits_for_a_message_that_is_under_way(whose: str, arriving: bool) -> None:
    edge = EdgeScript()
    core = edge.core()
    client = edge.client()
    conn = client if whose == "client" else core
    for _ in range(6_000 // STEP_MS):
        edge.wait(STEP_MS)
        edge.say(core if whose == "client" else client, m.HeartbeatOk(1))
        if arriving:
            edge.feed(Arriving(conn=conn))
    assert (conn in edge.closed) is not arriving


@pytest.mark.parametrize("arriving", [True, False])
def test_a_core_waits_for_a_message_that_is_under_way(arriving: bool) -> None:
    script = CoreScript()
    conn = script.edge()
    for _ in range(6_000 // STEP_MS):
        script.advance(STEP_MS)
        if arriving:
            script.loop.event(Arriving(conn=conn))
    assert (conn in script.loop.closed) is not arriving


def test_a_greeting_has_to_be_whole_in_time() -> None:
    script = CoreScript()
    conn = script.open()
    edge = EdgeScript()
    edge.feed(Opened(conn=9))
    for _ in range(6_000 // STEP_MS):
        script.advance(STEP_MS)
        script.loop.event(Arriving(conn=conn))
        edge.wait(STEP_MS)
        edge.feed(Arriving(conn=9))
    assert conn in script.loop.closed
    assert 9 in edge.closed
