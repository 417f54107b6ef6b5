"""One outgoing connection of a machine: opens it, greets, keeps it alive, opens it again.

Sender, receiver and the edge's core links share it. It owns the connection's `Outlet` and holds no
knowledge of what travels over the connection once it is ready.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from reference.events import Close, Connect, Effect, Transmit
from reference.outlet import Outlet
from reference.pulse import MS_NS, Pulse, PulseSettings, Sign
from reference.wire import messages as m
from reference.wire import versions
from reference.wire.errors import ErrorCode, RemoteProtocolError
from reference.wire.limits import DETAIL_CHARS_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class DialSettings:
    """Who calls, and how it behaves when nobody answers.

    A failed or lost connection is tried again after `backoff_ms`, doubled with each failure in a
    row up to `backoff_max_ms`.
    """

    role: str
    node: str
    token: str = field(repr=False)
    backoff_ms: int = 50
    backoff_max_ms: int = 1_000
    pulse: PulseSettings = field(default_factory=PulseSettings)


class DialState(StrEnum):
    """How far a connection has come."""

    IDLE = "idle"
    WAITING = "waiting"
    CONNECTING = "connecting"
    GREETING = "greeting"
    READY = "ready"
    CLOSING = "closing"


class Dialer:
    """Keeps the connection number `link` open from `start` to `stop`.

    The owner passes on `Opened`, `ConnectFailed`, `Closed`, `Written`, `Welcome` and heartbeats,
    calls `tick` now and then, offers messages to `outlet` while `ready`, and ends each of its
    steps with `flush`.
    """

    __slots__ = (
        "_backoff_ms", "_link", "_pulse", "_retry_ns", "_settings", "_wanted", "cause", "conn",
        "credit_bytes", "outlet", "silent", "state", "version",
    )  # fmt: skip

    def __init__(self, settings: DialSettings, link: int = 0) -> None:
        self._settings = settings
        self._link = link
        self._backoff_ms = settings.backoff_ms
        self._retry_ns = 0
        self._wanted = False
        self._pulse = Pulse(settings.pulse, 0)
        self.state = DialState.IDLE
        self.conn = -1
        self.outlet = Outlet()
        self.credit_bytes = 0
        """What the peer's `Welcome` allows to be unanswered."""
        self.version = 0
        """What is spoken since the peer's last `Welcome`."""
        self.cause = ""
        """Why the last connection ended, as far as it is known."""
        self.silent = False
        """It was given up since nothing was heard."""

    @property
    def ready(self) -> bool:
        """The peer has answered the greeting and nothing is known to have ended."""
        return self.state is DialState.READY

    def start(self) -> list[Effect]:
        """Want the connection from now on."""
        self._wanted = True
        self._backoff_ms = self._settings.backoff_ms
        if self.state not in (DialState.IDLE, DialState.WAITING):
            return []
        self.state = DialState.CONNECTING
        return [Connect(link=self._link)]

    def stop(self) -> list[Effect]:
        """Want it no longer; what is open is closed, after what was transmitted."""
        self._wanted = False
        match self.state:
            case DialState.GREETING | DialState.READY:
                self.state = DialState.CLOSING
                return [Close(conn=self.conn)]
            case DialState.WAITING:
                self.state = DialState.IDLE
        return []

    def give_up(self) -> None:
        """Do not open it again once it is lost."""
        self._wanted = False

    def drop(self, cause: str) -> list[Effect]:
        """Close the connection; it is opened again if it is still wanted."""
        if self.state not in (DialState.GREETING, DialState.READY):
            return []
        self.cause = cause
        self.state = DialState.CLOSING
        # `refuse` told the peer, and so the log, unless the piece before is not written yet.
        return [Close(conn=self.conn, reason=cause if self.outlet.waiting_bytes else "")]

    def refuse(self, code: ErrorCode, detail: str) -> list[Effect]:
        """Tell the peer what was wrong and close the connection."""
        if self.state not in (DialState.GREETING, DialState.READY):
            return []
        self.outlet.offer(m.Error(-1, code, detail[:DETAIL_CHARS_MAX]))
        return [*self.flush(), *self.drop(f"{code.name}: {detail}")]

    def opened(self, conn: int, now_ns: int) -> list[Effect]:
        """The connection is there: greet, or close it if nobody wants it any longer."""
        self.conn = conn
        self.outlet = Outlet()
        self.cause = ""
        self.silent = False
        self._pulse = Pulse(self._settings.pulse, now_ns)
        if not self._wanted:
            self.state = DialState.CLOSING
            return [Close(conn=conn)]
        self.state = DialState.GREETING
        settings = self._settings
        self.outlet.offer(versions.hello(settings.role, settings.node, settings.token))
        return self.flush()

    def failed(self, now_ns: int) -> None:
        """The connection could not be opened, or is gone."""
        self.conn = -1
        self.outlet = Outlet()
        if not self._wanted:
            self.state = DialState.IDLE
            return
        self.state = DialState.WAITING
        self._retry_ns = now_ns + self._backoff_ms * MS_NS
        self._backoff_ms = min(2 * self._backoff_ms, self._settings.backoff_max_ms)

    def heard(self, message: m.Message, now_ns: int) -> bool:
        """Note a sign of life; return whether the message was about the connection itself.

        Raises:
            RemoteProtocolError: The greeting was not answered as it must be.
        """
        self._pulse.heard_ns = now_ns
        match message:
            case m.Heartbeat(nonce=nonce):
                self.outlet.offer(m.HeartbeatOk(nonce))
                return True
            case m.HeartbeatOk():
                return True
            case m.Error(request=-1, code=code, detail=detail):
                self.cause = f"{code.name}: {detail}"
                return True
        if self.state is DialState.READY:
            return False
        if self.state is not DialState.GREETING:
            return True
        if not isinstance(message, m.Welcome):
            raise RemoteProtocolError(ErrorCode.UNEXPECTED_MESSAGE, "WELCOME was expected")
        spoken = versions.SPOKEN
        if not spoken.lowest <= message.version <= spoken.highest:
            detail = f"the peer chose version {message.version}, this node speaks {spoken}"
            raise RemoteProtocolError(ErrorCode.VERSION_MISMATCH, detail)
        self.version = message.version
        self.credit_bytes = message.credit_bytes
        self.state = DialState.READY
        self._backoff_ms = self._settings.backoff_ms
        return False

    def hears_a_part(self, now_ns: int) -> None:
        """Note that a part of a message came. The greeting has to be whole within the deadline."""
        if self.state is DialState.READY:
            self._pulse.arriving_ns = now_ns

    def tick(self, now_ns: int) -> list[Effect]:
        """Open, ask for a sign of life, or give the connection up, as is due."""
        match self.state:
            case DialState.WAITING if now_ns >= self._retry_ns:
                self.state = DialState.CONNECTING
                return [Connect(link=self._link)]
            case DialState.GREETING | DialState.READY:
                match self._pulse.look(now_ns):
                    case Sign.ASK if self.state is DialState.READY:
                        self.outlet.offer(m.Heartbeat(self._pulse.nonce))
                    case Sign.DEAD:
                        self.silent = True
                        detail = "nothing was heard within the deadline"
                        return self.refuse(ErrorCode.HEARTBEAT_MISSED, detail)
        return []

    def due_ns(self, never_ns: int) -> int:
        """Return when `tick` has something to do, or `never_ns`."""
        match self.state:
            case DialState.WAITING:
                return self._retry_ns
            case DialState.GREETING | DialState.READY:
                return self._pulse.due_ns()
        return never_ns

    def flush(self) -> list[Effect]:
        """Return the next `Transmit`, if something waits and none is under way."""
        messages = self.outlet.take()
        return [Transmit(conn=self.conn, messages=messages)] if messages else []
