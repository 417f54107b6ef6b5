"""A small file through which faults inside a process are switched while it runs.

The harness sets switches in it, and the process, started by `harness.testing.launch --switches`,
obeys and counts what it did. Both map the file into memory, so a switch costs the process nothing
and works while it is busy. A process that was started otherwise has no switches.

Every slot is one aligned 64-bit number with one writer, so neither side needs a lock.
"""

from __future__ import annotations

import mmap
import os
import struct
from enum import IntEnum
from pathlib import Path

from harness.errors import HarnessError

MAGIC = 0x74616C6C79303031
"""In the first slot, so that a wrong file is noticed."""

_SLOT = struct.Struct("<q")

LOSSES = ("all", "torn", "tail")
"""What a power loss does to what was not synced: all of it is gone, any part of it, or all that was
written behind some moment."""


class Switch(IntEnum):
    """What the harness sets. All zero is at rest."""

    FULL = 1
    """1: every write is refused as on a full disk."""

    FAIL_WRITES = 2
    """1: writes fail with an I/O error."""

    FAIL_SYNCS = 3
    """1: syncs fail with an I/O error and make nothing durable."""

    SYNC_DELAY_US = 4
    """Every sync takes so much longer."""

    POWER_LOSS = 5
    """1 + the index in `LOSSES`: the power fails at a coming write or sync."""

    POWER_AFTER_WRITES = 6
    """That write, counted from when POWER_LOSS is seen; 1 is the next. A sync of what was written
    since the last one counts as one too, and a moment with nothing unsynced is passed over."""

    DIE_AT_OPERATION = 7
    """The process kills itself at this file operation after its start, if it is not ready then."""

    CLOCK_OFFSET_US = 8
    """Added to the wall clock."""


class Count(IntEnum):
    """What the process counts, over all its starts unless it says otherwise."""

    REFUSED_FULL = 16
    FAILED_WRITES = 17
    FAILED_SYNCS = 18
    DELAYED_SYNCS = 19
    DELAYED_US = 20
    UNSYNCED_SECTORS = 21
    """Written and not synced when the power failed."""

    LOST_SECTORS = 22
    """Of those, put back to what they were."""

    POWER_LOSSES = 23
    DEATHS_IN_RECOVERY = 24
    OPERATIONS = 25
    """File operations since the present start, counted until the process is ready."""

    RECOVERY_OPERATIONS = 26
    """File operations of the last start that became ready, until then."""


SLOTS = 32
SIZE_BYTES = SLOTS * _SLOT.size


class Switches:
    """The mapped file. Both sides use this class; `close` is left to the end of the process."""

    def __init__(self, path: Path) -> None:
        """Map a file that `create` made.

        Raises:
            HarnessError: It is no such file.
        """
        self.path = path
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                self._map = mmap.mmap(descriptor, SIZE_BYTES)
            finally:
                os.close(descriptor)
        except (OSError, ValueError) as error:
            raise HarnessError(f"the switches {path}: {error}") from error
        if self._get(0) != MAGIC:
            raise HarnessError(f"{path} holds no switches")

    @classmethod
    def create(cls, path: Path) -> Switches:
        """Make the file, everything at rest and counted zero, and map it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_SLOT.pack(MAGIC).ljust(SIZE_BYTES, b"\0"))
        return cls(path)

    def _get(self, slot: int) -> int:
        value: int = _SLOT.unpack_from(self._map, slot * _SLOT.size)[0]
        return value

    def get(self, slot: Switch | Count) -> int:
        """Return the present value."""
        return self._get(slot)

    def set(self, slot: Switch | Count, value: int) -> None:
        """Set a value; the other side sees it at its next look."""
        _SLOT.pack_into(self._map, slot * _SLOT.size, value)

    def add(self, slot: Count, value: int = 1) -> None:
        """Count on. Only for the side that owns the slot."""
        self.set(slot, self._get(slot) + value)

    def rest(self) -> None:
        """Put every switch back to rest; counts stay."""
        for switch in Switch:
            self.set(switch, 0)

    @property
    def at_rest(self) -> bool:
        """Whether every switch is."""
        return not any(self._get(switch) for switch in Switch)
