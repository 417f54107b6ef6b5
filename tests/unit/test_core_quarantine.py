"""A damaged row of what is known of an inbox ends neither the core nor anybody else's inbox."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from harness.testing.core_script import (
    CoreScript,
    batch,
    oks,
    only,
    refusals,
)
from reference.node.serve import _tell_damage
from reference.store import sqlite
from reference.store.sqlite import SqliteStore
from reference.wire import messages as m
from reference.wire.errors import ErrorCode

DAMAGE = {
    "a cursor": "UPDATE inbox SET cursor = 3 WHERE inbox = 'vip'",
    "its row is gone": "DELETE FROM inbox WHERE inbox = 'vip'",
    "a session": "UPDATE inbox SET session = 0 WHERE inbox = 'vip'",
    "a producer": "UPDATE producer SET n_next = n_next - 1 WHERE inbox = 'vip'",
    "whose producer": "UPDATE producer SET producer = 9 WHERE inbox = 'vip'",
    "a producer is gone": "DELETE FROM producer WHERE inbox = 'vip'",
    "an epoch": "UPDATE epoch SET bucket_count = 7 WHERE inbox = 'vip'",
    "an epoch is gone": "DELETE FROM epoch WHERE inbox = 'vip'",
    "bucket positions": "UPDATE bucket_next SET bpos_next = zeroblob(24) WHERE inbox = 'vip'",
    "bucket positions are gone": "DELETE FROM bucket_next WHERE inbox = 'vip'",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a store with an inbox that is promoted and read up to position 4, and two others."""
    path = tmp_path / "core.db"
    with closing(SqliteStore(path)) as store:
        script = CoreScript(store=store)
        edge, admin = script.edge(), script.admin()
        only(script.send(admin, m.Promote(1, "vip", 0, 3)), m.Promoted)
        script.batch(edge, batch(0, 10), batch(0, 10, inbox="ann"))
        script.login(edge, "eve")
        session = script.login(edge).session
        script.send(edge, m.CursorAck((m.CursorMark("vip", session, 4),)))
    return path


@pytest.fixture
def damaged(path: Path, request: pytest.FixtureRequest) -> Iterator[CoreScript]:
    with closing(apsw.Connection(str(path))) as db:
        db.execute(DAMAGE[request.param])
    with closing(SqliteStore(path)) as store:
        yield CoreScript(store=store)


@pytest.mark.parametrize("damaged", DAMAGE, indirect=True)
def test_its_inbox_is_refused_by_name_and_others_go_on(damaged: CoreScript) -> None:
    edge, admin = damaged.edge(), damaged.admin()
    (login,) = damaged.send(edge, m.Login(1, "vip", -1, 1000, -1, ()))
    (end,) = damaged.send(edge, m.End(2, "vip"))
    (inspect,) = damaged.send(admin, m.Inspect(3, "vip", -1, -1))
    (promote,) = damaged.send(admin, m.Promote(4, "vip", 1, 5))
    for answer in (login, end, inspect, promote):
        assert isinstance(answer, m.Error)
        assert answer.code is ErrorCode.QUARANTINED
    # Not even what was acknowledged is taken for known: nobody can say.
    sent = damaged.batch(edge, batch(0, 10), batch(10, 5), batch(0, 5, producer=9))
    assert [code for _, _, code, _ in refusals(sent)] == [ErrorCode.QUARANTINED] * 3
    reply = only(damaged.send(edge, m.Login(5, "", -1, 0, 7, ("vip", "ann"))), m.LoginOk)
    assert reply.durable == (-1, 10)
    assert oks(damaged.batch(edge, batch(10, 5, inbox="ann"))) == [(10, 5, 10)]
    assert oks(damaged.batch(edge, batch(0, 5, inbox="new"))) == [(0, 5, 0)]
    assert damaged.login(edge, "ann", from_pos=-2).next_pos == 0
    assert damaged.core.gauges()["quarantined_inboxes"] == 1


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM inbox WHERE inbox = 'eve'",
        "UPDATE inbox SET inbox = 'evd' WHERE inbox = 'eve'",
    ],
)
def test_where_an_inbox_is_missing_nobody_is_taken_for_new(path: Path, change: str) -> None:
    with closing(apsw.Connection(str(path))) as db:
        db.execute(change)
    with closing(SqliteStore(path)) as store:
        script = CoreScript(store=store)
        edge = script.edge()
        for name in ("eve", "evd", "new"):
            assert refusals(script.batch(edge, batch(0, 5, inbox=name))) == [
                (0, 5, ErrorCode.QUARANTINED, -1)
            ]
        assert oks(script.batch(edge, batch(10, 5, inbox="ann"))) == [(10, 5, 10)]
    # That does not heal by itself.
    with closing(SqliteStore(path)) as store:
        assert not store.recover().inboxes_whole


def test_where_a_forgotten_producer_is_missing_no_producer_is_taken_for_new(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, closing(SqliteStore(path)) as store:
        patch.setattr(sqlite, "PRODUCER_RECORD_KEPT_S", -10)
        assert store.recover().forgotten == {7}
    with closing(SqliteStore(path)) as store:
        script = CoreScript(store=store)
        edge = script.edge()
        assert oks(script.batch(edge, batch(0, 5, producer=8))) == [(0, 5, 10)]
    with closing(apsw.Connection(str(path))) as db:
        db.execute("UPDATE forgotten SET producer = 6")
    with closing(SqliteStore(path)) as store:
        script = CoreScript(store=store)
        edge = script.edge()
        sent = script.batch(edge, batch(0, 5), batch(0, 5, producer=1), batch(5, 5, producer=8))
        assert [code for *_, code, _ in refusals(sent)] == [ErrorCode.QUARANTINED] * 2
        assert oks(sent) == [(5, 5, 15)]


def test_a_damaged_store_forgets_nobody(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stamp that changed to a time far away would make all others old."""
    with closing(apsw.Connection(str(path))) as db:
        db.execute("UPDATE producer SET seen_s = 1 << 40 WHERE inbox = 'vip'")
    with closing(SqliteStore(path)) as store:
        recovered = store.recover()
    assert [mark.inbox for mark in recovered.producers] == ["ann"]
    assert recovered.forgotten == frozenset()


def test_a_row_of_messages_that_changed_is_not_shown(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as db:
        db.execute("UPDATE offline_msg SET bucket_count = 4 WHERE inbox = 'vip'")
    with closing(SqliteStore(path)) as store:
        script = CoreScript(store=store)
        (answer,) = script.send(script.admin(), m.Inspect(1, "vip", -1, -1))
        assert isinstance(answer, m.Error)
        assert answer.code is ErrorCode.DAMAGED


def test_the_log_says_what_is_damaged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(apsw.Connection(str(path))) as db:
        db.execute(DAMAGE["a cursor"])
    with closing(SqliteStore(path)) as store:
        _tell_damage(store.recover())
    assert "inbox 'vip' is quarantined, the others go on: its row of table inbox" in caplog.text
    assert "a row of table inbox does not fit its checksum: ('vip', 10, 3, 1" in caplog.text
