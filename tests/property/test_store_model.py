"""Any sequence of commits leaves in SQLite what it leaves in the model, also after reopening."""

from __future__ import annotations

import random
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.testing.memory_store import MemoryStore
from harness.testing.power_cycle import run
from harness.testing.store_script import contents, next_writes
from harness.testing.vfs import PowerVfs
from reference.store.port import StoreBroken, StoreFull
from reference.store.sqlite import SqliteStore


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), reopen=st.sets(st.integers(0, 14)))
def test_sqlite_holds_what_the_model_holds(seed: int, reopen: set[int]) -> None:
    rng = random.Random(seed)
    model = MemoryStore()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "core.db"
        store = SqliteStore(path)
        for step in range(15):
            if step in reopen:
                store.close()
                store = SqliteStore(path)
                store.recover()
            writes = next_writes(rng, model)
            store.commit(writes)
            model.commit(writes)
        store.close()
        with closing(SqliteStore(path)) as again:
            assert contents(again, again.recover()) == contents(model, model.recover())
            for mark in model.inboxes.values():
                first = rng.randint(0, mark.pos_next)
                upto = rng.randint(first, mark.pos_next)
                size = rng.randint(0, 20_000)
                asked = (mark.inbox, first, upto, size)
                assert again.read(*asked) == model.read(*asked)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_power_loss_takes_or_splits_a_commit(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder) / "core.db", seed, cycles=3)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_full_disk_takes_nothing_and_splits_nothing(seed: int) -> None:
    rng = random.Random(seed)
    model = MemoryStore()
    refused = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "core.db"
        vfs = PowerVfs(f"full-{seed}-{id(path)}")
        with closing(SqliteStore(path, vfs=vfs.name)) as store:
            for _ in range(20):
                vfs.full = rng.random() < 0.4
                writes = next_writes(rng, model)
                try:
                    store.commit(writes)
                except StoreFull:
                    refused += 1
                    continue
                model.commit(writes)
            vfs.full = False
        with closing(SqliteStore(path, vfs=vfs.name)) as again:
            assert contents(again, again.recover()) == contents(model, model.recover())
        vfs.unregister()
    assert refused


@pytest.mark.parametrize("fault", ["fail_writes", "fail_syncs"])
def test_a_failed_write_or_sync_leaves_the_outcome_open(tmp_path: Path, fault: str) -> None:
    rng = random.Random(1)
    model = MemoryStore()
    path = tmp_path / "core.db"
    vfs = PowerVfs(f"{fault}-{id(path)}")
    with closing(SqliteStore(path, vfs=vfs.name)) as store:
        for _ in range(5):
            writes = next_writes(rng, model)
            store.commit(writes)
            model.commit(writes)
        setattr(vfs, fault, True)
        with pytest.raises(StoreBroken):
            store.commit(next_writes(rng, model))
        setattr(vfs, fault, False)
        with pytest.raises(StoreBroken):
            store.commit(next_writes(rng, model))
    with closing(SqliteStore(path, vfs=vfs.name)) as again:
        found = contents(again, again.recover())
    vfs.unregister()
    assert found["inboxes"]
