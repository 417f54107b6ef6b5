"""A SQLite file system that can lose power, run full, fail and dawdle.

Files lie on the real file system, so that shared memory and locks work as they do, but of every
sector that was written and not synced the old content is kept: the files are what the page cache
holds, and a process that is killed leaves them as they are (`restart`). At a power loss
(`power_on`, `lose`) each such sector is either what it was or what was written last, as a random
source chooses: everything gone, a torn subset, or only the first of them in the order of writing. A
sync makes a file durable.

What it assumes of a disk: sectors of SECTOR_BYTES are written whole, a sync covers everything
written to that file before (its length and its name too), and no sector changes that was not
written. What it cannot show: faults of the kernel's own page cache.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import apsw

SECTOR_BYTES: Final = 512
"""What is written whole or not at all."""


class Loss(StrEnum):
    """What a power loss leaves of writes that were not synced."""

    ALL = "all"
    TORN = "torn"
    TAIL = "tail"


class _Unsynced:
    """What a file was at its last sync, as far as it differs now."""

    def __init__(self, length: int | None) -> None:
        self.length = length
        """The synced length; None while the file was never synced."""
        self.old: dict[int, bytes] = {}
        """Sector number → synced content (short at the old end), in order of first writing."""


class PowerVfs(apsw.VFS):
    """A file system for one simulated machine.

    Attributes:
        writes: Writes, truncations and deletions so far.
        syncs: Syncs so far.
        lose_at_write: At this number of writes the process ends in the middle of the operation:
            it and all after it raise, until `power_on` or `restart`.
        full: Writes that would make a file longer raise `apsw.FullError`.
        capacity_bytes: All files of a folder together; a write that would go beyond it raises
            `apsw.FullError`. None: as much as there is.
        fail_writes: Writes raise `apsw.IOError`.
        fail_syncs: Syncs raise `apsw.IOError` and make nothing durable.
        on_operation: Called before each file operation.
        on_write: Called before each write; what it raises is the write's outcome.
        on_sync: Called before each sync; what it raises is the sync's outcome.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, "")
        self.name = name
        self.writes = 0
        self.syncs = 0
        self.lose_at_write: int | None = None
        self.full = False
        self.capacity_bytes: int | None = None
        self.fail_writes = False
        self.fail_syncs = False
        self.on_operation: Callable[[], None] = lambda: None
        self.on_write: Callable[[Path], None] = lambda _path: None
        self.on_sync: Callable[[Path], None] = lambda _path: None
        self.off = False
        self._unsynced: dict[Path, _Unsynced] = {}

    def xOpen(  # noqa: N802
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        """Open a file; temporary ones are none of our business."""
        if name is None:
            return apsw.VFSFile("", name, flags)
        self.on_operation()
        path = Path(name if isinstance(name, str) else name.filename())
        if path not in self._unsynced:
            self._unsynced[path] = _Unsynced(path.stat().st_size if path.exists() else None)
        return _PowerFile(self, path, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        """Delete a file for good: a name's removal is taken as durable at once."""
        self.on_operation()
        self.on_write(Path(filename))
        self._count_write()
        super().xDelete(filename, syncdir)
        self._unsynced.pop(Path(filename), None)

    def cut_power(self) -> None:
        """From now on nothing that the process writes reaches a file."""
        self.off = True

    def restart(self) -> None:
        """Let another process go on where one was killed: the power stayed.

        What was written and not synced lies in the page cache: it is read, and a power loss still
        takes it away. Every file must have been closed before.
        """
        self.off = False
        self.lose_at_write = None

    def power_on(self, rng: random.Random, loss: Loss) -> None:
        """Leave on disk what survived. Every file must have been closed before.

        Args:
            rng: Decides which sectors survive where there is a choice.
            loss: What becomes of unsynced writes.
        """
        self.lose(rng, loss)
        self._unsynced.clear()
        self.off = False
        self.lose_at_write = None

    @property
    def unsynced_sectors(self) -> int:
        """How many sectors were written and not synced."""
        return sum(len(unsynced.old) for unsynced in self._unsynced.values())

    def lose(self, rng: random.Random, loss: Loss) -> int:
        """Do to the files what a power loss does, and return how many sectors are as before.

        Whoever has them open must be gone before it reads or writes once more.
        """
        lost = 0
        for path, unsynced in self._unsynced.items():
            if path.exists():
                lost += _lose(path, unsynced, rng, loss)
            Path(f"{path}-shm").unlink(missing_ok=True)
        return lost

    def _count_write(self) -> None:
        self.writes += 1
        if self.lose_at_write is not None and self.writes >= self.lose_at_write:
            self.off = True
        if self.off:
            raise apsw.IOError("the process is gone")
        if self.fail_writes:
            raise apsw.IOError("told to fail")

    def before_write(self, path: Path, offset: int, size: int, descriptor: int) -> None:
        """Remember what is about to be overwritten. Raises where the disk was told to."""
        self.on_operation()
        self.on_write(path)
        self._count_write()
        if self.full and offset + size > os.fstat(descriptor).st_size:
            raise apsw.FullError("told to be full")
        grown = offset + size - os.fstat(descriptor).st_size
        if self.capacity_bytes is not None and grown > 0:
            taken = sum(file.stat().st_size for file in path.parent.iterdir())
            if taken + grown > self.capacity_bytes:
                raise apsw.FullError("the folder's capacity is reached")
        old = self._unsynced[path].old
        first, end = offset // SECTOR_BYTES, -(-(offset + size) // SECTOR_BYTES)
        if all(sector in old for sector in range(first, end)):
            return
        # One read for all of them: a page has many sectors.
        before = os.pread(descriptor, (end - first) * SECTOR_BYTES, first * SECTOR_BYTES)
        for sector in range(first, end):
            if sector not in old:
                begin = (sector - first) * SECTOR_BYTES
                old[sector] = before[begin : begin + SECTOR_BYTES]

    def synced(self, path: Path, descriptor: int) -> None:
        """Make what was written durable. Raises where the disk was told to."""
        self.on_operation()
        self.on_sync(path)
        self.syncs += 1
        if self.off or self.fail_syncs:
            raise apsw.IOError("the process is gone" if self.off else "told to fail")
        self._unsynced[path] = _Unsynced(os.fstat(descriptor).st_size)


class _PowerFile(apsw.VFSFile):
    def __init__(
        self, vfs: PowerVfs, path: Path, name: str | apsw.URIFilename, flags: list[int]
    ) -> None:
        super().__init__("", name, flags)
        self._vfs = vfs
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._vfs.on_operation()
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        self._vfs.before_write(self._path, offset, len(data), self._descriptor)
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        length = os.fstat(self._descriptor).st_size
        if newsize < length:
            self._vfs.before_write(self._path, newsize, length - newsize, self._descriptor)
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._vfs.synced(self._path, self._descriptor)

    def xClose(self) -> None:  # noqa: N802
        os.close(self._descriptor)
        super().xClose()


def _lose(path: Path, unsynced: _Unsynced, rng: random.Random, loss: Loss) -> int:
    """Put the old content of lost sectors back; return how many were lost."""
    if unsynced.length is None and loss is Loss.ALL:
        path.unlink()
        return len(unsynced.old)
    lost = _lost_sectors(list(unsynced.old), rng, loss)
    length = path.stat().st_size
    if unsynced.old and (loss is Loss.ALL or rng.random() < 0.5):
        length = unsynced.length or 0
    with path.open("r+b") as file:
        for sector in lost:
            file.seek(sector * SECTOR_BYTES)
            file.write(unsynced.old[sector].ljust(SECTOR_BYTES, b"\0"))
        file.truncate(length)
    return len(lost)


def _lost_sectors(written: Sequence[int], rng: random.Random, loss: Loss) -> Sequence[int]:
    match loss:
        case Loss.ALL:
            return written
        case Loss.TORN:
            return [sector for sector in written if rng.random() < 0.5]
        case Loss.TAIL:
            return written[rng.randrange(len(written) + 1) :]
