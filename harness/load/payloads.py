"""The content of messages as a pure function of (seed, producer, inbox, n).

Whoever knows the seed can say what every message must hold: the sender makes it, the receiver
compares it, the checker computes its digest again, and nothing has to be stored.

A random body is ``h ^ table[0], h ^ table[1], …`` as little-endian 64-bit words, cut to its
length: `h` is a 64-bit hash of the id, the table is drawn from the seed. So every byte depends on
the identity and on its place, and two messages of eight bytes or more differ unless their hashes
collide. It guards against mix-ups and damage, not against an adversary.

A numbered body is the text ``MSG_<n>``, a blank and the hash of (seed, producer, inbox) in
hexadecimal, to be read with one's own eyes in a store, and still nobody else's.

The hash is Pelle Evensen's "moremur" finaliser (2019) over a counter; it is on purpose another one
than the hash that chooses buckets, so that no fault can hide behind a shared one.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import xxhash

from harness.errors import UsageError

U64Column = npt.NDArray[np.uint64]

SIZE_BYTES_MAX = 1 << 20
"""Largest body of a message."""

STREAMS_CACHED_MAX = 1 << 16
"""How many (producer, inbox) hash states are kept at hand before they are computed anew."""

SCALAR_COUNT_MAX = 4
"""Up to so many messages plain integers are faster than numpy's fixed cost per call."""

_MASK = 0xFFFFFFFFFFFFFFFF
_STEP = 0xD1342543DE82EF95
_LENGTH_SALT = 0xA5B85C5E198ED849
_M1 = 0x3C79AC492BA7B653
_M2 = 0x1C69B3F74AC4AE35

STEPS_CACHED = 1 << 13
"""Ranges up to this count find the multiples of the hash's step ready made."""

_SHIFT_27 = np.uint64(27)
_SHIFT_33 = np.uint64(33)
_M1_WORD = np.uint64(_M1)
_M2_WORD = np.uint64(_M2)
_STEPS = np.arange(STEPS_CACHED, dtype=np.uint64) * np.uint64(_STEP)


class PayloadKind(StrEnum):
    """What bodies look like: pseudo-random bytes, or the text ``MSG_<n> <hash of its stream>``."""

    RANDOM = "random"
    NUMBERED = "numbered"


class Payloads:
    """Makes and checks the bodies of one run.

    Args:
        seed: The run's seed.
        kind: "random", or "numbered" for ``MSG_<n> <hash>``, whatever sizes are given.
        size_bytes_min: Smallest body.
        size_bytes_max: Largest body; each id has its own size in between, evenly spread.

    Raises:
        UsageError: An unknown kind, or sizes not within 1 … SIZE_BYTES_MAX.
    """

    def __init__(
        self,
        seed: int,
        kind: str = PayloadKind.RANDOM,
        size_bytes_min: int = 100,
        size_bytes_max: int = 100,
    ) -> None:
        if kind not in tuple(PayloadKind):
            raise UsageError(f"payload kind {kind!r}: allowed are {', '.join(PayloadKind)}")
        if not 1 <= size_bytes_min <= size_bytes_max <= SIZE_BYTES_MAX:
            raise UsageError(
                f"payload sizes {size_bytes_min} to {size_bytes_max}: allowed are "
                f"1 to {SIZE_BYTES_MAX} bytes, the smaller first"
            )
        self._seed = seed & _MASK
        self._numbered = kind == PayloadKind.NUMBERED
        self._size_min = size_bytes_min
        self._span = size_bytes_max - size_bytes_min + 1
        self._size_max = size_bytes_max
        word_count = -(-size_bytes_max // 8)
        self._table = _hash_counter(_mix(self._seed ^ _LENGTH_SALT), 0, word_count)
        self._table_int = int.from_bytes(self._table.astype("<u8").tobytes(), "little")
        self._ones_int = int.from_bytes(b"\1\0\0\0\0\0\0\0" * word_count, "little")
        self._states: dict[tuple[int, str], int] = {}

    def make(self, producer: int, inbox: str, n_first: int, count: int) -> tuple[bytes, bytes]:
        """Return (lengths as a little-endian u32 column, bodies one after the other)."""
        state = self._state(producer, inbox)
        if self._numbered:
            return _make_numbered(state, n_first, count)
        if count <= SCALAR_COUNT_MAX:
            return self._make_few(state, n_first, count)
        hashes = _hash_counter(state, n_first, count)
        words = np.bitwise_xor.outer(hashes, self._table)
        rows = words.astype("<u8", copy=False)
        if self._span == 1:
            # One item of the message's size per row: numpy then copies whole bodies, not bytes.
            bodies: npt.NDArray[np.void] = np.ndarray(
                (count,), dtype=f"V{self._size_max}", buffer=rows.data, strides=(rows.strides[0],)
            )
            return self._size_min.to_bytes(4, "little") * count, bodies.tobytes()
        sizes = _mix_column(hashes ^ np.uint64(_LENGTH_SALT)) % np.uint64(self._span)
        sizes += np.uint64(self._size_min)
        begins = np.arange(count, dtype=np.uint64) * np.uint64(rows.strides[0])
        cuts = map(slice, begins.tolist(), (begins + sizes).tolist())
        return sizes.astype("<u4").tobytes(), b"".join(map(rows.tobytes().__getitem__, cuts))

    def check(
        self, producer: int, inbox: str, n_first: int, count: int, lengths: bytes, body: bytes
    ) -> list[int]:
        """Return the indices within the range whose content is not what `make` gives.

        Lengths that do not fit the body make all of them wrong.
        """
        lengths_want, body_want = self.make(producer, inbox, n_first, count)
        if lengths == lengths_want and body == body_want:
            return []
        if len(lengths) != 4 * count:
            return list(range(count))
        begins = _bounds(lengths)
        if int(begins[-1]) != len(body):
            return list(range(count))
        wanted = _bounds(lengths_want)
        return [
            index
            for index in range(count)
            if body[begins[index] : begins[index + 1]]
            != body_want[wanted[index] : wanted[index + 1]]
        ]

    @staticmethod
    def digest(lengths: bytes, body: bytes) -> int:
        """Return xxh3_64 over the lengths column followed by the bodies."""
        state = xxhash.xxh3_64(lengths)
        state.update(body)
        return state.intdigest()

    def expected_digest(self, producer: int, inbox: str, n_first: int, count: int) -> int:
        """Return the digest that an unharmed delivery of the range has."""
        return self.digest(*self.make(producer, inbox, n_first, count))

    def expected_digests(
        self, inbox: str, producers: Sequence[int], ns: Sequence[int]
    ) -> list[int]:
        """Return the digest of each of these messages as a range of its own, many at once."""
        if self._numbered or self._span > 1 or len(ns) <= SCALAR_COUNT_MAX:
            pairs = zip(producers, ns, strict=True)
            return [self.expected_digest(producer, inbox, n, 1) for producer, n in pairs]
        states = np.array([self._state(producer, inbox) for producer in producers], dtype=np.uint64)
        hashes = _mix_column(states + np.array(ns, dtype=np.uint64) * np.uint64(_STEP))
        size = self._size_min
        rows = np.empty((len(ns), 4 + 8 * len(self._table)), dtype=np.uint8)
        rows[:, :4] = np.frombuffer(size.to_bytes(4, "little"), dtype=np.uint8)
        words = np.bitwise_xor.outer(hashes, self._table).astype("<u8", copy=False)
        rows[:, 4:] = words.view(np.uint8)
        width, used = rows.shape[1], 4 + size
        data = memoryview(rows.tobytes())
        digest = xxhash.xxh3_64_intdigest
        return [digest(data[at : at + used]) for at in range(0, width * len(ns), width)]

    def _state(self, producer: int, inbox: str) -> int:
        state = self._states.get((producer, inbox))
        if state is None:
            if len(self._states) >= STREAMS_CACHED_MAX:
                self._states.clear()
            name = xxhash.xxh3_64_intdigest(inbox.encode(), seed=self._seed)
            state = _mix(_mix(producer ^ name) ^ self._seed)
            self._states[producer, inbox] = state
        return state

    def _make_few(self, state: int, n_first: int, count: int) -> tuple[bytes, bytes]:
        lengths = []
        bodies = []
        for n in range(n_first, n_first + count):
            hashed = _mix(state + n * _STEP)
            size = self._size_min
            if self._span > 1:
                size += _mix(hashed ^ _LENGTH_SALT) % self._span
            words = (hashed * self._ones_int) ^ self._table_int
            bodies.append(words.to_bytes(8 * len(self._table), "little")[:size])
            lengths.append(size.to_bytes(4, "little"))
        return b"".join(lengths), b"".join(bodies)


def _mix(value: int) -> int:
    value &= _MASK
    value ^= value >> 27
    value = (value * _M1) & _MASK
    value ^= value >> 33
    value = (value * _M2) & _MASK
    return value ^ (value >> 27)


def _mix_column(values: U64Column) -> U64Column:
    """Mix in place."""
    shifted = values >> _SHIFT_27
    values ^= shifted
    values *= _M1_WORD
    np.right_shift(values, _SHIFT_33, out=shifted)
    values ^= shifted
    values *= _M2_WORD
    np.right_shift(values, _SHIFT_27, out=shifted)
    values ^= shifted
    return values


def _hash_counter(state: int, n_first: int, count: int) -> U64Column:
    begin = np.uint64((state + n_first * _STEP) & _MASK)
    if count <= STEPS_CACHED:
        return _mix_column(_STEPS[:count] + begin)
    return _mix_column(np.arange(count, dtype=np.uint64) * np.uint64(_STEP) + begin)


def _bounds(lengths: bytes) -> list[int]:
    bounds = np.zeros(len(lengths) // 4 + 1, dtype=np.int64)
    np.cumsum(np.frombuffer(lengths, dtype="<u4"), out=bounds[1:])
    return [int(bound) for bound in bounds]


def _make_numbered(state: int, n_first: int, count: int) -> tuple[bytes, bytes]:
    texts = [b"MSG_%d %016x" % (n, state) for n in range(n_first, n_first + count)]
    sizes = np.fromiter(map(len, texts), dtype="<u4", count=count)
    return sizes.tobytes(), b"".join(texts)
