"""A receiver: one session of one inbox over one connection. Pure.

What holds: deliveries carry the session that the login opened and follow each other without a gap;
anything else is a typed error that ends the connection. Cursor acks are gathered, so that an ack
per delivery costs the core no commit per delivery.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from reference.client.outcomes import (
    CursorConfirmed,
    Delivered,
    EndAnswered,
    EndFailed,
    LoggedIn,
    LoggedOut,
    LoginRefused,
    ReceiverOutput,
    SessionLost,
)
from reference.client.sender import NEVER_NS
from reference.dialer import Dialer, DialSettings
from reference.events import (
    Arriving,
    Closed,
    ConnectFailed,
    Event,
    Malformed,
    Opened,
    Received,
    Tick,
    Written,
)
from reference.pulse import MS_NS, PulseSettings
from reference.reach import Reach
from reference.wire import messages as m
from reference.wire.errors import ERROR_RULES, ErrorCode, LocalProtocolError, RemoteProtocolError

ACK_SHARE: Final = 8
"""Acknowledgements leave when an ACK_SHARE-th of the window waits for them, or at the next tick."""

ENDS_MAX: Final = 64
"""End requests that one receiver may have unanswered."""

USE_DURABLE_CURSOR: Final = -2
"""`from_pos` of a receiver that lets the core's cursor say where to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverSettings:
    """Who receives, and how much it takes before it acknowledges."""

    inbox: str
    token: str = field(repr=False)
    name: str
    window_bytes: int = 4 * 1024 * 1024
    retry_ms: int = 50
    ack_delay_ms: int = 20
    backoff_ms: int = 50
    backoff_max_ms: int = 1_000
    pulse: PulseSettings = field(default_factory=PulseSettings)


class ReceiverMachine:
    """One inbox's consumer. A lost session is reported and not opened again by itself.

    The application calls `login`, `ack`, `end`, `logout` and `abort`; each returns effects for the
    driver and outcomes for the application, in order. One session at a time: after `SessionLost`,
    `LoggedOut`, `LoginRefused` or `abort` wait for the driver's `Closed`, then `login` again.
    """

    def __init__(self, settings: ReceiverSettings) -> None:
        self._settings = settings
        dial = DialSettings(
            role="client",
            node=settings.name,
            token=settings.token,
            backoff_ms=settings.backoff_ms,
            backoff_max_ms=settings.backoff_max_ms,
            pulse=settings.pulse,
        )
        self._dialer = Dialer(dial)
        self._from_pos = -1
        self._login_request = -1
        self._login_not_before_ns = NEVER_NS
        self._request = 0
        self._session = -1
        self._expected = 0
        self._unacked: deque[tuple[int, int]] = deque()
        self._acked = -1
        self._told = -1
        self._untold_bytes = 0
        self._untold_since_ns = NEVER_NS
        self._ends: set[int] = set()
        self._logout_request = -1
        self._violation = ""
        self._out: list[ReceiverOutput] = []
        self.reach = Reach()
        """Where it counts; whoever drives many lets them share one."""

    @property
    def violation(self) -> str:
        """What came that must not come, for which the last connection was ended; "" for nothing."""
        return self._violation

    @property
    def session(self) -> int:
        """The number of the open session, or -1."""
        return self._session

    @property
    def next_pos(self) -> int:
        """The position that the next delivery begins at."""
        return self._expected

    @property
    def idle(self) -> bool:
        """No connection is there or being opened, so `login` may be called."""
        return self._dialer.conn < 0

    def login(self, from_pos: int, now_ns: int) -> list[ReceiverOutput]:
        """Open a connection and a session behind `from_pos` (-1: all, -2: the durable cursor).

        Raises:
            LocalProtocolError: The previous connection has not ended yet.
        """
        if not self.idle:
            raise LocalProtocolError(ErrorCode.UNEXPECTED_MESSAGE, "a connection is still open")
        self._from_pos = from_pos
        self._violation = ""
        self._out.extend(self._dialer.start())
        return self._done(now_ns)

    def ack(self, upto: int, now_ns: int) -> list[ReceiverOutput]:
        """Say that every position up to and including `upto` is consumed.

        Without a session it does nothing: the cursor is confirmed only by `CursorConfirmed`.

        Raises:
            LocalProtocolError: `upto` was not delivered in this session.
        """
        if self._session < 0:
            return []
        if upto >= self._expected:
            raise LocalProtocolError(
                ErrorCode.ACK_BEYOND_DELIVERED,
                f"{upto} was not delivered in this session",
            )
        if upto > self._acked:
            self._acked = upto
            self._untold_since_ns = min(self._untold_since_ns, now_ns)
            while self._unacked and self._unacked[0][0] <= upto:
                self._untold_bytes += self._unacked.popleft()[1]
        return self._done(now_ns)

    def end(self, now_ns: int) -> tuple[int, list[ReceiverOutput]]:
        """Ask where the inbox ends; return the request's number and the effects.

        Raises:
            LocalProtocolError: No session is open, or ENDS_MAX requests are unanswered.
        """
        if self._session < 0 or len(self._ends) >= ENDS_MAX:
            raise LocalProtocolError(ErrorCode.UNEXPECTED_MESSAGE, "no session, or too many asked")
        self._request += 1
        self._ends.add(self._request)
        self._dialer.outlet.offer(m.End(self._request, self._settings.inbox))
        return self._request, self._done(now_ns)

    def logout(self, now_ns: int) -> list[ReceiverOutput]:
        """End the session in order, after its last ack; `LoggedOut` follows, or `SessionLost`."""
        if self._session < 0:
            return self.abort(now_ns)
        self._tell()
        self._request += 1
        self._logout_request = self._request
        self._dialer.outlet.offer(m.Logout(self._request, self._settings.inbox, self._session))
        return self._done(now_ns)

    def abort(self, now_ns: int) -> list[ReceiverOutput]:
        """Close the connection; nothing is reported but the requests that fail by it."""
        self._session = -1
        self._fail_ends("aborted")
        self._out.extend(self._dialer.stop())
        return self._done(now_ns)

    def due_ns(self) -> int:
        """Return when a `Tick` has something to do; earlier ones may be left out."""
        due = self._dialer.due_ns(NEVER_NS)
        if self._untold_since_ns < NEVER_NS:
            due = min(due, self._untold_since_ns + self._settings.ack_delay_ms * MS_NS)
        return min(due, self._login_not_before_ns)

    def handle(self, event: Event, now_ns: int) -> list[ReceiverOutput]:
        """Take one event and return what is to be done and what became known."""
        match event:
            case Received(message=message):
                try:
                    self._received(message, now_ns)
                except RemoteProtocolError as error:
                    self._refuse(error.code, error.detail)
            case Written():
                self._dialer.outlet.written()
            case Arriving():
                self._dialer.hears_a_part(now_ns)
            case Tick():
                self._out.extend(self._dialer.tick(now_ns))
                if now_ns >= self._login_not_before_ns and self._dialer.ready:
                    self._log_in()
            case Opened(conn=conn):
                self._out.extend(self._dialer.opened(conn, now_ns))
            case ConnectFailed():
                self._dialer.failed(now_ns)
            case Malformed(code=code, detail=detail):
                self._refuse(code, detail)
            case Closed():
                self._closed(now_ns)
        return self._done(now_ns)

    def _done(self, now_ns: int) -> list[ReceiverOutput]:
        if self._dialer.ready and self._session >= 0:
            delay_ns = self._settings.ack_delay_ms * MS_NS
            if (
                self._untold_bytes * ACK_SHARE >= self._settings.window_bytes
                or now_ns - self._untold_since_ns >= delay_ns
            ):
                self._tell()
        self._out.extend(self._dialer.flush())
        out = self._out
        self._out = []
        return out

    def _received(self, message: m.Message, now_ns: int) -> None:
        if self._dialer.heard(message, now_ns):
            return
        match message:
            case m.Deliver(deliveries=deliveries):
                for delivery in deliveries:
                    self._delivered(delivery)
            case m.CursorOk(marks=marks):
                for mark in marks:
                    if mark.session == self._session:
                        self._out.append(CursorConfirmed(session=mark.session, upto=mark.upto))
            case m.EndOk(request=request, pos=pos) if request in self._ends:
                self._ends.discard(request)
                self._out.append(EndAnswered(request=request, pos=pos))
            case m.Welcome():
                self._log_in()
            case m.LoginOk(request=request) if request == self._login_request:
                self._logged_in(message)
            case m.LogoutOk(request=request) if request == self._logout_request:
                self._out.append(LoggedOut(session=self._session))
                self._session = -1
                self._out.extend(self._dialer.stop())
            case m.Superseded(marks=marks, code=code):
                if any(mark.session == self._session for mark in marks):
                    self._lose(code is ErrorCode.SUPERSEDED, code.name)
            case m.Error(request=request, code=code, detail=detail):
                self._request_failed(request, code, detail, now_ns)
            case m.LogoutOk() | m.EndOk() | m.LoginOk():
                pass
            case _:
                raise RemoteProtocolError(
                    ErrorCode.UNEXPECTED_MESSAGE, f"{type(message).__name__} came to a receiver"
                )

    def _delivered(self, delivery: m.Delivery) -> None:
        if self._session < 0:
            # It was under way when we ended the session.
            return
        if delivery.session != self._session or delivery.inbox != self._settings.inbox:
            raise RemoteProtocolError(
                ErrorCode.UNKNOWN_SESSION, f"a delivery of session {delivery.session}"
            )
        if delivery.pos_first != self._expected:
            raise RemoteProtocolError(
                ErrorCode.UNEXPECTED_MESSAGE,
                f"a delivery at {delivery.pos_first}, expected {self._expected}",
            )
        self._expected += delivery.count
        self._unacked.append((self._expected - 1, delivery.size_bytes))
        self._out.append(Delivered(delivery=delivery))

    def _refuse(self, code: ErrorCode, detail: str) -> None:
        self._violation = f"{code.name}: {detail}"
        self._out.extend(self._dialer.refuse(code, detail))

    def _log_in(self) -> None:
        self._login_not_before_ns = NEVER_NS
        self._request += 1
        self._login_request = self._request
        settings = self._settings
        self._dialer.outlet.offer(
            m.Login(self._request, settings.inbox, self._from_pos, settings.window_bytes, -1, ())
        )

    def _logged_in(self, reply: m.LoginOk) -> None:
        self._login_request = -1
        self._session = reply.session
        self._expected = reply.next_pos
        self._acked = self._told = reply.next_pos - 1
        self._unacked.clear()
        self._untold_bytes = 0
        self._untold_since_ns = NEVER_NS
        self._out.append(
            LoggedIn(session=reply.session, next_pos=reply.next_pos, cursor=reply.cursor)
        )

    def _request_failed(self, request: int, code: ErrorCode, detail: str, now_ns: int) -> None:
        if request in self._ends:
            self._ends.discard(request)
            self._out.append(EndFailed(request=request, cause=code.name))
        elif request == self._login_request:
            if ERROR_RULES[code].retry:
                self.reach["client.reader_login_asked_again"] += 1
                self._login_not_before_ns = now_ns + self._settings.retry_ms * MS_NS
                return
            self._out.append(LoginRefused(code=code, detail=detail))
            self._out.extend(self._dialer.stop())
        elif request == self._logout_request:
            self._lose(False, code.name)

    def _tell(self) -> None:
        if self._acked > self._told:
            self._told = self._acked
            mark = m.CursorMark(self._settings.inbox, self._session, self._acked)
            self._dialer.outlet.offer(m.CursorAck((mark,)))
        self._untold_bytes = 0
        self._untold_since_ns = NEVER_NS

    def _lose(self, superseded: bool, cause: str) -> None:
        if superseded:
            self.reach["client.superseded"] += 1
        session = self._session
        self._session = -1
        self._fail_ends(cause)
        self._out.append(SessionLost(session=session, superseded=superseded, cause=cause))
        self._out.extend(self._dialer.stop())

    def _closed(self, now_ns: int) -> None:
        if self._dialer.silent:
            self.reach["client.silent_edge_left"] += 1
        cause = self._dialer.cause or "the connection ended"
        if self._session >= 0:
            self._lose(False, cause)
        self._fail_ends(cause)
        self._login_request = -1
        self._login_not_before_ns = NEVER_NS
        self._dialer.failed(now_ns)

    def _fail_ends(self, cause: str) -> None:
        for request in sorted(self._ends):
            self.reach["client.end_unanswered"] += 1
            self._out.append(EndFailed(request=request, cause=cause))
        self._ends.clear()
