"""Frames survive any split, and everything malformed is told by a typed error."""

from __future__ import annotations

import struct
from typing import get_args

import msgspec
import pytest

from harness.testing.wire_examples import EXAMPLES, make_delivery, make_segment, to_bytes
from reference.wire import messages as m
from reference.wire.errors import ErrorCode, LocalProtocolError, RemoteProtocolError
from reference.wire.frames import FrameParser, encode
from reference.wire.limits import (
    BATCH_BYTES_MAX,
    BATCH_COUNT_MAX,
    FRAME_BYTES_MAX,
    GREETING_BYTES_MAX,
    HEADER_BYTES_MAX,
    INBOX_NAME_BYTES_MAX,
    LOGIN_INBOXES_MAX,
    MESSAGE_BYTES_MAX,
    SEGMENTS_MAX,
)
from reference.wire.opcodes import Opcode


def frame(opcode: int, header: object, columns: bytes = b"", packed: bytes | None = None) -> bytes:
    packed = msgspec.msgpack.encode(header) if packed is None else packed
    return struct.pack("<IBI", 5 + len(packed) + len(columns), opcode, len(packed)) + (
        packed + columns
    )


def parse(data: bytes) -> list[m.Message]:
    return list(FrameParser().feed(data))


def refused(data: bytes) -> ErrorCode:
    with pytest.raises(RemoteProtocolError) as caught:
        parse(data)
    assert caught.value.detail
    return caught.value.code


def column(*lengths: int) -> bytes:
    return b"".join(length.to_bytes(4, "little") for length in lengths)


def test_the_examples_hold_every_message_and_opcode() -> None:
    assert {type(message) for message in EXAMPLES} == set(get_args(m.Message))
    assert {to_bytes(message)[4] for message in EXAMPLES} == set(Opcode)


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_round_trip_at_every_split(message: m.Message) -> None:
    data = to_bytes(message)
    assert parse(data) == [message]
    for at in range(0, len(data), max(1, len(data) // 300)):
        parser = FrameParser()
        assert list(parser.feed(data[:at])) == []
        assert parser.held_bytes == at
        assert list(parser.feed(data[at:])) == [message]
        assert parser.held_bytes == 0


def test_a_stream_byte_by_byte_and_in_pieces_of_every_size() -> None:
    small = [message for message in EXAMPLES if len(to_bytes(message)) < 1000]
    data = to_bytes(*small, *EXAMPLES, *small)
    for size in (1, 2, 3, 5, 7, 64, 4095, 4096, 4097, len(data)):
        parser = FrameParser()
        seen = []
        for at in range(0, len(data), size):
            seen += list(parser.feed(data[at : at + size]))
        assert seen == [*small, *EXAMPLES, *small]
        assert parser.held_bytes == 0


def test_what_the_iterator_was_not_asked_for_comes_out_of_the_next() -> None:
    parser = FrameParser()
    iterator = parser.feed(to_bytes(m.Heartbeat(1), m.Heartbeat(2), m.Heartbeat(3)))
    assert next(iterator) == m.Heartbeat(1)
    parser.feed(to_bytes(m.Heartbeat(4)))
    assert list(parser.feed(b"")) == [m.Heartbeat(2), m.Heartbeat(3), m.Heartbeat(4)]
    assert list(iterator) == []


def test_feeding_takes_the_bytes_even_if_nobody_iterates() -> None:
    parser = FrameParser()
    parser.feed(to_bytes(m.Heartbeat(1)))
    assert list(parser.feed(b"")) == [m.Heartbeat(1)]


def test_good_frames_before_a_bad_one_come_out_and_the_error_stays() -> None:
    parser = FrameParser()
    iterator = parser.feed(to_bytes(m.Heartbeat(1)) + frame(0xEE, []) + to_bytes(m.Heartbeat(2)))
    assert next(iterator) == m.Heartbeat(1)
    with pytest.raises(RemoteProtocolError, match="0xee"):
        next(iterator)
    with pytest.raises(RemoteProtocolError, match="0xee"):
        parser.feed(to_bytes(m.Heartbeat(3)))
    assert parser.held_bytes == 0


def test_columns_are_bytes_of_their_own() -> None:
    data = to_bytes(m.BatchSend(segments=(make_segment(), make_segment())))
    (message,) = parse(data)
    assert isinstance(message, m.BatchSend)
    assert all(type(s.body) is bytes and type(s.lengths) is bytes for s in message.segments)


HEAD = ["vip", 1, 0, 2, 3]
ROW = column(1, 2) + b"abc"
RUNS = [[1, 0, 2, 0, 1]]

MALFORMED: dict[str, tuple[ErrorCode, bytes]] = {
    "length 0": (ErrorCode.BAD_FRAME, struct.pack("<I", 0)),
    "length 4": (ErrorCode.BAD_FRAME, struct.pack("<I", 4)),
    "length over the limit": (
        ErrorCode.FRAME_TOO_LARGE,
        struct.pack("<I", FRAME_BYTES_MAX + 1),
    ),
    "length of all ones": (ErrorCode.FRAME_TOO_LARGE, b"\xff" * 4),
    "header longer than its frame": (
        ErrorCode.BAD_FRAME,
        struct.pack("<IBI", 5, Opcode.HEARTBEAT, 1),
    ),
    "header over its limit": (
        ErrorCode.FRAME_TOO_LARGE,
        struct.pack("<IBI", 5 + HEADER_BYTES_MAX + 1, Opcode.OK, HEADER_BYTES_MAX + 1)
        + bytes(HEADER_BYTES_MAX + 1),
    ),
    "opcode 0": (ErrorCode.UNKNOWN_OPCODE, frame(0, [])),
    "opcode above the last": (ErrorCode.UNKNOWN_OPCODE, frame(max(Opcode) + 1, [])),
    "empty header": (ErrorCode.BAD_HEADER, frame(Opcode.HEARTBEAT, None, packed=b"")),
    "header that ends early": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.HELLO, None, packed=b"\x94\x01\xa6cl"),
    ),
    "bytes behind the header's value": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.HEARTBEAT, None, packed=b"\x91\x01\x00"),
    ),
    "field missing": (ErrorCode.BAD_HEADER, frame(Opcode.END, [1])),
    "map in place of an array": (ErrorCode.BAD_HEADER, frame(Opcode.HEARTBEAT, {"nonce": 1})),
    "text in place of a number": (ErrorCode.BAD_HEADER, frame(Opcode.HEARTBEAT, ["1"])),
    "nested far too deep": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.INSPECT_OK, None, packed=b"\x91" * 100_000),
    ),
    "array that claims 2^32 items": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.OK, None, packed=b"\x91\xdd\xff\xff\xff\xff"),
    ),
    "text that is not UTF-8": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.END, None, packed=b"\x92\x01\xa2\xff\xfe"),
    ),
    "a lone surrogate": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.END, None, packed=b"\x92\x01\xa3\xed\xa0\x80"),
    ),
    "number over i64": (ErrorCode.BAD_HEADER, frame(Opcode.HEARTBEAT, [2**63])),
    "number under the lowest": (ErrorCode.BAD_HEADER, frame(Opcode.LOGIN, [1, "a", -3, 0, -1, []])),
    "producer under -1": (ErrorCode.BAD_HEADER, frame(Opcode.LOGIN, [1, "a", -1, 0, -2, []])),
    "range of no message": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.OK, [[["vip", 1, 0, 0, 0, 0]]]),
    ),
    "error code nobody knows": (ErrorCode.BAD_HEADER, frame(Opcode.ERROR, [1, 9999, "what"])),
    "too many ranges": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.OK, [[["v", 1, 0, 1, 0, 0]] * (SEGMENTS_MAX + 1)]),
    ),
    "too many inboxes in a login": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.LOGIN, [1, "", -1, 0, 1, ["a"] * (LOGIN_INBOXES_MAX + 1)]),
    ),
    "login with a name too long": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.LOGIN, [1, "a" * (INBOX_NAME_BYTES_MAX + 1), -1, 0, -1, []]),
    ),
    "login that asks for a nameless inbox": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.LOGIN, [1, "", -1, 0, 1, ["a", ""]]),
    ),
    "promotion of a nameless inbox": (ErrorCode.BAD_HEADER, frame(Opcode.PROMOTE, [1, "", 0, 5])),
    "columns where none belong": (ErrorCode.BAD_HEADER, frame(Opcode.HEARTBEAT, [1], b"x")),
    "send of two": (ErrorCode.BAD_HEADER, frame(Opcode.SEND, [HEAD], ROW)),
    "send of two batches": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.SEND, [["v", 1, 0, 1, 0]] * 2, column(0, 0)),
    ),
    "batch without a batch": (ErrorCode.BAD_HEADER, frame(Opcode.BATCH_SEND, [])),
    "batch of no message": (ErrorCode.BAD_HEADER, frame(Opcode.BATCH_SEND, [["v", 1, 0, 0, 0]])),
    "batch of a negative count": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.BATCH_SEND, [["v", 1, 0, -1, 0]]),
    ),
    "batch of too many": (
        ErrorCode.BAD_HEADER,
        frame(
            Opcode.BATCH_SEND,
            [["v", 1, 0, BATCH_COUNT_MAX + 1, 0]],
            bytes(4 * (BATCH_COUNT_MAX + 1)),
        ),
    ),
    "batch of too many bytes": (
        ErrorCode.FRAME_TOO_LARGE,
        frame(
            Opcode.BATCH_SEND,
            [["v", 1, 0, 8, BATCH_BYTES_MAX + 8]],
            column(*[BATCH_BYTES_MAX // 8 + 1] * 8) + bytes(BATCH_BYTES_MAX + 8),
        ),
    ),
    "a message too large": (
        ErrorCode.FRAME_TOO_LARGE,
        frame(
            Opcode.BATCH_SEND,
            [["v", 1, 0, 1, MESSAGE_BYTES_MAX + 1]],
            column(MESSAGE_BYTES_MAX + 1) + bytes(MESSAGE_BYTES_MAX + 1),
        ),
    ),
    "too many batches": (
        ErrorCode.BAD_HEADER,
        frame(
            Opcode.BATCH_SEND,
            [["v", 1, 0, 1, 0]] * (SEGMENTS_MAX + 1),
            bytes(4 * (SEGMENTS_MAX + 1)),
        ),
    ),
    "negative body": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.BATCH_SEND, [["v", 1, 0, 1, -2]], column(1) + b"a"),
    ),
    "columns too short": (ErrorCode.BAD_HEADER, frame(Opcode.BATCH_SEND, [HEAD], ROW[:-1])),
    "columns too long": (ErrorCode.BAD_HEADER, frame(Opcode.BATCH_SEND, [HEAD], ROW + b"d")),
    "lengths that do not add up": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.BATCH_SEND, [HEAD], column(1, 1) + b"abc"),
    ),
    "one message with a length below its body": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.SEND, [["v", 1, 0, 1, 3]], column(2) + b"abc"),
    ),
    "one message with a length over its body": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.SEND, [["v", 1, 0, 1, 3]], column(4) + b"abc"),
    ),
    "one message over its limit": (
        ErrorCode.FRAME_TOO_LARGE,
        frame(
            Opcode.SEND,
            [["v", 1, 0, 1, MESSAGE_BYTES_MAX + 1]],
            column(MESSAGE_BYTES_MAX + 1) + bytes(MESSAGE_BYTES_MAX + 1),
        ),
    ),
    "lengths that add up only over both batches": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.BATCH_SEND, [HEAD, HEAD], column(1, 1, 2, 2) + b"abcabc"),
    ),
    "producer over u64 is no msgpack": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.BATCH_SEND, None, ROW, packed=b"\x91\x95\xa1v\xcf\xff"),
    ),
    "negative producer": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.BATCH_SEND, [["v", -1, 0, 2, 3]], ROW),
    ),
    "n at the end of its range": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.BATCH_SEND, [["v", 1, 2**63 - 2, 2, 3]], ROW),
    ),
    "nameless batch": (ErrorCode.BAD_HEADER, frame(Opcode.BATCH_SEND, [["", 1, 0, 2, 3]], ROW)),
    "batch with a name too long in bytes": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.BATCH_SEND, [["ж" * (INBOX_NAME_BYTES_MAX // 2 + 1), 1, 0, 2, 3]], ROW),
    ),
    "runs that do not add up": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.DELIVER, [["v", 1, 0, False, [[1, 0, 1, 0, 1]], 2, 3]], ROW),
    ),
    "a run of a negative count": (
        ErrorCode.BAD_HEADER,
        frame(
            Opcode.DELIVER,
            [["v", 1, 0, False, [[1, 0, -1, 0, 1], [1, 0, 3, 0, 1]], 2, 3]],
            ROW,
        ),
    ),
    "too many runs": (
        ErrorCode.BAD_HEADER,
        frame(
            Opcode.DELIVER,
            [["v", 1, 0, False, [[1, 0, 1, 0, 1]] * (SEGMENTS_MAX + 1), SEGMENTS_MAX + 1, 0]],
            bytes(4 * (SEGMENTS_MAX + 1)),
        ),
    ),
    "a delivery of nothing": (
        ErrorCode.BAD_HEADER,
        frame(Opcode.DELIVER, [["v", 1, 0, False, [], 0, 0]]),
    ),
}


def test_the_pieces_of_the_malformed_frames_are_good_ones() -> None:
    assert len(parse(frame(Opcode.BATCH_SEND, [HEAD], ROW))) == 1
    assert len(parse(frame(Opcode.DELIVER, [["v", 1, 0, False, RUNS, 2, 3]], ROW))) == 1
    assert len(parse(frame(Opcode.LOGIN, [1, "", -2, 0, 2**64 - 1, []]))) == 1


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name: str) -> None:
    code, data = MALFORMED[name]
    assert refused(data) is code


def big(size_bytes: int, count: int = 1) -> m.Segment:
    lengths = (size_bytes // count).to_bytes(4, "little") * count
    return m.Segment(
        inbox="v", producer=1, n_first=0, count=count, lengths=lengths, body=bytes(size_bytes)
    )


def wide(runs: int) -> m.Delivery:
    return m.Delivery(
        inbox="v",
        session=0,
        pos_first=0,
        redelivered=True,
        runs=(m.Run(1, 0, 1, 0, 1),) * runs,
        lengths=bytes(4 * runs),
        body=b"",
    )


AT_THE_LIMIT: dict[str, m.Message] = {
    "message bytes": m.Send(segment=big(MESSAGE_BYTES_MAX)),
    "batch bytes": m.BatchSend(segments=(big(BATCH_BYTES_MAX, 4),)),
    "batch count": m.BatchSend(segments=(big(0, BATCH_COUNT_MAX),)),
    "segments": m.BatchSend(segments=(big(0),) * SEGMENTS_MAX),
    "runs": m.Deliver(deliveries=(wide(SEGMENTS_MAX),)),
    "ranges": m.Ok((m.OkRange("v", 1, 0, 1, 0, 0),) * SEGMENTS_MAX),
    "name bytes": m.BatchSend(segments=(make_segment(inbox="ж" * (INBOX_NAME_BYTES_MAX // 2)),)),
    "inboxes of a login": m.Login(1, "", -1, 0, 1, ("a" * 128,) * LOGIN_INBOXES_MAX),
}

OVER_THE_LIMIT: dict[str, m.Message] = {
    "message bytes": m.BatchSend(segments=(big(MESSAGE_BYTES_MAX + 1),)),
    "batch bytes": m.BatchSend(segments=(big(BATCH_BYTES_MAX + 5, 5),)),
    "batch count": m.BatchSend(segments=(big(0, BATCH_COUNT_MAX + 1),)),
    "segments": m.BatchSend(segments=(big(0),) * (SEGMENTS_MAX + 1)),
    "no segments": m.BatchSend(segments=()),
    "runs": m.Deliver(deliveries=(wide(SEGMENTS_MAX // 2), wide(SEGMENTS_MAX // 2 + 1))),
    "no deliveries": m.Deliver(deliveries=()),
    "delivery count": m.Deliver(deliveries=(make_delivery(count=BATCH_COUNT_MAX + 1),)),
    "ranges": m.Ok((m.OkRange("v", 1, 0, 1, 0, 0),) * (SEGMENTS_MAX + 1)),
    "refused ranges": m.Refused(
        (m.RefusedRange("v", 1, 0, 1, ErrorCode.BUSY, -1),) * (SEGMENTS_MAX + 1)
    ),
    "marks": m.CursorAck((m.CursorMark("v", 0, 0),) * (SEGMENTS_MAX + 1)),
    "sessions": m.Resume((m.ResumeMark("v", 0, 0, 0, 0),) * (SEGMENTS_MAX + 1)),
    "users": m.Presence(1, ("v",) * (SEGMENTS_MAX + 1)),
    "entries": m.PresenceOk(1, (m.PresenceEntry("v", False, "", -1),) * (SEGMENTS_MAX + 1)),
    "rows": m.InspectOk(
        1, "v", (), (m.StoredRow(0, 0, 0, 0, 1, 1, 0, b"", b""),) * (SEGMENTS_MAX + 1), False, {}
    ),
    "name bytes": m.BatchSend(segments=(make_segment(inbox="a" * (INBOX_NAME_BYTES_MAX + 1)),)),
    "inboxes of a login": m.Login(1, "", -1, 0, 1, ("a",) * (LOGIN_INBOXES_MAX + 1)),
    "header bytes": m.Error(1, ErrorCode.BAD_FRAME, "x" * (HEADER_BYTES_MAX + 1)),
    "frame bytes": m.BatchSend(segments=(big(BATCH_BYTES_MAX, 4),) * 5),
    "two in a send": m.Send(segment=make_segment(count=2)),
    "lengths column": m.BatchSend(
        segments=(m.Segment(inbox="v", producer=1, n_first=0, count=2, lengths=bytes(4), body=b""),)
    ),
    "runs against count": m.Deliver(
        deliveries=(
            m.Delivery(
                inbox="v",
                session=0,
                pos_first=0,
                redelivered=False,
                runs=(m.Run(1, 0, 2, 0, 1),),
                lengths=bytes(4),
                body=b"",
            ),
        )
    ),
}


@pytest.mark.parametrize("name", AT_THE_LIMIT)
def test_a_message_at_its_limit_passes(name: str) -> None:
    assert parse(to_bytes(AT_THE_LIMIT[name])) == [AT_THE_LIMIT[name]]


@pytest.mark.parametrize("name", OVER_THE_LIMIT)
def test_a_message_over_its_limit_is_not_sent(name: str) -> None:
    with pytest.raises(LocalProtocolError):
        encode(OVER_THE_LIMIT[name])


def test_a_first_frame_is_small_where_its_sender_is_not_known() -> None:
    long = to_bytes(m.Presence(1, ("x" * 100,) * 60))
    parser = FrameParser(GREETING_BYTES_MAX)
    with pytest.raises(RemoteProtocolError, match="FRAME_TOO_LARGE"):
        list(parser.feed(long[:5]))
    parser = FrameParser(GREETING_BYTES_MAX)
    assert len(list(parser.feed(to_bytes(m.Hello(1, "client", "n", "t")) + long))) == 2
