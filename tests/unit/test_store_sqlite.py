"""The SQLite store: what survives, who may open it, what is full and what is broken."""

from __future__ import annotations

import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from harness.testing.core_script import texts
from harness.testing.memory_store import MemoryStore
from harness.testing.store_script import writes_of
from reference.events import EpochMark, InboxMark, ProducerMark, Writes
from reference.store import sqlite
from reference.store.audit import Audit
from reference.store.port import (
    ROWS_MAX,
    Store,
    StoreBroken,
    StoreDamaged,
    StoreFull,
    StoreLocked,
    StoreRefused,
)
from reference.store.schema import SCHEMA_VERSION
from reference.store.sqlite import PRODUCER_RECORD_KEPT_S, SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "core.db"


def writes_by(producer: int, inbox: str) -> Writes:
    made = writes_of(inbox, 0, 5, epoch=0, bucket_count=1)
    marks = tuple(replace(mark, producer=producer) for mark in made.producers)
    return replace(made, producers=marks)


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, path: Path) -> Iterator[Store]:
    made: Store = SqliteStore(path) if request.param == "sqlite" else MemoryStore()
    made.recover()
    yield made
    made.close()


def test_what_was_committed_is_recovered(path: Path) -> None:
    store = SqliteStore(path)
    recovered = store.recover()
    assert (recovered.producers, recovered.inboxes, recovered.epochs) == ((), (), ())
    writes = writes_of("vip", 0, 20, epoch=0, bucket_count=1)
    store.commit(writes)
    producer = ProducerMark(
        producer=2**64 - 1, inbox="b", n_next=3, last_first=1, last_digest=2**64 - 2
    )
    epochs = tuple(
        EpochMark(inbox="vip", epoch=e, bucket_count=e + 4, pos_first=20) for e in (1, 2)
    )
    inbox = InboxMark(inbox="vip", pos_next=20, cursor=7, session=3, floor=2)
    other = InboxMark(inbox="b", pos_next=0, cursor=-1, session=0, floor=0)
    store.commit(Writes(producers=(producer,), inboxes=(inbox, other), epochs=epochs))
    store.close()
    with closing(SqliteStore(path)) as again:
        recovered = again.recover()
        assert set(recovered.producers) == {*writes.producers, producer}
        assert set(recovered.inboxes) == {inbox, other}
        assert not recovered.damaged
        assert recovered.epochs == epochs
        assert again.read("vip", 0, 100, 10**6).body == b"".join(texts(0, 20))


def test_bucket_positions_go_on_over_restarts_and_begin_anew_with_an_epoch(path: Path) -> None:
    pos = 0
    for epoch, count in ((0, 1), (1, 3), (1, 3), (2, 2), (2, 2)):
        with closing(SqliteStore(path)) as store:
            store.recover()
            store.commit(writes_of("vip", pos, 10, epoch=epoch, bucket_count=count))
        pos += 10
    with Audit(path) as audit:
        after: dict[tuple[int, int], int] = {}
        for row in audit.rows("vip"):
            key = (row.epoch, row.bucket)
            assert row.bpos_first == after.get(key, 0)
            after[key] = row.bpos_first + row.count
    assert sum(after.values()) == 50


def test_reading_begins_and_ends_where_asked(store: Store) -> None:
    for i, count in enumerate((1, 5, 3)):
        store.commit(writes_of("vip", 10 * i, 10, epoch=i, bucket_count=count))
        store.commit(writes_of("other", 10 * i, 10, epoch=i, bucket_count=count))
    for first, upto in ((0, 29), (5, 5), (9, 10), (19, 25), (29, 99)):
        log = store.read("vip", first, upto, 10**6)
        assert log.pos_first == first
        assert log.body == b"".join(texts(first, min(upto, 29) + 1 - first))
    assert store.read("vip", 30, 99, 10**6).count == 0
    assert store.read("nobody", 0, 99, 10**6).count == 0
    assert store.read("vip", 12, 29, 1).count == 1


def test_a_read_in_pieces_yields_everything_once(store: Store) -> None:
    for i in range(10):
        store.commit(writes_of("vip", 7 * i, 7, epoch=1, bucket_count=3))
    found = b""
    pos = 0
    while pos < 70:
        log = store.read("vip", pos, 69, 40)
        assert log.pos_first == pos
        assert len(log.body) + len(log.lengths) <= 40 or log.count == 1
        found += log.body
        pos += log.count
    assert found == b"".join(texts(0, 70))


def test_trimming_removes_whole_appends_of_that_inbox_only(store: Store) -> None:
    for i in range(3):
        store.commit(writes_of("vip", 10 * i, 10, epoch=1, bucket_count=4))
        store.commit(writes_of("other", 10 * i, 10, epoch=1, bucket_count=4))
    store.commit(Writes(trims=(("vip", 14),)))
    log = store.read("vip", 0, 100, 10**6)
    assert (log.pos_first, log.count) == (10, 20)
    assert store.read("other", 0, 100, 10**6).count == 30
    store.commit(Writes(trims=(("vip", 29),)))
    assert store.rows("vip", -1, -1) == ((), False)


def test_rows_come_in_pages_and_say_whether_more_remain(store: Store) -> None:
    for i in range(40):
        store.commit(writes_of("vip", 100 * i, 100, epoch=1, bucket_count=40))
    seen = []
    key, more = (-1, -1), True
    while more:
        rows, more = store.rows("vip", *key)
        assert 0 < len(rows) <= ROWS_MAX
        seen += rows
        key = (rows[-1].pos_first, rows[-1].bucket)
    keys = [(row.pos_first, row.bucket) for row in seen]
    assert keys == sorted(set(keys))
    assert sum(row.count for row in seen) == 4_000


def test_two_cores_never_share_a_file(path: Path) -> None:
    store = SqliteStore(path)
    with pytest.raises(StoreLocked, match=r"core\.db is in use"):
        SqliteStore(path)
    store.close()
    SqliteStore(path).close()


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_two_cores_never_share_a_file_by_two_names(
    path: Path, tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    with closing(SqliteStore(path)):
        (tmp_path / "other").mkdir()
        alias = tmp_path / "other" / "alias.db"
        link(alias, path)
        with pytest.raises(StoreLocked):
            SqliteStore(alias)


def test_the_files_are_the_owners_alone(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.commit(writes_of("vip", 0, 5, epoch=0, bucket_count=1))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    names = {"core.db", "core.db-wal", "core.db-shm", "core.db-reserve"}
    assert modes == dict.fromkeys(names, 0o600)


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_file_of_another_program_is_refused_and_left_as_it_is(path: Path, journal: str) -> None:
    with closing(apsw.Connection(str(path))) as db:
        db.pragma("journal_mode", journal)
        db.execute("CREATE TABLE customers (x); PRAGMA user_version = 3")
    before = path.read_bytes(), path.stat().st_mode
    with pytest.raises(StoreRefused, match=r"core\.db is no store"):
        SqliteStore(path)
    assert (path.read_bytes(), path.stat().st_mode) == before


def test_a_later_store_is_refused_before_anything_is_changed(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.commit(writes_of("vip", 0, 5, epoch=0, bucket_count=1))
    with closing(apsw.Connection(str(path))) as db:
        db.pragma("user_version", SCHEMA_VERSION + 1)
        db.pragma("journal_mode", "delete")
    before = path.read_bytes()
    with pytest.raises(StoreRefused, match="left as it is"):
        SqliteStore(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE offline_msg SET lengths = substr(lengths, 1, 8) WHERE pos_first = 10",
        "UPDATE offline_msg SET body = zeroblob(length(body)) WHERE pos_first = 10",
        "UPDATE offline_msg SET bpos_first = 7 WHERE pos_first = 10",
        "UPDATE offline_msg SET ids = zeroblob(length(ids)) WHERE pos_first = 10",
    ],
)
def test_a_row_that_changed_is_found_and_others_are_read(path: Path, change: str) -> None:
    with closing(SqliteStore(path)) as store:
        for pos in (0, 10, 20):
            store.commit(writes_of("vip", pos, 10, epoch=0, bucket_count=3))
        store.commit(writes_of("other", 0, 10, epoch=0, bucket_count=3))
    with closing(apsw.Connection(str(path))) as db:
        db.execute(change)
    with closing(SqliteStore(path)) as store:
        assert store.read("vip", 0, 29, 10**6).count == 10
        with pytest.raises(StoreDamaged, match="'vip' behind position 10"):
            store.read("vip", 10, 29, 10**6)
        assert store.read("vip", 20, 29, 10**6).body == b"".join(texts(20, 10))
        assert store.read("other", 0, 9, 10**6).count == 10


def test_a_flipped_bit_in_the_file_is_found(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.commit(writes_of("vip", 0, 3, epoch=0, bucket_count=1, bodies=[b"A" * 40] * 3))
    data = bytearray(path.read_bytes())
    data[data.index(b"A" * 120) + 60] ^= 1
    path.write_bytes(data)
    with closing(SqliteStore(path)) as store, pytest.raises(StoreDamaged):
        store.read("vip", 0, 2, 10**6)


@pytest.mark.parametrize("bit", [1, 128])
def test_a_flipped_bit_in_the_names_of_tables_is_found(path: Path, bit: int) -> None:
    SqliteStore(path).close()
    data = bytearray(path.read_bytes())
    data[data.index(b"pos_next  INTEGER") + 2] ^= bit
    path.write_bytes(data)
    with pytest.raises(StoreDamaged, match=r"core\.db"):
        SqliteStore(path)


def test_a_write_lock_of_another_program_is_waited_for_then_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "READ_WAIT_MS", 50)
    with closing(SqliteStore(path)) as store, closing(apsw.Connection(str(path))) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFull, match="another program"):
            store.commit(writes_of("vip", 0, 5, epoch=0, bucket_count=1))
        other.execute("ROLLBACK")
        store.commit(writes_of("vip", 0, 5, epoch=0, bucket_count=1))
        assert store.read("vip", 0, 4, 10**6).count == 5


def test_a_file_that_is_no_store_is_refused_and_unlocked(path: Path) -> None:
    path.write_bytes(
        b"this is no database, but long enough to have a header of one hundred bytes" * 9
    )
    for _ in range(2):
        with pytest.raises(StoreDamaged):
            SqliteStore(path)


def test_a_store_of_another_version_is_refused(path: Path) -> None:
    SqliteStore(path).close()
    with closing(apsw.Connection(str(path))) as db:
        db.pragma("user_version", 99)
    with pytest.raises(StoreRefused, match="version 99"):
        SqliteStore(path)


def test_the_file_is_readable_with_any_sqlite(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.commit(writes_of("vip", 0, 100, epoch=1, bucket_count=5))
        with closing(sqlite3.connect(path)) as db:
            query = "SELECT bucket, sum(count) FROM offline_msg WHERE inbox = 'vip' GROUP BY bucket"
            found = dict(db.execute(query))
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert sum(found.values()) == 100


def test_the_audit_reads_while_a_core_runs_and_after(path: Path) -> None:
    store = SqliteStore(path)
    store.commit(writes_of("vip", 0, 1_000, epoch=1, bucket_count=400))
    with Audit(path) as audit:
        rows = list(audit.rows("vip"))
        assert sum(row.count for row in rows) == 1_000
        assert len(rows) > 256
        store.commit(writes_of("vip", 1_000, 10, epoch=1, bucket_count=400))
        assert sum(row.count for row in audit.rows("vip")) == 1_010
        assert audit.epochs("vip")[0].bucket_count == 1
        with pytest.raises(apsw.ReadOnlyError):
            audit._db.execute("DELETE FROM offline_msg")
    store.close()
    with Audit(path) as audit:
        assert sum(row.count for row in audit.rows("vip")) == 1_010
        assert audit.inboxes() == [("vip", 1_010)]


def test_producers_not_seen_for_long_are_forgotten_at_a_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SqliteStore(path)) as store:
        store.commit(writes_of("vip", 0, 5, epoch=0, bucket_count=1))
        assert len(store.recover().producers) == 1
    monkeypatch.setattr(sqlite, "PRODUCER_RECORD_KEPT_S", -10)
    with closing(SqliteStore(path)) as store:
        recovered = store.recover()
        assert (recovered.producers, recovered.forgotten) == ((), {7})
    # Their ids are kept for good.
    with closing(SqliteStore(path)) as store:
        assert store.recover().forgotten == {7}


def test_a_producer_is_kept_for_all_inboxes_while_it_is_seen_in_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SqliteStore(path)) as store:
        store.recover()
        store.commit(writes_by(7, "quiet"))
        store.commit(writes_by(8, "other"))
        week_s = PRODUCER_RECORD_KEPT_S + 60
        real_s = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real_s() + week_s)
        store.commit(writes_by(7, "busy"))
    with closing(SqliteStore(path)) as store:
        recovered = store.recover()
        assert [(p.producer, p.inbox) for p in recovered.producers] == [(7, "busy"), (7, "quiet")]
        assert recovered.forgotten == {8}


def test_a_producer_is_kept_by_the_time_that_cores_ran(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a wall clock that jumps nor a long time without a core makes it forget."""
    real_s = time.monotonic
    runs = ((1e9, 0, 1), (4e9, PRODUCER_RECORD_KEPT_S + 60, 2))
    for wall_s, shift_s, count in runs:
        monkeypatch.setattr(time, "time", lambda wall_s=wall_s: wall_s)
        with closing(SqliteStore(path)) as store:
            assert len(store.recover().producers) == count - 1
            monkeypatch.setattr(time, "monotonic", lambda shift_s=shift_s: real_s() + shift_s)
            inbox = f"inbox-{count}"
            store.commit(writes_by(count, inbox))
        monkeypatch.undo()
    with closing(SqliteStore(path)) as store:
        # The second commit came when a core had run for longer than the named time.
        assert [mark.inbox for mark in store.recover().producers] == ["inbox-2"]


def test_the_wal_is_checkpointed_and_its_size_is_bounded(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WAL_CHECKPOINT_BYTES", 200_000)
    wal = path.with_name("core.db-wal")
    with closing(SqliteStore(path)) as store:
        largest = 0
        for i in range(60):
            bodies = [bytes(1_000)] * 50
            store.commit(writes_of("vip", 50 * i, 50, epoch=0, bucket_count=1, bodies=bodies))
            largest = max(largest, wal.stat().st_size)
        assert largest < 1_000_000
        assert path.stat().st_size > 2_000_000


def test_a_reader_that_stays_makes_commits_refuse_at_the_limit(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WAL_CHECKPOINT_BYTES", 100_000)
    monkeypatch.setattr(sqlite, "WAL_FORCED_BYTES", 1_000_000)
    monkeypatch.setattr(sqlite, "READ_WAIT_MS", 10)
    bodies = [bytes(1_000)] * 100

    def commit_until_full(store: SqliteStore) -> None:
        for i in range(1, 100):
            store.commit(writes_of("vip", 100 * i, 100, epoch=0, bucket_count=1, bodies=bodies))

    with closing(SqliteStore(path)) as store, closing(apsw.Connection(str(path))) as other:
        store.commit(writes_of("vip", 0, 100, epoch=0, bucket_count=1, bodies=bodies))
        other.execute("BEGIN; SELECT count(*) FROM inbox")
        with pytest.raises(StoreFull, match="limit"):
            commit_until_full(store)
        ((_, pos),) = Audit(path).inboxes()
        assert 300 <= pos < 2_500
        other.execute("COMMIT")
        store.commit(writes_of("vip", pos, 100, epoch=0, bucket_count=1, bodies=bodies))
        assert store.read("vip", pos, pos, 1).count == 1


def test_a_full_disk_rolls_back_and_the_store_goes_on(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.commit(writes_of("vip", 0, 10, epoch=1, bucket_count=3))
        pages = store._writer.pragma("page_count")
        store._writer.pragma("max_page_count", pages)
        bodies = [bytes(10_000)] * 50
        with pytest.raises(StoreFull):
            store.commit(writes_of("vip", 10, 50, epoch=1, bucket_count=3, bodies=bodies))
        assert store.read("vip", 0, 100, 10**6).count == 10
        store._writer.pragma("max_page_count", 10**6)
        store.commit(writes_of("vip", 10, 10, epoch=1, bucket_count=3))
        rows, _ = store.rows("vip", 9, -1)
        assert sum(row.bpos_first for row in rows) == 10


def test_after_an_unknown_outcome_no_commit_is_taken(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.commit(writes_of("vip", 0, 10, epoch=0, bucket_count=1))
        with pytest.raises(StoreBroken, match="Constraint"):
            store.commit(writes_of("vip", 0, 10, epoch=0, bucket_count=1))
        with pytest.raises(StoreBroken):
            store.commit(writes_of("vip", 10, 10, epoch=0, bucket_count=1))
    with closing(SqliteStore(path)) as store:
        assert store.read("vip", 0, 100, 10**6).count == 10
