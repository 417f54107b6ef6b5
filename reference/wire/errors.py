"""Typed protocol errors, and the one table that says which are definite.

*Definite* means: what was asked has certainly not happened and, for this attempt, never will.
Everything else is indefinite, and whoever asked must treat the outcome as unknown
(Maelstrom's rule: "when in doubt, indefinite is always safe").
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class ErrorCode(IntEnum):
    """Why something was refused or a connection was closed."""

    BAD_FRAME = 1
    FRAME_TOO_LARGE = 2
    UNKNOWN_OPCODE = 3
    BAD_HEADER = 4
    HELLO_EXPECTED = 5
    VERSION_MISMATCH = 6
    UNAUTHORISED = 7
    UNEXPECTED_MESSAGE = 8
    HEARTBEAT_MISSED = 9
    SLOW_CONSUMER = 10
    SHUTTING_DOWN = 11
    GAP = 20
    BUSY = 21
    STORAGE_FULL = 22
    NOT_READY = 23
    PRODUCER_REUSED = 30
    TOO_LARGE = 31
    BAD_NAME = 32
    QUOTA = 33
    QUARANTINED = 34
    FORBIDDEN = 35
    SUPERSEDED = 40
    UNKNOWN_SESSION = 41
    ACK_BEYOND_DELIVERED = 42
    DAMAGED = 43
    EPOCH_MISMATCH = 50
    BAD_BUCKET_COUNT = 51


class Scope(StrEnum):
    """What an error ends: the connection, the session, the producer's lineage or one request."""

    CONNECTION = "connection"
    SESSION = "session"
    LINEAGE = "lineage"
    REQUEST = "request"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRule:
    """One row of the error table.

    Attributes:
        definite: The thing asked for has certainly not happened in this attempt.
        retry: The same ids may be sent again.
        scope: What the error ends.
        meaning: One sentence for people.
    """

    definite: bool
    retry: bool
    scope: Scope
    meaning: str


def _rule(definite: bool, retry: bool, scope: Scope, meaning: str) -> ErrorRule:
    return ErrorRule(definite=definite, retry=retry, scope=scope, meaning=meaning)


ERROR_RULES: dict[ErrorCode, ErrorRule] = {
    ErrorCode.BAD_FRAME: _rule(
        False, False, Scope.CONNECTION, "The bytes are not a frame of this protocol."
    ),
    ErrorCode.FRAME_TOO_LARGE: _rule(
        False, False, Scope.CONNECTION, "A frame or its header is over its named limit."
    ),
    ErrorCode.UNKNOWN_OPCODE: _rule(
        False, False, Scope.CONNECTION, "No message of this version has that opcode."
    ),
    ErrorCode.BAD_HEADER: _rule(
        False, False, Scope.CONNECTION, "The header or the columns do not have the right form."
    ),
    ErrorCode.HELLO_EXPECTED: _rule(
        False, False, Scope.CONNECTION, "The first frame of a connection must be HELLO."
    ),
    ErrorCode.VERSION_MISMATCH: _rule(
        False, False, Scope.CONNECTION, "The peer speaks another version of the protocol."
    ),
    ErrorCode.UNAUTHORISED: _rule(
        True, False, Scope.CONNECTION, "No key in force has signed the token for this role."
    ),
    ErrorCode.UNEXPECTED_MESSAGE: _rule(
        False, False, Scope.CONNECTION, "This peer may not send that message, or not now."
    ),
    ErrorCode.HEARTBEAT_MISSED: _rule(
        False, True, Scope.CONNECTION, "Nothing was heard from the peer within its deadline."
    ),
    ErrorCode.SLOW_CONSUMER: _rule(
        False, True, Scope.CONNECTION, "The peer did not read, and its output buffer is full."
    ),
    ErrorCode.SHUTTING_DOWN: _rule(
        False, True, Scope.CONNECTION, "The node is stopping; connect again."
    ),
    ErrorCode.GAP: _rule(
        True, True, Scope.REQUEST, "An earlier n is missing; go back to `expected`."
    ),
    ErrorCode.BUSY: _rule(
        True, True, Scope.REQUEST, "A buffer is at its limit; send the same ids again later."
    ),
    ErrorCode.STORAGE_FULL: _rule(
        True, True, Scope.REQUEST, "The store is full and rolled back; try the same ids later."
    ),
    ErrorCode.NOT_READY: _rule(
        True, True, Scope.REQUEST, "The edge has no link to the core yet; try again."
    ),
    ErrorCode.PRODUCER_REUSED: _rule(
        True,
        False,
        Scope.LINEAGE,
        "These ids were stored with other content, or the producer is forgotten: take a fresh id.",
    ),
    ErrorCode.TOO_LARGE: _rule(
        True, False, Scope.LINEAGE, "A message or batch is over its named limit."
    ),
    ErrorCode.BAD_NAME: _rule(
        True, False, Scope.LINEAGE, "The name of the inbox is empty, too long or not UTF-8."
    ),
    ErrorCode.QUOTA: _rule(
        True, False, Scope.LINEAGE, "The node keeps as much for this caller, or at all, as it may."
    ),
    ErrorCode.QUARANTINED: _rule(
        True,
        False,
        Scope.LINEAGE,
        "What the store knows of this inbox or producer is damaged; see the core's log.",
    ),
    ErrorCode.FORBIDDEN: _rule(
        True, False, Scope.LINEAGE, "The inbox or the producer id is not the caller's to use."
    ),
    ErrorCode.SUPERSEDED: _rule(
        True, False, Scope.SESSION, "A later login of the same inbox took over."
    ),
    ErrorCode.UNKNOWN_SESSION: _rule(
        True, False, Scope.SESSION, "No such session is open; log in again."
    ),
    ErrorCode.ACK_BEYOND_DELIVERED: _rule(
        True, False, Scope.SESSION, "The cursor names a position that was never delivered."
    ),
    ErrorCode.DAMAGED: _rule(
        True, False, Scope.SESSION, "What comes next is damaged in the store; see the core's log."
    ),
    ErrorCode.EPOCH_MISMATCH: _rule(
        True, False, Scope.REQUEST, "The epoch in force is not the one that was expected."
    ),
    ErrorCode.BAD_BUCKET_COUNT: _rule(
        True, False, Scope.REQUEST, "A bucket count lies between 1 and its named limit."
    ),
}


class ProtocolError(Exception):
    """The protocol was broken; see `LocalProtocolError` and `RemoteProtocolError` (after h11)."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(f"{code.name}: {detail}")
        self.code = code
        self.detail = detail


class LocalProtocolError(ProtocolError):
    """Raised when this side asks for something that the protocol does not allow."""


class RemoteProtocolError(ProtocolError):
    """Raised when the peer sent something that the protocol does not allow."""
