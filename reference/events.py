"""What goes into the machines and what comes out: the contract of every sans-IO machine here.

A machine has one entrance, ``handle(event, now_ns) -> list[Effect]``. It owns no socket, clock,
thread or random source. `now_ns` never runs backwards. The driver (or the simulator) carries the
effects out in their order and answers each `Transmit` with `Written`, each `Commit` with
`Committed` or `CommitRefused`, each `ReadLog` with `LogRead` or `LogDamaged`, each `ReadRows` with
`RowsRead`, and each `Connect` with `Opened` or `ConnectFailed`.

A machine keeps at most one `Transmit` per connection under way: what becomes due meanwhile is
gathered and leaves as one bigger piece at `Written`. The same holds for `Commit`: that is the group
commit. The more load, the bigger the piece and the cheaper the message.

The shape (a step returns the work to do; persist precedes send) is etcd raft's `Ready`; the
separation from input and output is h11's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from reference.wire.errors import ErrorCode
from reference.wire.messages import Message, Run, StoredRow

TICK_INTERVAL_MS = 50
"""How often a driver sends `Tick`; time-outs are as exact as this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A connection is there. `link` is the index of the `Connect` it answers, or -1: accepted.

    `address` is the host that an accepted one came from, "" where that is not known.
    """

    conn: int
    link: int = -1
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectFailed:
    """A `Connect` did not succeed; the machine decides when to try again."""

    link: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A well-formed message arrived."""

    conn: int
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Arriving:
    """A part of a message arrived, and it is not whole yet: the peer lives, its link is slow.

    A driver says so at most a few times a second, and need not where messages are whole.
    """

    conn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """Bytes arrived that are not the protocol: answer with the code and close this connection."""

    conn: int
    code: ErrorCode
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The `Transmit` under way on `conn` was handed to the operating system."""

    conn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The connection is gone, whoever ended it. No event for `conn` comes after it."""

    conn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time passed; see TICK_INTERVAL_MS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The commit is durable (fsynced)."""

    commit_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRefused:
    """The store is full and has rolled the whole commit back: nothing of it happened."""

    commit_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSlice:
    """Consecutive messages of an inbox in position order, read from the store.

    Empty (no runs) when nothing durable lies at or behind `pos_first`.
    """

    pos_first: int
    runs: tuple[Run, ...]
    lengths: bytes
    body: bytes

    @property
    def count(self) -> int:
        """How many messages it holds."""
        return len(self.lengths) // 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRead:
    """Answer to `ReadLog`."""

    read_no: int
    inbox: str
    log: LogSlice


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDamaged:
    """Answer to `ReadLog`: what lies there is not what was written."""

    read_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsRead:
    """Answer to `ReadRows`."""

    read_no: int
    rows: tuple[StoredRow, ...]
    more: bool
    damaged: bool = False
    """One of them has changed; there are none then."""


Event: TypeAlias = (
    Opened | ConnectFailed | Received | Arriving | Malformed | Written | Closed | Tick
    | Committed | CommitRefused | LogRead | LogDamaged | RowsRead
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Transmit:
    """Write these messages to `conn`, in order, as one piece."""

    conn: int
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Close `conn` after what was transmitted. `Closed` follows.

    `reason` is for the log, where the peer could not be told any more.
    """

    conn: int
    reason: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """Open the outgoing connection number `link`."""

    link: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Messages to store at consecutive positions of one inbox, all of one epoch."""

    inbox: str
    pos_first: int
    epoch: int
    bucket_count: int
    runs: tuple[Run, ...]
    lengths: bytes
    body: bytes

    @property
    def count(self) -> int:
        """How many messages it holds."""
        return len(self.lengths) // 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerMark:
    """What the core remembers of a (producer, inbox): the next n, and its last range's digest."""

    producer: int
    inbox: str
    n_next: int
    last_first: int
    last_digest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxMark:
    """The durable numbers of an inbox that are rows of their own, so that trimming loses none.

    Positions below `floor` may be gone (retention "ack"). The next position in each bucket is
    kept by the store itself, which splits the appends.
    """

    inbox: str
    pos_next: int
    cursor: int
    session: int
    floor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochMark:
    """A bucket count that comes into force at `pos_first`. Epoch 0 has no mark: one bucket."""

    inbox: str
    epoch: int
    bucket_count: int
    pos_first: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Writes:
    """Everything that one commit makes durable, all or nothing.

    The appends of an inbox stand in position order. `trims` are (inbox, upto): rows whose last
    position is at or below `upto` may go.
    """

    appends: tuple[Append, ...] = ()
    producers: tuple[ProducerMark, ...] = ()
    inboxes: tuple[InboxMark, ...] = ()
    epochs: tuple[EpochMark, ...] = ()
    trims: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Make the writes durable, then answer `Committed`."""

    commit_no: int
    writes: Writes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLog:
    """Read from `pos_first` to `pos_upto`, about `bytes_max` bytes, at least one message."""

    read_no: int
    inbox: str
    pos_first: int
    pos_upto: int
    bytes_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRows:
    """Read bucket rows behind (after_pos, after_bucket) for an inspection."""

    read_no: int
    inbox: str
    after_pos: int
    after_bucket: int


Effect: TypeAlias = Transmit | Close | Connect | Commit | ReadLog | ReadRows


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a store hands to a core that starts."""

    producers: tuple[ProducerMark, ...] = ()
    inboxes: tuple[InboxMark, ...] = ()
    epochs: tuple[EpochMark, ...] = ()
    """Every epoch that was ever begun, rising within each inbox."""
    forgotten: frozenset[int] = frozenset()
    """Producers of which nothing is known but that they were here."""
    quarantined: Mapping[str, str] = field(default_factory=dict)
    """Inboxes of which something is damaged, and what: nothing else here says anything of them."""
    inboxes_whole: bool = True
    """No inbox is missing; else one that is not known may have been there."""
    forgotten_whole: bool = True
    """No forgotten producer is missing; else one that is not known may be one."""
    notes: tuple[str, ...] = ()
    """What was found damaged, for people."""

    @property
    def damaged(self) -> bool:
        """Something is not as it was written."""
        return bool(self.quarantined or self.notes)
