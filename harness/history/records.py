"""The records of a history.

A record is a msgpack array whose first item is its tag. All times are integer nanoseconds of the
host's monotonic clock since the start of the run. A message id is (producer, inbox, n); producers
are u64. A batch of 500 messages is one record.

When a time is taken matters more than how exactly: `Invoked` is stamped and written to the file
before the first byte is handed over, completions are stamped after the reply was parsed, and
`Delivered` is written before its cursor ack is sent. So a late ok or an early invoke can only
weaken a check, never raise a false alarm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

COUNT_MAX = 1 << 24
"""Messages of a range, at most: far more than a frame holds, and few enough to be computed with."""

BUCKETS_MAX = 1 << 20
"""Buckets of an inbox, at most."""

Int: TypeAlias = Annotated[int, Meta(ge=-(1 << 62), le=1 << 62)]
"""A time, a position or another number that has room in a column of 64 bits, twice over."""

U64: TypeAlias = Annotated[int, Meta(ge=0)]
"""A producer, a number of a message or a digest; what is encoded ends below 2^64."""

Count: TypeAlias = Annotated[int, Meta(ge=1, le=COUNT_MAX)]
"""Messages of a range."""

Buckets: TypeAlias = Annotated[int, Meta(ge=-1, le=BUCKETS_MAX)]
"""A bucket count, or the number of a bucket."""

OK = "ok"
FAIL = "fail"
INFO = "info"

PRESENCE_UNANSWERED = "presence_unanswered"
"""The phase mark of a question for presence that had no answer."""


class Invoked(msgspec.Struct, frozen=True, array_like=True, tag="invoked"):
    """inv(m, a) of a range of n. `producer` numbers its messages to `inbox` densely from 0.

    `t_due_ns` is when the open-loop schedule wanted it sent (never later than `t_ns`; -1: no
    schedule). Latencies count from it, so a sender that was disconnected hides nothing.
    """

    t_ns: Int
    process: Int
    producer: U64
    inbox: str
    n_first: U64
    count: Count
    t_due_ns: Int = -1


class Completed(msgspec.Struct, frozen=True, array_like=True, tag="completed"):
    """The outcome of a range: "ok", "fail" or "info" (unknown).

    `pos_first` is the position of n_first (-1: the reply did not say), `attempts` how often the
    range was handed over, `error` the reason of a fail or info, "" otherwise.
    """

    t_ns: Int
    process: Int
    producer: U64
    inbox: str
    n_first: U64
    count: Count
    outcome: str
    pos_first: Int
    epoch: Int
    attempts: Int
    error: str


BROKEN = "broken"
"""The cause of an end where a client ended it since the system contradicted itself."""


class Connected(msgspec.Struct, frozen=True, array_like=True, tag="connected"):
    """A sender's or receiver's connection came up or went down.

    `role` is "sender" or "receiver"; `cause` is "churn", "lost", "open", "close" or, where the
    client ended it without a session since what came is not what the system had said, `BROKEN`.
    """

    t_ns: Int
    process: Int
    role: str
    name: str
    edge: str
    up: bool
    cause: str


UNTOLD = -2
"""`Opened.cursor` of a system whose answer to a login does not name its cursor."""


class Opened(msgspec.Struct, frozen=True, array_like=True, tag="opened"):
    """A receiver's session is open: open(c, x, sess, from), delivery begins at `next_pos`.

    `from_pos` is the last position that the receiver said it has (-1 none, -2 left to the cursor),
    `cursor` what the system said its durable cursor is (-1 none, `UNTOLD` nothing). `link` is the
    proxy that the session goes through, "" where it is not known.
    """

    t_ns: Int
    t_invoked_ns: Int
    reader: str
    inbox: str
    session: Int
    from_pos: Int
    next_pos: Int
    edge: str
    cursor: Int = UNTOLD
    link: str = ""


class DeliveredRun(msgspec.Struct, frozen=True, array_like=True):
    """Messages of one producer with rising n at consecutive positions.

    `digest` is xxh3_64 over their lengths as a little-endian u32 column, then their bodies;
    a run whose content the receiver found wrong is cut so that each wrong message stands alone.
    """

    producer: U64
    n_first: U64
    count: Count
    epoch: Int
    bucket_count: Buckets
    digest: U64


class Delivered(msgspec.Struct, frozen=True, array_like=True, tag="delivered"):
    """dlv: the messages at pos_first and the positions that follow it."""

    t_ns: Int
    reader: str
    inbox: str
    session: Int
    pos_first: Int
    redelivered: bool
    runs: tuple[DeliveredRun, ...]


class AckInvoked(msgspec.Struct, frozen=True, array_like=True, tag="ack_invoked"):
    """ackinv: the reader is about to acknowledge everything up to `upto`."""

    t_ns: Int
    reader: str
    inbox: str
    session: Int
    upto: Int


class AckCompleted(msgspec.Struct, frozen=True, array_like=True, tag="ack_completed"):
    """ackok (or "fail"/"info") of a cursor."""

    t_ns: Int
    reader: str
    inbox: str
    session: Int
    upto: Int
    outcome: str


class EndRead(msgspec.Struct, frozen=True, array_like=True, tag="end_read"):
    """end(x, pos): nothing lay beyond `pos` when this was asked (begun at `t_invoked_ns`)."""

    t_ns: Int
    t_invoked_ns: Int
    reader: str
    inbox: str
    pos: Int


class Closed(msgspec.Struct, frozen=True, array_like=True, tag="closed"):
    """A reader's session ended: "logout" (confirmed), "abort" (cut by us), "lost", "superseded".

    `BROKEN` is a session that its client ended, since what came is not what the system had said.
    It ended at some time between `t_invoked_ns`, when we began to end it, and `t_ns`; -1 where it
    ended without our doing.
    """

    t_ns: Int
    reader: str
    inbox: str
    session: Int
    cause: str
    t_invoked_ns: Int = -1


class ResizeInvoked(msgspec.Struct, frozen=True, array_like=True, tag="resize_invoked"):
    """A promotion or demotion is about to be asked for."""

    t_ns: Int
    inbox: str
    expected_epoch: Int
    bucket_count: Buckets


class ResizeCompleted(msgspec.Struct, frozen=True, array_like=True, tag="resize_completed"):
    """Its outcome; with ok the new epoch holds from `pos_first` on."""

    t_ns: Int
    inbox: str
    expected_epoch: Int
    bucket_count: Buckets
    outcome: str
    epoch: Int
    pos_first: Int
    error: str
    by_rule: bool = False
    """Nobody asked: a rule of the system did it."""


class Stored(msgspec.Struct, frozen=True, array_like=True, tag="stored"):
    """A bucket row as it lies in the store (inspection or read-only audit).

    `positions`, `producers` and `ns` are little-endian columns of u64, `count` each; the i-th
    message has bucket position `bpos_first + i`.
    """

    t_ns: Int
    inbox: str
    epoch: Int
    bucket: Buckets
    bucket_count: Buckets
    count: Int
    bpos_first: Int
    positions: bytes
    producers: bytes
    ns: bytes


class StoredEnd(msgspec.Struct, frozen=True, array_like=True, tag="stored_end"):
    """Every row of `inbox` from `pos_first` up to `pos_last` has been recorded as `Stored`.

    `pos_last` is -1 for an inbox that holds nothing. `t_invoked_ns` is a moment before the first of
    them was read, so that what was stored by then has to be among them; -1 where it is not known.
    """

    t_ns: Int
    inbox: str
    pos_first: Int
    pos_last: Int
    t_invoked_ns: Int = -1


class PresenceSeen(msgspec.Struct, frozen=True, array_like=True, tag="presence_seen"):
    """What the system said of a user, asked at `t_invoked_ns`."""

    t_ns: Int
    t_invoked_ns: Int
    user: str
    online: bool
    edge: str
    session: Int


HEALING = "healing"
"""`FaultMarked.state` just before a fault is healed: it held until then (none before 1.5)."""


class FaultMarked(msgspec.Struct, frozen=True, array_like=True, tag="fault_marked"):
    """A fault was requested, confirmed, about to be healed (`HEALING`), or healed.

    `effect` is what was observed of it.
    """

    t_ns: Int
    fault: str
    kind: str
    target: str
    state: str
    effective: bool
    effect: dict[str, float]


BY_PHASE = "p"
"""How the ids of faults begin that a phase asked for by itself, and no schedule."""


def missed(effective: bool, effect: Mapping[str, float]) -> bool:
    """Say whether a fault had something to strike and showed no effect on it.

    A fault on a pattern of client links strikes those that hold a connection. A client that left
    by itself in that moment leaves 0 `connections` to be cut or reset, which is no miss.
    """
    return not effective and effect.get("connections") != 0


class PhaseMarked(msgspec.Struct, frozen=True, array_like=True, tag="phase_marked"):
    """A phase of the scenario began or ended.

    The names "quiet" (all senders have ended, faults healed and verified), "drained" (the end was
    read and reached), "audit", "load:LABEL" (loads that E2 compares) and PRESENCE_UNANSWERED are
    known to the checkers.
    """

    t_ns: Int
    name: str
    begins: bool


class GaugeSeen(msgspec.Struct, frozen=True, array_like=True, tag="gauge_seen"):
    """A node's own gauge or its resident memory, and the limit it must keep (-1: none).

    Load processes write two of their own: what a session of theirs was sent unacknowledged, with
    the promised window as its limit (role "receiver", index: the session), and how late they were
    woken (role "load").
    """

    t_ns: Int
    role: str
    index: Int
    name: str
    value: Int
    limit: Int


class Offered(msgspec.Struct, frozen=True, array_like=True, tag="offered"):
    """What a load process offered by schedule since its last record of this kind.

    `due` messages became due and `handed` were handed over; at the end the sums are equal unless
    some were never offered. `late_ns_max`: how long after its due time one was handed over, or is
    still waiting, at the worst. Closed loops have no schedule and are not in it.
    """

    t_ns: Int
    process: Int
    due: Int
    handed: Int
    late_ns_max: Int


class Watermark(msgspec.Struct, frozen=True, array_like=True, tag="watermark"):
    """This recorder will write no record with a time below `t_ns` any more."""

    t_ns: Int


class LinkCounted(msgspec.Struct, frozen=True, array_like=True, tag="link_counted"):
    """What went through a link's proxy, and what those who connected counted, over the whole run.

    As `harness.report.result.LinkCoverage` has it; written by the runner at the end.
    """

    t_ns: Int
    link: str
    connections: U64
    forwarded: Int
    connections_counted: U64
    bytes_up: U64
    bytes_down: Int
    bytes_counted: U64
    counted: bool


class TroubleSeen(msgspec.Struct, frozen=True, array_like=True, tag="trouble_seen"):
    """What counts for the verdict besides the checks; written by the runner at the end.

    As `harness.report.result.Trouble` has it. What broke the runner itself is not here.
    """

    t_ns: Int
    status: str
    reason_code: str
    reason: str


class PartTold(msgspec.Struct, frozen=True, array_like=True, tag="part_told"):
    """A part of the result that no other record holds; written by the runner at the end.

    `value` is that part as JSON, `part` its name: one of `harness.run.aftermath.PARTS`.
    """

    t_ns: Int
    part: str
    value: str


Line: TypeAlias = tuple[U64, U64]
"""Records of one kind in the books of a recorder: how many, and the sum of their hashes."""


class Kept(msgspec.Struct, frozen=True, array_like=True, tag="kept"):
    """The books of a recorder: all that it had been handed up to here, by kind of record.

    In its own segment they count what lies before them. In the runner's they are what a load
    process told last, and `target` is the process's name as faults know it, "" in its own.
    """

    t_ns: Int
    recorder: str
    target: str
    lines: dict[str, Line]


Record: TypeAlias = (
    Invoked | Completed | Connected | Opened | Delivered | AckInvoked | AckCompleted | EndRead
    | Closed | ResizeInvoked | ResizeCompleted | Stored | StoredEnd | PresenceSeen | FaultMarked
    | PhaseMarked | GaugeSeen | Offered | Watermark | LinkCounted | TroubleSeen | Kept
    | PartTold
)  # fmt: skip
