"""The named limits of the protocol. Reaching one is a typed error or backpressure, never loss.

Sizes are in bytes. `docs/protocol.md` shows the same table, and a test compares the two.
"""

from __future__ import annotations

from typing import Final

PROTOCOL_VERSION: Final = 2
"""The highest version of the protocol that is spoken."""

PROTOCOL_VERSION_MIN: Final = 1
"""The lowest version that is spoken: the one before."""

FRAME_BYTES_MAX: Final = 4 * 1024 * 1024
"""Everything of a frame behind its length field. A larger length closes the connection."""

GREETING_BYTES_MAX: Final = 4 * 1024
"""The first frame of a connection, before the token is known."""

HEADER_BYTES_MAX: Final = 1024 * 1024
"""The msgpack header inside a frame."""

MESSAGE_BYTES_MAX: Final = 256 * 1024
"""The body of one message."""

BATCH_COUNT_MAX: Final = 65_536
"""Messages in one batch (one inbox, one producer, one contiguous range of n)."""

BATCH_BYTES_MAX: Final = 1024 * 1024
"""The bodies of one batch together."""

SEGMENTS_MAX: Final = 4_096
"""Batches, ranges, runs, marks, users or rows that one frame may carry."""

INBOX_NAME_BYTES_MAX: Final = 128
"""The UTF-8 name of an inbox; an empty name, or one that is not printable, is refused too."""

BUCKET_COUNT_MAX: Final = 1_024
"""The largest bucket count a promotion may ask for."""

PRESENCE_USERS_MAX: Final = 1_024
"""Users that one PRESENCE may name, so that its answer fits a header."""

EPOCHS_MAX: Final = 8_192
"""Epochs that an inbox may have, so that INSPECT_OK can tell all of them."""

DETAIL_CHARS_MAX: Final = 200
"""The explanation in an ERROR, in characters."""

TOKEN_BYTES_MAX: Final = 1_024
"""The token in a HELLO."""

LOGIN_INBOXES_MAX: Final = 1_024
"""Inboxes whose durable n one login may ask for."""
