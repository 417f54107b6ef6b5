"""The sender machine: order, credit, resends, refusals and what it reports of each range."""

from __future__ import annotations

from typing import Any

import pytest

from harness.testing.segments import segment
from reference.client.outcomes import (
    Acknowledged,
    ConnectionLost,
    LineageLost,
    OutboxFull,
    Ready,
    Rejected,
    SenderOutput,
    Unresolved,
)
from reference.client.sender import SenderMachine, SenderSettings
from reference.events import (
    Close,
    Closed,
    Connect,
    ConnectFailed,
    Opened,
    Received,
    Tick,
    Transmit,
    Written,
)
from reference.wire import messages as m
from reference.wire import versions
from reference.wire.errors import ErrorCode, LocalProtocolError
from reference.wire.limits import (
    BATCH_BYTES_MAX,
    INBOX_NAME_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    PROTOCOL_VERSION,
)

MS = 1_000_000


class Rig:
    """A sender and the edge at the other end, played by the test."""

    def __init__(self, **settings: Any) -> None:
        self.machine = SenderMachine(SenderSettings(producer=7, token="t", name="s", **settings))
        self.now_ns = 0
        self.conn = 0
        self.sent: list[m.Message] = []
        self.outcomes: list[object] = []
        self.others: list[object] = []

    def take(self, outputs: list[SenderOutput]) -> None:
        """Sort outputs; a transmit is written at once."""
        for output in outputs:
            match output:
                case Transmit(conn=conn, messages=messages):
                    assert conn == self.conn
                    self.sent.extend(messages)
                    self.take(self.machine.handle(Written(conn=conn), self.now_ns))
                case Close() | Connect():
                    self.others.append(output)
                case _:
                    self.outcomes.append(output)

    def say(self, message: m.Message) -> None:
        self.take(self.machine.handle(Received(conn=self.conn, message=message), self.now_ns))

    def wait(self, ms: int) -> None:
        for _ in range(ms // 50):
            self.now_ns += 50 * MS
            self.take(self.machine.handle(Tick(), self.now_ns))

    def submit(self, *args: int, **more: Any) -> None:
        self.take(self.machine.submit(segment(*args, **more), self.now_ns))

    def connect(
        self, *, credit_bytes: int = 1 << 20, durable: dict[str, int] | None = None
    ) -> None:
        """Connect and answer greeting and login with what is durable (0 unless said)."""
        if self.machine.ready:
            raise AssertionError("already connected")
        self.take(self.machine.connect(self.now_ns))
        self.conn += 1
        self.take(self.machine.handle(Opened(conn=self.conn, link=0), self.now_ns))
        self.say(m.Welcome(PROTOCOL_VERSION, "edge", credit_bytes))
        self.answer_login(credit_bytes, durable or {})

    def answer_login(self, credit_bytes: int, durable: dict[str, int]) -> None:
        login = self.sent[-1]
        assert isinstance(login, m.Login)
        counts = tuple(durable.get(inbox, 0) for inbox in login.inboxes)
        self.say(m.LoginOk(login.request, -1, -1, 0, counts, credit_bytes))

    def lose(self) -> None:
        self.take(self.machine.handle(Closed(conn=self.conn), self.now_ns))

    def segments(self) -> list[tuple[str, int, int]]:
        """Return (inbox, n_first, count) of what was handed over since the last call."""
        found = []
        for message in self.sent:
            match message:
                case m.BatchSend(segments=segments):
                    found += [(s.inbox, s.n_first, s.count) for s in segments]
                case m.Send(segment=s):
                    found.append((s.inbox, s.n_first, s.count))
        self.sent.clear()
        return found

    def new_outcomes(self) -> list[object]:
        found, self.outcomes = self.outcomes, []
        return found


def ok(n_first: int, count: int, pos_first: int = -1, inbox: str = "ann") -> m.Ok:
    return m.Ok((m.OkRange(inbox, 7, n_first, count, pos_first, 0 if pos_first >= 0 else -1),))


def refused(
    n_first: int, count: int, code: ErrorCode, expected: int = -1, inbox: str = "ann"
) -> m.Refused:
    return m.Refused((m.RefusedRange(inbox, 7, n_first, count, code, expected),))


def acknowledged(
    n_first: int, count: int, pos_first: int, attempts: int = 1, inbox: str = "ann"
) -> Acknowledged:
    return Acknowledged(
        inbox=inbox, producer=7, n_first=n_first, count=count, pos_first=pos_first,
        epoch=0 if pos_first >= 0 else -1, attempts=attempts,
    )  # fmt: skip


def connected(**settings: Any) -> Rig:
    """Return a rig that is logged in for the inbox "ann", with nothing sent yet."""
    rig = Rig(**settings)
    rig.submit(0)
    rig.connect()
    assert rig.segments() == [("ann", 0, 1)]
    rig.say(ok(0, 1, 0))
    assert rig.new_outcomes() == [Ready(), acknowledged(0, 1, 0)]
    return rig


def test_sender_greets_then_logs_in_then_hands_over() -> None:
    rig = Rig()
    rig.submit(0, 3)
    rig.connect()
    hello, login, batch = rig.sent
    assert hello == versions.hello("client", "s", "t")
    assert login == m.Login(1, "", -1, 0, 7, ("ann",))
    assert batch == m.BatchSend(segments=(segment(0, 3),))
    assert rig.new_outcomes() == [Ready()]


def test_an_inbox_is_asked_for_before_anything_goes_to_it() -> None:
    rig = connected()
    rig.submit(0, inbox="bob")
    assert rig.sent == [m.Login(2, "", -1, 0, 7, ("bob",))]
    rig.answer_login(1 << 20, {})
    assert rig.segments() == [("bob", 0, 1)]


def test_a_fresh_producer_asks_only_for_what_it_sent_before() -> None:
    rig = connected(fresh_producer=True)
    rig.submit(0, inbox="bob")
    assert rig.segments() == [("bob", 0, 1)]
    rig.lose()
    rig.connect()
    assert m.Login(2, "", -1, 0, 7, ("bob",)) in rig.sent
    assert rig.segments() == [("bob", 0, 1)]


def test_unanswered_bytes_stay_within_the_credit() -> None:
    rig = connected()
    rig.lose()
    for n in range(1, 6):
        rig.submit(n, size_bytes=96)
    rig.connect(credit_bytes=250, durable={"ann": 1})
    assert rig.segments() == [("ann", 1, 1), ("ann", 2, 1)]
    rig.say(ok(1, 1, 1))
    assert rig.segments() == [("ann", 3, 1)]


def test_the_login_reply_renews_the_credit() -> None:
    rig = Rig()
    rig.submit(0)
    rig.submit(1)
    rig.take(rig.machine.connect(0))
    rig.conn = 1
    rig.take(rig.machine.handle(Opened(conn=1, link=0), 0))
    rig.say(m.Welcome(PROTOCOL_VERSION, "edge", 1 << 20))
    rig.answer_login(10, {})
    assert rig.segments() == [("ann", 0, 1)]


def test_a_batch_larger_than_the_credit_travels_alone() -> None:
    rig = Rig()
    rig.submit(0, size_bytes=1000)
    rig.submit(1, size_bytes=1000)
    rig.connect(credit_bytes=10)
    assert rig.segments() == [("ann", 0, 1)]
    rig.say(ok(0, 1, 0))
    assert rig.segments() == [("ann", 1, 1)]


def test_one_range_may_acknowledge_several_batches_or_a_part_of_one() -> None:
    rig = connected()
    rig.submit(1, 4)
    rig.submit(5, 4)
    rig.say(ok(1, 6, 10))
    rig.say(ok(7, 2, 90))
    assert rig.new_outcomes() == [acknowledged(1, 6, 10), acknowledged(7, 2, 90)]
    assert rig.machine.outbox_batches == 0
    assert rig.machine.outbox_bytes == 0


def test_a_range_that_is_known_in_part_keeps_its_positions() -> None:
    rig = connected()
    rig.submit(1, 2)
    rig.say(ok(0, 3, 10))
    assert rig.new_outcomes() == [acknowledged(1, 2, 11)]


def test_a_repeated_acknowledgement_is_reported_once() -> None:
    rig = connected()
    rig.submit(1)
    rig.say(ok(1, 1, 1))
    rig.say(ok(1, 1, -1))
    rig.say(ok(0, 2, -1))
    assert rig.new_outcomes() == [acknowledged(1, 1, 1)]


def test_what_lies_before_an_acknowledged_range_is_acknowledged_without_positions() -> None:
    rig = connected()
    rig.submit(1)
    rig.submit(2)
    rig.say(ok(2, 1, 8))
    assert rig.new_outcomes() == [acknowledged(1, 1, -1), acknowledged(2, 1, 8)]


def test_reconnecting_resends_oldest_first_and_before_anything_new() -> None:
    rig = connected()
    rig.submit(1)
    rig.submit(2)
    rig.segments()
    rig.lose()
    rig.submit(3)
    rig.connect(durable={"ann": 1})
    assert rig.segments() == [("ann", 1, 1), ("ann", 2, 1), ("ann", 3, 1)]
    rig.say(ok(1, 3, 1))
    assert rig.new_outcomes() == [
        ConnectionLost(cause="the connection ended"), Ready(), acknowledged(1, 3, 1, attempts=2),
    ]  # fmt: skip


def test_the_login_reply_is_an_acknowledgement() -> None:
    rig = connected()
    rig.submit(1)
    rig.submit(2)
    rig.segments()
    rig.lose()
    rig.new_outcomes()
    rig.connect(durable={"ann": 2})
    assert rig.new_outcomes() == [acknowledged(1, 1, -1), Ready()]
    assert rig.segments() == [("ann", 2, 1)]


def test_a_timeout_resends_on_the_same_connection_and_doubles() -> None:
    rig = connected(timeout_ms=200, timeout_max_ms=400)
    rig.submit(1)
    rig.submit(2)
    rig.segments()
    rig.wait(150)
    assert rig.segments() == []
    rig.wait(50)
    assert rig.segments() == [("ann", 1, 1), ("ann", 2, 1)]
    rig.wait(350)
    assert rig.segments() == []
    rig.wait(50)
    assert rig.segments() == [("ann", 1, 1), ("ann", 2, 1)]
    assert rig.others == [Connect(link=0)]
    rig.say(ok(1, 2, 1))
    assert rig.new_outcomes() == [acknowledged(1, 2, 1, attempts=3)]


def test_a_gap_sends_everything_from_expected_on_again() -> None:
    rig = connected()
    for n in range(1, 5):
        rig.submit(n)
    rig.segments()
    rig.say(refused(3, 1, ErrorCode.GAP, expected=2))
    rig.say(refused(4, 1, ErrorCode.GAP, expected=2))
    assert rig.segments() == []
    rig.wait(50)
    assert rig.segments() == [("ann", 2, 1), ("ann", 3, 1), ("ann", 4, 1)]


@pytest.mark.parametrize("code", [ErrorCode.BUSY, ErrorCode.NOT_READY, ErrorCode.STORAGE_FULL])
def test_a_passing_refusal_is_tried_again_in_order_after_a_pause(code: ErrorCode) -> None:
    rig = connected(retry_ms=100)
    rig.submit(1)
    rig.submit(2)
    rig.segments()
    rig.say(refused(1, 1, code))
    rig.submit(3)
    assert rig.segments() == []
    rig.wait(50)
    assert rig.segments() == []
    rig.wait(50)
    assert rig.segments() == [("ann", 1, 1), ("ann", 2, 1), ("ann", 3, 1)]
    rig.say(refused(1, 1, code))
    rig.wait(150)
    assert rig.segments() == []
    rig.wait(50)
    assert rig.segments() == [("ann", 1, 1), ("ann", 2, 1), ("ann", 3, 1)]
    assert rig.new_outcomes() == []


def test_a_blocked_inbox_does_not_hold_up_the_others() -> None:
    rig = connected()
    rig.submit(0, inbox="bob")
    rig.answer_login(1 << 20, {})
    rig.submit(1)
    rig.segments()
    rig.say(refused(1, 1, ErrorCode.BUSY))
    rig.submit(1, inbox="bob")
    assert rig.segments() == [("bob", 1, 1)]


def test_a_terminal_refusal_of_the_only_attempt_is_definite() -> None:
    rig = connected()
    rig.submit(1)
    rig.submit(2)
    rig.say(refused(1, 1, ErrorCode.QUOTA))
    first, second = rig.new_outcomes()
    assert isinstance(first, Rejected)
    assert (first.n_first, first.definite, first.code) == (1, True, ErrorCode.QUOTA)
    assert isinstance(second, Rejected)
    assert (second.n_first, second.definite) == (2, False)
    with pytest.raises(LocalProtocolError, match="fresh producer id"):
        rig.submit(3)


def test_a_terminal_refusal_is_not_definite_when_an_earlier_attempt_is_open() -> None:
    rig = connected()
    rig.submit(1)
    rig.lose()
    rig.connect(durable={"ann": 1})
    rig.new_outcomes()
    rig.say(refused(1, 1, ErrorCode.QUOTA))
    (outcome,) = rig.new_outcomes()
    assert isinstance(outcome, Rejected)
    assert not outcome.definite
    assert outcome.attempts == 2


def test_attempts_that_were_all_refused_leave_a_definite_rejection() -> None:
    rig = connected()
    rig.submit(1)
    rig.say(refused(1, 1, ErrorCode.BUSY))
    rig.wait(50)
    rig.say(refused(1, 1, ErrorCode.QUOTA))
    (outcome,) = rig.new_outcomes()
    assert isinstance(outcome, Rejected)
    assert outcome.definite


def test_more_durable_than_was_ever_sent_ends_the_lineage() -> None:
    rig = Rig()
    rig.submit(0, 10)
    rig.connect(durable={"ann": 3})
    lost, rejected = rig.new_outcomes()
    assert isinstance(lost, LineageLost)
    assert (lost.durable, lost.sent) == (3, 0)
    assert isinstance(rejected, Rejected)
    assert rejected.definite
    assert rig.segments() == []
    assert rig.machine.lost
    with pytest.raises(LocalProtocolError):
        rig.submit(10)


def test_a_core_that_forgot_what_it_acknowledged_ends_the_lineage() -> None:
    rig = connected()
    rig.submit(1)
    rig.lose()
    rig.new_outcomes()
    rig.connect(durable={"ann": 0})
    assert isinstance(rig.new_outcomes()[0], LineageLost)


def test_an_acknowledgement_of_what_was_never_sent_ends_the_lineage() -> None:
    rig = connected()
    rig.say(ok(1, 1, 1))
    assert isinstance(rig.new_outcomes()[0], LineageLost)


def test_reused_ids_end_the_lineage_even_where_they_were_acknowledged() -> None:
    rig = connected()
    rig.say(refused(0, 1, ErrorCode.PRODUCER_REUSED))
    assert isinstance(rig.new_outcomes()[0], LineageLost)


def test_a_refusal_that_was_overtaken_by_a_login_reply_ends_nothing() -> None:
    rig = connected()
    rig.submit(1)
    rig.submit(2)
    rig.lose()
    rig.new_outcomes()
    rig.connect(durable={"ann": 2})
    rig.say(refused(2, 1, ErrorCode.GAP, expected=1))
    rig.wait(50)
    rig.answer_login(1 << 20, {"ann": 2})
    assert rig.segments()[-1] == ("ann", 2, 1)
    assert not rig.machine.lost


def test_a_gap_below_what_was_acknowledged_is_asked_about_and_ends_a_forgotten_lineage() -> None:
    """A core that forgot the producer would refuse every resend so, for ever."""
    rig = connected()
    rig.submit(1)
    rig.say(refused(1, 1, ErrorCode.GAP, expected=0))
    rig.wait(50)
    rig.answer_login(1 << 20, {"ann": 0})
    assert isinstance(rig.new_outcomes()[0], LineageLost)


def test_the_outbox_is_bounded_in_bytes_and_batches() -> None:
    rig = Rig(outbox_bytes_max=1000, outbox_batches_max=2)
    with pytest.raises(OutboxFull):
        rig.submit(0, size_bytes=1000)
    rig.submit(0)
    rig.submit(1)
    with pytest.raises(OutboxFull):
        rig.submit(2)
    assert rig.machine.n_next("ann") == 2


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (segment(inbox=""), ErrorCode.BAD_NAME),
        (segment(inbox="x" * (INBOX_NAME_BYTES_MAX + 1)), ErrorCode.BAD_NAME),
        (segment(count=5, size_bytes=BATCH_BYTES_MAX // 4), ErrorCode.TOO_LARGE),
        (segment(size_bytes=MESSAGE_BYTES_MAX + 1), ErrorCode.TOO_LARGE),
        (segment(producer=8), ErrorCode.UNEXPECTED_MESSAGE),
        (segment(n_first=-1), ErrorCode.GAP),
    ],
)
def test_what_cannot_be_sent_is_refused_before_it_is_numbered(
    bad: m.Segment, code: ErrorCode
) -> None:
    machine = SenderMachine(SenderSettings(producer=7, token="t", name="s"))
    with pytest.raises(LocalProtocolError) as caught:
        machine.submit(bad, 0)
    assert caught.value.code is code
    assert machine.outbox_batches == 0
    machine.submit(segment(0), 0)


def test_ids_must_be_dense() -> None:
    rig = connected()
    with pytest.raises(LocalProtocolError, match="expected 1"):
        rig.submit(2)


def test_closing_reports_what_is_unanswered() -> None:
    rig = connected()
    rig.submit(1)
    rig.lose()
    rig.submit(2)
    assert rig.machine.abandon() == [
        Unresolved(inbox="ann", producer=7, n_first=1, count=1, attempts=1),
        Unresolved(inbox="ann", producer=7, n_first=2, count=1, attempts=0),
    ]


def test_a_lost_connection_is_opened_again_only_when_asked_to() -> None:
    rig = connected()
    rig.lose()
    rig.wait(5000)
    assert rig.others == [Connect(link=0)]
    rig = connected(reconnect=True)
    rig.lose()
    rig.wait(100)
    assert rig.others == [Connect(link=0), Connect(link=0)]


def test_connecting_is_tried_again_with_a_growing_pause() -> None:
    rig = Rig(backoff_ms=100, backoff_max_ms=200)
    rig.take(rig.machine.connect(0))
    counts = []
    for _ in range(4):
        rig.take(rig.machine.handle(ConnectFailed(link=0), rig.now_ns))
        waited = 0
        known = len(rig.others)
        while len(rig.others) == known:
            rig.wait(50)
            waited += 50
        counts.append(waited)
    assert counts == [100, 200, 200, 200]


def test_silence_is_asked_about_and_then_ends_the_connection() -> None:
    rig = connected()
    rig.sent.clear()
    rig.wait(1000)
    assert rig.sent == [m.Heartbeat(1)]
    rig.say(m.HeartbeatOk(1))
    rig.wait(2900)
    assert Close(conn=1) not in rig.others
    rig.wait(150)
    assert rig.others[-1] == Close(conn=1)
    assert isinstance(rig.sent[-1], m.Error)


def test_a_login_that_the_edge_cannot_ask_is_repeated() -> None:
    rig = Rig()
    rig.submit(0)
    rig.take(rig.machine.connect(0))
    rig.conn = 1
    rig.take(rig.machine.handle(Opened(conn=1, link=0), 0))
    rig.say(m.Welcome(PROTOCOL_VERSION, "edge", 1 << 20))
    rig.say(m.Error(1, ErrorCode.NOT_READY, ""))
    rig.wait(50)
    assert rig.sent[-1] == m.Login(2, "", -1, 0, 7, ("ann",))
    rig.answer_login(1 << 20, {})
    assert rig.segments() == [("ann", 0, 1)]


def test_a_message_that_no_edge_sends_ends_the_connection() -> None:
    rig = connected()
    rig.say(m.Inspect(1, "", -1, -1))
    assert rig.others[-1] == Close(conn=1)
    error = rig.sent[-1]
    assert isinstance(error, m.Error)
    assert error.code is ErrorCode.UNEXPECTED_MESSAGE
