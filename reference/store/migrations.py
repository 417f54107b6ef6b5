"""What a store of an earlier version needs to become one of this version.

All steps are one transaction, so that an end in the middle leaves the store as it was: of the old
version, whole. The first step looks at nothing but the version; whether a file is a store at all is
told before (`reference.store.schema`).

A step makes the tables of the next version beside the old ones, fills them from these, and drops
them. It knows the schema of its two versions and nothing of later ones, so it never changes again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import apsw

from reference.core.buckets import BucketRow
from reference.store.checksums import message_sum, row_sum

Step = Callable[[apsw.Connection], None]

_MESSAGES_3: Final = """
CREATE TABLE offline_msg (
    inbox        TEXT    NOT NULL,
    pos_first    INTEGER NOT NULL,
    bucket       INTEGER NOT NULL,
    pos_last     INTEGER NOT NULL,
    epoch        INTEGER NOT NULL,
    bucket_count INTEGER NOT NULL,
    count        INTEGER NOT NULL,
    bpos_first   INTEGER NOT NULL,
    offsets      BLOB    NOT NULL,
    ids          BLOB    NOT NULL,
    lengths      BLOB    NOT NULL,
    body         BLOB    NOT NULL,
    checksum     INTEGER NOT NULL,
    PRIMARY KEY (inbox, pos_first, bucket)
) STRICT"""

_TABLES_4: Final = {
    "inbox": """
CREATE TABLE inbox (
    inbox     TEXT    PRIMARY KEY,
    pos_next  INTEGER NOT NULL,
    cursor    INTEGER NOT NULL,
    session   INTEGER NOT NULL,
    floor     INTEGER NOT NULL,
    producers INTEGER NOT NULL,
    epochs    INTEGER NOT NULL,
    checksum  INTEGER NOT NULL
) STRICT, WITHOUT ROWID""",
    "epoch": """
CREATE TABLE epoch (
    inbox        TEXT    NOT NULL,
    epoch        INTEGER NOT NULL,
    bucket_count INTEGER NOT NULL,
    pos_first    INTEGER NOT NULL,
    checksum     INTEGER NOT NULL,
    PRIMARY KEY (inbox, epoch)
) STRICT, WITHOUT ROWID""",
    "bucket_next": """
CREATE TABLE bucket_next (
    inbox     TEXT    PRIMARY KEY,
    epoch     INTEGER NOT NULL,
    bpos_next BLOB    NOT NULL,
    checksum  INTEGER NOT NULL
) STRICT, WITHOUT ROWID""",
    "forgotten": """
CREATE TABLE forgotten (
    producer INTEGER PRIMARY KEY,
    checksum INTEGER NOT NULL
) STRICT""",
    "producer": """
CREATE TABLE producer (
    producer    INTEGER NOT NULL,
    inbox       TEXT    NOT NULL,
    n_next      INTEGER NOT NULL,
    last_first  INTEGER NOT NULL,
    last_digest INTEGER NOT NULL,
    seen_s      INTEGER NOT NULL,
    checksum    INTEGER NOT NULL,
    PRIMARY KEY (producer, inbox)
) STRICT, WITHOUT ROWID""",
}

_ROWS_4: Final = {
    "inbox": """SELECT inbox, pos_next, cursor, session, floor,
        (SELECT count(*) FROM old_producer AS p WHERE p.inbox = i.inbox),
        (SELECT count(*) FROM old_epoch AS e WHERE e.inbox = i.inbox) FROM old_inbox AS i""",
    "epoch": "SELECT inbox, epoch, bucket_count, pos_first FROM old_epoch",
    "bucket_next": "SELECT inbox, epoch, bpos_next FROM old_bucket_next",
    "forgotten": "SELECT producer FROM old_forgotten",
    "producer": """SELECT producer, inbox, n_next, last_first, last_digest, seen_s
        FROM old_producer""",
}

_TOTAL_4: Final = """
CREATE TABLE total (
    what     TEXT    PRIMARY KEY,
    rows     INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID"""

APPLICATION_ID: Final = 0x54414C59
"""Stands in the file's header ("TALY") since version 3; no other program's file has it."""


def _to_3(db: apsw.Connection) -> None:
    """Rows of messages get checksums, and producers can be forgotten."""
    db.execute("CREATE TABLE forgotten (producer INTEGER PRIMARY KEY) STRICT")
    db.execute("ALTER TABLE offline_msg RENAME TO old_offline_msg")
    db.execute(_MESSAGES_3)
    db.create_scalar_function("message_sum", lambda *row: message_sum(BucketRow(*row)), 12)
    db.execute(
        "INSERT INTO offline_msg SELECT *, message_sum(inbox, pos_first, bucket, pos_last, epoch,"
        " bucket_count, count, bpos_first, offsets, ids, lengths, body) FROM old_offline_msg"
    )
    db.execute("DROP TABLE old_offline_msg")
    db.pragma("application_id", APPLICATION_ID)


def _to_4(db: apsw.Connection) -> None:
    """All rows get checksums, and rows that are missing are missed."""
    for table in _TABLES_4:
        db.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    for table, create in _TABLES_4.items():
        db.execute(create)
        _copy_with_sums(db, table, _ROWS_4[table])
    db.execute(_TOTAL_4)
    counts = (
        "SELECT 'inbox', count(*) FROM inbox UNION ALL SELECT 'forgotten', count(*) FROM forgotten"
    )
    _copy_with_sums(db, "total", counts)
    for table in _TABLES_4:
        db.execute(f"DROP TABLE old_{table}")


def _copy_with_sums(db: apsw.Connection, table: str, select: str) -> None:
    """Write the rows of a query into a table that has a checksum as its last column."""
    read = db.cursor()
    write = db.cursor()
    try:
        for row in read.execute(select):
            marks = ",".join("?" * (len(row) + 1))
            write.execute(f"INSERT INTO {table} VALUES ({marks})", (*row, row_sum(table, *row)))
    finally:
        read.close(True)
        write.close(True)


STEPS: Final[Mapping[int, Step]] = {2: _to_3, 3: _to_4}
"""By the version that a store has: what makes it one of the next version."""


def migrate(db: apsw.Connection, version: int, wanted: int) -> None:
    """Carry out all steps from one version to another, as one transaction.

    Raises:
        apsw.FullError: There is no room; nothing happened.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in range(version, wanted):
            STEPS[step](db)
        db.pragma("user_version", wanted)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
