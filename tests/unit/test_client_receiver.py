"""The receiver machine: one session, deliveries without a gap, gathered cursor acks."""

from __future__ import annotations

from typing import Any

import pytest

from harness.testing.segments import segment
from reference.client.outcomes import (
    CursorConfirmed,
    Delivered,
    EndAnswered,
    EndFailed,
    LoggedIn,
    LoggedOut,
    LoginRefused,
    ReceiverOutput,
    SessionLost,
)
from reference.client.receiver import ReceiverMachine, ReceiverSettings
from reference.events import Close, Closed, Connect, Opened, Received, Tick, Transmit, Written
from reference.wire import messages as m
from reference.wire.errors import ErrorCode, LocalProtocolError
from reference.wire.limits import PROTOCOL_VERSION

MS = 1_000_000


class Rig:
    """A receiver and the edge at the other end, played by the test."""

    def __init__(self, **settings: Any) -> None:
        self.machine = ReceiverMachine(
            ReceiverSettings(inbox="ann", token="t", name="r", **settings)
        )
        self.now_ns = 0
        self.conn = 0
        self.sent: list[m.Message] = []
        self.outcomes: list[object] = []
        self.closed = False
        self.connects = 0

    def take(self, outputs: list[ReceiverOutput]) -> None:
        for output in outputs:
            match output:
                case Transmit(messages=messages):
                    self.sent.extend(messages)
                    self.take(self.machine.handle(Written(conn=self.conn), self.now_ns))
                case Close():
                    self.closed = True
                case Connect():
                    self.connects += 1
                case _:
                    self.outcomes.append(output)

    def say(self, message: m.Message) -> None:
        self.take(self.machine.handle(Received(conn=self.conn, message=message), self.now_ns))

    def wait(self, ms: int) -> None:
        for _ in range(ms // 50):
            self.now_ns += 50 * MS
            self.take(self.machine.handle(Tick(), self.now_ns))

    def login(self, *, session: int = 5, next_pos: int = 0) -> None:
        self.take(self.machine.login(next_pos - 1, self.now_ns))
        self.conn += 1
        self.closed = False
        self.take(self.machine.handle(Opened(conn=self.conn, link=0), self.now_ns))
        self.say(m.Welcome(PROTOCOL_VERSION, "edge", 1))
        login = self.sent[-1]
        assert isinstance(login, m.Login)
        self.say(m.LoginOk(login.request, session, -1, next_pos, (), 1))

    def lose(self) -> None:
        self.take(self.machine.handle(Closed(conn=self.conn), self.now_ns))

    def news(self) -> list[object]:
        found, self.outcomes = self.outcomes, []
        return found

    def said(self) -> list[m.Message]:
        found, self.sent = self.sent, []
        return found


def delivery(pos_first: int, count: int = 1, *, session: int = 5, inbox: str = "ann") -> m.Delivery:
    batch = segment(pos_first, count)
    return m.Delivery(
        inbox=inbox,
        session=session,
        pos_first=pos_first,
        redelivered=False,
        runs=(m.Run(7, pos_first, count, 0, 1),),
        lengths=batch.lengths,
        body=batch.body,
    )


def opened(**settings: Any) -> Rig:
    rig = Rig(**settings)
    rig.login()
    assert rig.news() == [LoggedIn(session=5, next_pos=0, cursor=-1)]
    rig.said()
    return rig


def error_codes(messages: list[m.Message]) -> list[ErrorCode]:
    return [message.code for message in messages if isinstance(message, m.Error)]


def test_login_names_place_and_window() -> None:
    rig = Rig(window_bytes=1234)
    rig.login(next_pos=7)
    assert m.Login(1, "ann", 6, 1234, -1, ()) in rig.said()
    assert rig.news() == [LoggedIn(session=5, next_pos=7, cursor=-1)]


def test_deliveries_are_passed_on_in_order() -> None:
    rig = opened()
    first, second = delivery(0, 3), delivery(3)
    rig.say(m.Deliver(deliveries=(first, second)))
    assert rig.news() == [Delivered(delivery=first), Delivered(delivery=second)]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (delivery(2), ErrorCode.UNEXPECTED_MESSAGE),
        (delivery(0, session=4), ErrorCode.UNKNOWN_SESSION),
        (delivery(0, session=6), ErrorCode.UNKNOWN_SESSION),
        (delivery(0, inbox="bob"), ErrorCode.UNKNOWN_SESSION),
    ],
)
def test_a_delivery_out_of_place_ends_the_connection(bad: m.Delivery, code: ErrorCode) -> None:
    rig = opened()
    rig.say(m.Deliver(deliveries=(bad,)))
    assert rig.news() == []
    assert error_codes(rig.said()) == [code]
    assert rig.closed
    rig.lose()
    (lost,) = rig.news()
    assert isinstance(lost, SessionLost)
    assert not lost.superseded
    assert rig.machine.violation.startswith(f"{code.name}: a delivery")
    rig.login()
    assert rig.machine.violation == "", "the next connection has nothing to do with it"


def test_a_connection_that_just_ends_is_no_violation() -> None:
    rig = opened()
    rig.lose()
    assert isinstance(rig.news()[0], SessionLost)
    assert rig.machine.violation == ""


def test_a_repeated_delivery_ends_the_connection() -> None:
    rig = opened()
    rig.say(m.Deliver(deliveries=(delivery(0),)))
    rig.say(m.Deliver(deliveries=(delivery(0),)))
    assert rig.closed
    assert len(rig.news()) == 1


def test_acks_are_gathered_until_the_next_tick() -> None:
    rig = opened()
    for pos in range(3):
        rig.say(m.Deliver(deliveries=(delivery(pos),)))
        rig.take(rig.machine.ack(pos, rig.now_ns))
    assert rig.said() == []
    rig.wait(50)
    assert rig.said() == [m.CursorAck((m.CursorMark("ann", 5, 2),))]
    rig.wait(100)
    assert rig.said() == []


def test_acks_leave_at_once_when_much_of_the_window_waits() -> None:
    rig = opened(window_bytes=80)
    rig.say(m.Deliver(deliveries=(delivery(0), delivery(1))))
    rig.take(rig.machine.ack(0, rig.now_ns))
    assert rig.said() == []
    rig.take(rig.machine.ack(1, rig.now_ns))
    assert rig.said() == [m.CursorAck((m.CursorMark("ann", 5, 1),))]


def test_an_ack_beyond_the_delivered_is_refused_here() -> None:
    rig = opened()
    with pytest.raises(LocalProtocolError):
        rig.machine.ack(0, rig.now_ns)


def test_cursors_are_confirmed_by_the_core_only() -> None:
    rig = opened()
    rig.say(m.CursorOk((m.CursorMark("ann", 4, 9), m.CursorMark("ann", 5, 3))))
    assert rig.news() == [CursorConfirmed(session=5, upto=3)]


def test_end_is_answered_by_number() -> None:
    rig = opened()
    request, outputs = rig.machine.end(rig.now_ns)
    rig.take(outputs)
    assert rig.said() == [m.End(request, "ann")]
    rig.say(m.EndOk(request, "ann", 41))
    assert rig.news() == [EndAnswered(request=request, pos=41)]


def test_ends_fail_with_the_connection() -> None:
    rig = opened()
    request, outputs = rig.machine.end(rig.now_ns)
    rig.take(outputs)
    rig.lose()
    failed, lost = rig.news()
    assert isinstance(failed, EndFailed)
    assert failed.request == request
    assert isinstance(lost, SessionLost)
    with pytest.raises(LocalProtocolError):
        rig.machine.end(rig.now_ns)


def test_a_superseded_session_is_reported_and_closed() -> None:
    rig = opened()
    rig.say(m.Superseded((m.CursorMark("ann", 4, -1),), ErrorCode.SUPERSEDED))
    assert rig.news() == []
    rig.say(m.Superseded((m.CursorMark("ann", 5, -1),), ErrorCode.SUPERSEDED))
    assert rig.news() == [SessionLost(session=5, superseded=True, cause="SUPERSEDED")]
    assert rig.closed
    rig.lose()
    assert rig.news() == []


def test_logout_tells_the_last_ack_first() -> None:
    rig = opened()
    rig.say(m.Deliver(deliveries=(delivery(0),)))
    rig.take(rig.machine.ack(0, rig.now_ns))
    rig.take(rig.machine.logout(rig.now_ns))
    ack, logout = rig.said()
    assert ack == m.CursorAck((m.CursorMark("ann", 5, 0),))
    assert isinstance(logout, m.Logout)
    rig.news()
    rig.say(m.LogoutOk(logout.request))
    assert rig.news() == [LoggedOut(session=5)]
    assert rig.closed
    rig.lose()
    rig.wait(5000)
    assert rig.news() == []
    assert rig.connects == 1


def test_a_lost_session_is_not_opened_again_by_itself() -> None:
    rig = opened()
    rig.lose()
    rig.wait(5000)
    assert rig.connects == 1
    rig.login(session=6, next_pos=0)
    rig.say(m.Deliver(deliveries=(delivery(0, session=6),)))
    assert isinstance(rig.news()[-1], Delivered)


def test_a_login_is_repeated_while_the_edge_is_not_ready_and_refused_otherwise() -> None:
    rig = Rig()
    rig.take(rig.machine.login(-1, 0))
    rig.conn = 1
    rig.take(rig.machine.handle(Opened(conn=1, link=0), 0))
    rig.say(m.Welcome(PROTOCOL_VERSION, "edge", 1))
    rig.say(m.Error(1, ErrorCode.NOT_READY, ""))
    assert rig.news() == []
    rig.said()
    rig.wait(50)
    (again,) = rig.said()
    assert isinstance(again, m.Login)
    rig.say(m.Error(again.request, ErrorCode.QUOTA, "no room"))
    assert rig.news() == [LoginRefused(code=ErrorCode.QUOTA, detail="no room")]
    assert rig.closed


def test_aborting_reports_nothing() -> None:
    rig = opened()
    rig.take(rig.machine.abort(rig.now_ns))
    assert rig.closed
    rig.say(m.Deliver(deliveries=(delivery(0),)))
    rig.lose()
    assert rig.news() == []
