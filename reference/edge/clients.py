"""What an edge knows of its client connections and of the sessions on them."""

from __future__ import annotations

from enum import StrEnum

from reference.edge.buffer import Holding
from reference.edge.settings import WINDOW_BYTES_MAX, WINDOW_BYTES_MIN
from reference.outlet import Outlet
from reference.pulse import Pulse
from reference.window import Window


class Stage(StrEnum):
    """How far a client connection has come."""

    GREETING = "greeting"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class ClientLine:
    """One accepted connection.

    `cause` and `close_at_ns` are set while CLOSING: why, and when it is closed though its last
    message still waits. `sessions` are keys of the edge's session table, `logins` counts the logins
    of sessions that the core has not answered, `requests` all that it has not, and `holds` what of
    the edge's buffer came from here.
    """

    __slots__ = (
        "cause",
        "close_at_ns",
        "conn", "holds", "logins", "outlet", "producers", "pulse", "requests", "role", "sessions",
        "stage", "version", "window_bytes",
    )  # fmt: skip

    def __init__(self, conn: int, pulse: Pulse) -> None:
        self.conn = conn
        self.pulse = pulse
        self.outlet = Outlet()
        self.stage = Stage.GREETING
        self.role = ""
        self.version = 0
        self.producers: set[int] = set()
        self.sessions: set[tuple[str, int]] = set()
        self.window_bytes = 0
        self.logins = 0
        self.requests = 0
        self.holds = Holding()
        self.close_at_ns = 0
        self.cause = ""

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
