"""A bit that flips anywhere in a store is never delivered or believed unnoticed."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from harness.testing.damage import Seen, flip, look, make
from reference.store.port import StoreDamaged
from reference.store.sqlite import SqliteStore

FLIPS = 100


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("damage") / "core.db")


def test_a_flipped_bit_anywhere_is_harmless_or_told(stored: Path, tmp_path: Path) -> None:
    rng = random.Random(20261201)
    seen: Counter[Seen] = Counter()
    for _ in range(FLIPS):
        path = Path(shutil.copy(stored, tmp_path / "core.db"))
        where = flip(path, rng)
        seen[look(path, where)] += 1
        for file in tmp_path.iterdir():
            file.unlink()
    assert seen[Seen.HARMLESS] > 0
    assert seen[Seen.TOLD] > FLIPS / 10


def test_a_flipped_bit_in_an_open_log_is_told_unless_it_is_in_the_last_commit(
    tmp_path: Path,
) -> None:
    path = make(tmp_path / "core.db", close=False)
    log = Path(f"{path}-wal")
    whole, rng = log.read_bytes(), random.Random(7)
    for _ in range(12):
        data = bytearray(whole)
        # The last commit holds fewer frames than the half of them.
        at = rng.randrange(len(data) // 2)
        data[at] ^= 1 << rng.randrange(8)
        copy = Path(shutil.copy(path, tmp_path / "copy.db"))
        Path(f"{copy}-wal").write_bytes(data)
        if 8 <= at < 16:
            continue
        with pytest.raises(StoreDamaged, match="the log of copy"):
            SqliteStore(copy)
        assert Path(f"{copy}-wal").read_bytes() == bytes(data)
    log.write_bytes(whole)
    with closing(SqliteStore(path)) as store:
        assert not store.recover().damaged
