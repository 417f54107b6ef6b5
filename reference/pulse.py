"""Signs of life of one connection: when to ask the peer for one, and when to give it up.

A paused process and a one-way cut close no TCP connection, so both ends ask (`Heartbeat`) after
each `silence_ms` in which no message was heard, and give up after `deadline_ms` in which not even
a part of one arrived: a large message over a slow link may take longer than any deadline.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MS_NS: Final = 1_000_000
"""Nanoseconds in a millisecond."""

STALL_FACTOR: Final = 2
"""So many silences between two looks mean that this process did not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseSettings:
    """How patient an end of a connection is. The deadline holds at least two silences."""

    silence_ms: int = 1_000
    deadline_ms: int = 3_000


class Sign(StrEnum):
    """What to do about a connection now."""

    FINE = "fine"
    ASK = "ask"
    DEAD = "dead"


class Pulse:
    """Watches one connection. `heard` is called for every message that came in."""

    __slots__ = (
        "_asked_ns", "_deadline_ns", "_looked_ns", "_silence_ns", "arriving_ns", "heard_ns", "nonce"
    )  # fmt: skip

    def __init__(self, settings: PulseSettings, now_ns: int) -> None:
        self._silence_ns = settings.silence_ms * MS_NS
        self._deadline_ns = settings.deadline_ms * MS_NS
        self._asked_ns = now_ns
        self._looked_ns = now_ns
        self.heard_ns = now_ns
        """When the last whole message came; the owner sets it."""
        self.arriving_ns = now_ns
        """When the last part of one came that was not whole; the owner sets it."""
        self.nonce = 0
        """The number of the last question."""

    def look(self, now_ns: int) -> Sign:
        """Return what is due; ASK is returned once per `silence_ms`.

        Who looks must do so at least once per `silence_ms`: a much longer pause between two looks
        was our own (a stopped process), and is not held against the peer.
        """
        if now_ns - self._looked_ns > STALL_FACTOR * self._silence_ns:
            self.heard_ns = max(self.heard_ns, now_ns - self._silence_ns)
        self._looked_ns = now_ns
        if now_ns - max(self.heard_ns, self.arriving_ns) >= self._deadline_ns:
            return Sign.DEAD
        silent_ns = now_ns - self.heard_ns
        if silent_ns < self._silence_ns or now_ns - self._asked_ns < self._silence_ns:
            return Sign.FINE
        self._asked_ns = now_ns
        self.nonce += 1
        return Sign.ASK

    def due_ns(self) -> int:
        """Return the earliest time at which `look` can say something else than FINE."""
        return max(self.heard_ns, self._asked_ns) + self._silence_ns
