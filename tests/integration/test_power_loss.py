"""Acknowledged means synced: what a store's commit returned for survives a power loss, whole.

The same test must find a loss when the store syncs less than it should; otherwise it would prove
nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.testing.power_cycle import CommitLost, run
from harness.testing.vfs import Loss
from reference.store import sqlite

SEEDS = range(4)


@pytest.mark.parametrize("loss", [Loss.ALL, Loss.TORN, Loss.TAIL, None])
@pytest.mark.parametrize("wal_checkpoint_bytes", [100_000, 8 * 1024 * 1024])
def test_every_acknowledged_commit_survives_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: Loss | None, wal_checkpoint_bytes: int
) -> None:
    monkeypatch.setattr(sqlite, "WAL_CHECKPOINT_BYTES", wal_checkpoint_bytes)
    commits = sum(run(tmp_path / f"{seed}.db", seed, cycles=8, loss=loss) for seed in SEEDS)
    assert commits > 60


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_a_store_that_syncs_less_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synchronous: str
) -> None:
    monkeypatch.setattr(sqlite, "SYNCHRONOUS", synchronous)
    caught = 0
    for seed in SEEDS:
        try:
            run(tmp_path / f"{seed}.db", seed, cycles=8, loss=Loss.ALL)
        except CommitLost:
            caught += 1
    assert caught == len(SEEDS)


def test_a_store_that_shows_what_a_killed_process_did_not_sync_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite.SqliteStore, "sync", lambda _store: None)
    caught = 0
    for seed in SEEDS:
        try:
            run(tmp_path / f"{seed}.db", seed, cycles=8, loss=Loss.ALL)
        except CommitLost:
            caught += 1
    assert caught == len(SEEDS)


def test_a_store_that_reports_before_it_commits_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sqlite.SqliteStore.commit

    def late(store: sqlite.SqliteStore, writes: sqlite.Writes) -> None:
        held = store.__dict__.setdefault("held", [])
        held.append(writes)
        if len(held) > 1:
            real(store, held.pop(0))

    monkeypatch.setattr(sqlite.SqliteStore, "commit", late)
    with pytest.raises(CommitLost):
        run(tmp_path / "late.db", 1, cycles=3)
