"""Batches for tests of the machines: small, and different for every id."""

from __future__ import annotations

import numpy as np

from reference.wire.messages import Segment


def segment(
    n_first: int = 0, count: int = 1, *, inbox: str = "ann", producer: int = 7, size_bytes: int = 4
) -> Segment:
    """Return a batch whose bodies of `size_bytes` name their n."""
    bodies = b"".join(
        (n % 2**32).to_bytes(4, "little").ljust(size_bytes, b".")[:size_bytes]
        for n in range(n_first, n_first + count)
    )
    lengths = np.full(count, size_bytes, dtype="<u4").tobytes()
    return Segment(
        inbox=inbox,
        producer=producer,
        n_first=n_first,
        count=count,
        lengths=lengths,
        body=bodies,
    )
