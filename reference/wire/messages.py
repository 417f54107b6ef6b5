"""The messages of the protocol as typed, immutable values.

Every message but three is a msgpack array of its fields in the order written here. SEND,
BATCH_SEND and DELIVER carry columns behind the header: `lengths` (u32, little-endian, one per
message) and `body` (all bodies, one after the other), so that no hop makes an object per message.

Positions are dense per inbox and begin at 0; `-1` stands for "none". A cursor or `from_pos` names
the last position that was consumed, so `-1` means "from the start". `request` is chosen by whoever
asks and comes back in the reply; it means nothing beyond the connection.

The bounds below hold for what a `FrameParser` yields: msgspec checks them while it decodes, so no
machine and no store ever meets a number or a list that does not fit them. They are not checked when
a value is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

import msgspec

from reference.wire.errors import ErrorCode
from reference.wire.limits import (
    DETAIL_CHARS_MAX,
    INBOX_NAME_BYTES_MAX,
    LOGIN_INBOXES_MAX,
    SEGMENTS_MAX,
    TOKEN_BYTES_MAX,
)

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=-2, le=2**63 - 1)]
"""A position, n, session, epoch, request or size; -1 is none and -2 the durable cursor."""

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
"""How many messages a range or run has."""

Producer: TypeAlias = Annotated[int, msgspec.Meta(ge=-1)]
"""A producer id: 0 to 2^64 - 1; negative only in a login without a lineage."""

Name: TypeAlias = Annotated[str, msgspec.Meta(max_length=INBOX_NAME_BYTES_MAX)]
"""The name of an inbox, a user or a node; a parser also bounds the bytes of what peers ask."""

_MANY = msgspec.Meta(max_length=SEGMENTS_MAX)
_LOGIN = msgspec.Meta(max_length=LOGIN_INBOXES_MAX)


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """First message of a connection. `role` is "client", "edge" or "admin".

    `version` is the lowest version that the caller speaks and `version_max` the highest; without
    it `version` is the only one.
    """

    version: Number
    role: Name
    node: Name
    token: Annotated[str, msgspec.Meta(max_length=TOKEN_BYTES_MAX)]
    version_max: Number = -1

    def __repr__(self) -> str:
        """Return what may stand in a log: everything but the token."""
        spoken = f"version={self.version}, version_max={self.version_max}"
        return f"Hello({spoken}, role={self.role!r}, node={self.node!r})"


class Welcome(msgspec.Struct, frozen=True, array_like=True):
    """Reply to HELLO: the version that is spoken from here on, the highest that both speak.

    `credit_bytes`: how much may be sent and not yet answered.
    """

    version: Number
    node: Name
    credit_bytes: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A batch: one inbox, one producer, the contiguous ids n_first … n_first + count - 1.

    Attributes:
        lengths: Column of u32, little-endian: `4 * count` bytes.
        body: The bodies in order of n, one after the other.
    """

    inbox: str
    producer: int
    n_first: int
    count: int
    lengths: bytes
    body: bytes

    @property
    def n_end(self) -> int:
        """The first n behind the batch."""
        return self.n_first + self.count

    @property
    def size_bytes(self) -> int:
        """What the batch costs against a credit: its bodies and its column of lengths."""
        return len(self.body) + len(self.lengths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One message (opcode 0x03), as a batch of count 1."""

    segment: Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSend:
    """Batches (opcode 0x04): one from a client, as many as gathered from an edge to the core."""

    segments: tuple[Segment, ...]


class OkRange(msgspec.Struct, frozen=True, array_like=True):
    """A durable range: committed with fsync before this was sent.

    `pos_first` is the position of n_first, the others follow densely; it is -1 (and `epoch` too)
    for a range that was known before, whose positions the core does not look up.
    """

    inbox: Name
    producer: Producer
    n_first: Number
    count: Count
    pos_first: Number
    epoch: Number


class Ok(msgspec.Struct, frozen=True, array_like=True):
    """Acknowledges ranges of ids."""

    ranges: Annotated[tuple[OkRange, ...], _MANY]


class RefusedRange(msgspec.Struct, frozen=True, array_like=True):
    """A range that was not taken, and why. `expected` is the next n the core takes (-1: unsaid)."""

    inbox: Name
    producer: Producer
    n_first: Number
    count: Count
    code: ErrorCode
    expected: Number


class Refused(msgspec.Struct, frozen=True, array_like=True):
    """Refuses ranges of ids, for this attempt."""

    ranges: Annotated[tuple[RefusedRange, ...], _MANY]


class Login(msgspec.Struct, frozen=True, array_like=True):
    """Opens a session of an inbox, a producer's lineage, or both.

    A receiver names `inbox`, the last position it has (`from_pos`; -2 leaves it to the durable
    cursor) and how many bytes it takes before it acknowledges (`window_bytes`). A sender names
    `producer` and the inboxes whose durable n it wants to know. `inbox` "" opens no session, a
    negative `producer` no lineage.
    """

    request: Number
    inbox: Name
    from_pos: Number
    window_bytes: Number
    producer: Producer
    inboxes: Annotated[tuple[Name, ...], _LOGIN]


class LoginOk(msgspec.Struct, frozen=True, array_like=True):
    """Reply to LOGIN, sent when the session number is durable.

    `session` is -1 without an inbox. Delivery begins at `next_pos`. `durable[i]` is the number of
    durable messages of the producer in `inboxes[i]`: all n below it are acknowledged by this reply;
    -1 where nobody knows, since the inbox is quarantined.
    """

    request: Number
    session: Number
    cursor: Number
    next_pos: Number
    durable: Annotated[tuple[Number, ...], _LOGIN]
    credit_bytes: Number


class Logout(msgspec.Struct, frozen=True, array_like=True):
    """Ends a session. An edge sends it also for a client whose connection ended (request -1)."""

    request: Number
    inbox: Name
    session: Number


class LogoutOk(msgspec.Struct, frozen=True, array_like=True):
    """Reply to LOGOUT."""

    request: Number


class Run(msgspec.Struct, frozen=True, array_like=True):
    """Messages of one producer with rising n at consecutive positions, all of one epoch."""

    producer: Producer
    n_first: Number
    count: Count
    epoch: Number
    bucket_count: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Messages of one inbox at the positions pos_first, pos_first + 1, … in that order.

    Attributes:
        redelivered: All of them may have been sent to an earlier session.
        runs: Who wrote them; the counts add up to the length of `lengths`.
        lengths: Column of u32, little-endian.
        body: The bodies in position order.
    """

    inbox: str
    session: int
    pos_first: int
    redelivered: bool
    runs: tuple[Run, ...]
    lengths: bytes
    body: bytes

    @property
    def count(self) -> int:
        """How many messages it carries."""
        return len(self.lengths) // 4

    @property
    def size_bytes(self) -> int:
        """What it costs against the receiver's window."""
        return len(self.body) + len(self.lengths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """Deliveries (opcode 0x0B), of several sessions when it goes from the core to an edge."""

    deliveries: tuple[Delivery, ...]


class CursorMark(msgspec.Struct, frozen=True, array_like=True):
    """A session has consumed every position up to and including `upto`."""

    inbox: Name
    session: Number
    upto: Number


class CursorAck(msgspec.Struct, frozen=True, array_like=True):
    """Moves cursors; each mark also gives the receiver's window back."""

    marks: Annotated[tuple[CursorMark, ...], _MANY]


class CursorOk(msgspec.Struct, frozen=True, array_like=True):
    """Confirms cursors: they are durable."""

    marks: Annotated[tuple[CursorMark, ...], _MANY]


class End(msgspec.Struct, frozen=True, array_like=True):
    """Asks where the inbox ends."""

    request: Number
    inbox: Name


class EndOk(msgspec.Struct, frozen=True, array_like=True):
    """Nothing was acknowledged beyond `pos` (-1: nothing at all) when the request was handled."""

    request: Number
    inbox: Name
    pos: Number


class Presence(msgspec.Struct, frozen=True, array_like=True):
    """Asks who is online."""

    request: Number
    users: Annotated[tuple[Name, ...], _MANY]


class PresenceEntry(msgspec.Struct, frozen=True, array_like=True):
    """What the core believes of one user. `edge` is "" and `session` -1 while offline."""

    user: Name
    online: bool
    edge: Name
    session: Number


class PresenceOk(msgspec.Struct, frozen=True, array_like=True):
    """Reply to PRESENCE, in the order asked."""

    request: Number
    entries: Annotated[tuple[PresenceEntry, ...], _MANY]


class Promote(msgspec.Struct, frozen=True, array_like=True):
    """Sets an inbox's bucket count (also a demotion), if `expected_epoch` is in force."""

    request: Number
    inbox: Name
    expected_epoch: Number
    bucket_count: Number


class Promoted(msgspec.Struct, frozen=True, array_like=True):
    """Reply to PROMOTE, when durable: `epoch` holds from position `pos_first` on."""

    request: Number
    inbox: Name
    epoch: Number
    bucket_count: Number
    pos_first: Number


class Inspect(msgspec.Struct, frozen=True, array_like=True):
    """Asks for the stored bucket rows of an inbox behind (after_pos, after_bucket).

    With an empty name it asks for the node's gauges only.
    """

    request: Number
    inbox: Name
    after_pos: Number
    after_bucket: Number


class StoredRow(msgspec.Struct, frozen=True, array_like=True):
    """One row of `offline_msg` without bodies.

    `offsets` is a column of u32 (position minus pos_first), `ids` a column of u64 producers
    followed by a column of u64 n, all little-endian.
    """

    pos_first: Number
    bucket: Number
    pos_last: Number
    epoch: Number
    bucket_count: Number
    count: Count
    bpos_first: Number
    offsets: bytes
    ids: bytes


class EpochEntry(msgspec.Struct, frozen=True, array_like=True):
    """A bucket count in force from a position on."""

    epoch: Number
    bucket_count: Number
    pos_first: Number


class HotEntry(msgspec.Struct, frozen=True, array_like=True):
    """An inbox that is written to much: messages per second, and the epoch in force."""

    inbox: Name
    writes_per_s: Number
    epoch: Number
    bucket_count: Number


class InspectOk(msgspec.Struct, frozen=True, array_like=True):
    """Reply to INSPECT. `more` says that rows remain behind the last one.

    `hot` are the hottest inboxes, the hottest first, where the core was asked for its gauges.
    """

    request: Number
    inbox: Name
    epochs: tuple[EpochEntry, ...]
    rows: Annotated[tuple[StoredRow, ...], _MANY]
    more: bool
    gauges: dict[str, int]
    hot: Annotated[tuple[HotEntry, ...], _MANY] = ()


class ResumeMark(msgspec.Struct, frozen=True, array_like=True):
    """A session that an edge still holds, and the last position that arrived there for it.

    `in_flight_bytes` is the size of what lies between `acked_pos` and `received_pos`.
    """

    inbox: Name
    session: Number
    received_pos: Number
    acked_pos: Number
    window_bytes: Number
    in_flight_bytes: Number = 0


class Resume(msgspec.Struct, frozen=True, array_like=True):
    """An edge registers its sessions again on a new core link."""

    marks: Annotated[tuple[ResumeMark, ...], _MANY]


class Superseded(msgspec.Struct, frozen=True, array_like=True):
    """The core ends sessions: a later login took over, or it does not know them."""

    marks: Annotated[tuple[CursorMark, ...], _MANY]
    code: ErrorCode


class Heartbeat(msgspec.Struct, frozen=True, array_like=True):
    """Asks the peer for a sign of life."""

    nonce: Number


class HeartbeatOk(msgspec.Struct, frozen=True, array_like=True):
    """The sign of life."""

    nonce: Number


class Error(msgspec.Struct, frozen=True, array_like=True):
    """A typed error. `request` is -1 when it concerns the connection, which is closed after it."""

    request: Number
    code: ErrorCode
    detail: Annotated[str, msgspec.Meta(max_length=DETAIL_CHARS_MAX)]


Message: TypeAlias = (
    Hello | Welcome | Send | BatchSend | Ok | Refused | Login | LoginOk | Logout | LogoutOk
    | Deliver | CursorAck | CursorOk | End | EndOk | Presence | PresenceOk | Promote | Promoted
    | Inspect | InspectOk | Resume | Superseded | Heartbeat | HeartbeatOk | Error
)  # fmt: skip
