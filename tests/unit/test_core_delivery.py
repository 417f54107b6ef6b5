"""Delivery: windows, cache and store, marks of redelivery, links that write slowly."""

from __future__ import annotations

import numpy as np
import pytest

from harness.testing.core_script import (
    CoreScript,
    batch,
    delivered,
    deliveries,
    only,
    settings,
    texts,
)
from harness.testing.keys import edge_token
from reference.core.delivery import TailCache
from reference.core.machine import CoreMachine
from reference.core.settings import Retention
from reference.events import (
    Append,
    Commit,
    CommitRefused,
    LogDamaged,
    LogRead,
    LogSlice,
    Opened,
    ReadLog,
    Received,
    Recovered,
    Transmit,
    Written,
)
from reference.outlet import OUTLET_SOFT_BYTES
from reference.reach import Reach
from reference.window import Window
from reference.wire import messages as m
from reference.wire.errors import ErrorCode


def ack(upto: int, session: int = 1) -> m.CursorAck:
    return m.CursorAck((m.CursorMark("vip", session, upto),))


def expected(count: int) -> dict[int, bytes]:
    return dict(enumerate(texts(0, count)))


@pytest.mark.parametrize("cache_bytes", [0, 300, 1_000_000])
@pytest.mark.parametrize("window_bytes", [1, 50, 500, 1_000_000])
@pytest.mark.parametrize("ack_every", [1, 7])
def test_every_window_and_source_yields_the_same_order(
    cache_bytes: int, window_bytes: int, ack_every: int
) -> None:
    script = CoreScript(settings(tail_cache_bytes_max=cache_bytes))
    edge, admin = script.edge(), script.admin()
    at = 0
    for epoch, bucket_count in enumerate((5, 1, 3)):
        script.batch(edge, batch(at, 20))
        script.batch(edge, batch(at + 20, 13))
        script.send(admin, m.Promote(1, "vip", epoch, bucket_count))
        at += 33
    script.batch(edge, batch(at, 10))
    script.login(edge, window_bytes=window_bytes)
    found: dict[int, bytes] = {}
    in_flight: dict[int, int] = {}
    answers = script.loop.take(edge)
    while answers:
        new = delivered(answers)
        assert not new.keys() & found.keys()
        found.update(new)
        in_flight.update({pos: len(body) + 4 for pos, body in new.items()})
        assert sum(in_flight.values()) <= window_bytes or len(in_flight) == 1
        upto = min(min(in_flight, default=0) + ack_every - 1, max(found))
        in_flight = {pos: size for pos, size in in_flight.items() if pos > upto}
        answers = script.send(edge, ack(upto)) if len(found) < at + 10 else []
    assert found == expected(at + 10)


def test_runs_say_who_wrote_what_in_which_epoch() -> None:
    script = CoreScript(settings(tail_cache_bytes_max=0))
    edge, admin = script.edge(), script.admin()
    script.batch(edge, batch(0, 2), batch(0, 3, producer=2**64 - 1), batch(2, 2))
    script.send(admin, m.Promote(1, "vip", 0, 4))
    script.batch(edge, batch(4, 5))
    script.login(edge)
    runs = [run for d in deliveries(script.loop.take(edge)) for run in d.runs]
    assert runs == [
        m.Run(7, 0, 2, 0, 1),
        m.Run(2**64 - 1, 0, 3, 0, 1),
        m.Run(7, 2, 2, 0, 1),
        m.Run(7, 4, 5, 1, 4),
    ]


def test_what_an_earlier_session_may_have_had_is_marked() -> None:
    script = CoreScript()
    edge = script.edge()
    script.batch(edge, batch(0, 4))
    script.login(edge)
    assert [d.redelivered for d in deliveries(script.loop.take(edge))] == [False]
    script.login(edge)
    script.loop.take(edge)
    script.send(edge, m.Logout(2, "vip", 2))
    script.batch(edge, batch(4, 4))
    script.login(edge, from_pos=1)
    marks = [(d.pos_first, d.count, d.redelivered) for d in deliveries(script.loop.take(edge))]
    assert marks == [(2, 2, True), (4, 4, False)]


def test_after_a_restart_only_inboxes_that_had_a_session_are_marked() -> None:
    script = CoreScript()
    edge = script.edge()
    script.batch(edge, batch(0, 4), batch(0, 4, inbox="fresh"))
    script.login(edge)
    script.restart()
    edge = script.edge()
    script.login(edge)
    assert [d.redelivered for d in deliveries(script.loop.take(edge))] == [True]
    script.login(edge, "fresh")
    assert [d.redelivered for d in deliveries(script.loop.take(edge))] == [False]


def test_a_message_above_the_window_travels_alone() -> None:
    script = CoreScript()
    edge = script.edge()
    script.batch(edge, batch(0, 3, bodies=[b"x" * 10, b"y" * 5_000, b"z" * 10]))
    script.login(edge, window_bytes=100)
    assert sorted(delivered(script.loop.take(edge))) == [0]
    assert sorted(delivered(script.send(edge, ack(0)))) == [1]
    assert sorted(delivered(script.send(edge, ack(1)))) == [2]


def test_a_message_that_does_not_fit_is_read_once_per_ack() -> None:
    script = CoreScript(settings(tail_cache_bytes_max=0))
    edge = script.edge()
    script.batch(edge, batch(0, 3, bodies=[b"x" * 10, b"x" * 10, b"y" * 5_000]))
    script.login(edge, window_bytes=100)
    assert sorted(delivered(script.loop.take(edge))) == [0, 1]
    assert sorted(delivered(script.send(edge, ack(0)))) == []
    assert sorted(delivered(script.send(edge, ack(1)))) == [2]


def test_a_slow_link_gets_deliveries_only_as_it_writes() -> None:
    core = CoreMachine(settings(window_bytes_max=2**30), Recovered())
    script = CoreScript(settings(window_bytes_max=2**30))
    script.core = script.loop.core = core
    sender = script.edge()
    bodies = [bytes(100_000)] * 10
    for i in range(30):
        script.batch(sender, batch(10 * i, 10, bodies=bodies))
    conn = 99
    hello = m.Hello(1, "edge", "slow", edge_token("slow"))
    effects = core.handle(Opened(conn=conn), 0)
    effects += core.handle(Received(conn=conn, message=hello), 0)
    effects += core.handle(Written(conn=conn), 0)
    script.loop.hold = (Transmit,)
    script.send(conn, m.Login(1, "vip", -1, 2**30, -1, ()))
    seen: list[m.Message] = []
    rounds = 0
    while script.loop.held:
        transmit = script.loop.held.popleft()
        assert isinstance(transmit, Transmit)
        seen += transmit.messages
        assert core.gauges()["outlet_bytes"] < 3 * OUTLET_SOFT_BYTES
        script.loop.event(Written(conn=conn))
        rounds += 1
    assert rounds > 5
    assert sorted(delivered(seen)) == list(range(300))


def test_a_read_for_a_session_that_is_gone_is_dropped() -> None:
    script = CoreScript(settings(tail_cache_bytes_max=0))
    edge, other = script.edge(), script.edge()
    script.batch(edge, batch(0, 3))
    script.loop.hold = (ReadLog,)
    script.login(edge)
    script.login(other)
    script.loop.take(edge)
    script.loop.release(2)
    assert script.loop.take(edge) == []
    assert sorted(delivered(script.loop.take(other))) == [0, 1, 2]


def test_messages_that_the_store_lost_end_the_session_and_not_the_core() -> None:
    script = CoreScript(settings(tail_cache_bytes_max=0))
    edge = script.edge()
    script.batch(edge, batch(0, 3))
    script.loop.hold = (ReadLog,)
    script.login(edge)
    empty = LogSlice(pos_first=0, runs=(), lengths=b"", body=b"")
    script.loop.take(edge)
    script.loop.event(LogRead(read_no=1, inbox="vip", log=empty))
    mark = m.CursorMark("vip", 1, -1)
    assert script.loop.take(edge) == [m.Superseded((mark,), ErrorCode.DAMAGED)]
    script.login(edge)
    script.loop.take(edge)
    script.loop.event(LogDamaged(read_no=2))
    mark = m.CursorMark("vip", 2, -1)
    assert script.loop.take(edge) == [m.Superseded((mark,), ErrorCode.DAMAGED)]
    assert script.core.gauges()["damaged_reads"] == 2
    script.loop.hold = ()
    script.login(edge, from_pos=0)
    assert list(delivered(script.loop.take(edge))) == [1, 2]


@pytest.mark.parametrize("is_committed_before", [False, True])
def test_an_acknowledgement_behind_the_next_login_takes_nothing_from_it(
    is_committed_before: bool,
) -> None:
    """The login came first, so the backlog is promised to it, though its commit is under way."""
    script = CoreScript(settings(retention=Retention.ACK, tail_cache_bytes_max=0))
    edge = script.edge()
    script.batch(edge, batch(0, 10))
    script.login(edge)
    script.loop.take(edge)
    script.loop.hold = (Commit,)
    script.send(edge, m.Login(2, "vip", -1, 1_000_000, -1, ()))
    if not is_committed_before:
        script.send(edge, ack(9), ack(5))
        script.advance(50)
    script.loop.hold = ()
    script.loop.release()
    if is_committed_before:
        script.loop.event(Received(conn=edge, message=ack(9)))
    script.advance(50)
    answers = script.loop.take(edge)
    assert only(answers, m.LoginOk).next_pos == 0
    assert delivered(answers) == expected(10)
    ended = [message for message in answers if isinstance(message, m.Superseded)]
    assert ended[-1].marks == (m.CursorMark("vip", 1, 9),)
    assert not [message for message in answers if isinstance(message, m.CursorOk)]
    assert script.store.read("vip", 0, 9, 10**6).count == 10


def test_an_acknowledgement_behind_a_login_that_failed_counts() -> None:
    script = CoreScript(settings(retention=Retention.ACK))
    edge = script.edge()
    script.batch(edge, batch(0, 10))
    script.login(edge)
    script.loop.hold = (Commit,)
    script.send(edge, m.Login(2, "vip", -1, 1_000_000, -1, ()))
    script.send(edge, ack(9))
    commit = script.loop.held.popleft()
    assert isinstance(commit, Commit)
    script.loop.hold = ()
    script.loop.event(CommitRefused(commit_no=commit.commit_no))
    script.advance(500)
    assert only(script.loop.take(edge), m.CursorOk).marks == (m.CursorMark("vip", 1, 9),)
    assert script.store.read("vip", 0, 9, 1).count == 0


def test_the_cache_is_bounded_and_drops_the_oldest() -> None:
    cache = TailCache(100, Reach())
    for pos in range(0, 50, 10):
        cache.add(
            Append(
                inbox="a" if pos % 20 else "b",
                pos_first=pos,
                epoch=0,
                bucket_count=1,
                runs=(m.Run(1, pos, 10, 0, 1),),
                lengths=bytes(40),
                body=b"",
            )
        )
        assert cache.size_bytes <= 100
    assert cache.find("a", 30) is not None
    assert cache.find("b", 45) is not None
    assert cache.find("b", 5) is None
    assert cache.find("b", 50) is None
    assert cache.first_pos("b") == 40


def test_a_window_gives_back_the_middle_of_a_piece() -> None:
    sizes = [10, 20, 30]
    window = Window(200)
    lengths = np.array(sizes, dtype="<u4").tobytes()
    window.sent(5, lengths, 60 + 12)
    window.sent(8, lengths, 60 + 12)
    window.acknowledged(4)
    assert window.room_bytes == 56
    window.acknowledged(5)
    assert window.in_flight_bytes == 144 - 14
    window.acknowledged(6)
    assert window.in_flight_bytes == 144 - 14 - 24
    window.acknowledged(8)
    assert window.in_flight_bytes == 72 - 14
    window.acknowledged(100)
    assert window.in_flight_bytes == 0


def test_reads_wait_for_a_link_that_is_slow_and_nobody_is_cut() -> None:
    """Many honest readers with much to read over one slow link: reads wait as deliveries do."""
    script = CoreScript(settings(tail_cache_bytes_max=1))
    writer = script.edge()
    readers = 250
    for i in range(readers):
        inbox = f"inbox-{i}"
        bodies = [b"m" * 16_384] * 20
        script.batch(writer, batch(0, 20, inbox=inbox, bodies=bodies))
    slow = script.edge()
    script.loop.hold_writes = {slow}
    for i in range(readers):
        login = m.Login(i, f"inbox-{i}", -1, 1 << 20, -1, ())
        script.loop.event(Received(conn=slow, message=login))
        assert script.core.gauges()["outlet_bytes"] < 12 * 1024 * 1024
    found: dict[str, int] = {}
    for _ in range(1_000):
        for delivery in deliveries(script.loop.take(slow)):
            found[delivery.inbox] = found.get(delivery.inbox, 0) + delivery.count
        if len(found) == readers and set(found.values()) == {20}:
            break
        script.loop.event(Written(conn=slow))
    assert slow not in script.loop.closed
    assert len(found) == readers
    assert set(found.values()) == {20}
