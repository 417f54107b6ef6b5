"""What the core needs of a store. Everything here blocks; the driver calls it from threads.

One thread at a time calls `commit`; another one at a time calls `read` and `rows`, also while a
commit runs. `take_over` comes before both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from reference.events import LogSlice, Recovered, Writes
from reference.wire.messages import StoredRow

ROWS_MAX: Final = 1_024
"""How many rows one inspection reply carries at most."""

ROWS_BYTES_MAX: Final = 512 * 1024
"""About how many bytes of columns one inspection reply carries; at least one row."""


class StoreFull(Exception):
    """Raised by `Store.commit`: no room, or another program holds the file; nothing happened."""


class StoreBroken(Exception):
    """Raised when the outcome of a commit is unknown: the core exits and recovers from the file."""


class StoreLocked(Exception):
    """Raised at opening: another core holds the file."""


class StoreRefused(Exception):
    """Raised at opening: the file is another program's, or of a version that is not read here."""


class StoreDamaged(Exception):
    """Raised when what was read is not what a store of this version wrote."""


class Store(Protocol):
    """A durable log of inboxes in buckets, with the numbers that belong to it."""

    def sync(self) -> None:
        """Make durable what an earlier process wrote and did not live to sync.

        Raises:
            StoreBroken: The disk does not do it: nothing may be shown.
        """
        ...

    def recover(self) -> Recovered:
        """Return what was written when the store was opened. Called once, behind `sync`.

        Raises:
            StoreDamaged: It cannot be read at all; single rows that have changed are told in it.
        """
        ...

    def commit(self, writes: Writes) -> None:
        """Make the writes durable, all or nothing; when it returns they survive a power loss.

        Raises:
            StoreFull: Nothing happened.
            StoreBroken: Nobody knows.
        """
        ...

    def read(self, inbox: str, pos_first: int, pos_upto: int, bytes_max: int) -> LogSlice:
        """Return committed messages from `pos_first` on, merged over buckets and epochs.

        Consecutive and in position order, up to `pos_upto`, about `bytes_max` bytes, at least
        one message if any is there. It begins later than asked where trimming took the rest.

        Raises:
            StoreDamaged: A row there is not what was written; others can still be read.
        """
        ...

    def rows(
        self, inbox: str, after_pos: int, after_bucket: int
    ) -> tuple[tuple[StoredRow, ...], bool]:
        """Return bucket rows behind the key (after_pos, after_bucket), and whether more remain.

        In order of (pos_first, bucket), at most ROWS_MAX and about ROWS_BYTES_MAX.

        Raises:
            StoreDamaged: A row there is not what was written.
        """
        ...

    def gauges(self) -> dict[str, int]:
        """Return what a node shows of its store: numbers, each `X` with its limit `X_limit`.

        Called from the event loop while a commit is under way: it must not wait.
        """
        ...

    def close(self) -> None:
        """Let go of the file. The last commit that returned stays durable."""
        ...


def take_over(store: Store) -> Recovered:
    """Return what a store holds, all of it durable: what a core that starts may show at once.

    A process that was killed between the write of a commit and its sync leaves that commit in the
    page cache. The next one finds it there, and a power loss would still take it away.

    Raises:
        StoreBroken: What was found cannot be made durable.
    """
    store.sync()
    return store.recover()


def page_of(rows: Iterable[StoredRow]) -> tuple[tuple[StoredRow, ...], bool]:
    """Return the rows that one inspection reply carries, and whether more remain."""
    page: list[StoredRow] = []
    size_bytes = 0
    for row in rows:
        size_bytes += len(row.offsets) + len(row.ids)
        if len(page) == ROWS_MAX or (page and size_bytes > ROWS_BYTES_MAX):
            return tuple(page), True
        page.append(row)
    return tuple(page), False
