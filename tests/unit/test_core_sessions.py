"""Sessions: numbers, who is current, cursors, resuming on a new link, presence."""

from __future__ import annotations

import pytest

from harness.testing.core_script import CoreScript, batch, delivered, deliveries, only, settings
from reference.core.settings import Retention
from reference.events import Commit
from reference.wire import messages as m
from reference.wire.errors import ErrorCode


def ended(messages: list[m.Message]) -> list[tuple[str, int, ErrorCode]]:
    return [
        (mark.inbox, mark.session, x.code)
        for x in messages
        if isinstance(x, m.Superseded)
        for mark in x.marks
    ]


def presence(script: CoreScript, conn: int, user: str = "vip") -> m.PresenceEntry:
    (entry,) = only(script.send(conn, m.Presence(1, (user,))), m.PresenceOk).entries
    return entry


def ack(session: int, upto: int) -> m.CursorAck:
    return m.CursorAck((m.CursorMark("vip", session, upto),))


@pytest.fixture
def script() -> CoreScript:
    script = CoreScript()
    script.batch(script.edge("sender"), batch(0, 10))
    return script


def test_session_numbers_rise_over_restarts(script: CoreScript) -> None:
    assert script.login(script.edge()).session == 1
    assert script.login(script.edge()).session == 2
    script.restart()
    assert script.login(script.edge()).session == 3


def test_the_last_login_wins_and_the_one_before_is_told(script: CoreScript) -> None:
    first, second = script.edge("a"), script.edge("b")
    script.login(first)
    script.loop.take(first)
    script.loop.hold = (Commit,)
    script.send(second, m.Login(1, "vip", -1, 1_000, -1, ()))
    assert script.loop.take(first) == []
    script.loop.release()
    assert ended(script.loop.take(first)) == [("vip", 1, ErrorCode.SUPERSEDED)]
    assert only(script.loop.take(second), m.LoginOk).session == 2
    assert presence(script, second) == m.PresenceEntry("vip", True, "b", 2)


def test_two_logins_in_one_commit_end_in_the_later(script: CoreScript) -> None:
    first, second = script.edge("a"), script.edge("b")
    script.loop.hold = (Commit,)
    script.batch(first, batch(10, 1))
    script.send(first, m.Login(1, "vip", -1, 1_000, -1, ()))
    script.send(second, m.Login(1, "vip", -1, 1_000, -1, ()))
    script.loop.release(2)
    to_first = script.loop.take(first)
    assert only(to_first, m.LoginOk).session == 1
    assert ended(to_first) == [("vip", 1, ErrorCode.SUPERSEDED)]
    assert only(script.loop.take(second), m.LoginOk).session == 2


def test_a_late_ack_of_a_superseded_session_moves_nothing(script: CoreScript) -> None:
    first, second = script.edge("a"), script.edge("b")
    script.login(first)
    script.login(second)
    script.loop.take(first)
    assert ended(script.send(first, ack(1, 9))) == [("vip", 1, ErrorCode.SUPERSEDED)]
    assert script.login(second, from_pos=-2).cursor == -1


def test_an_ack_beyond_the_delivered_ends_the_session(script: CoreScript) -> None:
    edge = script.edge()
    script.login(edge)
    script.loop.take(edge)
    answers = script.send(edge, ack(1, 10))
    assert ended(answers) == [("vip", 1, ErrorCode.ACK_BEYOND_DELIVERED)]
    assert ended(script.send(edge, ack(1, 3))) == [("vip", 1, ErrorCode.UNKNOWN_SESSION)]
    assert not presence(script, edge).online


def test_a_cursor_is_confirmed_when_durable_and_never_goes_back(script: CoreScript) -> None:
    edge = script.edge()
    script.login(edge)
    script.loop.take(edge)
    script.loop.hold = (Commit,)
    assert script.send(edge, ack(1, 4), ack(1, 5), ack(1, 3)) == []
    script.loop.release()
    assert script.loop.take(edge) == [m.CursorOk((m.CursorMark("vip", 1, 4),))]
    script.loop.release()
    found = [x.marks for x in script.loop.take(edge) if isinstance(x, m.CursorOk)]
    assert found == [(m.CursorMark("vip", 1, 5), m.CursorMark("vip", 1, 3))]
    assert script.send(edge, ack(1, 2)) == [m.CursorOk((m.CursorMark("vip", 1, 2),))]
    script.loop.hold = ()
    script.restart()
    reply = script.login(script.edge(), from_pos=-2)
    assert (reply.cursor, reply.next_pos) == (5, 6)


def test_a_receiver_names_where_it_goes_on(script: CoreScript) -> None:
    edge = script.edge()
    assert script.login(edge, from_pos=3).next_pos == 4
    assert sorted(delivered(script.loop.take(edge))) == [4, 5, 6, 7, 8, 9]
    assert script.login(edge, from_pos=500).next_pos == 10


def test_with_retention_ack_login_begins_behind_what_is_gone() -> None:
    script = CoreScript(settings(retention=Retention.ACK))
    edge = script.edge()
    script.batch(edge, batch(0, 5))
    script.batch(edge, batch(5, 5))
    script.login(edge)
    script.loop.take(edge)
    script.send(edge, ack(1, 6))
    rows, _ = script.store.rows("vip", -1, -1)
    assert [row.pos_first for row in rows] == [5]
    script.restart()
    edge = script.edge()
    assert script.login(edge, from_pos=-1).next_pos == 7
    assert sorted(delivered(script.loop.take(edge))) == [7, 8, 9]
    script.send(edge, ack(2, 9))
    assert script.store.rows("vip", -1, -1) == ((), False)
    script.restart()
    edge = script.edge()
    script.batch(edge, batch(10, 1))
    assert script.login(edge).next_pos == 10


def test_a_logout_ends_the_session_and_a_stale_one_does_not(script: CoreScript) -> None:
    edge = script.edge()
    script.login(edge)
    script.login(edge)
    script.loop.take(edge)
    refused = only(script.send(edge, m.Logout(4, "vip", 1)), m.Error)
    assert (refused.request, refused.code) == (4, ErrorCode.SUPERSEDED)
    assert presence(script, edge).online
    assert script.send(edge, m.Logout(5, "vip", 2)) == [m.LogoutOk(5)]
    assert presence(script, edge) == m.PresenceEntry("vip", False, "", -1)
    mark = m.ResumeMark("vip", 2, 9, 9, 1_000)
    assert ended(script.send(edge, m.Resume((mark,)))) == [("vip", 2, ErrorCode.UNKNOWN_SESSION)]


def test_an_edge_logs_a_lost_client_out_without_a_reply(script: CoreScript) -> None:
    edge = script.edge()
    script.login(edge)
    script.loop.take(edge)
    assert script.send(edge, m.Logout(-1, "vip", 1)) == []
    assert script.send(edge, m.Logout(-1, "vip", 1)) == []
    assert not presence(script, edge).online


def test_a_lost_link_takes_its_users_offline_and_a_resume_brings_them_back(
    script: CoreScript,
) -> None:
    first = script.edge("a")
    script.login(first)
    script.loop.take(first)
    script.drop(first)
    second = script.edge("b")
    assert not presence(script, second).online
    script.batch(second, batch(10, 2))
    answers = script.send(second, m.Resume((m.ResumeMark("vip", 1, 7, 4, 100_000, 100_000),)))
    assert [x for x in answers if isinstance(x, m.CursorOk)] == []
    assert presence(script, second) == m.PresenceEntry("vip", True, "b", 1)
    # Positions 5 to 7 are at the edge, not acknowledged, and fill the window.
    assert deliveries(answers) == []
    answers = script.send(second, ack(1, 7))
    assert sorted(delivered(answers)) == [8, 9, 10, 11]
    assert [d.redelivered for d in deliveries(answers)] == [True, False]


def test_a_resume_counts_what_is_under_way_and_no_more(script: CoreScript) -> None:
    """A reader that acknowledges in groups gets what fills its group, also after a restart."""
    first = script.edge()
    script.batch(first, batch(0, 6))
    script.login(first, window_bytes=1_000)
    script.restart()
    second = script.edge()
    script.batch(second, batch(6, 4))
    answers = script.send(second, m.Resume((m.ResumeMark("vip", 1, 5, -1, 1_000, 80),)))
    assert list(delivered(answers)) == [6, 7, 8, 9]
    script.send(second, m.CursorAck((m.CursorMark("vip", 1, 9),)))
    assert script.core.gauges()["window_bytes"] == 0


def test_a_resume_moves_no_cursor(script: CoreScript) -> None:
    """The place that a client named at its login is none that it acknowledged."""
    first = script.edge("a")
    script.login(first, from_pos=5)
    script.drop(first)
    second = script.edge("b")
    script.send(second, m.Resume((m.ResumeMark("vip", 1, 5, 5, 100_000),)))
    assert script.login(second, from_pos=-2).cursor == -1


def test_only_the_durable_current_session_resumes_after_a_restart(script: CoreScript) -> None:
    edge = script.edge()
    script.login(edge)
    script.login(edge)
    script.restart()
    edge = script.edge("c")
    assert not presence(script, edge).online
    marks = (m.ResumeMark("vip", 1, 9, 9, 1_000), m.ResumeMark("vip", 3, 9, 9, 1_000))
    assert ended(script.send(edge, m.Resume(marks))) == [
        ("vip", 1, ErrorCode.SUPERSEDED),
        ("vip", 3, ErrorCode.UNKNOWN_SESSION),
    ]
    unknown = m.ResumeMark("nobody", 1, 9, 9, 1_000)
    assert ended(script.send(edge, m.Resume((unknown,)))) == [
        ("nobody", 1, ErrorCode.UNKNOWN_SESSION)
    ]
    script.send(edge, m.Resume((m.ResumeMark("vip", 2, 9, 9, 1_000),)))
    assert presence(script, edge) == m.PresenceEntry("vip", True, "c", 2)


def test_a_resume_on_another_link_moves_the_session(script: CoreScript) -> None:
    first, second = script.edge("a"), script.edge("b")
    script.login(first)
    script.loop.take(first)
    script.send(second, m.Resume((m.ResumeMark("vip", 1, 9, 9, 100_000),)))
    assert presence(script, second).edge == "b"
    script.drop(first)
    assert presence(script, second).online
    assert sorted(delivered(script.batch(second, batch(10, 1)))) == [10]


def test_a_login_whose_link_is_gone_still_ends_the_session_before(script: CoreScript) -> None:
    first, second = script.edge("a"), script.edge("b")
    script.login(first)
    script.loop.take(first)
    script.loop.hold = (Commit,)
    script.send(second, m.Login(1, "vip", -1, 1_000, -1, ()))
    script.drop(second)
    script.loop.release()
    assert ended(script.loop.take(first)) == [("vip", 1, ErrorCode.SUPERSEDED)]
    assert not presence(script, first).online


def test_a_bad_login_closes_only_its_connection(script: CoreScript) -> None:
    good, bad = script.edge(), script.edge()
    script.login(good)
    (error,) = script.send(bad, m.Login(1, "vip", -3, 1_000, -1, ()))
    assert isinstance(error, m.Error)
    assert error.code is ErrorCode.BAD_HEADER
    assert script.loop.closed == {bad}
    assert presence(script, good).online


@pytest.mark.parametrize("name", ["x" * 129, "a\nb", "a\0b"])
def test_a_login_with_a_bad_name_is_refused(name: str, script: CoreScript) -> None:
    edge = script.edge()
    error = only(script.send(edge, m.Login(1, name, -1, 1_000, -1, ())), m.Error)
    assert (error.request, error.code) == (1, ErrorCode.BAD_NAME)
    assert not script.loop.closed
