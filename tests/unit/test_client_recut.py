"""What is sent again may be cut differently: the same messages under the same ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.client.lane import Lane, Parcel
from reference.client.recut import recut
from reference.wire.limits import BATCH_BYTES_MAX
from reference.wire.messages import Segment


def segment(n_first: int, sizes: list[int]) -> Segment:
    bodies = [bytes([n % 251]) * size for n, size in enumerate(sizes, n_first)]
    lengths = b"".join(size.to_bytes(4, "little") for size in sizes)
    return Segment(
        inbox="x", producer=7, n_first=n_first, count=len(sizes), lengths=lengths,
        body=b"".join(bodies),
    )  # fmt: skip


def chain(sizes: list[list[int]], n_first: int = 0) -> list[Segment]:
    found = []
    for one in sizes:
        found.append(segment(n_first, one))
        n_first += len(one)
    return found


@given(
    sizes=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=6), max_size=6),
    count_max=st.integers(1, 10),
)
def test_ids_and_content_stay_and_boundaries_do_not(sizes: list[list[int]], count_max: int) -> None:
    before = chain(sizes, 5)
    after = list(recut(before, count_max))
    assert b"".join(one.lengths for one in after) == b"".join(one.lengths for one in before)
    assert b"".join(one.body for one in after) == b"".join(one.body for one in before)
    at = 5
    for one in after:
        assert one.n_first == at
        assert len(one.lengths) == 4 * one.count
        at = one.n_end
    assert all(one.count == count_max for one in after[:-1])


def test_no_batch_is_larger_than_one_may_be() -> None:
    quarter = BATCH_BYTES_MAX // 4
    cut = [one.count for one in recut(chain([[quarter, quarter], [quarter] * 3, [0]]), 100)]
    assert cut == [4, 2]


def test_a_new_batch_is_as_uncertain_as_any_that_it_touches() -> None:
    lane = Lane("x", 0, 1, 1)
    for one, (attempts, left_open) in zip(
        chain([[1] * 3, [1] * 3, [1] * 3]), [(1, 0), (3, 2), (0, 0)], strict=True
    ):
        parcel = Parcel(one)
        parcel.attempts, parcel.open_attempts = attempts, left_open
        lane.waiting.append(parcel)
    assert lane.recut(2) == 1
    found = [
        (one.segment.n_first, one.segment.count, one.attempts, one.open_attempts)
        for one in lane.waiting
    ]
    # What was never sent stays whole.
    assert found == [(0, 2, 1, 0), (2, 2, 3, 2), (4, 2, 3, 2), (6, 3, 0, 0)]


@pytest.mark.parametrize("attempts", [0, 1])
def test_an_empty_lane_stays_empty(attempts: int) -> None:
    assert Lane("x", 0, 1, 1).recut(attempts + 1) == 0
