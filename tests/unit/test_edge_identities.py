"""What one user may not do to another at an edge, and what one may use of what all share."""

from __future__ import annotations

import pytest

from harness.testing.edge_script import EdgeScript, sent_segments
from harness.testing.keys import client_token
from harness.testing.segments import segment
from reference.edge.settings import (
    USER_CONNECTIONS_MAX,
    USER_PRODUCERS_MAX,
    USER_REQUESTS_MAX,
    USER_SESSIONS_MAX,
    USER_SHARE_BYTES_MIN,
    USER_SHARES,
    USER_WINDOWS_BYTES_MAX,
    WINDOW_BYTES_MAX,
)
from reference.events import Arriving
from reference.wire import messages as m
from reference.wire.errors import ErrorCode

ANN = client_token("ann", 1)
MALLORY = client_token("mallory", 2)
ANNS_PRODUCER = 1 << 32


def errors(messages: list[m.Message]) -> list[ErrorCode]:
    return [message.code for message in messages if isinstance(message, m.Error)]


def logged_in(edge: EdgeScript, core: int, token: str, login: m.Login, session: int = -1) -> int:
    conn = edge.client(token=token)
    edge.say(conn, login)
    asked = edge.heard(core)[-1]
    assert isinstance(asked, m.Login)
    edge.say(core, m.LoginOk(asked.request, session, -1, 0, (0,) * len(login.inboxes), 1))
    edge.heard(conn)
    return conn


def sender(edge: EdgeScript, core: int) -> int:
    return logged_in(edge, core, ANN, m.Login(1, "", -1, 0, ANNS_PRODUCER, ("ann",)))


def reader(edge: EdgeScript, core: int, token: str = ANN) -> int:
    return logged_in(edge, core, token, m.Login(1, "ann", -1, 1 << 20, -1, ()), session=5)


@pytest.mark.parametrize(
    "message",
    [
        m.Login(7, "ann", -1, 1 << 20, -1, ()),
        m.Login(7, "", -1, 0, ANNS_PRODUCER, ("ann",)),
        m.Login(7, "mallory", -1, 1 << 20, ANNS_PRODUCER, ()),
        m.Login(7, "ann", -1, 1 << 20, 2 << 32, ()),
        m.End(7, "ann"),
    ],
)
def test_what_is_anothers_is_refused_by_name_and_the_core_hears_nothing(message: m.Message) -> None:
    edge = EdgeScript()
    core = edge.core()
    conn = edge.client(token=MALLORY)
    edge.heard(conn)
    edge.say(conn, message)
    (refusal,) = edge.heard(conn)
    assert isinstance(refusal, m.Error)
    assert (refusal.request, refusal.code) == (7, ErrorCode.FORBIDDEN)
    assert "mallory" in refusal.detail
    assert edge.heard(core) == []
    # It is one request that failed, and what is one's own goes on.
    edge.say(conn, m.Login(8, "mallory", -1, 1 << 20, -1, ()))
    assert [type(x) for x in edge.heard(core)] == [m.Login]


def test_who_may_not_send_as_a_producer_does_not_silence_its_owner() -> None:
    edge = EdgeScript()
    core = edge.core()
    owner = sender(edge, core)
    mallory = edge.client(token=MALLORY)
    edge.say(mallory, m.Login(1, "", -1, 0, ANNS_PRODUCER, ("ann",)))
    edge.say(owner, m.Send(segment=segment(0, producer=ANNS_PRODUCER)))
    assert sent_segments(edge.heard(core)) == [(ANNS_PRODUCER, "ann", 0, 1)]
    ok = m.Ok((m.OkRange("ann", ANNS_PRODUCER, 0, 1, 0, 0),))
    edge.say(core, ok)
    assert edge.heard(owner) == [ok]


def test_without_a_login_nobody_sends_as_a_producer() -> None:
    edge = EdgeScript()
    core = edge.core()
    sender(edge, core)
    mallory = edge.client(token=MALLORY)
    edge.heard(mallory)
    edge.say(mallory, m.Send(segment=segment(0, producer=ANNS_PRODUCER)))
    assert errors(edge.heard(mallory)) == [ErrorCode.UNEXPECTED_MESSAGE]
    assert sent_segments(edge.heard(core)) == []


@pytest.mark.parametrize(
    "message", [m.CursorAck((m.CursorMark("ann", 5, 0),)), m.Logout(1, "ann", 5)]
)
def test_a_session_is_acknowledged_and_ended_by_its_connection_alone(message: m.Message) -> None:
    edge = EdgeScript()
    core = edge.core()
    reader(edge, core)
    mallory = edge.client(token=MALLORY)
    edge.say(mallory, message)
    assert edge.heard(core) == []


def test_an_inbox_that_was_granted_can_be_read() -> None:
    edge = EdgeScript()
    core = edge.core()
    deputy = reader(edge, core, client_token("deputy", inboxes=("team", "ann")))
    edge.say(deputy, m.CursorAck((m.CursorMark("ann", 5, -1),)))
    assert [type(x) for x in edge.heard(core)] == [m.CursorAck]


def test_one_user_leaves_connections_for_others() -> None:
    edge = EdgeScript(connections_max=USER_CONNECTIONS_MAX + 4)
    edge.core()
    mallorys = [edge.client(token=MALLORY) for _ in range(USER_CONNECTIONS_MAX + 4)]
    refused = [conn for conn in mallorys if errors(edge.heard(conn)) == [ErrorCode.QUOTA]]
    assert refused == mallorys[USER_CONNECTIONS_MAX:]
    assert edge.closed == refused
    for conn in refused:
        edge.lose(conn)
    ann = edge.client(token=ANN)
    assert [type(x) for x in edge.heard(ann)] == [m.Welcome]
    # A place is free again as soon as one has gone.
    edge.lose(mallorys[0])
    again = edge.client(token=MALLORY)
    assert [type(x) for x in edge.heard(again)] == [m.Welcome]


def test_a_user_is_forgotten_however_its_connection_ends() -> None:
    edge = EdgeScript()
    edge.core()
    for _ in range(2):
        conn = edge.client(token=MALLORY)
        edge.heard(conn)
        edge.say(conn, m.Hello(1, "client", "c", MALLORY))
        assert errors(edge.heard(conn)) == [ErrorCode.UNEXPECTED_MESSAGE]
        edge.wait(100)
        edge.lose(conn)
        edge.wait(100)
    assert edge.machine._door._users == edge.machine._door._leaving == {}


def test_requests_are_a_users_and_outlive_its_connections() -> None:
    edge = EdgeScript()
    core = edge.core()
    for _ in range(2):
        conn = edge.client(token=MALLORY)
        edge.heard(conn)
        edge.say(conn, *(m.End(n, "mallory") for n in range(USER_REQUESTS_MAX // 2)))
        edge.lose(conn)
        edge.wait(100)
    asked = [x for x in edge.heard(core) if isinstance(x, m.End)]
    assert len(asked) == USER_REQUESTS_MAX
    conn = edge.client(token=MALLORY)
    edge.heard(conn)
    edge.say(conn, m.End(1, "mallory"))
    assert errors(edge.heard(conn)) == [ErrorCode.BUSY]
    ann = edge.client(token=ANN)
    edge.heard(ann)
    edge.say(ann, m.End(1, "ann"))
    assert edge.heard(ann) == []
    # Answers that nobody waits for give them back.
    edge.say(core, m.EndOk(asked[0].request, "mallory", 0))
    edge.say(conn, m.End(1, "mallory"))
    assert edge.heard(conn) == []


def test_the_share_of_the_buffer_is_a_users_and_outlives_its_connections() -> None:
    big = 700_000
    edge = EdgeScript(buffer_bytes_max=USER_SHARES * USER_SHARE_BYTES_MIN)
    core = edge.core(credit_bytes=1)
    mine = 2 << 32
    for n in range(2):
        conn = logged_in(edge, core, MALLORY, m.Login(1, "", -1, 0, mine + n, ()))
        edge.say(conn, m.Send(segment=segment(0, producer=mine + n, size_bytes=big)))
        assert edge.heard(conn) == []
        edge.lose(conn)
        edge.wait(100)
    conn = logged_in(edge, core, MALLORY, m.Login(1, "", -1, 0, mine + 2, ()))
    edge.say(conn, m.Send(segment=segment(0, producer=mine + 2, size_bytes=big)))
    (refused,) = edge.heard(conn)
    assert isinstance(refused, m.Refused)
    assert refused.ranges[0].code is ErrorCode.BUSY
    ann = sender(edge, core)
    edge.say(ann, m.Send(segment=segment(0, producer=ANNS_PRODUCER, size_bytes=big)))
    assert edge.heard(ann) == []


def test_windows_and_sessions_are_a_users_over_all_its_connections() -> None:
    edge = EdgeScript()
    core = edge.core()
    token = client_token("service", every_inbox=True)
    per_connection = USER_SESSIONS_MAX // 4
    for number in range(4):
        conn = edge.client(token=token)
        edge.heard(conn)
        logins = [m.Login(n, f"i{number}-{n}", -1, 4_096, -1, ()) for n in range(per_connection)]
        edge.say(conn, *logins)
        assert edge.heard(conn) == []
    conn = edge.client(token=token)
    edge.heard(conn)
    edge.say(conn, m.Login(1, "one-more", -1, 4_096, -1, ()))
    assert errors(edge.heard(conn)) == [ErrorCode.QUOTA]
    windows = [x.window_bytes for x in edge.heard(core) if isinstance(x, m.Login)]
    assert sum(windows) <= USER_WINDOWS_BYTES_MAX


def test_large_windows_are_cut_to_what_a_user_may_have() -> None:
    edge = EdgeScript()
    core = edge.core()
    token = client_token("service", every_inbox=True)
    for n in range(USER_WINDOWS_BYTES_MAX // WINDOW_BYTES_MAX):
        logged_in(edge, core, token, m.Login(1, f"i{n}", -1, WINDOW_BYTES_MAX, -1, ()), session=1)
    conn = edge.client(token=token)
    edge.heard(conn)
    edge.say(conn, m.Login(1, "one-more", -1, WINDOW_BYTES_MAX, -1, ()))
    assert errors(edge.heard(conn)) == [ErrorCode.QUOTA]


def test_producers_are_a_users_over_all_its_connections() -> None:
    edge = EdgeScript()
    core = edge.core()
    conns = [edge.client(token=MALLORY) for _ in range(2)]
    for at in range(0, USER_PRODUCERS_MAX, 512):
        logins = [m.Login(1, "", -1, 0, (2 << 32) + n, ()) for n in range(at, at + 512)]
        edge.say(conns[at // 512], *logins)
        edge.say(core, *(m.LoginOk(x.request, -1, -1, 0, (), 1) for x in edge.heard(core)[-512:]))
    edge.heard(conns[0])
    edge.say(conns[0], m.Login(1, "", -1, 0, (3 << 32) - 1, ()))
    assert errors(edge.heard(conns[0])) == [ErrorCode.QUOTA]


def test_1024_silent_connections_of_one_address_shut_out_nobody() -> None:
    edge = EdgeScript(address_greetings_max=256, greetings_max=1_024)
    edge.core()
    # Somebody else has connected a moment before, and is slow to say so.
    slow = edge.open("10.0.0.2")
    flood = [edge.open("10.0.0.1") for _ in range(1_024)]
    assert edge.closed == flood[: 1_024 - 256]
    assert slow not in edge.closed
    edge.say(slow, m.Hello(1, "client", "c", ANN))
    assert [type(x) for x in edge.heard(slow)] == [m.Welcome]


def test_a_full_edge_takes_who_speaks_in_place_of_who_is_silent() -> None:
    edge = EdgeScript(connections_max=8)
    edge.core()
    silent = [edge.open(f"10.0.0.{n}") for n in range(8)]
    ann = edge.client(token=ANN)
    assert [type(x) for x in edge.heard(ann)] == [m.Welcome]
    assert edge.closed == silent[:1]


def test_who_says_nothing_is_closed_soon_and_drops_of_bytes_do_not_help() -> None:
    edge = EdgeScript(greeting_ms=500)
    edge.core()
    conn = edge.open()
    for _ in range(9):
        edge.wait(50)
        edge.feed(Arriving(conn=conn))
    assert edge.closed == []
    edge.wait(100)
    assert errors(edge.heard(conn)) == [ErrorCode.HELLO_EXPECTED]
    assert edge.closed == [conn]
