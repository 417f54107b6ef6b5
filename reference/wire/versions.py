"""Which versions of the protocol a node speaks, and the one that two nodes agree on.

Who connects says the lowest and the highest version it speaks; who accepts takes the highest that
both do. So nodes whose versions differ by one talk to each other while they are restarted one
after the other. A peer that says one number only speaks that one.

Version 2 knows the errors QUARANTINED and FORBIDDEN, and so can say them.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from reference.wire import messages as m
from reference.wire.errors import ErrorCode
from reference.wire.limits import PROTOCOL_VERSION, PROTOCOL_VERSION_MIN


class Versions(NamedTuple):
    """The versions from `lowest` to `highest`."""

    lowest: int
    highest: int

    def __str__(self) -> str:
        """Say them in words."""
        if self.lowest == self.highest:
            return f"version {self.lowest}"
        return f"versions {self.lowest} to {self.highest}"


SPOKEN = Versions(PROTOCOL_VERSION_MIN, PROTOCOL_VERSION)
"""What this process speaks. Read it here at each use: tests start nodes that speak others."""

_INSTEAD = {2: {ErrorCode.QUARANTINED: ErrorCode.QUOTA, ErrorCode.FORBIDDEN: ErrorCode.QUOTA}}
"""By the version that brought an error code: what is said to who speaks an earlier one.

The other code must be as definite, and end as much.
"""


def hello(role: str, node: str, token: str) -> m.Hello:
    """Return the greeting of a node that speaks `SPOKEN`."""
    return m.Hello(SPOKEN.lowest, role, node, token, SPOKEN.highest)


def offered(greeting: m.Hello) -> Versions:
    """Return the versions that a peer speaks."""
    return Versions(greeting.version, max(greeting.version, greeting.version_max))


def agreed(greeting: m.Hello) -> int | None:
    """Return the highest version that both sides speak, None if there is none."""
    theirs = offered(greeting)
    highest = min(SPOKEN.highest, theirs.highest)
    return highest if highest >= max(SPOKEN.lowest, theirs.lowest) else None


def refusal(greeting: m.Hello) -> str:
    """Say why no version was agreed on, and which side to upgrade."""
    theirs = offered(greeting)
    older = "the caller" if theirs.highest < SPOKEN.lowest else "this node"
    return f"the caller speaks {theirs}, this node {SPOKEN}; upgrade {older} first"


def in_version(message: m.Message, version: int) -> m.Message:
    """Return a message as a peer that speaks `version` can read it."""
    if version >= PROTOCOL_VERSION:
        return message
    match message:
        case m.Error(request=request, code=code, detail=detail):
            return m.Error(request, _code_in(code, version), detail)
        case m.Refused(ranges=ranges):
            return m.Refused(tuple(_range_in(refused, version) for refused in ranges))
        case m.LoginOk(durable=durable) if durable and min(durable) < 0:
            shown = tuple(max(count, 0) for count in durable)
            return msgspec.structs.replace(message, durable=shown)
    return message


def _range_in(refused: m.RefusedRange, version: int) -> m.RefusedRange:
    return m.RefusedRange(
        refused.inbox, refused.producer, refused.n_first, refused.count,
        _code_in(refused.code, version), refused.expected,
    )  # fmt: skip


def _code_in(code: ErrorCode, version: int) -> ErrorCode:
    for since, instead in _INSTEAD.items():
        if version < since:
            code = instead.get(code, code)
    return code
