"""Seats and schedules are pure: same seed, same load."""

import random

import pytest

from harness.load.groups import Groups
from harness.load.roster import SenderSeat, seat_extras, seat_readers, seat_senders
from harness.load.schedule import due_batches, due_count
from harness.scenario.extras import Extra, Moves
from harness.scenario.phases import Stream

EDGES = ("a", "b", "c")
APART = Groups(actors=frozenset({"sender-0", "sender-1", "reader-x"}), processes=3)


def seats(seed: int = 1, workers: int = 2) -> list[list[SenderSeat]]:
    streams = (
        Stream(to=("vip",), producers=4, rate_per_s=400.0, batch_count=50),
        Stream(to=("u0", "u1"), producers=3, rate_per_s=30.0),
    )
    return seat_senders(streams, EDGES, workers, random.Random(seed), APART)


def test_everybody_has_one_seat_spread_over_processes_and_edges():
    by_worker = seats()
    everyone = [seat for mine in by_worker for seat in mine]
    assert [len(mine) for mine in by_worker] == [4, 3]
    assert len({seat.producer for seat in everyone}) == 7
    assert {seat.edge for seat in everyone} == set(EDGES)
    assert sum(seat.rate_per_s for seat in everyone) == 430.0
    assert [seat.group for seat in by_worker[0]] == ["sender-0", "load-1", "load-1", "load-1"]
    assert [seat.group for seat in by_worker[1]] == ["sender-1", "load-2", "load-2"]
    assert sorted(seat.inbox for seat in everyone) == ["u0", "u0", "u1", *["vip"] * 4]


def test_the_seed_alone_decides():
    assert seats(7) == seats(7)
    assert seats(7) != seats(8)


def test_readers_are_spread_unless_an_edge_is_named():
    readers = seat_readers(("x", "y"), EDGES, "", APART)
    assert [s.edge for s in readers] == ["a", "b"]
    assert [s.group for s in readers] == ["reader-x", "load-3"]
    assert [s.edge for s in seat_readers(("x", "y"), EDGES, "c", APART)] == ["c", "c"]


def seat(**changes: object) -> SenderSeat:
    values = {
        "name": "s", "producer": 1, "inbox": "x", "edge": "a", "group": "g", "rate_per_s": 100.0,
        "count": 0, "batch_count": 10, "offset_s": 0.05,
    }  # fmt: skip
    return SenderSeat(**{**values, **changes})


def test_a_rate_is_kept_by_schedule_and_ends_with_the_phase():
    due = list(due_batches(seat(), 1_000_000_000, 2_000_000_000))
    assert len(due) == 10
    assert due[0] == (1_050_000_000, 10)
    assert due[-1] == (1_950_000_000, 10)


def test_a_count_ends_with_a_smaller_batch():
    due = list(due_batches(seat(count=25, rate_per_s=0.0), 0, 10**9))
    assert [count for _, count in due] == [10, 10, 5]


def test_a_closed_loop_has_no_end_of_its_own():
    due = due_batches(seat(rate_per_s=0.0), 0, 10**9)
    assert [next(due)[1] for _ in range(1_000)] == [10] * 1_000


@pytest.mark.parametrize("changes", [{}, {"count": 25}, {"offset_s": 0.0}, {"rate_per_s": 7.0}])
def test_what_was_due_by_now_is_what_the_schedule_says(changes: dict[str, float]):
    begin_ns, end_ns = 1_000_000_000, 2_000_000_000
    batches = list(due_batches(seat(**changes), begin_ns, end_ns))
    for now_ns in (0, *(due + more for due, _ in batches for more in (-1, 0, 1)), end_ns, 10**12):
        wanted = sum(count for due, count in batches if due <= now_ns)
        assert due_count(seat(**changes), begin_ns, end_ns, now_ns) == wanted, now_ns


def test_a_closed_loop_owes_nothing():
    assert due_count(seat(rate_per_s=0.0, count=25), 0, 10**9, 10**9) == 0


def test_who_was_drawn_is_due_within_the_load_and_shares_a_process_proxies():
    extras = (
        Extra(kind="a", to=("X", "Y"), producers=(2**63, 5), batches=(3, 1, 2)),
        Extra(kind="b", to=("Z",), producers=(6,), batches=(1,), churns=False, leaves=True,
              moves=Moves(between=("a", "c"), every_s=0.2)),
    )  # fmt: skip
    seats = seat_extras(extras, EDGES, 2, random.Random(1), APART, 10.0, recut_count=4)
    first, third, second = (*seats[0], *seats[1])
    assert [one.name for one in (first, second, third)] == ["extra-0", "extra-1", "extra-2"]
    assert [one.producer for one in (first, second, third)] == [2**63, 5, 6]
    assert [one.group for one in (first, second, third)] == ["load-1", "load-2", "load-1"]
    due = list(due_batches(first, 10**9, 11 * 10**9))
    assert [count for _, count in due] == [3, 1, 2]
    assert 10**9 <= due[0][0] < due[1][0] < due[2][0] < 9 * 10**9
    assert due_count(first, 10**9, 11 * 10**9, 5 * 10**9) == 0
    assert first.recut_count == 4
    assert not second.recut_count
    assert (third.between, third.move_every_s, third.leaves, third.churns) == (
        ("a", "c"), 0.2, True, False,
    )  # fmt: skip
    (at_once,) = seat_extras(extras[1:], EDGES, 1, random.Random(1), APART, 0.0)
    assert list(due_batches(at_once[0], 7, 8)) == [(7, 1)]


def test_one_sender_in_three_sends_again_in_other_batches():
    streams = (Stream(to=("vip",), producers=7, count=1),)
    (mine,) = seat_senders(streams, EDGES, 1, random.Random(1), APART, recut_count=9)
    assert [one.recut_count for one in mine] == [9, 0, 0, 9, 0, 0, 9]
