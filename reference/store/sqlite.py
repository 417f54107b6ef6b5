"""The embedded store: one SQLite file in WAL mode, fsynced at every commit.

Guarantees: a commit that returned survives the end of the process and of the machine's power, one
that did not is there whole or not at all. Exactly one connection writes and checkpoints; a second
one only reads. The file itself is locked for life, whatever name it was opened by, so two cores
never share one. It can be read and written by its owner alone. A row of messages that changed on
the disk is found when it is read, and not delivered.

Not guaranteed: anything on a file system whose fsync does nothing (tmpfs). The small tables
(cursors, numbers, epochs) have no checksum of their own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any, Final

import apsw
import numpy as np
import xxhash

from reference.core import buckets
from reference.core.buckets import BucketRow
from reference.events import EpochMark, InboxMark, LogSlice, ProducerMark, Recovered, Writes
from reference.reach import Reach, gauges_of
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

SCHEMA_VERSION: Final = 3

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

APPLICATION_ID: Final = 0x54414C59
"""Stands in the file's header ("TALY"), so that no other program's file is taken for a store."""

FILE_MODE: Final = 0o600
"""The messages are nobody else's to read; `-wal` and `-shm` take the mode of the file."""

_ROW = "inbox, pos_first, bucket, pos_last, epoch, bucket_count, count, bpos_first, offsets, ids"
_INSERT = f"""
    INSERT INTO offline_msg ({_ROW}, lengths, body, checksum) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"""
_PRODUCER = "INSERT OR REPLACE INTO producer VALUES (?,?,?,?,?,?)"
_INBOX = "INSERT OR REPLACE INTO inbox VALUES (?,?,?,?,?)"
_EPOCH = "INSERT INTO epoch VALUES (?,?,?,?)"
_BUCKET_NEXT = "INSERT OR REPLACE INTO bucket_next VALUES (?,?,?)"
_TRIM = "DELETE FROM offline_msg WHERE inbox = ? AND pos_first <= ?2 AND pos_last <= ?2"
_READ = f"""
    SELECT {_ROW}, lengths, body, checksum FROM offline_msg
    WHERE inbox = ?1 AND pos_first <= ?3 AND pos_first >= coalesce(
        (SELECT max(pos_first) FROM offline_msg WHERE inbox = ?1 AND pos_first <= ?2), ?2)
    ORDER BY pos_first, bucket"""
_ROWS = f"""
    SELECT {_ROW} FROM offline_msg
    WHERE inbox = ?1 AND (pos_first, bucket) > (?2, ?3) ORDER BY pos_first, bucket LIMIT ?4"""


_NUMBERS = struct.Struct("<7q")
_SIZE = struct.Struct("<Q")


class SqliteStore:
    """A `Store` in one file."""

    def __init__(self, path: Path, *, vfs: str | None = None) -> None:
        """Open the file, or make it.

        Args:
            path: The file; `-wal`, `-shm` and `-reserve` lie beside it.
            vfs: Name of a registered SQLite VFS to use instead of the platform's own.

        Raises:
            StoreLocked: Another core holds it.
            StoreDamaged: It is no store of this version; nothing in it was changed.
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
        self._next: dict[str, tuple[int, list[int]]] = {}
        self._reach = Reach()
        wal = Path(f"{path}-wal")
        if wal.exists() and wal.stat().st_size:
            self._reach["store.log_left_behind"] += 1
        try:
            self._writer = _open(path, vfs)
            self._page_bytes = _prepare(self._writer, path.name)
            os.fchmod(self._lock, FILE_MODE)
            self._writer.set_wal_hook(self._on_wal)
            self._reader = _open(path, vfs)
            self._reader.pragma("query_only", True)
            self._reserve = Reserve(path)
            self._reserve.take()
        except (apsw.NotADBError, apsw.CorruptError) as error:
            os.close(self._lock)
            raise StoreDamaged(f"{path.name}: {error}") from error
        except BaseException:
            os.close(self._lock)
            raise

    def sync(self) -> None:
        """Make durable what an earlier process left in the page cache. See `Store.sync`."""
        try:
            _sync_wal(self._path, self._vfs)
        except (apsw.Error, OSError) as error:
            self._broken = f"{type(error).__name__}: {error}"
            raise StoreBroken(self._broken) from error

    def recover(self) -> Recovered:
        """Return what is there, after forgetting producers not seen for the named time."""
        db = self._writer
        self._ran_s = db.execute("SELECT coalesce(max(seen_s), 0) FROM producer").get
        self._forget(self._ran_s - PRODUCER_RECORD_KEPT_S)
        for inbox, epoch, column in db.execute("SELECT inbox, epoch, bpos_next FROM bucket_next"):
            self._next[inbox] = (epoch, np.frombuffer(column, dtype=buckets.U64).tolist())
        producers = db.execute(
            "SELECT producer, inbox, n_next, last_first, last_digest FROM producer"
        )
        inboxes = db.execute("SELECT inbox, pos_next, cursor, session, floor FROM inbox")
        epochs = db.execute(
            "SELECT inbox, epoch, bucket_count, pos_first FROM epoch ORDER BY inbox, epoch"
        )
        return Recovered(
            producers=tuple(
                ProducerMark(
                    producer=_unsigned(producer),
                    inbox=inbox,
                    n_next=n_next,
                    last_first=last_first,
                    last_digest=_unsigned(digest),
                )
                for producer, inbox, n_next, last_first, digest in producers
            ),
            inboxes=tuple(
                InboxMark(
                    inbox=inbox, pos_next=pos_next, cursor=cursor, session=session, floor=floor
                )
                for inbox, pos_next, cursor, session, floor in inboxes
            ),
            epochs=tuple(
                EpochMark(inbox=inbox, epoch=epoch, bucket_count=bucket_count, pos_first=pos_first)
                for inbox, epoch, bucket_count, pos_first in epochs
            ),
            forgotten=frozenset(
                _unsigned(producer) for (producer,) in db.execute("SELECT producer FROM forgotten")
            ),
        )

    def _forget(self, before_s: int) -> None:
        """Forget the producers that were seen nowhere since, but for their ids."""
        db = self._writer
        room = FORGOTTEN_MAX - db.execute("SELECT count(*) FROM forgotten").get
        gone = list(
            db.execute(
                "SELECT producer FROM producer GROUP BY producer HAVING max(seen_s) < ? LIMIT ?",
                (before_s, max(room, 0)),
            )
        )
        if gone:
            self._reach["store.producer_forgotten"] += 1
            with db:
                db.executemany("INSERT OR IGNORE INTO forgotten VALUES (?)", gone)
                db.executemany("DELETE FROM producer WHERE producer = ?", gone)

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
        self._next.update(bucket_next)

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
            epoch, after = bucket_next.get(name) or self._next.get(name) or (-1, [])
            if epoch != append.epoch:
                after = [0] * append.bucket_count
            rows, after = buckets.split(append, after)
            bucket_next[name] = (append.epoch, after)
            db.executemany(_INSERT, [(*row, checksum(row)) for row in rows])
        if bucket_next:
            db.executemany(
                _BUCKET_NEXT,
                [
                    (name, epoch, np.array(after, dtype=buckets.U64).tobytes())
                    for name, (epoch, after) in bucket_next.items()
                ],
            )
        if writes.producers:
            seen_s = self._ran_s + int(time.monotonic() - self._opened_s)
            db.executemany(
                _PRODUCER,
                [
                    (
                        _signed(mark.producer),
                        mark.inbox,
                        mark.n_next,
                        mark.last_first,
                        _signed(mark.last_digest),
                        seen_s,
                    )
                    for mark in writes.producers
                ],
            )
        if writes.inboxes:
            db.executemany(
                _INBOX,
                [(m.inbox, m.pos_next, m.cursor, m.session, m.floor) for m in writes.inboxes],
            )
        if writes.epochs:
            db.executemany(
                _EPOCH, [(m.inbox, m.epoch, m.bucket_count, m.pos_first) for m in writes.epochs]
            )
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
        except (apsw.CorruptError, ValueError) as error:
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
            return page_of(StoredRow(*values) for _inbox, *values in found)
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


def _sync_wal(path: Path, vfs: str | None) -> None:
    """Sync the WAL and the folder that names it.

    The file itself needs none: a checkpoint syncs it before it lets the WAL begin anew, and a WAL
    is read again from its beginning after whatever ended a checkpoint.
    """
    wal = Path(f"{path}-wal")
    if wal.exists():
        file = apsw.VFSFile(
            vfs or "", str(wal), [apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_READWRITE, 0]
        )
        try:
            file.xSync(apsw.SQLITE_SYNC_FULL)
        finally:
            file.xClose()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def checksum(row: BucketRow) -> int:
    """Return the checksum of a row as the signed number that SQLite keeps."""
    state = xxhash.xxh3_64(row.inbox.encode())
    state.update(_NUMBERS.pack(*row[1:8]))
    for column in row[8:]:
        state.update(column)
        state.update(_SIZE.pack(len(column)))
    return _signed(state.intdigest())


def _is_new(db: apsw.Connection, name: str) -> bool:
    """Tell whether a file is empty, else make sure that it is a store of this version.

    Raises:
        StoreDamaged: It is not.
    """
    program, version = db.pragma("application_id"), db.pragma("user_version")
    tables = db.execute("SELECT count(*) FROM sqlite_schema").get
    if program == version == tables == 0:
        return True
    if program != APPLICATION_ID:
        raise StoreDamaged(f"{name} is no store of this program; it was left as it is")
    if version != SCHEMA_VERSION:
        raise StoreDamaged(
            f"{name} is a store of version {version}, and this core reads {SCHEMA_VERSION}; "
            "it was left as it is"
        )
    return False


def _prepare(db: apsw.Connection, name: str) -> int:
    """Set the writing connection up and make the tables of a new file; return its page size.

    A file that is refused is not changed, so it is looked at before anything is set.
    """
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    is_new = _is_new(db, name)
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
    db.pragma("page_size", PAGE_BYTES)
    if db.pragma("journal_mode", "wal") != "wal":
        raise StoreDamaged(f"{name} cannot be put into WAL mode")
    db.pragma("synchronous", SYNCHRONOUS)
    if is_new:
        schema = resources.files("reference.store").joinpath("schema.sql").read_text("utf-8")
        db.execute(
            f"BEGIN IMMEDIATE; {schema}; PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT"
        )
    page_bytes: int = db.pragma("page_size")
    return page_bytes


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
        if checksum(row) != written:
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


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _unsigned(value: int) -> int:
    return value + 2**64 if value < 0 else value
