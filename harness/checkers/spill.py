"""Rows that wait on disk, sorted into eras, until they are judged."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict

import numpy as np
import numpy.typing as npt

from harness.checkers.intervals import Column

SPILL_BYTES_MAX = 64 << 30
"""So much is written to disk before the history is judged UNKNOWN."""


class Spill:
    """Tables of int64 in one file without a name, which goes when the process does.

    The file lies where temporary files do (TMPDIR). Reading does not map it, so that what was read
    counts to no one's resident memory.
    """

    def __init__(self) -> None:
        self.size_bytes = 0
        self._file: int | None = None
        self._extents: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
        self._rows: dict[int, int] = defaultdict(int)

    @property
    def full(self) -> bool:
        """Whether SPILL_BYTES_MAX is exceeded."""
        return self.size_bytes > SPILL_BYTES_MAX

    def put(self, name: str, eras: Column, table: npt.NDArray[np.int64]) -> None:
        """Append rows of a table, each to its era; their order within an era is kept.

        Raises:
            OSError: The disk refused it.
        """
        if not len(eras):
            return
        order = np.argsort(eras, kind="stable")
        eras = eras[order]
        data = np.ascontiguousarray(table[order])
        begins = np.flatnonzero(np.append(True, eras[1:] != eras[:-1]))
        width_bytes = table.shape[1] * 8
        at = self.size_bytes
        self._write(data.data.cast("B"))
        for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(eras)], strict=True):
            era = int(eras[begin])
            extent = (at + begin * width_bytes, (end - begin) * width_bytes)
            self._extents[name, era].append(extent)
            self._rows[era] += end - begin

    def get(self, name: str, era: int, width: int) -> npt.NDArray[np.int64]:
        """Return the rows of an era."""
        extents = self._extents.get((name, era), ())
        data = bytearray(sum(size for _, size in extents))
        view = memoryview(data)
        at = 0
        for offset, size in extents:
            assert self._file is not None
            done = os.preadv(self._file, [view[at : at + size]], offset)
            while done < size:
                done += os.preadv(self._file, [view[at + done : at + size]], offset + done)
            at += size
        return np.frombuffer(data, dtype=np.int64).reshape(-1, width)

    def rows(self, era: int) -> int:
        """Return how many rows an era has, over all tables."""
        return self._rows.get(era, 0)

    def close(self) -> None:
        """Give the disk back. Idempotent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __del__(self) -> None:
        self.close()

    def _write(self, data: memoryview) -> None:
        if self._file is None:
            with tempfile.TemporaryFile(prefix="tallystick-spill-") as file:
                self._file = os.dup(file.fileno())
        done = 0
        while done < len(data):
            done += os.write(self._file, data[done:])
        self.size_bytes += len(data)
