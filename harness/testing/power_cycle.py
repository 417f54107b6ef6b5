"""Power cycles of a store: commit until the power fails, and compare what survived.

`run` returns how many commits were tried, or raises `CommitLost`: a commit that had returned was
not there whole, or one that had not was there in part.
"""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import apsw

from harness.testing.memory_store import MemoryStore
from harness.testing.store_script import contents, next_writes
from harness.testing.vfs import Loss, PowerVfs
from reference.events import Writes
from reference.store.port import StoreBroken, StoreDamaged
from reference.store.sqlite import SqliteStore


class CommitLost(AssertionError):
    """Raised when a store does not hold exactly what it had acknowledged."""


def run(path: Path, seed: int, *, cycles: int, loss: Loss | None = None) -> int:
    """Let a store live through power losses at random writes.

    Args:
        path: Its file.
        seed: Chooses commits, moments of loss and what survives.
        cycles: How many times the power fails.
        loss: What unsynced writes come to; None lets the seed choose each time.

    Returns:
        How many commits returned.

    Raises:
        CommitLost: What survived is neither all that was acknowledged, nor that and the whole
            commit under way.
    """
    rng = random.Random(seed)
    vfs = PowerVfs(f"power-{path.name}-{id(path)}-{seed}")
    model = MemoryStore()
    commits = 0
    try:
        for cycle in range(cycles):
            store = SqliteStore(path, vfs=vfs.name)
            store.recover()
            vfs.lose_at_write = vfs.writes + rng.randint(1, 400)
            pending, returned = _commit_until_off(store, model, rng)
            commits += returned
            vfs.cut_power()
            # Closing checkpoints, which a disk without power refuses; the files are closed anyway.
            with contextlib.suppress(apsw.IOError):
                store.close()
            vfs.power_on(rng, loss or rng.choice(list(Loss)))
            model = _survived(path, vfs, model, pending, cycle)
    finally:
        vfs.unregister()
    return commits


def _commit_until_off(
    store: SqliteStore, model: MemoryStore, rng: random.Random
) -> tuple[Writes, int]:
    """Commit until the power fails; return what was under way, and how many returned before."""
    returned = 0
    while True:
        writes = next_writes(rng, model)
        try:
            store.commit(writes)
        except StoreBroken:
            return writes, returned
        model.commit(writes)
        returned += 1


def _survived(
    path: Path, vfs: PowerVfs, model: MemoryStore, pending: Writes, cycle: int
) -> MemoryStore:
    """Return the model of what is on disk, which is one of two."""
    also = model.copy()
    also.commit(pending)
    try:
        store = SqliteStore(path, vfs=vfs.name)
        try:
            found = contents(store, store.recover())
        finally:
            store.close()
    except (StoreDamaged, apsw.Error) as error:
        raise CommitLost(f"cycle {cycle}: the file is damaged: {error}") from error
    for candidate in (model, also):
        if found == contents(candidate, candidate.recover()):
            return candidate
    raise CommitLost(f"cycle {cycle}: what survived is not what was acknowledged")
