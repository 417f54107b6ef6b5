"""The simulated disk keeps what was synced and loses the rest."""

from __future__ import annotations

import pytest

from harness.testing.simulator.disk import SimulatedDisk
from harness.testing.store_script import writes_of
from reference.store.port import StoreFull


def test_a_loss_of_power_drops_what_was_written_and_not_synced() -> None:
    disk = SimulatedDisk()
    disk.commit(writes_of("vip", 0, 4, epoch=0, bucket_count=3))
    disk.write(writes_of("vip", 4, 6, epoch=0, bucket_count=3))
    assert disk.read("vip", 0, 99, 10_000).count == 10
    assert disk.lose_power() == 1
    assert disk.read("vip", 0, 99, 10_000).count == 4
    assert disk.recover().inboxes[0].pos_next == 4
    # Bucket positions go on where the synced rows end.
    disk.commit(writes_of("vip", 4, 6, epoch=0, bucket_count=3))
    rows, _ = disk.rows("vip", -1, -1)
    for bucket in range(3):
        ends = 0
        for row in (row for row in rows if row.bucket == bucket):
            assert row.bpos_first == ends
            ends += row.count


def test_what_was_synced_survives_a_loss_of_power() -> None:
    disk = SimulatedDisk()
    disk.write(writes_of("vip", 0, 4, epoch=0, bucket_count=1))
    disk.sync()
    assert disk.lose_power() == 0
    assert disk.read("vip", 0, 99, 10_000).count == 4


def test_a_full_disk_refuses_and_nothing_happened() -> None:
    disk = SimulatedDisk()
    disk.full = True
    with pytest.raises(StoreFull):
        disk.write(writes_of("vip", 0, 4, epoch=0, bucket_count=1))
    disk.full = False
    disk.sync()
    assert disk.recover().inboxes == ()
