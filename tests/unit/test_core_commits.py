"""Group commit: what gathers, what waits for it, and what a full store takes back."""

from __future__ import annotations

import pytest

from harness.testing.core_script import (
    CoreScript,
    batch,
    deliveries,
    oks,
    only,
    refusals,
    settings,
)
from harness.testing.memory_store import MemoryStore
from reference.core.settings import APPEND_BYTES_MAX, APPEND_RUNS_MAX, Retention
from reference.edge.buffer import Holding, ResendBuffer
from reference.events import Commit, Committed
from reference.wire import messages as m
from reference.wire.errors import ErrorCode


def held_commit(script: CoreScript) -> Commit:
    (commit,) = script.loop.held
    assert isinstance(commit, Commit)
    return commit


def test_nothing_leaves_before_the_commit() -> None:
    script = CoreScript()
    edge, admin = script.edge(), script.admin()
    script.login(edge)
    script.loop.hold = (Commit,)
    assert script.batch(edge, batch(0, 5)) == []
    assert script.send(edge, m.End(2, "vip")) == [m.EndOk(2, "vip", -1)]
    assert script.send(edge, m.Login(3, "other", -1, 1_000, -1, ())) == []
    assert script.send(admin, m.Promote(4, "vip", 0, 5)) == []
    inspected = only(script.send(admin, m.Inspect(5, "vip", -1, -1)), m.InspectOk)
    assert inspected.rows == ()
    assert inspected.epochs == (m.EpochEntry(0, 1, 0),)
    script.loop.release()
    answers = script.loop.take(edge)
    assert oks(answers) == [(0, 5, 0)]
    assert [d.pos_first for d in deliveries(answers)] == [0]
    script.loop.release()
    assert only(script.loop.take(edge), m.LoginOk).session == 1
    assert only(script.loop.take(admin), m.Promoted).pos_first == 5
    assert script.send(edge, m.End(2, "vip")) == [m.EndOk(2, "vip", 4)]


def test_what_comes_during_a_commit_is_one_append_of_the_next() -> None:
    script = CoreScript()
    edge = script.edge()
    script.loop.hold = (Commit,)
    script.batch(edge, batch(0, 1))
    script.batch(edge, batch(0, 3, producer=8))
    script.batch(edge, batch(1, 4))
    script.batch(edge, batch(5, 2))
    script.batch(edge, batch(0, 2, inbox="other"))
    assert len(script.loop.held) == 1
    script.loop.release()
    first, other = held_commit(script).writes.appends
    assert (first.inbox, first.pos_first, first.count) == ("vip", 1, 9)
    assert first.runs == (m.Run(8, 0, 3, 0, 1), m.Run(7, 1, 6, 0, 1))
    assert (other.inbox, other.pos_first, other.count) == ("other", 0, 2)


def test_appends_stay_within_their_limits() -> None:
    script = CoreScript()
    edge = script.edge()
    script.loop.hold = (Commit,)
    script.batch(edge, batch(0, 1))
    big = [bytes(APPEND_BYTES_MAX // 4)] * 3
    script.batch(edge, batch(1, 3, bodies=big))
    script.batch(edge, batch(4, 3, bodies=big))
    for producer in range(100, 100 + APPEND_RUNS_MAX + 5):
        script.batch(edge, batch(0, 1, inbox="many", producer=producer))
    script.loop.release()
    appends = held_commit(script).writes.appends
    assert [(a.inbox, a.pos_first, a.count) for a in appends] == [
        ("vip", 1, 3),
        ("vip", 4, 3),
        ("many", 0, APPEND_RUNS_MAX),
        ("many", APPEND_RUNS_MAX, 5),
    ]


def test_a_full_store_takes_back_everything_that_is_not_durable() -> None:
    store = MemoryStore()
    script = CoreScript(store=store)
    edge, admin = script.edge(), script.admin()
    script.batch(edge, batch(0, 3))
    script.login(edge)
    script.send(edge, m.CursorAck((m.CursorMark("vip", 1, 0),)))
    script.loop.hold = (Commit,)
    script.batch(edge, batch(3, 3))
    script.batch(edge, batch(6, 3), batch(0, 2, inbox="new"))
    script.batch(edge, batch(3, 3))
    script.send(edge, m.Login(9, "vip", -1, 1_000, -1, ()))
    script.send(admin, m.Promote(5, "vip", 0, 5))
    script.send(edge, m.CursorAck((m.CursorMark("vip", 1, 2),)))
    store.full = True
    script.loop.release()
    answers = script.loop.take(edge)
    full = ErrorCode.STORAGE_FULL
    assert sorted(refusals(answers)) == [
        (0, 2, full, 0),
        (3, 3, full, 3),
        (3, 3, full, 3),
        (6, 3, full, 3),
    ]
    assert only(answers, m.Error).code is full
    assert only(script.loop.take(admin), m.Error).code is full
    assert not script.loop.held
    assert script.core.gauges()["pending_bytes"] == 0
    assert script.core.gauges()["inboxes"] == 1

    store.full = False
    script.loop.hold = ()
    script.advance(250)
    script.loop.take(edge)
    assert refusals(script.batch(edge, batch(6, 3))) == [(6, 3, ErrorCode.GAP, 3)]
    assert oks(script.batch(edge, batch(3, 6))) == [(3, 6, 3)]
    assert only(script.send(admin, m.Promote(6, "vip", 0, 5)), m.Promoted).epoch == 1
    assert script.login(edge).session == 2


def test_a_cursor_mark_is_not_tried_again_for_a_session_that_is_over() -> None:
    store = MemoryStore()
    script = CoreScript(settings(retention=Retention.ACK), store=store)
    first, second = script.edge("a"), script.edge("b")
    script.batch(first, batch(0, 10))
    script.login(first)
    store.full = True
    script.send(first, m.CursorAck((m.CursorMark("vip", 1, 9),)))
    store.full = False
    assert script.login(second).session == 2
    script.loop.take(first)
    script.advance(10_000)
    told = [x for x in script.loop.take(first) if isinstance(x, m.Superseded | m.CursorOk)]
    assert told == [m.Superseded((m.CursorMark("vip", 1, 9),), ErrorCode.SUPERSEDED)]
    assert script.login(script.edge("c")).cursor == -1


def test_a_cursor_mark_is_tried_again_after_a_full_store() -> None:
    store = MemoryStore()
    script = CoreScript(store=store)
    edge = script.edge()
    script.batch(edge, batch(0, 3))
    script.login(edge)
    script.loop.take(edge)
    store.full = True
    mark = m.CursorMark("vip", 1, 2)
    assert script.send(edge, m.CursorAck((mark,))) == []
    script.advance(500)
    assert script.loop.take(edge) == []
    store.full = False
    script.advance(500)
    assert only(script.loop.take(edge), m.CursorOk).marks == (mark,)
    assert store.inboxes["vip"].cursor == 2


def test_bucket_positions_go_on_behind_a_refused_commit() -> None:
    store = MemoryStore()
    script = CoreScript(store=store)
    edge, admin = script.edge(), script.admin()
    script.send(admin, m.Promote(1, "vip", 0, 3))
    script.batch(edge, batch(0, 20))
    store.full = True
    script.batch(edge, batch(20, 20))
    store.full = False
    script.advance(250)
    script.batch(edge, batch(20, 20))
    inspected = only(script.send(admin, m.Inspect(5, "vip", -1, -1)), m.InspectOk)
    after = dict.fromkeys(range(3), 0)
    for row in inspected.rows:
        assert row.bpos_first == after[row.bucket]
        after[row.bucket] += row.count
    assert sum(after.values()) == 40


def test_a_commit_that_is_not_under_way_is_an_error() -> None:
    script = CoreScript()
    with pytest.raises(ValueError, match="not under way"):
        script.loop.event(Committed(commit_no=1))


def test_pending_bytes_count_what_is_not_durable() -> None:
    script = CoreScript(settings(pending_bytes_max=10_000))
    edge = script.edge()
    script.loop.hold = (Commit,)
    segment = batch(0, 10)
    script.batch(edge, segment)
    script.batch(edge, batch(0, 10, producer=8))
    assert script.core.gauges()["pending_bytes"] == 2 * segment.size_bytes
    assert not script.core.idle
    script.loop.release(2)
    assert script.core.gauges()["pending_bytes"] == 0
    assert script.core.idle


def test_a_batch_that_is_known_in_part_is_refused_whole_by_a_full_store() -> None:
    """An edge that heard of parts only would keep the batch and swallow every resend of it."""
    store = MemoryStore()
    script = CoreScript(store=store)
    edge = script.edge()
    script.batch(edge, batch(0, 5))
    store.full = True
    sent = batch(0, 10)
    (answer,) = script.batch(edge, sent)
    assert isinstance(answer, m.Refused)
    (refused,) = answer.ranges
    assert (refused.n_first, refused.count, refused.expected) == (0, 10, 5)
    buffer = ResendBuffer()
    buffer.add(sent, Holding())
    assert list(buffer.send(1 << 20)) == [sent]
    assert buffer.refused(refused)
    assert buffer.add(sent, Holding())
