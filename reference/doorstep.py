"""Connections that have not said who they are: they take nobody's place. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Caller(Protocol):
    """A connection that was accepted."""

    @property
    def address(self) -> str:
        """The host that it came from, "" where that is not known."""


C = TypeVar("C", bound=Caller)


def find_oldest(
    silent: Sequence[C], address: str, *, full: bool, silent_max: int, address_max: int
) -> C | None:
    """Return the silent connection that has to go for a new one, None if none has to.

    One address has fewer than all, so its flood drives out its own and nobody else's.

    Args:
        silent: Those that have said nothing, the oldest first.
        address: Where the new one comes from.
        full: There are as many connections as allowed, of all kinds.
        silent_max: How many may be silent.
        address_max: How many of them may have one address.
    """
    near = [one for one in silent if one.address == address]
    if len(near) >= address_max:
        return near[0]
    if silent and (full or len(silent) >= silent_max):
        return silent[0]
    return None
