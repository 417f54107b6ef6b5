"""Promotion and demotion: compare-and-set, cuts at a position, and what an inspection shows."""

from __future__ import annotations

from harness.testing.core_script import CoreScript, batch, oks, only, settings
from reference.events import Commit
from reference.wire import messages as m
from reference.wire.bucket_hash import bucket_of
from reference.wire.errors import ErrorCode
from reference.wire.limits import BUCKET_COUNT_MAX


def inspect(script: CoreScript, admin: int, inbox: str = "vip") -> m.InspectOk:
    return only(script.send(admin, m.Inspect(1, inbox, -1, -1)), m.InspectOk)


def test_an_epoch_begins_at_the_next_position() -> None:
    script = CoreScript()
    edge, admin = script.edge(), script.admin()
    script.batch(edge, batch(0, 3))
    assert script.send(admin, m.Promote(1, "vip", 0, 5)) == [m.Promoted(1, "vip", 1, 5, 3)]
    assert script.send(admin, m.Promote(2, "vip", 1, 1)) == [m.Promoted(2, "vip", 2, 1, 3)]
    script.batch(edge, batch(3, 3))
    found = inspect(script, admin)
    assert found.epochs == (
        m.EpochEntry(0, 1, 0),
        m.EpochEntry(1, 5, 3),
        m.EpochEntry(2, 1, 3),
    )
    assert [(row.pos_first, row.epoch, row.bucket_count) for row in found.rows] == [
        (0, 0, 1),
        (3, 2, 1),
    ]


def test_a_repeated_promotion_does_not_undo_a_later_one() -> None:
    script = CoreScript()
    admin = script.admin()
    script.send(admin, m.Promote(1, "vip", 0, 5))
    script.send(admin, m.Promote(2, "vip", 1, 50))
    error = only(script.send(admin, m.Promote(3, "vip", 0, 5)), m.Error)
    assert (error.request, error.code) == (3, ErrorCode.EPOCH_MISMATCH)
    assert inspect(script, admin).epochs[-1] == m.EpochEntry(2, 50, 0)


def test_a_mismatch_with_an_epoch_that_is_not_durable_waits_for_it() -> None:
    script = CoreScript()
    admin = script.admin()
    script.loop.hold = (Commit,)
    script.send(admin, m.Promote(1, "vip", 0, 5))
    assert script.send(admin, m.Promote(2, "vip", 0, 7)) == []
    script.loop.release(2)
    promoted, error = script.loop.take(admin)
    assert isinstance(promoted, m.Promoted)
    assert isinstance(error, m.Error)
    assert error.code is ErrorCode.EPOCH_MISMATCH


def test_batches_of_one_commit_are_cut_at_the_epochs() -> None:
    script = CoreScript()
    edge, admin = script.edge(), script.admin()
    script.loop.hold = (Commit,)
    script.batch(edge, batch(0, 1))
    script.batch(edge, batch(1, 2))
    script.send(admin, m.Promote(1, "vip", 0, 4))
    script.batch(edge, batch(3, 20))
    script.send(admin, m.Promote(1, "vip", 1, 2))
    script.batch(edge, batch(23, 9))
    script.loop.release()
    (commit,) = script.loop.held
    assert isinstance(commit, Commit)
    appends = [(a.pos_first, a.epoch, a.bucket_count, a.count) for a in commit.writes.appends]
    assert appends == [(1, 0, 1, 2), (3, 1, 4, 20), (23, 2, 2, 9)]
    assert [e.epoch for e in commit.writes.epochs] == [1, 2]
    script.loop.release()
    script.restart()
    edge, admin = script.edge(), script.admin()
    assert oks(script.batch(edge, batch(32, 1))) == [(32, 1, 32)]
    rows = inspect(script, admin).rows
    assert [row.epoch for row in rows] == sorted(row.epoch for row in rows)
    for row in rows:
        ns = memoryview(row.ids).cast("Q").tolist()[row.count :]
        assert {bucket_of(7, "vip", n, row.bucket_count) for n in ns} == {row.bucket}


def test_bad_bucket_counts_are_refused() -> None:
    script = CoreScript()
    admin = script.admin()
    for count in (0, -1, BUCKET_COUNT_MAX + 1):
        error = only(script.send(admin, m.Promote(1, "vip", 0, count)), m.Error)
        assert error.code is ErrorCode.BAD_BUCKET_COUNT
    assert only(script.send(admin, m.Promote(1, "vip", 0, BUCKET_COUNT_MAX)), m.Promoted)


def test_a_promotion_of_an_unknown_inbox_needs_a_good_name_and_room() -> None:
    script = CoreScript(settings(inboxes_max=1))
    admin = script.admin()
    error = only(script.send(admin, m.Promote(1, "", 0, 5)), m.Error)
    assert error.code is ErrorCode.BAD_NAME
    script.send(admin, m.Promote(1, "vip", 0, 5))
    assert only(script.send(admin, m.Promote(1, "b", 0, 5)), m.Error).code is ErrorCode.QUOTA


def test_an_inspection_without_a_name_shows_the_gauges() -> None:
    script = CoreScript()
    edge, admin = script.edge(), script.admin()
    script.batch(edge, batch(0, 3))
    script.core.extra_gauges["wal_bytes"] = 12
    found = inspect(script, admin, "")
    assert found.rows == ()
    assert found.gauges["connections"] == 2
    assert found.gauges["commits"] == 1
    assert found.gauges["wal_bytes"] == 12
    assert inspect(script, admin, "nobody").rows == ()
    # A commit of a login holds no message, so nothing can be lost with it.
    script.login(edge)
    assert inspect(script, admin, "").gauges["commits"] == 1


def test_rows_of_a_commit_that_was_not_reported_yet_are_not_shown() -> None:
    script = CoreScript()
    edge, admin = script.edge(), script.admin()
    script.batch(edge, batch(0, 3))
    script.loop.hold = (Commit,)
    script.batch(edge, batch(3, 3))
    (commit,) = script.loop.held
    assert isinstance(commit, Commit)
    script.store.commit(commit.writes)
    assert [row.pos_first for row in inspect(script, admin).rows] == [0]
