"""Content follows from identity alone, in whatever pieces it is made."""

from __future__ import annotations

import re

import numpy as np
import pytest

from harness.errors import UsageError
from harness.load.payloads import Payloads

SETTINGS = [
    Payloads(4711),
    Payloads(4711, "random", 1, 1),
    Payloads(4711, "random", 13, 213),
    Payloads(4711, "numbered"),
]


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


@pytest.mark.parametrize("payloads", SETTINGS)
@pytest.mark.parametrize("count", [1, 20])
def test_check_finds_each_wrong_message(payloads: Payloads, count: int) -> None:
    lengths, body = payloads.make(5, "x", 3, count)
    assert payloads.check(5, "x", 3, count, lengths, body) == []
    assert payloads.check(5, "x", 3, count, lengths, body[:-1]) == list(range(count))
    flipped = body[:-1] + bytes([body[-1] ^ 1])
    assert payloads.check(5, "x", 3, count, lengths, flipped) == [count - 1]
    assert payloads.digest(lengths, body) == payloads.expected_digest(5, "x", 3, count)
    assert payloads.digest(lengths, flipped) != payloads.expected_digest(5, "x", 3, count)


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
    ("kind", "low", "high"), [("prose", 1, 1), ("random", 0, 1), ("random", 5, 4)]
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
    ],
)
def test_many_digests_at_once_are_those_of_each(kind: str, low: int, high: int) -> None:
    payloads = Payloads(5, kind, low, high)
    producers, ns = [7, 2**64 - 1, 7, 0, 3, 7], [0, 1, 2**39, 5, 6, 7]
    each = [payloads.expected_digest(p, "x", n, 1) for p, n in zip(producers, ns, strict=True)]
    assert payloads.expected_digests("x", producers, ns) == each
    assert payloads.expected_digests("x", [], []) == []
