"""Room that is kept on the disk for what makes room: a file that is given up when it is needed.

On a full disk an acknowledgement, whose commit trims messages, needs some room itself: its pages go
to the write-ahead log first. Without a reserve a full store could never be drained.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

RESERVE_BYTES: Final = 16 * 1024 * 1024
"""How much is kept: what the write-ahead log grows by between two checkpoints, twice."""

RESERVE_BYTES_MIN: Final = 1024 * 1024
"""Less is not kept; where it does not fit there is no reserve until there is room."""


class Reserve:
    """The file `-reserve` beside a store. `release` gives its room to the next commit."""

    def __init__(self, store: Path) -> None:
        self._path = Path(f"{store}-reserve")
        self.size_bytes = 0
        """How much is kept now."""

    def take(self) -> None:
        """Keep as much as there is, if nothing is kept: all of it, a half, a quarter."""
        wanted = RESERVE_BYTES
        while not self.size_bytes and wanted >= RESERVE_BYTES_MIN:
            if _allocated(self._path, wanted):
                self.size_bytes = wanted
            wanted //= 2

    def release(self) -> bool:
        """Give the room up; return whether there was any."""
        held, self.size_bytes = self.size_bytes, 0
        self._path.unlink(missing_ok=True)
        return held > 0


def _allocated(path: Path, size_bytes: int) -> bool:
    """Make a file that really takes so much room; False where there is not so much."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
        os.ftruncate(descriptor, size_bytes)
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return False
        raise
    else:
        return True
    finally:
        os.close(descriptor)
