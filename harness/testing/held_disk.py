"""A disk that loses power when its process is killed, unless it is told that the power stayed.

A SIGKILL leaves everything that was written in the kernel's page cache, so it cannot show whether
"acknowledged" means "synced". Here a write reaches the file only when that is synced. Until then it
lies in the memory of the process and, as the page cache, in a file `-unsynced` beside it. A process
that starts finds the power lost since the one before (what was not synced is gone), or that it
stayed (it is all there, and still not synced). A sync can be made slow, as that of a real disk is.

Assumed of the disk: a sync brings everything written to that file before; a deleted file is gone at
once. Locks and shared memory are those of the platform, so that others can read beside the process
what was synced.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from pathlib import Path
from typing import Any, Final

import apsw

CHUNK_BYTES: Final = 4_096
"""What of a file is held in one piece."""

_WRITE = struct.Struct("<QQ")
"""Before each write in the page cache: its offset and size."""

_TRUNCATION = 2**64 - 1
"""In place of a size: the file was cut at the offset."""


class _Held:
    """A file as its process sees it: what is on disk, and above it what was not synced."""

    def __init__(self, path: Path, *, power_lost: bool) -> None:
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._chunks: dict[int, bytearray] = {}
        self.length = os.fstat(self._file).st_size
        self._on_disk = self.length
        """Below it the disk's content is valid; above it a truncation has taken it away."""
        self._cache_path = Path(f"{path}-unsynced")
        left = b""
        if self._cache_path.exists() and not power_lost:
            left = self._cache_path.read_bytes()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        self._cache = os.open(self._cache_path, flags, 0o600)
        self._write_again(left)

    def _write_again(self, left: bytes) -> None:
        """Do once more what the process before did not sync; a record that it cut short is none."""
        at = 0
        while at + _WRITE.size <= len(left):
            offset, size = _WRITE.unpack_from(left, at)
            at += _WRITE.size
            if size == _TRUNCATION:
                self.truncate(offset)
                continue
            if at + size > len(left):
                return
            self.write(left[at : at + size], offset)
            at += size

    def read(self, amount: int, offset: int) -> bytes:
        with self._lock:
            amount = min(amount, self.length - offset)
            if amount <= 0:
                return b""
            first = offset // CHUNK_BYTES
            last = (offset + amount - 1) // CHUNK_BYTES
            found = b"".join(self._chunk(number) for number in range(first, last + 1))
            begin = offset - first * CHUNK_BYTES
            return found[begin : begin + amount]

    def _chunk(self, number: int) -> bytes | bytearray:
        held = self._chunks.get(number)
        if held is not None:
            return held
        begin = number * CHUNK_BYTES
        valid = max(0, min(CHUNK_BYTES, self._on_disk - begin))
        return os.pread(self._file, valid, begin).ljust(CHUNK_BYTES, b"\0")

    def write(self, data: bytes, offset: int) -> None:
        with self._lock:
            os.write(self._cache, _WRITE.pack(offset, len(data)) + data)
            at = 0
            while at < len(data):
                number, within = divmod(offset + at, CHUNK_BYTES)
                piece = data[at : at + CHUNK_BYTES - within]
                chunk = self._chunks.get(number)
                if chunk is None:
                    chunk = self._chunks[number] = bytearray(self._chunk(number))
                chunk[within : within + len(piece)] = piece
                at += len(piece)
            self.length = max(self.length, offset + len(data))

    def truncate(self, length: int) -> None:
        with self._lock:
            os.write(self._cache, _WRITE.pack(length, _TRUNCATION))
            self.length = length
            self._on_disk = min(self._on_disk, length)
            for number in [n for n in self._chunks if n * CHUNK_BYTES >= length]:
                del self._chunks[number]

    def sync(self) -> None:
        with self._lock:
            os.ftruncate(self._file, self._on_disk)
            for number in sorted(self._chunks):
                os.pwrite(self._file, self._chunks[number], number * CHUNK_BYTES)
            os.ftruncate(self._file, self.length)
            self._chunks.clear()
            self._on_disk = self.length
            os.ftruncate(self._cache, 0)

    def close(self) -> None:
        os.close(self._file)
        os.close(self._cache)
        self._cache_path.unlink(missing_ok=True)


class HeldVfs(apsw.VFS):
    """A SQLite file system over such a disk.

    Args:
        name: What SQLite calls it.
        sync_ms: How long each sync of the write-ahead log takes, beside its work: a commit waits
            for just one.
        power_lost: Whether the power failed between the process before and this one.
    """

    def __init__(self, name: str, *, sync_ms: int = 0, power_lost: bool = True) -> None:
        super().__init__(name, "")
        self.name = name
        self.sync_ms = sync_ms
        self.power_lost = power_lost
        self._held: dict[Path, _Held] = {}

    def xOpen(  # noqa: N802
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        """Open a file; temporary ones are none of our business."""
        if name is None:
            return apsw.VFSFile("", name, flags)
        path = Path(name if isinstance(name, str) else name.filename())
        file = _HeldFile(self, name, flags)
        if path not in self._held:
            self._held[path] = _Held(path, power_lost=self.power_lost)
        file.held = self._held[path]
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        """Delete a file for good."""
        super().xDelete(filename, syncdir)
        held = self._held.pop(Path(filename), None)
        if held is not None:
            held.close()


class _HeldFile(apsw.VFSFile):
    held: _Held

    def __init__(self, vfs: HeldVfs, name: str | apsw.URIFilename, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._vfs = vfs
        self._slow = bool(flags[0] & apsw.SQLITE_OPEN_WAL)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        return self.held.read(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        self.held.write(bytes(data), offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self.held.truncate(newsize)

    def xFileSize(self) -> int:  # noqa: N802
        return self.held.length

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self._slow:
            # Before it is durable, so that whoever does not wait for it is caught.
            time.sleep(self._vfs.sync_ms / 1000)
        self.held.sync()
