"""What the client's machines tell their application, beside the effects for the driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from reference.events import Effect
from reference.wire.errors import ErrorCode
from reference.wire.messages import Delivery


class OutboxFull(Exception):
    """Raised by a sender whose outbox has no room for the batch; nothing was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The sender is logged in on a new connection and goes on with what is unanswered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLost:
    """A connection of the sender ended; `cause` is "" where nobody said why."""

    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """A range is durable. It may be cut differently from what was submitted.

    `pos_first` and `epoch` are -1 where the core knew the range before (a resend, or a login
    reply): it is stored once, at positions that nobody looked up. `attempts` is the largest number
    of times that a batch of the range was handed to an edge.
    """

    inbox: str
    producer: int
    n_first: int
    count: int
    pos_first: int
    epoch: int
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A range was refused for good; nobody tries it again.

    `definite`: it was certainly not stored and never will be. It is False as soon as an earlier
    attempt of the range was handed to an edge and not answered.
    """

    inbox: str
    producer: int
    n_first: int
    count: int
    code: ErrorCode
    definite: bool
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """A range was unanswered when the sender was closed.

    `attempts` 0 says that it was never handed to an edge, so it certainly was not stored.
    """

    inbox: str
    producer: int
    n_first: int
    count: int
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageLost:
    """The producer id and this outbox do not belong together: take a fresh producer id.

    Terminal for the whole sender. `durable` is what the core has of `inbox`, `sent` what this
    outbox ever handed over. Where the producer id is not the user's to use, `inbox` is "".
    """

    inbox: str
    producer: int
    durable: int
    sent: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """The session is open and its number durable. The next delivery begins at `next_pos`."""

    session: int
    next_pos: int
    cursor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRefused:
    """The login was refused for good; the connection is closed."""

    code: ErrorCode
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The next messages of the inbox, at the positions that follow the ones before."""

    delivery: Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorConfirmed:
    """Every position up to and including `upto` is durably consumed."""

    session: int
    upto: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndAnswered:
    """Nothing was acknowledged beyond `pos` when request number `request` was handled."""

    request: int
    pos: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndFailed:
    """Request number `request` got no answer."""

    request: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLost:
    """The session ended without our doing: `superseded` by a later login, or lost for `cause`."""

    session: int
    superseded: bool
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedOut:
    """The session was ended in order, by us."""

    session: int


SenderOutcome: TypeAlias = (
    Ready | ConnectionLost | Acknowledged | Rejected | Unresolved | LineageLost
)  # fmt: skip
ReceiverOutcome: TypeAlias = (
    LoggedIn | LoginRefused | Delivered | CursorConfirmed | EndAnswered | EndFailed | SessionLost
    | LoggedOut
)  # fmt: skip
SenderOutput: TypeAlias = Effect | SenderOutcome
ReceiverOutput: TypeAlias = Effect | ReceiverOutcome
