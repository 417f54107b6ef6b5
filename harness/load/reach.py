"""Rare states of what is sent: sizes that few runs have."""

from __future__ import annotations

from collections import Counter

import numpy as np

BIG_MESSAGE_BYTES = 32 * 1024
"""A larger message is a big one."""

BIG_BATCH_BYTES = 256 * 1024
"""A batch of more is a big one."""

LARGEST_MESSAGE_BYTES = 256 * 1024
"""The largest message that the reference takes; brokers may take more."""


def see_batch(lengths: bytes, body: bytes, reach: Counter[str]) -> None:
    """Count what is rare about a batch. Of most batches that costs two comparisons.

    Args:
        lengths: Its column of little-endian u32.
        body: All its messages, one after the other.
        reach: Where it is counted.
    """
    size_bytes = len(body)
    if size_bytes > BIG_BATCH_BYTES:
        reach["load.batch_over_256_kib"] += 1
    # Four zeros may also belong to two lengths; then the columns tell.
    if size_bytes > BIG_MESSAGE_BYTES or b"\0\0\0\0" in lengths:
        sizes = np.frombuffer(lengths, dtype="<u4")
        if not sizes.all():
            reach["load.empty_message"] += 1
        longest = int(sizes.max())
        if longest > BIG_MESSAGE_BYTES:
            reach["load.message_over_32_kib"] += 1
        if longest >= LARGEST_MESSAGE_BYTES:
            reach["load.message_of_256_kib"] += 1
