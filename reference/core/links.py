"""A link: one accepted connection as the core sees it, with its way out and its signs of life."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from reference.events import Close, Effect, Transmit
from reference.outlet import OUTLET_SOFT_BYTES, Outlet
from reference.pulse import Pulse
from reference.wire import messages as m
from reference.wire import versions
from reference.wire.errors import ErrorCode
from reference.wire.limits import DETAIL_CHARS_MAX

if TYPE_CHECKING:
    from reference.core.delivery import Session


class Role(StrEnum):
    """Who is at the other end; NEW until HELLO."""

    NEW = "new"
    EDGE = "edge"
    ADMIN = "admin"


class Link:
    """State of one connection.

    `touch` tells the machine that something waits here, so that only links with news are flushed.
    """

    __slots__ = (
        "_error",
        "_touch",
        "address",
        "close_sent",
        "conn",
        "failed",
        "failed_ns",
        "node",
        "outlet",
        "pulse",
        "reading_bytes",
        "role",
        "sessions",
        "stalled",
        "version",
    )

    def __init__(
        self, conn: int, pulse: Pulse, touch: Callable[[Link], None], address: str = ""
    ) -> None:
        self.conn = conn
        self.address = address
        self.role = Role.NEW
        self.node = ""
        self.version = 0
        """What is spoken since HELLO."""
        self.outlet = Outlet()
        self.pulse = pulse
        self.sessions: dict[str, Session] = {}
        """The sessions that are delivered here, by inbox."""
        self.stalled: dict[str, Session] = {}
        """Those that wait until this link has written what it has."""
        self.reading_bytes = 0
        """What the reads that are under way for it may bring: room that is taken already."""
        self.failed = False
        self.failed_ns = 0
        self.close_sent = False
        self._error: m.Error | None = None
        self._touch = touch

    @property
    def wants_more(self) -> bool:
        """There is room for more deliveries, also when all that is being read has come."""
        return self.outlet.waiting_bytes + self.reading_bytes < OUTLET_SOFT_BYTES

    def offer(self, message: m.Message) -> None:
        """Send a message; nothing happens on a link that has failed."""
        if not self.failed:
            self.outlet.offer(versions.in_version(message, self.version))
            self._touch(self)

    def fail(self, code: ErrorCode, detail: str, now_ns: int) -> None:
        """End the link: what waits is dropped, the error is the last that leaves."""
        if not self.failed:
            self.failed = True
            self.failed_ns = now_ns
            self._error = m.Error(-1, code, detail[:DETAIL_CHARS_MAX])
            self._touch(self)

    def flush(self) -> list[Effect]:
        """Return what can leave now."""
        if self.close_sent:
            return []
        if not self.failed:
            messages = self.outlet.take()
            return [Transmit(conn=self.conn, messages=messages)] if messages else []
        if self.outlet.under_way:
            return []
        self.close_sent = True
        assert self._error is not None
        return [Transmit(conn=self.conn, messages=(self._error,)), Close(conn=self.conn)]

    def abandon(self) -> list[Effect]:
        """Close a failed link whose last transmit does not come to its end."""
        if self.close_sent:
            return []
        self.close_sent = True
        why = "" if self._error is None else f"{self._error.code.name}: {self._error.detail}"
        return [Close(conn=self.conn, reason=why)]
