"""The reference as it was one version ago: it speaks wire version 1 and keeps store version 3.

A rolling restart moves nodes from this to what they are. Only what a peer or a file sees is older;
the rest is today's code. The store is the one whose small tables had no checksums.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest import mock

import apsw
import numpy as np

from reference.core.buckets import U64
from reference.events import EpochMark, InboxMark, ProducerMark, Recovered, Writes
from reference.store import schema, sqlite
from reference.store.checksums import signed, unsigned
from reference.store.ledger import BucketNext
from reference.wire import versions

WIRE: Final = versions.Versions(1, 1)
STORE: Final = 3

_SMALL_TABLES: Final = """
CREATE TABLE inbox (
    inbox    TEXT    PRIMARY KEY,
    pos_next INTEGER NOT NULL,
    cursor   INTEGER NOT NULL,
    session  INTEGER NOT NULL,
    floor    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE epoch (
    inbox        TEXT    NOT NULL,
    epoch        INTEGER NOT NULL,
    bucket_count INTEGER NOT NULL,
    pos_first    INTEGER NOT NULL,
    PRIMARY KEY (inbox, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE bucket_next (
    inbox     TEXT    PRIMARY KEY,
    epoch     INTEGER NOT NULL,
    bpos_next BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE forgotten (
    producer INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE producer (
    producer    INTEGER NOT NULL,
    inbox       TEXT    NOT NULL,
    n_next      INTEGER NOT NULL,
    last_first  INTEGER NOT NULL,
    last_digest INTEGER NOT NULL,
    seen_s      INTEGER NOT NULL,
    PRIMARY KEY (producer, inbox)
) STRICT, WITHOUT ROWID;
"""


class OlderLedger:
    """The small tables of store version 3; see `reference.store.ledger.Ledger`."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self.bucket_next: dict[str, tuple[int, list[int]]] = {}

    def recover(self, _kept_s: int, _forgotten_max: int) -> tuple[Recovered, int]:
        """Return what is there; nobody is forgotten in the hours of a test."""
        db = self._db
        for inbox, epoch, column in db.execute("SELECT inbox, epoch, bpos_next FROM bucket_next"):
            self.bucket_next[inbox] = (epoch, np.frombuffer(column, dtype=U64).tolist())
        recovered = Recovered(
            producers=tuple(
                ProducerMark(
                    producer=unsigned(producer), inbox=inbox, n_next=n_next, last_first=first,
                    last_digest=unsigned(digest),
                )
                for producer, inbox, n_next, first, digest, _ in _all(db, "producer")
            ),
            inboxes=tuple(
                InboxMark(
                    inbox=name, pos_next=pos_next, cursor=cursor, session=session, floor=floor
                )
                for name, pos_next, cursor, session, floor in _all(db, "inbox")
            ),
            epochs=tuple(
                EpochMark(inbox=name, epoch=epoch, bucket_count=bucket_count, pos_first=pos_first)
                for name, epoch, bucket_count, pos_first in _all(db, "epoch")
            ),
        )  # fmt: skip
        return recovered, db.execute("SELECT coalesce(max(seen_s), 0) FROM producer").get

    def write(self, writes: Writes, bucket_next: BucketNext, seen_s: int) -> None:
        """Write what a commit says."""
        self._put(
            "bucket_next",
            [
                (name, epoch, np.array(after, dtype=U64).tobytes())
                for name, (epoch, after) in bucket_next.items()
            ],
        )
        self._put(
            "producer",
            [
                (signed(p.producer), p.inbox, p.n_next, p.last_first, signed(p.last_digest), seen_s)
                for p in writes.producers
            ],
        )
        self._put(
            "inbox", [(i.inbox, i.pos_next, i.cursor, i.session, i.floor) for i in writes.inboxes]
        )
        self._put("epoch", [(e.inbox, e.epoch, e.bucket_count, e.pos_first) for e in writes.epochs])

    def written(self, bucket_next: BucketNext) -> None:
        """Take note that the last `write` is committed."""
        self.bucket_next.update(bucket_next)

    def _put(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            marks = ",".join("?" * len(rows[0]))
            self._db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)


def _all(db: apsw.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    yield from db.execute(f"SELECT * FROM {table}")


@contextmanager
def older() -> Iterator[None]:
    """Let this process be a node of the version before, until the context ends."""
    messages = schema.text().partition("CREATE TABLE inbox")[0]
    changes = (
        mock.patch.object(versions, "SPOKEN", WIRE),
        mock.patch.object(schema, "SCHEMA_VERSION", STORE),
        mock.patch.object(schema, "text", return_value=messages + _SMALL_TABLES),
        mock.patch.object(sqlite, "Ledger", OlderLedger),
        mock.patch.object(sqlite, "put_totals"),
    )
    with ExitStack() as stack:
        for change in changes:
            stack.enter_context(change)
        schema._expected.cache_clear()
        stack.callback(schema._expected.cache_clear)
        yield
