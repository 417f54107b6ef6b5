-- The core's whole state; PRAGMA user_version tells its version.
--
-- One table holds the messages of normal and of VIP inboxes: a row per (inbox, append, bucket).
-- All rows of one append share pos_first and pos_last; reading is one range scan in key order.
-- Columns of numbers are little-endian: offsets u32 (position minus pos_first), ids u64 producers
-- followed by u64 n, lengths u32; body is the messages one after the other.
-- Every row carries a checksum (xxh3_64) of its other columns; one that does not fit it is not
-- believed. What is gone altogether is missed by number: an inbox has the numbers of its epochs
-- and producers, and `total` those of inboxes and of forgotten producers.
-- Unsigned 64-bit numbers (producer, last_digest, checksum) are stored as the signed number of the
-- same bits.

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
) STRICT;

CREATE TABLE inbox (
    inbox     TEXT    PRIMARY KEY,
    pos_next  INTEGER NOT NULL,
    cursor    INTEGER NOT NULL,
    session   INTEGER NOT NULL,
    floor     INTEGER NOT NULL,
    producers INTEGER NOT NULL,
    epochs    INTEGER NOT NULL,
    checksum  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE epoch (
    inbox        TEXT    NOT NULL,
    epoch        INTEGER NOT NULL,
    bucket_count INTEGER NOT NULL,
    pos_first    INTEGER NOT NULL,
    checksum     INTEGER NOT NULL,
    PRIMARY KEY (inbox, epoch)
) STRICT, WITHOUT ROWID;

-- The next position in each bucket of the epoch that was written last: a column of u64.
CREATE TABLE bucket_next (
    inbox     TEXT    PRIMARY KEY,
    epoch     INTEGER NOT NULL,
    bpos_next BLOB    NOT NULL,
    checksum  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Producers that were not seen for long: nothing is known of them but that they were here.
CREATE TABLE forgotten (
    producer INTEGER PRIMARY KEY,
    checksum INTEGER NOT NULL
) STRICT;

CREATE TABLE producer (
    producer    INTEGER NOT NULL,
    inbox       TEXT    NOT NULL,
    n_next      INTEGER NOT NULL,
    last_first  INTEGER NOT NULL,
    last_digest INTEGER NOT NULL,
    seen_s      INTEGER NOT NULL,
    checksum    INTEGER NOT NULL,
    PRIMARY KEY (producer, inbox)
) STRICT, WITHOUT ROWID;

-- How many rows a table has.
CREATE TABLE total (
    what     TEXT    PRIMARY KEY,
    rows     INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
