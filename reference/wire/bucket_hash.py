"""The stable hash of a message id and the bucket it chooses.

A message id is (producer, inbox, n). The hash is splitmix64 (Steele, Lea, Flood, OOPSLA 2014)
started at a state that mixes the producer id with xxh3_64 of the inbox's UTF-8 name; n selects
the n-th number of that stream. It depends on nothing else, so it is the same in every process,
version and language; `docs/protocol.md` has test vectors.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xxhash

U64Column = npt.NDArray[np.uint64]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF


def splitmix64(state: int) -> int:
    """Return the output that splitmix64 gives for a state already advanced to `state`."""
    z = state & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def stream_state(producer: int, inbox: str) -> int:
    """Return the splitmix64 start state of the ids of `producer` in `inbox`."""
    return splitmix64(producer ^ xxhash.xxh3_64_intdigest(inbox.encode()))


def hash_range(producer: int, inbox: str, n_first: int, count: int) -> U64Column:
    """Return the 64-bit hashes of the ids n_first … n_first + count - 1, one per message."""
    start = np.uint64((stream_state(producer, inbox) + (n_first + 1) * _GOLDEN) & _MASK)
    z = np.arange(count, dtype=np.uint64)
    z *= np.uint64(_GOLDEN)
    z += start
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def bucket_range(
    producer: int, inbox: str, n_first: int, count: int, bucket_count: int
) -> npt.NDArray[np.uint16]:
    """Return the bucket of each id of a range: hash mod bucket_count."""
    hashes = hash_range(producer, inbox, n_first, count)
    return (hashes % np.uint64(bucket_count)).astype(np.uint16)


def bucket_of(producer: int, inbox: str, n: int, bucket_count: int) -> int:
    """Return the bucket of one id."""
    return int(bucket_range(producer, inbox, n, 1, bucket_count)[0])
