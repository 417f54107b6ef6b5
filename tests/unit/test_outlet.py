"""The outlet merges what may be merged, keeps the order of the rest, and knows its bounds."""

from __future__ import annotations

from reference.outlet import OUTLET_SOFT_BYTES, PIECE_BYTES, Outlet
from reference.wire import messages as m
from reference.wire.errors import ErrorCode
from reference.wire.limits import SEGMENTS_MAX


def ok(n_first: int) -> m.Ok:
    return m.Ok((m.OkRange("inbox", 1, n_first, 1, n_first, 0),))


def segment(n_first: int, size_bytes: int, count: int = 2) -> m.Segment:
    lengths = (size_bytes // count).to_bytes(4, "little") * count
    return m.Segment(
        inbox="inbox",
        producer=1,
        n_first=n_first,
        count=count,
        lengths=lengths,
        body=bytes(size_bytes),
    )


def delivery(pos_first: int) -> m.Delivery:
    return m.Delivery(
        inbox="inbox",
        session=1,
        pos_first=pos_first,
        redelivered=False,
        runs=(m.Run(1, pos_first, 1, 0, 1),),
        lengths=bytes(4),
        body=b"",
    )


def test_ranges_and_deliveries_are_merged_across_each_other() -> None:
    outlet = Outlet()
    for n in range(3):
        outlet.offer(ok(n))
        outlet.offer(m.Deliver(deliveries=(delivery(n),)))
        outlet.offer(m.Heartbeat(n))
    taken = outlet.take()
    assert [type(message) for message in taken] == [
        m.Ok,
        m.Deliver,
        m.Heartbeat,
        m.Heartbeat,
        m.Heartbeat,
    ]
    assert isinstance(taken[0], m.Ok)
    assert [r.n_first for r in taken[0].ranges] == [0, 1, 2]
    assert isinstance(taken[1], m.Deliver)
    assert [d.pos_first for d in taken[1].deliveries] == [0, 1, 2]


def test_nothing_passes_a_refusal_a_login_reply_or_an_end_of_sessions() -> None:
    refused = m.Refused((m.RefusedRange("inbox", 1, 5, 1, ErrorCode.GAP, 3),))
    login = m.LoginOk(1, 1, -1, 0, (), 0)
    ended = m.Superseded((m.CursorMark("inbox", 1, -1),), ErrorCode.SUPERSEDED)
    unknown = m.Superseded((m.CursorMark("inbox", 2, -1),), ErrorCode.UNKNOWN_SESSION)
    outlet = Outlet()
    script: list[m.Message] = [
        ok(0),
        refused,
        ok(1),
        login,
        ok(2),
        m.Deliver(deliveries=(delivery(0),)),
        ended,
        m.Deliver(deliveries=(delivery(1),)),
        unknown,
        ok(3),
    ]
    for message in script:
        outlet.offer(message)
    assert list(outlet.take()) == script


def test_equal_ends_of_sessions_share_a_message() -> None:
    outlet = Outlet()
    outlet.offer(m.Superseded((m.CursorMark("a", 1, -1),), ErrorCode.SUPERSEDED))
    outlet.offer(m.Superseded((m.CursorMark("b", 1, -1),), ErrorCode.SUPERSEDED))
    (message,) = outlet.take()
    assert isinstance(message, m.Superseded)
    assert [mark.inbox for mark in message.marks] == ["a", "b"]


def test_pieces_stay_within_their_size_and_number() -> None:
    outlet = Outlet()
    for n in range(5):
        outlet.offer(m.BatchSend(segments=(segment(n, PIECE_BYTES // 2 - 200),)))
    taken = outlet.take()
    assert [len(x.segments) for x in taken if isinstance(x, m.BatchSend)] == [2, 2, 1]
    outlet.written()
    outlet.offer(m.Ok(tuple(m.OkRange("inbox", 1, n, 1, n, 0) for n in range(SEGMENTS_MAX + 7))))
    taken = outlet.take()
    assert [len(x.ranges) for x in taken if isinstance(x, m.Ok)] == [SEGMENTS_MAX, 7]


def test_a_lone_single_message_leaves_as_send_and_in_company_as_batch() -> None:
    outlet = Outlet()
    outlet.offer(m.Send(segment=segment(0, 10, count=1)))
    assert outlet.take() == (m.Send(segment=segment(0, 10, count=1)),)
    outlet.written()
    outlet.offer(m.Send(segment=segment(1, 10, count=1)))
    outlet.offer(m.BatchSend(segments=(segment(2, 10),)))
    assert outlet.take() == (m.BatchSend(segments=(segment(1, 10, count=1), segment(2, 10))),)


def test_one_transmit_at_a_time_and_pending_counts_both_parts() -> None:
    outlet = Outlet(bytes_max=10_000)
    assert outlet.take() == ()
    outlet.offer(m.BatchSend(segments=(segment(0, 6_000),)))
    assert len(outlet.take()) == 1
    outlet.offer(m.BatchSend(segments=(segment(2, 6_000),)))
    assert outlet.take() == ()
    assert outlet.overfull
    assert outlet.wants_more
    outlet.written()
    assert not outlet.overfull
    assert len(outlet.take()) == 1
    outlet.written()
    assert outlet.pending_bytes == 0


def test_it_wants_no_more_above_the_soft_limit() -> None:
    outlet = Outlet()
    while outlet.wants_more:
        outlet.offer(m.BatchSend(segments=(segment(0, PIECE_BYTES),)))
    assert outlet.pending_bytes >= OUTLET_SOFT_BYTES
    first = outlet.take()
    assert first
    assert len(first) <= 5
