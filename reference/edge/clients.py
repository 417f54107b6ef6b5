"""What an edge knows of its client connections and of the sessions on them."""

from __future__ import annotations

from enum import StrEnum

from reference.edge.buffer import Holding
from reference.edge.settings import WINDOW_BYTES_MAX, WINDOW_BYTES_MIN
from reference.identity import STRANGER, Claims
from reference.outlet import Outlet
from reference.pulse import Pulse
from reference.window import Window


class Stage(StrEnum):
    """How far a client connection has come."""

    GREETING = "greeting"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class User:
    """Whoever is at the other end of some connections, and what all of these use together.

    `requests` are those that the core has not answered, `holds` what of the edge's buffer came from
    this user; both outlive the connections that they came over.
    """

    __slots__ = ("holds", "lines", "requests")

    def __init__(self) -> None:
        self.lines: set[ClientLine] = set()
        self.requests = 0
        self.holds = Holding()

    @property
    def gone(self) -> bool:
        """Nothing of this user is here any more."""
        return not (self.lines or self.requests or self.holds.memory_bytes)

    @property
    def producers(self) -> int:
        """How many producers are logged in, over all connections."""
        return sum(len(line.producers) for line in self.lines)

    @property
    def sessions(self) -> int:
        """How many sessions are open or asked for, over all connections."""
        return sum(len(line.sessions) + line.logins for line in self.lines)

    @property
    def window_bytes(self) -> int:
        """The windows of all these sessions."""
        return sum(line.window_bytes for line in self.lines)


class ClientLine:
    """One accepted connection. `claims` and `user` say whose it is, once it has said so.

    `cause` and `close_at_ns` are set while CLOSING: why, and when it is closed though its last
    message still waits. `sessions` are keys of the edge's session table, `logins` counts the logins
    of sessions that the core has not answered.
    """

    __slots__ = (
        "address",
        "cause",
        "claims",
        "close_at_ns",
        "conn", "logins", "outlet", "producers", "pulse", "sessions", "stage", "user", "version",
        "window_bytes",
    )  # fmt: skip

    def __init__(self, conn: int, pulse: Pulse, address: str = "") -> None:
        self.conn = conn
        self.address = address
        self.pulse = pulse
        self.outlet = Outlet()
        self.stage = Stage.GREETING
        self.version = 0
        self.claims: Claims = STRANGER
        self.user = User()
        self.producers: set[int] = set()
        self.sessions: set[tuple[str, int]] = set()
        self.window_bytes = 0
        self.logins = 0
        self.close_at_ns = 0
        self.cause = ""

    @property
    def role(self) -> str:
        """What it has come in as, "" before that."""
        return self.claims.role

    @property
    def beyond_windows_bytes(self) -> int:
        """What waits for the client beside what the windows of its sessions allow."""
        return max(0, self.outlet.pending_bytes - self.window_bytes)


class Session:
    """A receiver's session, as far as the edge must know it to register it on a new link.

    `received_pos` is the last position that came from the core, `acked_pos` the last that the
    client acknowledged, `confirmed_pos` the last that the core confirmed. `window` has what came
    and was not acknowledged.
    """

    __slots__ = (
        "acked_pos", "confirmed_pos", "conn", "inbox", "number", "received_pos", "window",
    )  # fmt: skip

    def __init__(
        self, *, conn: int, inbox: str, number: int, next_pos: int, window_bytes: int
    ) -> None:
        self.conn = conn
        self.inbox = inbox
        self.number = number
        self.received_pos = next_pos - 1
        self.acked_pos = next_pos - 1
        self.confirmed_pos = next_pos - 1
        self.window = Window(window_bytes)


def cut_window(window_bytes: int) -> int:
    """Return the window that is granted for the one that was asked for."""
    return max(WINDOW_BYTES_MIN, min(window_bytes, WINDOW_BYTES_MAX))
