"""Stores of earlier versions, made by the code of that time, are opened and become this one's."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import apsw
import pytest

from harness.testing.core_script import texts
from harness.testing.store_script import contents, writes_of
from harness.testing.vfs import Loss, PowerVfs
from reference.store import migrations, schema
from reference.store.audit import Audit
from reference.store.port import StoreFull, StoreRefused, take_over
from reference.store.schema import SCHEMA_VERSION
from reference.store.sqlite import SqliteStore

STORES = Path(__file__).parents[1] / "stores"
"""`version-N.sqlite`: three inboxes, five buckets, an epoch, a cursor, trimmed messages."""

VERSIONS = sorted(migrations.STEPS)


@pytest.fixture(params=VERSIONS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copy(STORES / f"version-{request.param}.sqlite", tmp_path / "core.db"))


@pytest.fixture
def disk() -> Iterator[PowerVfs]:
    vfs = PowerVfs("migration")
    yield vfs
    vfs.unregister()


def shown(path: Path, vfs: str | None = None) -> dict[str, object]:
    with closing(SqliteStore(path, vfs=vfs)) as store:
        recovered = take_over(store)
        assert not recovered.damaged
        return contents(store, recovered)


def version(path: Path) -> int:
    with closing(apsw.Connection(str(path))) as db:
        found: int = db.pragma("user_version")
        return found


def test_there_is_a_store_of_each_version_that_can_be_migrated() -> None:
    assert [int(file.stem[-1]) for file in sorted(STORES.glob("version-*.sqlite"))] == VERSIONS
    assert list(range(min(VERSIONS), SCHEMA_VERSION)) == VERSIONS


def test_everything_of_an_older_store_is_there(old: Path) -> None:
    with closing(SqliteStore(old)) as store:
        recovered = take_over(store)
        assert not recovered.damaged
        inboxes = {i.inbox: (i.pos_next, i.cursor, i.session, i.floor) for i in recovered.inboxes}
        assert inboxes == {"vip": (28, 7, 3, 0), "ü": (4, -1, 1, 0), "trimmed": (10, 4, 1, 5)}
        producers = {(p.producer, p.inbox, p.n_next, p.last_digest) for p in recovered.producers}
        assert producers == {
            (7, "vip", 28, 2**64 - 23), (2**64 - 1, "ü", 4, 2**64 - 1),
            (7, "trimmed", 10, 2**64 - 6),
        }  # fmt: skip
        assert [(e.inbox, e.epoch, e.bucket_count, e.pos_first) for e in recovered.epochs] == [
            ("vip", 1, 5, 10)
        ]
        assert store.read("vip", 0, 99, 10**6).body == b"".join(texts(0, 28))
        assert store.read("trimmed", 0, 99, 10**6).pos_first == 5
        # It goes on where the older code was, in buckets too.
        store.commit(writes_of("vip", 28, 10, epoch=1, bucket_count=5))
    with Audit(old) as audit:
        after: dict[tuple[int, int], int] = {}
        for row in audit.rows("vip"):
            assert row.bpos_first == after.get((row.epoch, row.bucket), 0)
            after[row.epoch, row.bucket] = row.bpos_first + row.count


def test_what_it_becomes_is_what_a_new_store_is(old: Path, tmp_path: Path) -> None:
    shown(old)
    SqliteStore(tmp_path / "new.db").close()
    tables = []
    for path in (old, tmp_path / "new.db"):
        with closing(apsw.Connection(str(path))) as db:
            tables.append(list(db.execute("SELECT name, sql FROM sqlite_schema ORDER BY name")))
    assert tables[0] == tables[1]
    assert version(old) == SCHEMA_VERSION
    assert shown(old) == shown(old)


@pytest.mark.parametrize("loss", [None, *Loss])
def test_an_end_in_the_middle_leaves_the_old_store_or_the_new_one(
    old: Path, tmp_path: Path, disk: PowerVfs, loss: Loss | None
) -> None:
    """Killed (None) or without power at every ninth write, then opened again."""
    whole = Path(shutil.copy(old, tmp_path / "whole.db"))
    wanted = shown(whole)
    before, rng, seen = version(old), random.Random(4711), set()
    for at in range(1, 400, 9):
        path = Path(shutil.copy(old, tmp_path / f"{at}.db"))
        disk.lose_at_write = disk.writes + at
        done = False
        with suppress(Exception):
            SqliteStore(path, vfs=disk.name).close()
            done = not disk.off
        if loss is None:
            disk.restart()
        else:
            disk.power_on(rng, loss)
        seen.add(version(path))
        assert shown(path, disk.name) == wanted
        if done:
            break
    else:
        pytest.fail("it never came to its end")
    assert seen == {before, SCHEMA_VERSION}


def test_without_room_it_stays_as_it_is(old: Path, disk: PowerVfs) -> None:
    before = old.read_bytes()
    disk.capacity_bytes = 50_000
    with pytest.raises(StoreFull, match="it is as it was"):
        SqliteStore(old, vfs=disk.name)
    disk.capacity_bytes = None
    with closing(apsw.Connection(str(old))) as db:
        assert db.pragma("user_version") != SCHEMA_VERSION
        assert db.execute("SELECT count(*) FROM offline_msg").get == 12
    assert old.read_bytes()[:16] == before[:16]
    assert len(shown(old)) == 9


@pytest.mark.parametrize("number", [1, SCHEMA_VERSION + 1])
def test_versions_out_of_reach_are_refused_and_left_as_they_are(old: Path, number: int) -> None:
    with closing(apsw.Connection(str(old))) as db:
        db.pragma("user_version", number)
        db.pragma("application_id", migrations.APPLICATION_ID)
    before = old.read_bytes()
    with pytest.raises(StoreRefused, match=rf"version {number}, and this core reads .*; it was"):
        SqliteStore(old)
    assert old.read_bytes() == before


def test_tables_of_another_shape_are_found(tmp_path: Path) -> None:
    path = tmp_path / "core.db"
    SqliteStore(path).close()
    with closing(apsw.Connection(str(path))) as db:
        db.execute("ALTER TABLE inbox RENAME COLUMN floor TO flour")
        assert schema.version_of
    with pytest.raises(Exception, match="other tables"):
        SqliteStore(path)
