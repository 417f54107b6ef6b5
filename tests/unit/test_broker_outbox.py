"""What a sender over a broker keeps, sends again and reports: ranges out of single answers."""

from __future__ import annotations

import pytest

from harness.systems.broker.codec import ID_BYTES, Piece, pack, split, unpack
from harness.systems.broker.outbox import OUTBOX_BYTES_MAX, Outbox
from harness.systems.port import Batch, OutboxFull, Outcome


def batch(n_first: int, count: int, inbox: str = "ann", size_bytes: int = 3) -> Batch:
    lengths = size_bytes.to_bytes(4, "little") * count
    body = b"".join(bytes([n % 256]) * size_bytes for n in range(n_first, n_first + count))
    return Batch(inbox=inbox, producer=7, n_first=n_first, count=count, lengths=lengths, body=body)


class Box:
    """An outbox and what it told, as (n_first, count, outcome, pos_first, attempts)."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int, str, int, int]] = []
        self.woken = 0
        self.outbox = Outbox(self._tell, self._wake)

    def _tell(self, one: Outcome) -> None:
        self.told.append((one.n_first, one.count, one.outcome, one.pos_first, one.attempts))

    def _wake(self) -> None:
        self.woken += 1

    def sent(self, *batches: Batch) -> Outbox:
        for one in batches:
            self.outbox.take(one)
            assert self.outbox.next_unsent() == (one, 0)
        return self.outbox


def test_answers_that_follow_one_another_become_one_outcome():
    box = Box()
    outbox = box.sent(batch(0, 5))
    for n in range(5):
        outbox.answer("ann", n, 1, pos_first=10 + n)
    assert box.told == []
    assert box.woken == 1
    outbox.flush()
    assert box.told == [(0, 5, "ok", 10, 1)]
    assert outbox.in_flight == 0


def test_a_library_that_sends_again_by_itself_says_how_often():
    box = Box()
    outbox = box.sent(batch(0, 4))
    outbox.answer("ann", 0, 1, pos_first=0)
    outbox.answer("ann", 1, 1, pos_first=1, attempts=2)
    outbox.answer("ann", 2, 1, pos_first=2, attempts=2)
    outbox.answer("ann", 3, 1, pos_first=3, attempts=1)
    outbox.flush()
    assert box.told == [(0, 1, "ok", 0, 1), (1, 2, "ok", 1, 2), (3, 1, "ok", 3, 1)]


def test_a_gap_in_positions_or_order_begins_a_new_outcome():
    box = Box()
    outbox = box.sent(batch(0, 4))
    outbox.answer("ann", 0, 1, pos_first=3)
    outbox.answer("ann", 1, 1, pos_first=9)
    outbox.answer("ann", 3, 1, pos_first=10)
    outbox.answer("ann", 2, 1)
    outbox.flush()
    assert box.told == [(0, 1, "ok", 3, 1), (1, 1, "ok", 9, 1), (3, 1, "ok", 10, 1),
                        (2, 1, "ok", -1, 1)]  # fmt: skip


def test_on_a_new_connection_everything_unanswered_is_sent_again_oldest_first():
    box = Box()
    one, two = batch(0, 4), batch(4, 2)
    outbox = box.sent(one, two)
    outbox.answer("ann", 0, 2, pos_first=0)
    outbox.rewind()
    assert outbox.in_flight == 0
    assert outbox.next_unsent() == (one, 2)
    assert outbox.next_unsent() == (two, 0)
    assert outbox.next_unsent() is None
    assert outbox.in_flight == 4
    outbox.answer("ann", 2, 4, pos_first=2)
    outbox.flush()
    assert box.told == [(0, 2, "ok", 0, 1), (2, 2, "ok", 2, 2), (4, 2, "ok", 4, 2)]


def test_an_answer_that_comes_twice_or_to_nothing_is_no_news():
    box = Box()
    outbox = box.sent(batch(0, 2))
    outbox.answer("ann", 0, 1, pos_first=0)
    outbox.answer("ann", 0, 1, pos_first=8)
    outbox.answer("bob", 0, 1, pos_first=0)
    outbox.answer("ann", 2, 1, pos_first=2)
    outbox.flush()
    assert box.told == [(0, 1, "ok", 0, 1)]
    assert outbox.in_flight == 1


def test_a_refusal_is_a_failure_only_if_no_earlier_attempt_may_have_been_stored():
    box = Box()
    outbox = box.sent(batch(0, 1), batch(1, 1))
    outbox.answer("ann", 0, 1, error="too large")
    outbox.rewind()
    assert outbox.next_unsent() is not None
    outbox.answer("ann", 1, 1, error="too large")
    outbox.flush()
    assert [outcome for _, _, outcome, _, _ in box.told] == ["fail", "info"]


def test_at_the_end_what_was_never_handed_over_has_failed_and_the_rest_is_unknown():
    box = Box()
    outbox = box.sent(batch(0, 4))
    outbox.take(batch(4, 3))
    outbox.answer("ann", 1, 1, pos_first=1)
    outbox.close()
    assert box.told == [(1, 1, "ok", 1, 1), (0, 1, "info", -1, 1), (2, 2, "info", -1, 1),
                        (4, 3, "fail", -1, 0)]  # fmt: skip


def test_a_full_outbox_takes_nothing_until_an_answer_makes_room():
    box = Box()
    half = OUTBOX_BYTES_MAX // 2
    outbox = box.sent(batch(0, 1, size_bytes=half), batch(1, 1, size_bytes=half - 100))
    with pytest.raises(OutboxFull):
        outbox.take(batch(2, 1, size_bytes=200))
    outbox.answer("ann", 0, 1, pos_first=0)
    outbox.take(batch(2, 1, size_bytes=200))


def test_messages_carry_their_ids_and_come_back_as_they_went():
    one, two = batch(3, 2), batch(0, 3, inbox="ann", size_bytes=20)
    stored = [message for _, message in pack(one)] + [message for _, message in pack(two, 1)]
    found = unpack("ann", 5, Piece(pos_first=40, messages=stored))
    assert [(run.producer, run.n_first, run.count) for run in found.runs] == [(7, 3, 2), (7, 1, 2)]
    assert (found.pos_first, found.session, found.redelivered) == (40, 5, False)
    assert found.lengths == one.lengths + two.lengths[4:]
    assert found.body == one.body + two.body[20:]


def test_what_has_no_id_is_delivered_as_a_message_that_nobody_sent_so():
    short = b"x" * (ID_BYTES - 1)
    found = unpack("ann", 5, Piece(pos_first=0, messages=[short]))
    assert [(run.producer, run.n_first) for run in found.runs] == [(0, 0)]
    assert found.body == short


def test_positions_with_gaps_become_pieces():
    pieces = split([(0, b"a"), (1, b"b"), (5, b"c"), (4, b"d")])
    assert [(piece.pos_first, list(piece.messages)) for piece in pieces] == [
        (0, [b"a", b"b"]), (5, [b"c"]), (4, [b"d"])]  # fmt: skip
    assert split([]) == []
