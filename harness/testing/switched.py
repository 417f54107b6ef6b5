"""What a node that was started with `--switches` does because of them: on its disk, to its clock.

The disk is a `PowerVfs` whose every operation asks the switches. A power loss happens in the
middle of a write: the files are left as it leaves them, then the process kills itself. The wall
clock is shifted for Python code that reads `time.time` or `time.time_ns`, which is what nodes and
their logs do; `datetime.now`, SQLite's own clock and every other process see the true one.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import NoReturn

import apsw

from harness.faults.switches import LOSSES, Count, Switch, Switches
from harness.testing.vfs import Loss, PowerVfs
from reference.store.sqlite import SqliteStore


class SwitchedDisk:
    """A disk that obeys switches. One per process; `open_store` is a store factory."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._ready = False
        self._armed: int | None = None
        self._vfs = PowerVfs("switched")
        self._vfs.on_operation = self._on_operation
        self._vfs.on_write = self._on_write
        self._vfs.on_sync = self._on_sync
        switches.set(Count.OPERATIONS, 0)

    def open_store(self, path: Path) -> SqliteStore:
        """Open the store on this disk."""
        return SqliteStore(path, vfs=self._vfs.name)

    def ready(self) -> None:
        """Take note that the process is ready: what it did until now was recovery."""
        self._ready = True
        self._switches.set(Count.RECOVERY_OPERATIONS, self._switches.get(Count.OPERATIONS))

    def _on_operation(self) -> None:
        if self._ready:
            return
        self._switches.add(Count.OPERATIONS)
        if self._switches.get(Count.OPERATIONS) == self._switches.get(Switch.DIE_AT_OPERATION):
            self._switches.add(Count.DEATHS_IN_RECOVERY)
            _die()

    def _on_write(self, _path: Path) -> None:
        switches = self._switches
        self._fail_power()
        if switches.get(Switch.FULL):
            switches.add(Count.REFUSED_FULL)
            raise apsw.FullError("switched to full")
        if switches.get(Switch.FAIL_WRITES):
            switches.add(Count.FAILED_WRITES)
            raise apsw.IOError("switched to fail at writes")

    def _on_sync(self, _path: Path) -> None:
        switches = self._switches
        self._fail_power()
        if delay_us := switches.get(Switch.SYNC_DELAY_US):
            begun_ns = time.monotonic_ns()
            time.sleep(delay_us / 1e6)
            switches.add(Count.DELAYED_US, (time.monotonic_ns() - begun_ns) // 1000)
            switches.add(Count.DELAYED_SYNCS)
        if switches.get(Switch.FAIL_SYNCS):
            switches.add(Count.FAILED_SYNCS)
            raise apsw.IOError("switched to fail at syncs")

    def _fail_power(self) -> None:
        loss = self._switches.get(Switch.POWER_LOSS)
        if not loss:
            self._armed = None
            return
        if self._armed is None:
            self._armed = self._vfs.writes + max(1, self._switches.get(Switch.POWER_AFTER_WRITES))
        # A loss that finds everything synced shows nothing, so it waits for the next write.
        if self._vfs.writes + 1 < self._armed or not self._vfs.unsynced_sectors:
            return
        switches = self._switches
        switches.add(Count.UNSYNCED_SECTORS, self._vfs.unsynced_sectors)
        rng = random.Random(f"{switches.get(Count.POWER_LOSSES)}/{self._vfs.writes}")
        # What a draw leaves whole shows nothing; another draw is as good a power loss.
        while not (lost := self._vfs.lose(rng, Loss(LOSSES[loss - 1]))):
            pass
        switches.add(Count.LOST_SECTORS, lost)
        switches.add(Count.POWER_LOSSES)
        switches.set(Switch.POWER_LOSS, 0)
        _die()


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    while True:  # The signal takes this thread a moment later.
        time.sleep(1)


def shift_clock(switches: Switches) -> None:
    """Let this process's Python code read the wall clock with the switched offset, from now on."""
    true_ns = time.time_ns

    def shifted_ns() -> int:
        return true_ns() + switches.get(Switch.CLOCK_OFFSET_US) * 1_000

    def shifted() -> float:
        return shifted_ns() / 1e9

    # setattr, since the names are functions of a C module to a type checker.
    setattr(time, "time_ns", shifted_ns)  # noqa: B010
    setattr(time, "time", shifted)  # noqa: B010
