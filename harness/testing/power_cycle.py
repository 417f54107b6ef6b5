"""Power cycles of a store: commit until the process is killed or the power fails, and compare.

`run` returns how many commits returned, or raises `CommitLost`: a commit that had returned, or that
a later process had shown, was not there whole, or one that had not was there in part.
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
from reference.store.port import StoreBroken, StoreDamaged, take_over
from reference.store.sqlite import SqliteStore

WRITES_MAX = 400
"""Writes after which a process ends at the latest."""


class CommitLost(AssertionError):
    """Raised when a store does not hold exactly what it had acknowledged."""


def run(path: Path, seed: int, *, cycles: int, loss: Loss | None = None) -> int:
    """Let a store live through kills and power losses at random writes and syncs.

    A killed process leaves its writes in the page cache. What the next one shows of them is
    acknowledged by that, so it must survive a power loss at once.

    Args:
        path: Its file.
        seed: Chooses commits, moments, what ends a process and what survives.
        cycles: How many processes end so.
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
            take_over(store)
            _end_later(vfs, rng)
            pending, returned = _commit_until_gone(store, model, rng)
            commits += returned
            _leave(store, vfs)
            also = model.copy()
            also.commit(pending)
            if rng.random() < 0.5:
                vfs.restart()
                model = _shown(path, vfs, (model, also), f"cycle {cycle}, killed")
                also = model
            vfs.power_on(rng, loss or rng.choice(list(Loss)))
            model = _shown(path, vfs, (model, also), f"cycle {cycle}, without power")
    finally:
        vfs.unregister()
    return commits


def _end_later(vfs: PowerVfs, rng: random.Random) -> None:
    """Let the process end in the middle of a write, or in a sync that never comes to its end."""
    vfs.lose_at_write = vfs.writes + rng.randint(1, WRITES_MAX)
    if rng.random() < 0.5:
        return
    last = vfs.syncs + rng.randint(0, WRITES_MAX // 20)

    def end_at_last(_path: Path) -> None:
        if vfs.syncs >= last:
            vfs.cut_power()

    vfs.on_sync = end_at_last


def _leave(store: SqliteStore, vfs: PowerVfs) -> None:
    """End the process that uses a store: it writes nothing more."""
    vfs.cut_power()
    vfs.on_sync = lambda _path: None
    # Closing checkpoints, which a disk that takes nothing refuses; the files are closed anyway.
    with contextlib.suppress(apsw.IOError):
        store.close()


def _commit_until_gone(
    store: SqliteStore, model: MemoryStore, rng: random.Random
) -> tuple[Writes, int]:
    """Commit until the process ends; return what was under way, and how many returned before."""
    returned = 0
    while True:
        writes = next_writes(rng, model)
        try:
            store.commit(writes)
        except StoreBroken:
            return writes, returned
        model.commit(writes)
        returned += 1


def _shown(
    path: Path, vfs: PowerVfs, candidates: tuple[MemoryStore, ...], when: str
) -> MemoryStore:
    """Return the model of what another process shows; it is killed when it has shown all."""
    try:
        store = SqliteStore(path, vfs=vfs.name)
        try:
            found = contents(store, take_over(store))
        finally:
            _leave(store, vfs)
            vfs.restart()
    except (StoreDamaged, apsw.Error) as error:
        raise CommitLost(f"{when}: the file is damaged: {error}") from error
    for candidate in candidates:
        if found == contents(candidate, take_over(candidate)):
            return candidate
    raise CommitLost(f"{when}: what is there is not what was acknowledged")
