"""At least one well-formed message of every kind, for tests of the wire."""

from __future__ import annotations

from reference.wire import messages as m
from reference.wire.errors import ErrorCode
from reference.wire.frames import encode


def make_segment(
    *, count: int = 3, inbox: str = "vip_user", producer: int = 7, n_first: int = 0
) -> m.Segment:
    """Return a batch whose bodies have the lengths 0, 1, 2, …, 6, 0, 1, …."""
    sizes = [index % 7 for index in range(count)]
    return m.Segment(
        inbox=inbox,
        producer=producer,
        n_first=n_first,
        count=count,
        lengths=b"".join(size.to_bytes(4, "little") for size in sizes),
        body=b"".join(bytes([65 + index % 26]) * size for index, size in enumerate(sizes)),
    )


def make_delivery(*, count: int = 5, inbox: str = "vip_user", session: int = 3) -> m.Delivery:
    """Return a delivery of two runs, the first of them one message long."""
    segment = make_segment(count=count)
    return m.Delivery(
        inbox=inbox,
        session=session,
        pos_first=10,
        redelivered=False,
        runs=(m.Run(7, 4, 1, 0, 1), m.Run(2**64 - 1, 0, count - 1, 1, 50)),
        lengths=segment.lengths,
        body=segment.body,
    )


MARKS = (m.CursorMark("vip_user", 3, 99), m.CursorMark("пользователь", 4, -1))

EXAMPLES: tuple[m.Message, ...] = (
    m.Hello(1, "client", "sender-0", "token", 2),
    m.Welcome(1, "us-east", 4 * 1024 * 1024),
    m.Send(segment=make_segment(count=1)),
    m.BatchSend(segments=(make_segment(count=500),)),
    m.BatchSend(segments=(make_segment(), make_segment(inbox="normal", producer=2**64 - 1))),
    m.Ok((m.OkRange("vip_user", 2**64 - 1, 0, 500, 1000, 2), m.OkRange("normal", 8, 3, 1, -1, -1))),
    m.Refused((m.RefusedRange("vip_user", 7, 500, 10, ErrorCode.GAP, 400),)),
    m.Login(1, "vip_user", -2, 1 << 20, -1, ()),
    m.Login(2, "", -1, 0, 2**64 - 1, ("vip_user", "normal")),
    m.LoginOk(2, -1, -1, -1, (500, 0), 1 << 20),
    m.Logout(-1, "vip_user", 3),
    m.LogoutOk(3),
    m.Deliver(deliveries=(make_delivery(), make_delivery(inbox="normal", count=2))),
    m.CursorAck(MARKS),
    m.CursorOk(MARKS),
    m.End(4, "vip_user"),
    m.EndOk(4, "vip_user", -1),
    m.Presence(5, ("vip_user", "normal")),
    m.PresenceOk(
        5,
        (
            m.PresenceEntry("vip_user", True, "eu-west", 3),
            m.PresenceEntry("normal", False, "", -1),
        ),
    ),
    m.Promote(6, "vip_user", 0, 50),
    m.Promoted(6, "vip_user", 1, 50, 1500),
    m.Inspect(7, "vip_user", -1, -1),
    m.InspectOk(
        7,
        "vip_user",
        (m.EpochEntry(0, 1, 0), m.EpochEntry(1, 50, 1500)),
        (m.StoredRow(0, 0, 1, 0, 1, 2, 0, bytes(8), bytes(32)),),
        True,
        {"inboxes": 2},
    ),
    m.Resume((m.ResumeMark("vip_user", 3, 99, 50, 1 << 20),)),
    m.Superseded(MARKS, ErrorCode.SUPERSEDED),
    m.Heartbeat(8),
    m.HeartbeatOk(8),
    m.Error(-1, ErrorCode.BAD_FRAME, "a frame of 0 bytes is too short"),
)
"""Every message occurs; names are ASCII and not, producers small and the largest."""


def to_bytes(*messages: m.Message) -> bytes:
    """Return the frames of the messages as one piece."""
    return b"".join(piece for message in messages for piece in encode(message))
