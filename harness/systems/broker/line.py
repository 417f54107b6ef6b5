"""What an adapter has to write for its broker: a connection that publishes and fetches.

Everything else that `harness.systems.port` asks for (an outbox that resends, sessions, windows,
deadlines, link coverage) is made from it in `clients.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from harness.systems.port import Batch

ANSWER_WITHIN_S = 5.0
"""A connection on which an answer is owed and nothing comes for so long, not even an answer to a
ping, is given up."""

STORED_WITHIN_S = 60.0
"""How long a broker that answers pings may take for a message. Giving up earlier on one that is
merely busy would send everything again, and make it busier still."""

CONNECT_WITHIN_S = 5.0
"""How long one edge is tried before the harness may choose another."""


class Unavailable(ConnectionError):
    """Raised for every error that ends the use of a connection: what was asked for is unknown."""


class Answered(Protocol):
    """Hears that messages are stored as safely as the broker promises."""

    def __call__(
        self, inbox: str, n_first: int, count: int, pos_first: int, attempts: int = 0, /
    ) -> None:
        """Hear it.

        Args:
            inbox: Where they are.
            n_first: The first of them.
            count: How many there are.
            pos_first: Where the first lies; -1 if the broker does not say.
            attempts: How often they were written to a connection, by a client library that sends
                again by itself and can tell; 0: as often as they were published.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Ears:
    """What a line tells on its own.

    Attributes:
        answered: ``answered(inbox, n_first, count, pos_first)``: these messages are stored as
            safely as the broker promises; pos_first is -1 if the broker does not say where.
            A library that sends again by itself adds how often it did (`Answered`).
        refused: ``refused(inbox, n_first, count, error)``: these will definitely never be stored.
        unknown: ``unknown(inbox, n_first, count, error)``: nobody will ever be told what became of
            these, and they must not be sent again. Others, without an answer, are.
        lost: ``lost(cause)``: the connection has ended, or what was published on it must be
            published again on another one.
        reach: Where a line counts the rare states that it reaches, by name
            (`harness.systems.port.Reaching`).
    """

    answered: Answered
    refused: Callable[[str, int, int, str], None]
    unknown: Callable[[str, int, int, str], None]
    lost: Callable[[str], None]
    reach: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True, eq=False)
class Memory:
    """What one sender's client library has to keep from connection to connection, if anything."""

    kept: Keepsake | None = None


class Keepsake(Protocol):
    """Something that outlives connections."""

    def leave(self) -> None:
        """Nobody listens any more, until the next line is dialled. Idempotent."""

    async def close(self) -> None:
        """End it; nothing is told any more. Idempotent."""


class Line(Protocol):
    """Connections of a broker's own client library, all through one proxy.

    Methods may be called while others are under way. All that are `async` raise `Unavailable` when
    the broker does not do it or the connection has ended.
    """

    @property
    def connections(self) -> int:
        """How many of its connections were answered; a proxy takes them for a dead server too."""

    @property
    def bytes_read(self) -> int:
        """How many bytes it has read so far; never more than went through the proxy."""

    async def ping(self) -> None:
        """Return when the broker has answered."""

    def abort(self) -> None:
        """Cut its connections now, whatever is under way; nothing is told any more. Idempotent."""

    async def close(self) -> None:
        """Close its connections behind what was sent. Idempotent."""


class SenderLine(Line, Protocol):
    """A line that publishes."""

    in_flight_max: int
    """Messages that may be published and unanswered at the same time."""

    async def publish(self, batch: Batch, index_first: int) -> None:
        """Hand over the messages of a batch from an index on; `Ears.answered` tells the rest."""


class ReaderLine(Line, Protocol):
    """A line that reads one inbox."""

    async def open_inbox(self, inbox: str) -> int:
        """Prepare to read an inbox and return its durable cursor (-1: none)."""

    async def fetch(self, next_pos: int) -> list[tuple[int, bytes]]:
        """Return messages of the inbox from a position on, as (position, stored message), rising.

        Waits a moment for the first if there is none yet; may then return nothing. A call
        continues where the last one ended.
        """

    async def end(self) -> int:
        """Return the position of the inbox's last message now (-1: none)."""

    async def commit(self, pos: int) -> None:
        """Store the inbox's durable cursor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """Opens lines through a port on loopback; made inside a load process.

    Both raise `Unavailable` if the line does not come up.
    """

    sender: Callable[[int, Ears, Memory], Awaitable[SenderLine]]
    reader: Callable[[int, Ears], Awaitable[ReaderLine]]
