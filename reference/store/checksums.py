"""Checksums of stored rows: what changed on the disk does not fit its own any more."""

from __future__ import annotations

import struct
from typing import Any, Final

import msgspec
import xxhash

from reference.core.buckets import BucketRow

_NUMBERS: Final = struct.Struct("<7q")
_SIZE: Final = struct.Struct("<Q")
_ENCODER: Final = msgspec.msgpack.Encoder()


def row_sum(table: str, *values: Any) -> int:
    """Return the checksum of a row of a small table: xxh3_64 of the array [table, …] in msgpack."""
    return signed(xxhash.xxh3_64_intdigest(_ENCODER.encode((table, *values))))


def message_sum(row: BucketRow) -> int:
    """Return the checksum of a row of messages.

    Raises:
        Exception: It is not even of the right form, and so has changed.
    """
    state = xxhash.xxh3_64(row.inbox.encode())
    state.update(_NUMBERS.pack(*row[1:8]))
    for column in row[8:]:
        state.update(column)
        state.update(_SIZE.pack(len(column)))
    return signed(state.intdigest())


def is_sound(row: BucketRow, written: object) -> bool:
    """Tell whether a row of messages is as it was written; its columns may hold anything."""
    try:
        return message_sum(row) == written
    except (AttributeError, TypeError, ValueError, OverflowError, struct.error):
        return False


def signed(value: int) -> int:
    """Return an unsigned 64-bit number as SQLite keeps it: the signed one of the same bits."""
    return value - 2**64 if value >= 2**63 else value


def unsigned(value: int) -> int:
    """Return the number that `signed` was given."""
    return value + 2**64 if value < 0 else value
