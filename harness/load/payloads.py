"""The content of messages as a pure function of (seed, producer, inbox, n).

Whoever knows the seed can say what every message must hold: the sender makes it, the receiver
compares it, the checker computes its digest again, and nothing has to be stored.

A random body is ``h ^ table[0], h ^ table[1], …`` as little-endian 64-bit words, cut to its
length: `h` is a 64-bit hash of the id, the table is drawn from the seed. So every byte depends on
the identity and on its place, and two messages of eight bytes or more differ unless their hashes
collide. It guards against mix-ups and damage, not against an adversary.

Sizes lie evenly between a least and a largest one, or come in turn: message n of a stream has the
n-th of them, beginning anew behind the last. Beside evenly spread sizes a few rare ones may stand:
of each so many messages of a stream in a row one has a rare size, at a place that the stream's hash
chooses, and the streams go through the rare sizes in turn. So a batch holds no more of them than
its count allows, and each size comes soon. An inbox may have sizes of its own.

A body of less than eight bytes is the beginning of its hash, and one of 0 bytes says nothing: there
only the id tells messages apart.

A numbered body is the text ``MSG_<n>``, a blank and the hash of (seed, producer, inbox) in
hexadecimal, to be read with one's own eyes in a store, and still nobody else's.

The hash is Pelle Evensen's "moremur" finaliser (2019) over a counter; it is on purpose another one
than the hash that chooses buckets, so that no fault can hide behind a shared one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec
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
_RARE_SALT = 0x2545F4914F6CDD1D
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


class Bodies(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the bodies of messages are like, as plain data.

    Attributes:
        kind: "random", or "numbered" for ``MSG_<n> <hash>``, whatever sizes are given.
        size_bytes_min: Smallest body.
        size_bytes_max: Largest body; each id has its own size in between, evenly spread.
        sizes_bytes: Sizes in turn, in place of the two; none: those two.
        rare_bytes: Rare sizes beside the evenly spread ones.
        rare_every: One in so many messages of a stream has a rare size; 0: none has.
    """

    kind: str = PayloadKind.RANDOM
    size_bytes_min: int = 100
    size_bytes_max: int = 100
    sizes_bytes: tuple[int, ...] = ()
    rare_bytes: tuple[int, ...] = ()
    rare_every: int = 0


class Payloads:
    """Makes and checks the bodies of one run.

    Args:
        seed: The run's seed.
        kind: As in `Bodies`; so are the sizes.
        size_bytes_min: Smallest body.
        size_bytes_max: Largest body.
        bodies: All of `Bodies`, in place of the three before it.
        to: What is sent to these inboxes, where it differs.

    Raises:
        UsageError: An unknown kind, or sizes not within 0 … SIZE_BYTES_MAX.
    """

    def __init__(
        self,
        seed: int,
        kind: str = PayloadKind.RANDOM,
        size_bytes_min: int = 100,
        size_bytes_max: int = 100,
        *,
        bodies: Bodies | None = None,
        to: Mapping[str, Bodies] | None = None,
    ) -> None:
        if bodies is None:
            bodies = Bodies(kind=kind, size_bytes_min=size_bytes_min, size_bytes_max=size_bytes_max)
        _refuse_wrong(bodies)
        self._seed = seed & _MASK
        self._numbered = bodies.kind == PayloadKind.NUMBERED
        self._size_min = bodies.size_bytes_min
        self._span = bodies.size_bytes_max - bodies.size_bytes_min + 1
        self._size_max = bodies.size_bytes_max
        self._turns = bodies.sizes_bytes
        self._rare = bodies.rare_bytes if bodies.rare_every and not self._numbered else ()
        self._rare_every = bodies.rare_every
        self._to = {inbox: Payloads(seed, bodies=own) for inbox, own in (to or {}).items()}
        word_count = -(-self._size_max // 8)
        largest = max((self._size_max, *self._turns, *self._rare))
        self._words = _hash_counter(_mix(self._seed ^ _LENGTH_SALT), 0, -(-largest // 8))
        self._table = self._words[:word_count]
        self._table_int = int.from_bytes(self._table.astype("<u8").tobytes(), "little")
        self._ones_int = int.from_bytes(b"\1\0\0\0\0\0\0\0" * word_count, "little")
        self._states: dict[tuple[int, str], int] = {}

    def make(self, producer: int, inbox: str, n_first: int, count: int) -> tuple[bytes, bytes]:
        """Return (lengths as a little-endian u32 column, bodies one after the other)."""
        if inbox in self._to:
            return self._to[inbox].make(producer, inbox, n_first, count)
        state = self._state(producer, inbox)
        if self._numbered:
            return _make_numbered(state, n_first, count)
        if self._turns:
            ns = range(n_first, n_first + count)
            return self._make_sized(state, ns, [self._turns[n % len(self._turns)] for n in ns])
        if not self._rare:
            return self._make_plain(state, n_first, count)
        parts: list[tuple[bytes, bytes]] = []
        at = n_first
        for n in self._rare_ns(state, n_first, count):
            if n > at:
                parts.append(self._make_plain(state, at, n - at))
            parts.append(self._make_sized(state, (n,), (self._rare_size(state, n),)))
            at = n + 1
        if at < n_first + count:
            parts.append(self._make_plain(state, at, n_first + count - at))
        if len(parts) == 1:
            return parts[0]
        return b"".join(part[0] for part in parts), b"".join(part[1] for part in parts)

    def _make_plain(self, state: int, n_first: int, count: int) -> tuple[bytes, bytes]:
        """Return messages of evenly spread sizes."""
        if count <= SCALAR_COUNT_MAX:
            return self._make_few(state, n_first, count)
        if not self._size_max:
            return bytes(4 * count), b""
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

    def _make_sized(
        self, state: int, ns: Iterable[int], sizes: Sequence[int]
    ) -> tuple[bytes, bytes]:
        """Return messages of given sizes, one by one."""
        bodies = []
        for n, size in zip(ns, sizes, strict=True):
            hashed = np.uint64(_mix(state + n * _STEP))
            words = self._words[: -(-size // 8)] ^ hashed
            bodies.append(words.astype("<u8", copy=False).tobytes()[:size])
        return np.array(sizes, dtype="<u4").tobytes(), b"".join(bodies)

    def _rare_ns(self, state: int, n_first: int, count: int) -> range:
        """Return which messages of a range have a rare size."""
        first = n_first + (_mix(state ^ _RARE_SALT) - n_first) % self._rare_every
        return range(first, n_first + count, self._rare_every)

    def _rare_size(self, state: int, n: int) -> int:
        begins = _mix(state ^ _RARE_SALT) // self._rare_every
        return self._rare[(begins + n // self._rare_every) % len(self._rare)]

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
        if inbox in self._to:
            return self._to[inbox].expected_digests(inbox, producers, ns)
        uneven = self._numbered or self._turns or self._span > 1 or not self._size_max
        if uneven or len(ns) <= SCALAR_COUNT_MAX:
            pairs = zip(producers, ns, strict=True)
            return [self.expected_digest(producer, inbox, n, 1) for producer, n in pairs]
        states = np.array([self._state(producer, inbox) for producer in producers], dtype=np.uint64)
        numbers = np.array(ns, dtype=np.uint64)
        hashes = _mix_column(states + numbers * np.uint64(_STEP))
        size = self._size_min
        rows = np.empty((len(ns), 4 + 8 * len(self._table)), dtype=np.uint8)
        rows[:, :4] = np.frombuffer(size.to_bytes(4, "little"), dtype=np.uint8)
        words = np.bitwise_xor.outer(hashes, self._table).astype("<u8", copy=False)
        rows[:, 4:] = words.view(np.uint8)
        width, used = rows.shape[1], 4 + size
        data = memoryview(rows.tobytes())
        digest = xxhash.xxh3_64_intdigest
        digests = [digest(data[at : at + used]) for at in range(0, width * len(ns), width)]
        if self._rare:
            every = np.uint64(self._rare_every)
            rare = _mix_column(states ^ np.uint64(_RARE_SALT)) % every == numbers % every
            for index in np.flatnonzero(rare).tolist():
                digests[index] = self.expected_digest(producers[index], inbox, ns[index], 1)
        return digests

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


def _refuse_wrong(bodies: Bodies) -> None:
    if bodies.kind not in tuple(PayloadKind):
        raise UsageError(f"payload kind {bodies.kind!r}: allowed are {', '.join(PayloadKind)}")
    if not 0 <= bodies.size_bytes_min <= bodies.size_bytes_max <= SIZE_BYTES_MAX:
        raise UsageError(
            f"payload sizes {bodies.size_bytes_min} to {bodies.size_bytes_max}: allowed are "
            f"0 to {SIZE_BYTES_MAX} bytes, the smaller first"
        )
    for size in (*bodies.sizes_bytes, *bodies.rare_bytes):
        if not 0 <= size <= SIZE_BYTES_MAX:
            raise UsageError(f"payload size {size}: allowed are 0 to {SIZE_BYTES_MAX} bytes")
    if bodies.rare_every < 0:
        raise UsageError(f"one in {bodies.rare_every} messages: 0 or more")


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
