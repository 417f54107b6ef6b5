"""Cutting batches anew: the same messages under the same ids, with other boundaries. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from reference.wire.limits import BATCH_BYTES_MAX
from reference.wire.messages import Segment


def recut(segments: Sequence[Segment], count_max: int) -> Iterator[Segment]:
    """Yield the messages of batches that follow one another in batches of at most `count_max`.

    The boundaries are counted from the first message, so a batch may hold the end of one and the
    begin of the next. None is larger than a batch may be, as long as no message is.
    """
    if not segments:
        return
    first = segments[0]
    lengths = np.frombuffer(b"".join(one.lengths for one in segments), dtype="<u4")
    body = b"".join(one.body for one in segments)
    ends = np.cumsum(lengths, dtype=np.int64)
    at = begin_bytes = 0
    while at < len(lengths):
        room = int(np.searchsorted(ends, begin_bytes + BATCH_BYTES_MAX, side="right"))
        stop = min(at + count_max, max(room, at + 1))
        end_bytes = int(ends[stop - 1])
        yield Segment(
            inbox=first.inbox,
            producer=first.producer,
            n_first=first.n_first + at,
            count=stop - at,
            lengths=lengths[at:stop].tobytes(),
            body=body[begin_bytes:end_bytes],
        )
        at, begin_bytes = stop, end_bytes
