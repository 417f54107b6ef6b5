"""What the core does with ids it knows, half knows, does not expect, or has seen differently."""

from __future__ import annotations

from harness.testing.core_script import (
    TOKEN,
    CoreScript,
    batch,
    oks,
    refusals,
    settings,
    texts,
)
from harness.testing.memory_store import CoreLoop, MemoryStore
from reference.core.machine import CoreMachine
from reference.events import Commit, Opened, Recovered
from reference.wire import messages as m
from reference.wire.errors import ErrorCode
from reference.wire.limits import PROTOCOL_VERSION


def test_a_batch_gets_contiguous_positions() -> None:
    script = CoreScript()
    edge = script.edge()
    assert oks(script.batch(edge, batch(0, 5), batch(5, 3))) == [(0, 5, 0), (5, 3, 5)]
    assert oks(script.batch(edge, batch(0, 2, producer=9))) == [(0, 2, 8)]


def test_a_duplicate_of_durable_ids_is_answered_at_once_without_a_position() -> None:
    script = CoreScript()
    edge = script.edge()
    script.batch(edge, batch(0, 5))
    script.loop.hold = (Commit,)
    assert oks(script.batch(edge, batch(0, 5))) == [(0, 5, -1)]
    assert not script.loop.held


def test_a_duplicate_of_assigned_ids_waits_for_their_commit() -> None:
    script = CoreScript()
    edge = script.edge()
    script.loop.hold = (Commit,)
    assert script.batch(edge, batch(0, 5)) == []
    assert script.batch(edge, batch(0, 5)) == []
    script.loop.release()
    assert oks(script.loop.take(edge)) == [(0, 5, 0), (0, 5, -1)]


def test_a_duplicate_of_what_gathers_waits_for_the_next_commit() -> None:
    script = CoreScript()
    edge = script.edge()
    script.loop.hold = (Commit,)
    script.batch(edge, batch(0, 5))
    script.batch(edge, batch(5, 5))
    script.batch(edge, batch(5, 5))
    script.batch(edge, batch(0, 5))
    script.loop.release()
    assert oks(script.loop.take(edge)) == [(0, 5, 0)]
    script.loop.release()
    assert oks(script.loop.take(edge)) == [(5, 5, 5), (5, 5, -1), (0, 5, -1)]


def test_a_duplicate_on_another_link_is_answered_there() -> None:
    script = CoreScript()
    first, second = script.edge("a"), script.edge("b")
    script.loop.hold = (Commit,)
    script.batch(first, batch(0, 5))
    script.batch(second, batch(0, 5))
    script.loop.release()
    assert oks(script.loop.take(first)) == [(0, 5, 0)]
    assert oks(script.loop.take(second)) == [(0, 5, -1)]


def test_of_a_partly_known_batch_the_rest_is_appended() -> None:
    script = CoreScript()
    edge = script.edge()
    script.batch(edge, batch(0, 5))
    assert oks(script.batch(edge, batch(3, 6))) == [(3, 2, -1), (5, 4, 5)]
    log = script.store.read("vip", 0, 100, 10**6)
    assert log.body == b"".join(texts(0, 9))


def test_a_gap_names_what_is_expected() -> None:
    script = CoreScript()
    edge = script.edge()
    assert refusals(script.batch(edge, batch(1, 2))) == [(1, 2, ErrorCode.GAP, 0)]
    script.loop.hold = (Commit,)
    assert script.batch(edge, batch(0, 5)) == []
    assert refusals(script.batch(edge, batch(6, 2))) == [(6, 2, ErrorCode.GAP, 5)]


def test_the_same_ids_with_other_content_end_the_lineage() -> None:
    script = CoreScript()
    edge = script.edge()
    script.batch(edge, batch(0, 5), batch(5, 5))
    other = texts(5, 5)
    other[2] = b"else"
    expected = [(5, 5, ErrorCode.PRODUCER_REUSED, 10)]
    assert refusals(script.batch(edge, batch(5, 5, bodies=other))) == expected
    longer = batch(3, 9, bodies=texts(3, 2) + other + texts(10, 2))
    assert refusals(script.batch(edge, longer)) == [(3, 9, ErrorCode.PRODUCER_REUSED, 10)]
    assert oks(script.batch(edge, batch(3, 9))) == [(3, 7, -1), (10, 2, 10)]


def test_equal_bytes_cut_differently_are_other_content() -> None:
    script = CoreScript()
    edge = script.edge()
    script.batch(edge, batch(0, 2, bodies=[b"ab", b"c"]))
    again = script.batch(edge, batch(0, 2, bodies=[b"a", b"bc"]))
    assert refusals(again) == [(0, 2, ErrorCode.PRODUCER_REUSED, 2)]


def test_known_ids_and_their_digest_survive_a_restart() -> None:
    script = CoreScript()
    script.batch(script.edge(), batch(0, 5))
    script.restart()
    edge = script.edge()
    assert oks(script.batch(edge, batch(0, 5))) == [(0, 5, -1)]
    other = batch(0, 5, bodies=[b"x"] * 5)
    assert refusals(script.batch(edge, other)) == [(0, 5, ErrorCode.PRODUCER_REUSED, 5)]


def test_limits_are_checked_before_numbering() -> None:
    script = CoreScript(settings(inboxes_max=1, producers_max=2, pending_bytes_max=100))
    edge = script.edge()
    script.batch(edge, batch(0, 1))
    cases = {
        "QUOTA": batch(0, 1, inbox="other"),
        "BUSY": batch(1, 30),
        "BAD_NAME": batch(0, 1, inbox="x" * 129),
    }
    bad = batch(0, 1, inbox="a\nb")
    assert refusals(script.batch(edge, bad))[0][2] is ErrorCode.BAD_NAME
    for name, segment in cases.items():
        (refused,) = refusals(script.batch(edge, segment))
        assert refused[2] is ErrorCode[name]
    assert oks(script.batch(edge, batch(1, 2))) == [(1, 2, 1)]
    script.batch(edge, batch(0, 1, producer=8))
    assert refusals(script.batch(edge, batch(0, 1, producer=9)))[0][2] is ErrorCode.QUOTA


def test_after_busy_a_later_batch_is_a_gap() -> None:
    script = CoreScript(settings(pending_bytes_max=100))
    edge = script.edge()
    answers = script.batch(edge, batch(0, 30), batch(30, 1))
    assert [code for _, _, code, _ in refusals(answers)] == [ErrorCode.BUSY, ErrorCode.GAP]


def test_a_login_tells_the_durable_counts_only() -> None:
    script = CoreScript()
    edge = script.edge()
    script.batch(edge, batch(0, 5))
    script.loop.hold = (Commit,)
    script.batch(edge, batch(5, 5))
    (reply,) = script.send(edge, m.Login(4, "", -1, 0, 7, ("vip", "none")))
    assert reply == m.LoginOk(4, -1, -1, 0, (5, 0), script.settings.link_credit_bytes)


def test_a_forgotten_producer_is_refused_for_good_and_never_stored_again() -> None:
    recovered = Recovered(forgotten=frozenset({7}))
    core = CoreMachine(settings(), recovered)
    loop = CoreLoop(core, MemoryStore(), lambda: 0)
    loop.event(Opened(conn=1))
    loop.send(1, m.Hello(PROTOCOL_VERSION, "edge", "eu", TOKEN))
    for n_first in (0, 10):
        (refused,) = loop.send(1, m.BatchSend(segments=(batch(n_first, 3),)))
        assert isinstance(refused, m.Refused)
        assert [r.code for r in refused.ranges] == [ErrorCode.PRODUCER_REUSED]
    assert oks(loop.send(1, m.BatchSend(segments=(batch(0, 3, producer=8),)))) == [(0, 3, 0)]
