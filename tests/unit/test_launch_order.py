"""What a launcher is told of the disk and of the edge that it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.testing import launch
from harness.testing.held_disk import HeldVfs
from harness.testing.launch import read_order
from reference.store.sqlite import SqliteStore


def test_the_words_are_read_in_their_order() -> None:
    words = ["--held-disk", "5", "--power-stays-once", "--recut", "--bug", "no-dedup"]
    order = read_order([*words, "core", "{}"])
    assert (order.recut, order.bug is not None, order.store is not SqliteStore) == (
        True,
        True,
        True,
    )
    plain = read_order(["edge", "{}"])
    assert (plain.recut, plain.bug, plain.store) == (False, None, SqliteStore)


@pytest.mark.parametrize(
    ("words", "lost"),
    [
        (["--held-disk", "0"], [True, True, True]),
        # Its first start finds a new disk, its second one what a killed process left.
        (["--held-disk", "0", "--power-stays-once"], [True, False, True]),
    ],
)
def test_a_held_disk_keeps_its_power_once_if_it_is_told_so(
    words: list[str], lost: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[HeldVfs] = []

    class Seen(HeldVfs):
        def __init__(self, name: str, *, sync_ms: int = 0, power_lost: bool = True) -> None:
            super().__init__(f"{name}-{id(self)}", sync_ms=sync_ms, power_lost=power_lost)
            made.append(self)

    monkeypatch.setattr(launch, "HeldVfs", Seen)
    for _ in range(3):
        # Each start is a process of its own, with a disk of its own.
        read_order([*words, "core", "{}"]).store(tmp_path / "core.db").close()
    assert [one.power_lost for one in made] == lost
