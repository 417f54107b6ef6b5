"""Published bucket routes, written from their description and not from the system's code.

"splitmix64-xxh3": the ids of a producer in an inbox have the numbers of a splitmix64 stream
(Steele, Lea, Flood, OOPSLA 2014) as hashes; message n has the one after n others. The stream starts
at the splitmix64 output for the state ``producer xor xxh3_64(inbox as UTF-8)``; the bucket is the
hash modulo the bucket count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import xxhash

U64Column = npt.NDArray[np.uint64]

Route: TypeAlias = Callable[[str, U64Column, U64Column, int], U64Column]
"""(inbox, producers, ns, bucket count) → buckets."""

_WEYL = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_ONE = np.uint64(1)


def splitmix64_xxh3(
    inbox: str, producers: U64Column, ns: U64Column, bucket_count: int
) -> U64Column:
    """Return the bucket of each message by the route "splitmix64-xxh3"."""
    name = np.uint64(xxhash.xxh3_64_intdigest(inbox.encode("utf-8")))
    states = _output(producers ^ name)
    return _output(states + (ns + _ONE) * _WEYL) % np.uint64(bucket_count)


def _output(states: U64Column) -> U64Column:
    mixed = (states ^ (states >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return mixed ^ (mixed >> np.uint64(31))


ROUTES: Mapping[str, Route] = {"splitmix64-xxh3": splitmix64_xxh3}
"""Every route by its name."""
