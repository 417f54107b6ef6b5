"""The embedded store: one SQLite file in WAL mode, fsynced at every commit.

Guarantees: a commit that returned survives the end of the process and of the machine's power, one
that did not is there whole or not at all. Exactly one connection writes and checkpoints; a second
one only reads. The file itself is locked for life, whatever name it was opened by, so two cores
never share one. It can be read and written by its owner alone. A row that changed on the disk is
found when it is read, and not believed: a row of messages is not delivered, and an inbox of which
something else changed is quarantined (`reference.store.ledger`). A store of an earlier version is
migrated when it is opened, in one transaction.

Not guaranteed: anything on a file system whose fsync does nothing (tmpfs). Damage in the very last
commit of a log that no core closed passes for a power loss (`reference.store.wal`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import apsw

from reference.core import buckets
from reference.core.buckets import BucketRow
from reference.events import LogSlice, Recovered, Writes
from reference.reach import Reach, gauges_of
from reference.store import schema, wal
from reference.store.checksums import is_sound, message_sum
from reference.store.ledger import Ledger, put_totals
from reference.store.migrations import APPLICATION_ID, migrate
from reference.store.port import (
    ROWS_MAX,
    StoreBroken,
    StoreDamaged,
    StoreFull,
    StoreLocked,
    page_of,
)
from reference.store.reserve import Reserve
from reference.wire.messages import StoredRow

SYNCHRONOUS: Final = "FULL"
"""SQLite's level at which a commit in WAL mode is fsynced before it returns."""

PAGE_BYTES: Final = 16_384
"""The file's page size, chosen by measurement (`python -m benchmarks.store` shows it)."""

CACHE_BYTES: Final = 16 * 1024 * 1024
"""Pages that each of the two connections keeps in memory."""

WAL_CHECKPOINT_BYTES: Final = 8 * 1024 * 1024
"""A WAL of this size is checkpointed before the next commit."""

WAL_FORCED_BYTES: Final = 256 * 1024 * 1024
"""At this size no commit is taken (StoreFull) until a checkpoint has emptied the WAL."""

WAL_BYTES_MAX: Final = WAL_FORCED_BYTES + 128 * 1024 * 1024
"""What the WAL may hold at all: WAL_FORCED_BYTES and room for the commit that passes it."""

READ_WAIT_MS: Final = 2_000
"""How long a forced checkpoint waits for the reading connection to finish one read."""

PRODUCER_RECORD_KEPT_S: Final = 7 * 24 * 3600
"""A producer not seen for so long, in any inbox, is forgotten at the next start of the core.

Counted is the time in which a core ran on this file, from the latest stamp in it and by the
monotonic clock: a wall clock that jumps by a month must not make a core forget whom it knows.

Its id is kept: whatever comes under it later, from n = 0 too, is refused for good (PRODUCER_REUSED)
and never stored a second time.
"""

FORGOTTEN_MAX: Final = 1_000_000
"""Producers that are remembered as forgotten; beyond it no more are forgotten."""

FILE_MODE: Final = 0o600
"""The messages are nobody else's to read; `-wal` and `-shm` take the mode of the file."""

_ROW = "inbox, pos_first, bucket, pos_last, epoch, bucket_count, count, bpos_first, offsets, ids"
_INSERT = f"""
    INSERT INTO offline_msg ({_ROW}, lengths, body, checksum) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"""
_TRIM = "DELETE FROM offline_msg WHERE inbox = ? AND pos_first <= ?2 AND pos_last <= ?2"
_READ = f"""
    SELECT {_ROW}, lengths, body, checksum FROM offline_msg
    WHERE inbox = ?1 AND pos_first <= ?3 AND pos_first >= coalesce(
        (SELECT max(pos_first) FROM offline_msg WHERE inbox = ?1 AND pos_first <= ?2), ?2)
    ORDER BY pos_first, bucket"""
_ROWS = f"""
    SELECT {_ROW}, lengths, body, checksum FROM offline_msg
    WHERE inbox = ?1 AND (pos_first, bucket) > (?2, ?3) ORDER BY pos_first, bucket LIMIT ?4"""

_UNREADABLE = (apsw.CorruptError, apsw.IOError, apsw.TooBigError, ValueError)
"""What a read raises that comes to pages or texts which have changed."""


class SqliteStore:
    """A `Store` in one file."""

    def __init__(self, path: Path, *, vfs: str | None = None) -> None:
        """Open the file, or make it.

        Args:
            path: The file; `-wal`, `-shm` and `-reserve` lie beside it.
            vfs: Name of a registered SQLite VFS to use instead of the platform's own.

        Raises:
            StoreLocked: Another core holds it.
            StoreRefused: It is no store that this core can read; nothing in it was changed.
            StoreDamaged: It has changed; nothing was written to it.
            StoreFull: There is no room to migrate it; it is as it was.
        """
        path = Path(os.path.realpath(path))
        self._lock = _lock(path)
        self._path = path
        self._vfs = vfs
        self._pages = 0
        self._broken = ""
        self._opened_s = time.monotonic()
        self._ran_s = 0
        """How long cores have run on the file, as far as it was stamped before this opening."""
        self._reach = Reach()
        left = Path(f"{path}-wal")
        if left.exists() and left.stat().st_size:
            self._reach["store.log_left_behind"] += 1
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, self._lock)
            try:
                self._writer = _open(path, vfs)
                undo.callback(_let_go, self._writer)
                self._page_bytes = _prepare(self._writer, path, vfs)
                self._ledger = Ledger(self._writer)
                os.fchmod(self._lock, FILE_MODE)
                self._writer.set_wal_hook(self._on_wal)
                self._reader = _open(path, vfs)
                undo.callback(_let_go, self._reader)
                self._reader.pragma("query_only", True)
                self._reserve = Reserve(path)
                self._reserve.take()
            except apsw.FullError as error:
                raise StoreFull(f"no room to open {path.name}; it is as it was") from error
            except (apsw.Error, UnicodeDecodeError) as error:
                raise StoreDamaged(f"{path.name} cannot be opened: {error}") from error
            undo.pop_all()

    def sync(self) -> None:
        """Make durable what an earlier process left in the page cache. See `Store.sync`."""
        try:
            _sync_wal(self._path, self._vfs)
        except (apsw.Error, OSError) as error:
            self._broken = f"{type(error).__name__}: {error}"
            raise StoreBroken(self._broken) from error

    def recover(self) -> Recovered:
        """Return what is there, after forgetting producers not seen for the named time."""
        try:
            recovered, self._ran_s = self._ledger.recover(PRODUCER_RECORD_KEPT_S, FORGOTTEN_MAX)
        except (apsw.Error, ValueError, TypeError) as error:
            raise StoreDamaged(f"{self._path.name} cannot be read: {error}") from error
        return recovered

    @property
    def wal_bytes(self) -> int:
        """How large the WAL was after the last commit or checkpoint."""
        return self._pages * self._page_bytes

    def gauges(self) -> dict[str, int]:
        """Return how large the WAL is, and its named limit. See `Store.gauges`."""
        return {
            "wal_bytes": self.wal_bytes,
            "wal_bytes_limit": WAL_BYTES_MAX,
            "reserve_bytes": self._reserve.size_bytes,
            **gauges_of(self._reach),
        }

    def commit(self, writes: Writes) -> None:
        """Make the writes durable, all or nothing. See `Store.commit`."""
        if self._broken:
            raise StoreBroken(self._broken)
        try:
            self._commit(writes)
        except StoreFull:
            # Only what can make room may have the reserve; messages wait until there is room.
            # Messages never get the reserve. Where enough was freed in the file, it lets the WAL
            # begin anew, and they go where others were.
            if (writes.appends and self._freed_bytes < self.wal_bytes) or not (
                self._reserve.release()
            ):
                raise
            self._reach["store.reserve_used"] += 1
            try:
                if not writes.appends:
                    self._commit(writes)
                self._empty_wal()
            finally:
                self._reserve.take()
            if writes.appends:
                self._commit(writes)
        else:
            if writes.trims:
                self._reserve.take()

    def _commit(self, writes: Writes) -> None:
        try:
            self._checkpoint()
            self._writer.execute("BEGIN IMMEDIATE")
            bucket_next = self._write(writes)
            self._writer.execute("COMMIT")
        except apsw.FullError as error:
            self._roll_back()
            raise StoreFull(str(error)) from error
        except apsw.Error as error:
            if isinstance(error, apsw.BusyError) and not self._writer.in_transaction:
                raise StoreFull("another program holds the file's write lock") from error
            self._broken = f"{type(error).__name__}: {error}"
            raise StoreBroken(self._broken) from error
        self._ledger.written(bucket_next)

    def _roll_back(self) -> None:
        """SQLite has usually done it already; if it cannot, the outcome is unknown."""
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except apsw.Error as error:
            self._broken = f"rollback failed: {error}"
            raise StoreBroken(self._broken) from error

    def _write(self, writes: Writes) -> dict[str, tuple[int, list[int]]]:
        bucket_next: dict[str, tuple[int, list[int]]] = {}
        db = self._writer
        for append in writes.appends:
            name = append.inbox
            epoch, after = bucket_next.get(name) or self._ledger.bucket_next.get(name) or (-1, [])
            if epoch != append.epoch:
                after = [0] * append.bucket_count
            rows, after = buckets.split(append, after)
            bucket_next[name] = (append.epoch, after)
            db.executemany(_INSERT, [(*row, message_sum(row)) for row in rows])
        seen_s = self._ran_s + int(time.monotonic() - self._opened_s)
        self._ledger.write(writes, bucket_next, seen_s)
        if writes.trims:
            before = db.total_changes()
            db.executemany(_TRIM, writes.trims)
            if db.total_changes() > before:
                self._reach["store.trimmed"] += 1
        return bucket_next

    @property
    def _freed_bytes(self) -> int:
        """What trimming has freed in the file and nothing has taken since."""
        pages: int = self._writer.pragma("freelist_count")
        return pages * self._page_bytes

    def _empty_wal(self) -> None:
        """Move the WAL into the file as far as that goes."""
        try:
            pages, moved = self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except (apsw.FullError, apsw.BusyError):
            return
        except apsw.Error as error:
            self._broken = f"{type(error).__name__}: {error}"
            raise StoreBroken(self._broken) from error
        self._pages = 0 if pages == moved else pages

    def _on_wal(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._pages = pages
        return 0

    def _checkpoint(self) -> None:
        """Move the WAL into the file before the next commit, so that no reply waits for it."""
        if self.wal_bytes < WAL_CHECKPOINT_BYTES:
            return
        self._reach["store.checkpoint"] += 1
        forced = self.wal_bytes >= WAL_FORCED_BYTES
        mode = apsw.SQLITE_CHECKPOINT_RESTART if forced else apsw.SQLITE_CHECKPOINT_PASSIVE
        try:
            pages, moved = self._writer.wal_checkpoint(mode=mode)
        except (apsw.FullError, apsw.BusyError) as error:
            if forced:
                raise StoreFull(f"the WAL is at its limit of {WAL_FORCED_BYTES} bytes") from error
            return
        if pages != moved:
            self._reach["store.checkpoint_beside_a_reader"] += 1
        # When all of it has moved, the next commit starts the WAL from its beginning again.
        self._pages = 0 if pages == moved else pages

    def read(self, inbox: str, pos_first: int, pos_upto: int, bytes_max: int) -> LogSlice:
        """Return committed messages, merged over buckets and epochs. See `Store.read`."""
        cursor = self._reader.cursor()
        try:
            found = cursor.execute(_READ, (inbox, pos_first, pos_upto))
            rows = _take_appends(found, pos_first, bytes_max)
            self._see(rows)
            return buckets.merge(rows, pos_first, pos_upto, bytes_max)
        except _UNREADABLE as error:
            raise StoreDamaged(f"{inbox!r} behind position {pos_first}: {error}") from error
        finally:
            cursor.close(True)

    def _see(self, rows: list[BucketRow]) -> None:
        """Count what a read had to merge."""
        if len(rows) > 1 and rows[0].pos_first == rows[1].pos_first:
            self._reach["store.read_over_buckets"] += 1
        if rows and rows[0].epoch != rows[-1].epoch:
            self._reach["store.read_over_epochs"] += 1

    def rows(
        self, inbox: str, after_pos: int, after_bucket: int
    ) -> tuple[tuple[StoredRow, ...], bool]:
        """Return bucket rows behind a key, and whether more remain. See `Store.rows`."""
        cursor = self._reader.cursor()
        try:
            found = cursor.execute(_ROWS, (inbox, after_pos, after_bucket, ROWS_MAX + 1))
            return page_of(_inspected(found))
        except _UNREADABLE as error:
            raise StoreDamaged(f"{inbox!r} behind position {after_pos}: {error}") from error
        finally:
            cursor.close(True)

    def close(self) -> None:
        """Close the file and let go of its lock."""
        # The last checkpoint has its room.
        self._reserve.release()
        try:
            self._reader.close()
            # On a full disk the last checkpoint fails; what it would move stays in the WAL.
            with contextlib.suppress(apsw.FullError):
                self._writer.close()
        finally:
            os.close(self._lock)


def _lock(path: Path) -> int:
    """Lock the file itself; the kernel lets go of it when the process ends, however it ends.

    It is another kind of lock than SQLite's own. The descriptor must be closed behind SQLite's.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StoreLocked(f"{path.name} is in use by another core") from None
    return descriptor


def _open(path: Path, vfs: str | None) -> apsw.Connection:
    connection = apsw.Connection(str(path), vfs=vfs)
    connection.set_busy_timeout(READ_WAIT_MS)
    connection.pragma("cache_size", -(CACHE_BYTES // 1024))
    return connection


def _let_go(connection: apsw.Connection) -> None:
    """Close a connection to a file that is not used, and leave the file as it is."""
    with contextlib.suppress(apsw.Error):
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.close()


@contextlib.contextmanager
def _log_of(path: Path, vfs: str | None) -> Iterator[apsw.VFSFile | None]:
    """Open the write-ahead log beside SQLite, on the same file system; None if there is none."""
    log = Path(f"{path}-wal")
    if not log.exists():
        yield None
        return
    file = apsw.VFSFile(vfs or "", str(log), [apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_READWRITE, 0])
    try:
        yield file
    finally:
        file.xClose()


def _sync_wal(path: Path, vfs: str | None) -> None:
    """Sync the WAL and the folder that names it.

    The file itself needs none: a checkpoint syncs it before it lets the WAL begin anew, and a WAL
    is read again from its beginning after whatever ended a checkpoint.
    """
    with _log_of(path, vfs) as log:
        if log is not None:
            log.xSync(apsw.SQLITE_SYNC_FULL)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _prepare(db: apsw.Connection, path: Path, vfs: str | None) -> int:
    """Set the writing connection up and make or migrate the tables; return the file's page size.

    A file that is refused is not changed, so it is looked at before anything is set.
    """
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    version = schema.version_of(db, path.name)
    frames, _moved = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
    with _log_of(path, vfs) as log:
        damage = "" if log is None else wal.damage_in(log.xRead, max(frames, 0))
    if damage:
        raise StoreDamaged(
            f"the log of {path.name} is damaged: {damage}. It was left as it is: bring both "
            "files back from a copy, or delete the log and lose what is in it"
        )
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
    db.pragma("page_size", PAGE_BYTES)
    if db.pragma("journal_mode", "wal") != "wal":
        raise StoreDamaged(f"{path.name} cannot be put into WAL mode")
    db.pragma("synchronous", SYNCHRONOUS)
    if not version:
        _make(db)
    elif version != schema.SCHEMA_VERSION:
        migrate(db, version, schema.SCHEMA_VERSION)
    page_bytes: int = db.pragma("page_size")
    return page_bytes


def _make(db: apsw.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    db.execute(schema.text())
    put_totals(db, 0, 0)
    db.pragma("application_id", APPLICATION_ID)
    db.pragma("user_version", schema.SCHEMA_VERSION)
    db.execute("COMMIT")


def _inspected(found: Iterable[tuple[Any, ...]]) -> Iterable[StoredRow]:
    """Yield what an inspection shows of rows.

    Raises:
        ValueError: One has changed.
    """
    for *columns, written in found:
        row = BucketRow._make(columns)
        if not is_sound(row, written):
            raise ValueError(f"the row of {row.pos_first}, bucket {row.bucket}, has changed")
        yield row.stored()


def _take_appends(
    found: Iterable[tuple[Any, ...]], pos_first: int, bytes_max: int
) -> list[BucketRow]:
    """Take whole appends until they hold about `bytes_max`, so that none is read in part.

    Those before a row that is not as it was written are taken without it.

    Raises:
        ValueError: There are none.
    """
    rows: list[BucketRow] = []
    size_bytes = 0
    for *columns, written in found:
        row = BucketRow._make(columns)
        if not is_sound(row, written):
            rows = [other for other in rows if other.pos_first != row.pos_first]
            if rows and rows[-1].pos_last >= pos_first:
                break
            raise ValueError(f"the row of {row.pos_first}, bucket {row.bucket}, has changed")
        if rows and row.pos_first != rows[-1].pos_first and size_bytes >= bytes_max:
            break
        rows.append(row)
        # What lies below the first wanted position is filtered out later and does not count.
        if row.pos_first >= pos_first:
            size_bytes += len(row.body) + len(row.lengths)
    return rows
