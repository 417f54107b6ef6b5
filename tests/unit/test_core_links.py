"""Connections: who may come in, what ends one, and signs of life."""

from __future__ import annotations

import pytest

from harness.testing.core_script import (
    ADMIN_TOKEN,
    TOKEN,
    CoreScript,
    batch,
    oks,
    only,
    settings,
)
from harness.testing.keys import EDGE_KEY, client_token
from reference.core.machine import CoreMachine
from reference.core.settings import CoreSettings
from reference.events import Close, Closed, Malformed, Opened, Received, Recovered, Tick, Transmit
from reference.outlet import OUTLET_BYTES_MAX
from reference.wire import messages as m
from reference.wire.errors import ErrorCode

MS = 1_000_000


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (m.End(1, "vip"), ErrorCode.HELLO_EXPECTED),
        (m.Hello(3, "edge", "eu", TOKEN, 4), ErrorCode.VERSION_MISMATCH),
        (m.Hello(1, "client", "eu", TOKEN), ErrorCode.UNEXPECTED_MESSAGE),
        (m.Hello(1, "new", "eu", TOKEN), ErrorCode.UNEXPECTED_MESSAGE),
        (m.Hello(1, "edge", "eu", ADMIN_TOKEN), ErrorCode.UNAUTHORISED),
        (m.Hello(1, "admin", "eu", TOKEN), ErrorCode.UNAUTHORISED),
        (m.Hello(1, "edge", "eu", "ü"), ErrorCode.UNAUTHORISED),
        (m.Hello(1, "edge", "eu", ""), ErrorCode.UNAUTHORISED),
        (m.Hello(1, "edge", "eu", EDGE_KEY), ErrorCode.UNAUTHORISED),
        (m.Hello(1, "edge", "eu", client_token("eu")), ErrorCode.UNAUTHORISED),
        (m.Hello(1, "edge", "us", TOKEN), ErrorCode.UNAUTHORISED),
        (m.Hello(1, "admin", "eu", client_token("admin")), ErrorCode.UNAUTHORISED),
        (m.Hello(1, "edge", "", TOKEN), ErrorCode.BAD_NAME),
    ],
)
def test_who_may_not_come_in(message: m.Message, code: ErrorCode) -> None:
    script = CoreScript()
    conn = script.open()
    (error,) = script.send(conn, message)
    assert isinstance(error, m.Error)
    assert (error.request, error.code) == (-1, code)
    assert script.loop.closed == {conn}


@pytest.mark.parametrize("role", ["edge", "admin"])
def test_a_core_without_a_token_opens_that_role_to_nobody(role: str) -> None:
    script = CoreScript(CoreSettings())
    conn = script.open()
    error = only(script.send(conn, m.Hello(1, role, "eu", "")), m.Error)
    assert error.code is ErrorCode.UNAUTHORISED
    assert script.loop.closed == {conn}


@pytest.mark.parametrize(
    ("role", "message"),
    [
        ("edge", m.Promote(1, "vip", 0, 5)),
        ("edge", m.Inspect(1, "vip", -1, -1)),
        ("admin", m.BatchSend(segments=(batch(0, 1),))),
        ("admin", m.Login(1, "vip", -1, 1_000, -1, ())),
        ("admin", m.CursorAck(())),
        ("edge", m.Welcome(1, "x", 1)),
        ("edge", m.Hello(1, "edge", "eu", TOKEN)),
    ],
)
def test_each_role_has_its_messages(role: str, message: m.Message) -> None:
    script = CoreScript()
    bystander = script.edge()
    conn = script.edge() if role == "edge" else script.admin()
    error = only(script.send(conn, message), m.Error)
    assert error.code is ErrorCode.UNEXPECTED_MESSAGE
    assert script.loop.closed == {conn}
    assert script.send(conn, m.End(1, "vip")) == []
    assert oks(script.batch(bystander, batch(0, 1))) == [(0, 1, 0)]


def test_malformed_bytes_end_that_connection_only() -> None:
    script = CoreScript()
    good, bad = script.edge(), script.edge()
    script.loop.event(Malformed(conn=bad, code=ErrorCode.BAD_FRAME, detail="noise"))
    assert script.loop.take(bad) == [m.Error(-1, ErrorCode.BAD_FRAME, "noise")]
    assert script.loop.closed == {bad}
    assert oks(script.batch(good, batch(0, 1))) == [(0, 1, 0)]


def test_a_connection_too_many_is_told_so() -> None:
    script = CoreScript(settings(connections_max=1))
    script.edge()
    conn = script.open()
    (error,) = script.loop.take(conn)
    assert isinstance(error, m.Error)
    assert error.code is ErrorCode.BUSY
    assert script.loop.closed == {conn}


def test_silent_connections_shut_no_edge_out() -> None:
    script = CoreScript(settings(connections_max=3, greetings_max=2))
    silent = [script.open() for _ in range(3)]
    assert script.loop.closed == {silent[0]}
    script.edge()
    script.edge()
    assert script.loop.closed == {silent[0], silent[1]}
    script.edge()
    assert script.loop.closed == set(silent)


def test_a_silent_edge_is_asked_then_closed_and_its_users_are_offline() -> None:
    script = CoreScript()
    edge = script.edge()
    script.login(edge)
    script.loop.take(edge)
    script.advance(1_000)
    assert [type(x) for x in script.loop.take(edge)] == [m.Heartbeat]
    script.send(edge, m.HeartbeatOk(0))
    script.advance(2_950)
    assert script.loop.closed == set()
    admin = script.admin()
    script.advance(50)
    assert only(script.loop.take(edge), m.Error).code is ErrorCode.HEARTBEAT_MISSED
    assert script.loop.closed == {edge}
    (entry,) = only(script.send(admin, m.Presence(1, ("vip",))), m.PresenceOk).entries
    assert not entry.online


def test_who_never_says_hello_is_closed() -> None:
    script = CoreScript()
    conn = script.open()
    script.advance(3_000)
    assert script.loop.closed == {conn}


def test_the_cores_own_pause_is_not_held_against_its_links() -> None:
    script = CoreScript()
    script.edge()
    script.advance(500)
    script.now_ns += 10_000 * MS
    script.loop.event(Tick())
    assert script.loop.closed == set()
    script.advance(3_000)
    assert len(script.loop.closed) == 1


def test_heartbeats_are_answered() -> None:
    script = CoreScript()
    assert script.send(script.edge(), m.Heartbeat(42)) == [m.HeartbeatOk(42)]


def test_an_idle_admin_is_not_asked_but_closed_late() -> None:
    script = CoreScript(settings(admin_idle_ms=5_000))
    admin = script.admin()
    script.advance(4_950)
    assert script.loop.take(admin) == []
    script.advance(50)
    assert script.loop.closed == {admin}


def stuck_link(core: CoreMachine) -> None:
    """Open a link whose first transmit is never written."""
    core.handle(Opened(conn=1), 0)
    core.handle(Received(conn=1, message=m.Hello(1, "edge", "eu", TOKEN)), 0)


def test_an_error_waits_for_the_transmit_under_way_but_not_for_ever() -> None:
    core = CoreMachine(settings(), Recovered())
    stuck_link(core)
    assert core.handle(Malformed(conn=1, code=ErrorCode.BAD_FRAME, detail=""), 0) == []
    assert core.handle(Tick(), 2_000 * MS) == []
    assert core.handle(Tick(), 3_000 * MS) == [Close(conn=1)]
    assert core.handle(Closed(conn=1), 0) == []


def test_a_peer_that_does_not_read_is_a_slow_consumer() -> None:
    core = CoreMachine(settings(), Recovered())
    stuck_link(core)
    users = tuple(f"user{i}" for i in range(1_000))
    effects = []
    for _ in range(OUTLET_BYTES_MAX // (64 * 1_000) + 2):
        effects += core.handle(Received(conn=1, message=m.Presence(1, users)), 0)
        gauges = core.gauges()
        assert gauges["outlet_bytes"] <= gauges["outlet_bytes_limit"] == OUTLET_BYTES_MAX
    assert effects == [Close(conn=1)]
    (close,) = effects
    assert isinstance(close, Close)
    # The peer does not read, so only the log can say it.
    assert close.reason == "SLOW_CONSUMER: the output buffer is full"


def test_effects_name_one_transmit_at_a_time() -> None:
    core = CoreMachine(settings(), Recovered())
    stuck_link(core)
    effects = core.handle(Received(conn=1, message=m.Heartbeat(1)), 0)
    assert not any(isinstance(effect, Transmit) for effect in effects)
