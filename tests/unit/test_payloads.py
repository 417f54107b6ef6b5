"""Content follows from identity alone, in whatever pieces it is made."""

from __future__ import annotations

import re

import numpy as np
import pytest

from harness.errors import UsageError
from harness.load.payloads import SIZE_BYTES_MAX, Bodies, Payloads

SETTINGS = [
    Payloads(4711),
    Payloads(4711, "random", 1, 1),
    Payloads(4711, "random", 13, 213),
    Payloads(4711, "numbered"),
    Payloads(4711, "random", 0, 3),
    Payloads(4711, bodies=Bodies(rare_bytes=(0, 1, 70_000), rare_every=7)),
    Payloads(4711, bodies=Bodies(sizes_bytes=(9, 1, 40_000, 262_144))),
    Payloads(4711, to={"vip": Bodies(size_bytes_min=3, size_bytes_max=3),
                       "x": Bodies(size_bytes_min=4, size_bytes_max=4)}),
]  # fmt: skip


def bodies(payloads: Payloads, producer: int, inbox: str, n_first: int, count: int) -> list[bytes]:
    lengths, body = payloads.make(producer, inbox, n_first, count)
    ends = np.cumsum(np.frombuffer(lengths, dtype="<u4")).tolist()
    assert ends[-1] == len(body)
    return [body[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


@pytest.mark.parametrize("payloads", SETTINGS)
def test_a_range_is_its_messages_one_by_one(payloads: Payloads) -> None:
    whole = bodies(payloads, 2**64 - 1, "vip", 2**33, 40)
    singles = [bodies(payloads, 2**64 - 1, "vip", 2**33 + i, 1)[0] for i in range(40)]
    assert whole == singles


def test_a_numbered_body_can_be_read() -> None:
    nine, ten = bodies(Payloads(1, "numbered"), 5, "x", 9, 2)
    assert re.fullmatch(rb"MSG_9 [0-9a-f]{16}", nine)
    assert re.fullmatch(rb"MSG_10 [0-9a-f]{16}", ten)


@pytest.mark.parametrize("kind", ["random", "numbered"])
def test_every_part_of_the_identity_changes_the_body(kind: str) -> None:
    base = bodies(Payloads(1, kind), 5, "x", 9, 1)
    others = [
        bodies(Payloads(2, kind), 5, "x", 9, 1),
        bodies(Payloads(1, kind), 6, "x", 9, 1),
        bodies(Payloads(1, kind), 5, "y", 9, 1),
        bodies(Payloads(1, kind), 5, "x", 10, 1),
    ]
    assert all(base != other for other in others)


def test_each_place_of_a_random_body_takes_about_all_values() -> None:
    many = bodies(Payloads(1), 5, "x", 0, 5000)
    assert len(set(many)) == 5000
    columns = np.frombuffer(b"".join(many), dtype=np.uint8).reshape(5000, 100)
    assert min(len(np.unique(columns[:, place])) for place in range(100)) > 250


def test_sizes_spread_over_their_range() -> None:
    sizes = [len(body) for body in bodies(Payloads(3, "random", 50, 59), 1, "x", 0, 2000)]
    assert set(sizes) == set(range(50, 60))


def sizes_of(payloads: Payloads, inbox: str, n_first: int, count: int) -> list[int]:
    return [len(body) for body in bodies(payloads, 1, inbox, n_first, count)]


def test_a_body_may_be_empty() -> None:
    none = Payloads(3, "random", 0, 0)
    assert none.make(1, "x", 0, 9) == (bytes(36), b"")
    assert none.make(1, "x", 0, 1) == (bytes(4), b"")
    assert none.check(1, "x", 0, 9, bytes(36), b"") == []
    assert none.check(1, "x", 0, 1, b"\1\0\0\0", b"?") == [0]
    assert set(sizes_of(Payloads(3, "random", 0, 2), "x", 0, 200)) == {0, 1, 2}


def test_sizes_come_in_turn_whatever_range_is_made() -> None:
    turns = (0, 1, SIZE_BYTES_MAX, 5)
    payloads = Payloads(3, bodies=Bodies(sizes_bytes=turns))
    assert sizes_of(payloads, "x", 0, 6) == [0, 1, SIZE_BYTES_MAX, 5, 0, 1]
    assert sizes_of(payloads, "x", 2**40 + 3, 2) == [5, 0]


@pytest.mark.parametrize("every", [1, 2, 7, 128])
def test_one_message_in_so_many_has_a_rare_size_and_each_size_comes(every: int) -> None:
    rare = (0, 1, 300, 40_000)
    payloads = Payloads(3, bodies=Bodies(rare_bytes=rare, rare_every=every))
    sizes = sizes_of(payloads, "x", 0, 4 * every)
    assert sorted(size for size in sizes if size != 100) == sorted(rare)
    assert payloads.make(1, "x", 0, 4 * every) != payloads.make(2, "x", 0, 4 * every)
    for begin in range(3 * every):
        assert sum(size != 100 for size in sizes[begin : begin + every]) == 1


def test_an_inbox_may_have_sizes_of_its_own() -> None:
    payloads = Payloads(3, to={"x": Bodies(sizes_bytes=(2, 4))})
    assert sizes_of(payloads, "x", 1, 3) == [4, 2, 4]
    assert sizes_of(payloads, "X", 1, 3) == [100, 100, 100]
    assert payloads.check(1, "x", 1, 3, *payloads.make(1, "x", 1, 3)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        Bodies(sizes_bytes=(1, SIZE_BYTES_MAX + 1)),
        Bodies(rare_bytes=(-1,), rare_every=2),
        Bodies(rare_every=-1),
    ],
)
def test_bad_bodies_are_refused(wrong: Bodies) -> None:
    with pytest.raises(UsageError):
        Payloads(1, bodies=wrong)
    with pytest.raises(UsageError):
        Payloads(1, to={"x": wrong})


@pytest.mark.parametrize("payloads", SETTINGS)
@pytest.mark.parametrize("count", [1, 20])
def test_check_finds_each_wrong_message(payloads: Payloads, count: int) -> None:
    # From 4 on: a message of 0 bytes has no byte that could be wrong.
    lengths, body = payloads.make(5, "x", 4, count)
    while not int.from_bytes(lengths[-4:], "little"):
        count += 1
        lengths, body = payloads.make(5, "x", 4, count)
    assert payloads.check(5, "x", 4, count, lengths, body) == []
    assert payloads.check(5, "x", 4, count, lengths, body[:-1]) == list(range(count))
    flipped = body[:-1] + bytes([body[-1] ^ 1])
    assert payloads.check(5, "x", 4, count, lengths, flipped) == [count - 1]
    assert payloads.digest(lengths, body) == payloads.expected_digest(5, "x", 4, count)
    assert payloads.digest(lengths, flipped) != payloads.expected_digest(5, "x", 4, count)


def test_swapped_bodies_are_both_wrong() -> None:
    payloads = Payloads(1)
    lengths, body = payloads.make(5, "x", 0, 3)
    swapped = body[100:200] + body[:100] + body[200:]
    assert payloads.check(5, "x", 0, 3, lengths, swapped) == [0, 1]


def test_a_moved_boundary_is_found() -> None:
    payloads = Payloads(1, "random", 8, 20)
    lengths, body = payloads.make(5, "x", 0, 6)
    column = np.frombuffer(lengths, dtype="<u4").copy()
    column[2] += 1
    column[3] -= 1
    assert payloads.check(5, "x", 0, 6, column.tobytes(), body) == [2, 3]


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("prose", 1, 1), ("random", -1, 1), ("random", 5, 4)]
)
def test_bad_settings_are_refused(kind: str, low: int, high: int) -> None:
    with pytest.raises(UsageError, match="allowed are"):
        Payloads(1, kind, low, high)


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("random", 100, 100),
        ("random", 7, 7),
        ("random", 8, 8),
        ("random", 3, 9),
        ("numbered", 1, 1),
        ("random", 0, 0),
        ("random", 0, 9),
    ],
)
def test_many_digests_at_once_are_those_of_each(kind: str, low: int, high: int) -> None:
    payloads = Payloads(5, kind, low, high)
    producers, ns = [7, 2**64 - 1, 7, 0, 3, 7], [0, 1, 2**39, 5, 6, 7]
    each = [payloads.expected_digest(p, "x", n, 1) for p, n in zip(producers, ns, strict=True)]
    assert payloads.expected_digests("x", producers, ns) == each
    assert payloads.expected_digests("x", [], []) == []


@pytest.mark.parametrize(
    "own",
    [
        Bodies(rare_bytes=(0, 1, 3_000), rare_every=2),
        Bodies(size_bytes_min=0, size_bytes_max=0, rare_bytes=(5,), rare_every=3),
        Bodies(sizes_bytes=(0, 7, 40_000)),
    ],
)
@pytest.mark.parametrize("apart", [False, True])
def test_many_digests_of_uneven_bodies_are_those_of_each(own: Bodies, apart: bool) -> None:
    payloads = Payloads(5, to={"x": own}) if apart else Payloads(5, bodies=own)
    producers, ns = [7, 2**64 - 1, 7, 1, 3, 7] * 9, [*range(50), 2**39, 2**40, 0, 1]
    each = [payloads.expected_digest(p, "x", n, 1) for p, n in zip(producers, ns, strict=True)]
    assert payloads.expected_digests("x", producers, ns) == each
