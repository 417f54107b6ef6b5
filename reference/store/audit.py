"""Reading a store's file from outside, while a core runs on it or after it ended.

The connection is read-only and reads BATCH_ROWS at a time, each in a short transaction, so it
neither writes nor keeps the core from checkpointing. What it sees is what is committed:
the rows themselves, never what the core says of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

import apsw

from reference.core.buckets import BucketRow
from reference.wire.messages import EpochEntry

BATCH_ROWS: Final = 256
"""Rows that one read transaction brings at most."""

BUSY_WAIT_MS: Final = 5_000
"""How long a read waits where the core holds a lock (at its start and end)."""

_ROWS = """
    SELECT inbox, pos_first, bucket, pos_last, epoch, bucket_count, count, bpos_first,
           offsets, ids, lengths, body FROM offline_msg
    WHERE inbox = ?1 AND (pos_first, bucket) > (?2, ?3) ORDER BY pos_first, bucket LIMIT ?4"""


class Audit:
    """A read-only view of a store's file. Use it as a context manager.

    Raises (at opening): apsw.CantOpenError when there is no such file.
    """

    def __init__(self, path: Path) -> None:
        uri = f"file:{quote(str(path.absolute()))}?mode=ro"
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        self._db = apsw.Connection(uri, flags=flags)
        self._db.set_busy_timeout(BUSY_WAIT_MS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def inboxes(self) -> list[tuple[str, int]]:
        """Return (name, next position) of every inbox."""
        return list(self._db.execute("SELECT inbox, pos_next FROM inbox ORDER BY inbox"))

    def epochs(self, inbox: str) -> list[EpochEntry]:
        """Return every epoch of an inbox, the first (one bucket, from position 0) included."""
        found = self._db.execute(
            "SELECT epoch, bucket_count, pos_first FROM epoch WHERE inbox = ? ORDER BY epoch",
            (inbox,),
        )
        return [EpochEntry(0, 1, 0), *(EpochEntry(*row) for row in found)]

    def rows(self, inbox: str) -> Iterator[BucketRow]:
        """Yield all rows of an inbox, bodies included, in order of (pos_first, bucket)."""
        key = (-1, -1)
        while found := list(self._db.execute(_ROWS, (inbox, *key, BATCH_ROWS))):
            for row in found:
                yield BucketRow._make(row)
            key = (found[-1][1], found[-1][2])
