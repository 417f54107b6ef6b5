"""A full disk can be drained: what makes room has the reserve, and messages wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from harness.testing.core_script import CoreScript, batch, oks, refusals, settings
from harness.testing.store_script import writes_of
from harness.testing.vfs import PowerVfs
from reference.core.settings import Retention
from reference.events import Writes
from reference.store import reserve
from reference.store.port import StoreFull
from reference.store.reserve import Reserve
from reference.store.sqlite import SqliteStore
from reference.wire import messages as m
from reference.wire.errors import ErrorCode

MIB = 1024 * 1024


@pytest.fixture
def vfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PowerVfs]:
    """Return a disk of 40 MiB; the reserve finds on it what room there is."""
    disk = PowerVfs(f"full-{tmp_path.name}")
    disk.capacity_bytes = 40 * MIB
    real = reserve._allocated

    def allocated(path: Path, size_bytes: int) -> bool:
        taken = sum(file.stat().st_size for file in path.parent.iterdir())
        return taken + size_bytes <= 40 * MIB and real(path, size_bytes)

    monkeypatch.setattr(reserve, "_allocated", allocated)
    yield disk
    disk.unregister()


def fill(store: SqliteStore) -> int:
    """Commit messages until the store is full; return how many there are."""
    pos = 0
    while True:
        bodies = [b"x" * 50_000] * 10
        try:
            store.commit(writes_of("vip", pos, 10, epoch=0, bucket_count=1, bodies=bodies))
        except StoreFull:
            return pos
        pos += 10


def test_a_full_store_is_drained_by_what_trims_and_takes_messages_again(
    tmp_path: Path, vfs: PowerVfs
) -> None:
    with closing(SqliteStore(tmp_path / "core.db", vfs=vfs.name)) as store:
        store.recover()
        count = fill(store)
        assert count > 100
        mark = writes_of("vip", count - 10, 10, epoch=0, bucket_count=1).inboxes[0]
        for upto in range(9, count, 10):
            trimmed = replace(mark, cursor=upto, floor=upto + 1)
            store.commit(Writes(inboxes=(trimmed,), trims=(("vip", upto),)))
        assert store.rows("vip", -1, -1) == ((), False)
        bodies = [b"y" * 50_000] * 10
        store.commit(writes_of("vip", count, 10, epoch=0, bucket_count=1, bodies=bodies))


def test_messages_never_get_the_reserve(tmp_path: Path, vfs: PowerVfs) -> None:
    with closing(SqliteStore(tmp_path / "core.db", vfs=vfs.name)) as store:
        store.recover()
        fill(store)
        assert store.gauges()["reserve_bytes"] == reserve.RESERVE_BYTES


def test_a_reserve_takes_what_there_is(tmp_path: Path, vfs: PowerVfs) -> None:
    (tmp_path / "other").write_bytes(bytes(35 * MIB))
    kept = Reserve(tmp_path / "core.db")
    kept.take()
    assert kept.size_bytes == 4 * MIB
    assert kept.release()
    assert not kept.release()
    assert sorted(tmp_path.iterdir()) == [tmp_path / "other"]


def test_a_core_on_a_full_disk_takes_acknowledgements_and_then_messages(
    tmp_path: Path, vfs: PowerVfs
) -> None:
    with closing(SqliteStore(tmp_path / "core.db", vfs=vfs.name)) as store:
        script = CoreScript(settings(retention=Retention.ACK), store)
        edge = script.edge()
        bodies = [b"x" * 50_000] * 10
        pos = 0
        while oks(script.batch(edge, batch(pos, 10, bodies=bodies))):
            pos += 10
        assert refusals(script.batch(edge, batch(pos, 10, bodies=bodies))) == [
            (pos, 10, ErrorCode.STORAGE_FULL, pos)
        ]
        session = script.login(edge, from_pos=pos - 2).session
        answers = script.send(edge, m.CursorAck((m.CursorMark("vip", session, pos - 1),)))
        assert m.CursorOk((m.CursorMark("vip", session, pos - 1),)) in answers
        assert oks(script.batch(edge, batch(pos, 10, bodies=bodies))) == [(pos, 10, pos)]
