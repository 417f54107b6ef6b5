"""A consumer over TCP: the receiver machine on a connection of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import anyio

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
from reference.client.receiver import ReceiverMachine, ReceiverSettings
from reference.events import Close, Commit, Connect, Event, ReadLog, ReadRows, Tick, Transmit
from reference.node.client_hub import LOGIN_TIMEOUT_S, ClientHub, ClientLine
from reference.wire.errors import LocalProtocolError
from reference.wire.messages import Delivery

END_TIMEOUT_S: Final = 10.0
"""How long `end` waits for its answer."""

LOGOUT_TIMEOUT_S: Final = 2.0
"""How long `logout` waits for its answer, until the connection is just closed."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """What a login gave: the session's number and the position its deliveries begin at."""

    session: int
    next_pos: int
    cursor: int


class _Reply:
    """One answer that somebody waits for."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._value: object = None

    def give(self, value: object) -> None:
        self._value = value
        self._event.set()

    async def wait(self, kind: type[T], timeout_s: float) -> T:
        """Return the answer, or raise ConnectionError where it is an error or does not come."""
        with anyio.move_on_after(timeout_s):
            await self._event.wait()
        if isinstance(self._value, kind):
            return self._value
        raise ConnectionError(str(self._value or f"no answer in {timeout_s} s"))


class ReceiverClient:
    """A consumer of one inbox over TCP; one session at a time.

    `deliveries` gets each delivery before anything later of the session, `acks(session, upto)`
    each durable cursor, `lost(session, superseded, cause)` the end of a session that we did not
    end ourselves. Nothing logs in again by itself. Callbacks are called in the event loop and must
    not block.
    """

    def __init__(
        self,
        hub: ClientHub,
        settings: ReceiverSettings,
        *,
        deliveries: Callable[[Delivery], None],
        acks: Callable[[int, int], None] = lambda session, upto: None,
        lost: Callable[[int, bool, str], None] = lambda session, superseded, cause: None,
    ) -> None:
        self._hub = hub
        self._machine = ReceiverMachine(settings)
        self._machine.reach = hub.reach
        self._deliveries = deliveries
        self._acks = acks
        self._lost = lost
        self._line = ClientLine(hub, self._feed)
        self._login = _Reply()
        self._logout = _Reply()
        self._ends: dict[int, _Reply] = {}

    @property
    def machine(self) -> ReceiverMachine:
        """The machine, for its session and position."""
        return self._machine

    @property
    def connections_opened(self) -> int:
        """TCP connections that came up so far, those included that ended before a login."""
        return self._line.opened

    @property
    def bytes_carried(self) -> tuple[int, int]:
        """Bytes received and sent over all connections that have ended."""
        return self._line.bytes_in, self._line.bytes_out

    async def login(
        self, host: str, port: int, from_pos: int, timeout_s: float = LOGIN_TIMEOUT_S
    ) -> OpenSession:
        """Open a session behind `from_pos` (-1: from the start, -2: behind the durable cursor).

        A connection that is still there is cut first. A delivery may come through the callback
        before this returns.

        Raises:
            ConnectionError: It did not come up in time or was refused; nothing is tried any more.
        """
        await self.abort()
        self._line.address = (host, port)
        self._login = _Reply()
        self._hub.add(self)
        self._run(self._machine.login(from_pos, time.monotonic_ns()))
        try:
            opened = await self._login.wait(LoggedIn, timeout_s)
        except ConnectionError:
            await self.abort()
            raise
        return OpenSession(session=opened.session, next_pos=opened.next_pos, cursor=opened.cursor)

    def ack(self, upto: int) -> None:
        """Acknowledge everything up to `upto`; does nothing when no session is open.

        Raises:
            LocalProtocolError: It was not delivered.
        """
        self._run(self._machine.ack(upto, time.monotonic_ns()))

    async def end(self, timeout_s: float = END_TIMEOUT_S) -> int:
        """Return the position beyond which nothing lay when this was asked (-1: empty).

        Raises:
            ConnectionError: The connection ended, or the time was over, before the answer.
        """
        try:
            request, outputs = self._machine.end(time.monotonic_ns())
        except LocalProtocolError as error:
            raise ConnectionError(str(error)) from None
        reply = self._ends[request] = _Reply()
        self._run(outputs)
        try:
            return (await reply.wait(EndAnswered, timeout_s)).pos
        finally:
            self._ends.pop(request, None)

    async def abort(self) -> None:
        """Cut the connection; nothing is reported."""
        self._run(self._machine.abort(time.monotonic_ns()))
        await self._line.abort()
        self._hub.remove(self)

    async def logout(self, timeout_s: float = LOGOUT_TIMEOUT_S) -> bool:
        """End the session in order and close; return whether the core confirmed it."""
        self._logout = _Reply()
        self._run(self._machine.logout(time.monotonic_ns()))
        try:
            await self._logout.wait(LoggedOut, timeout_s)
        except ConnectionError:
            return False
        else:
            return True
        finally:
            await self.abort()

    def due_ns(self) -> int:
        """Return when the machine wants its next tick."""
        return self._machine.due_ns()

    def tick(self, now_ns: int) -> None:
        """Tick the machine."""
        self._run(self._machine.handle(Tick(), now_ns))

    def _feed(self, event: Event) -> None:
        self._run(self._machine.handle(event, time.monotonic_ns()))

    def _run(self, outputs: list[ReceiverOutput]) -> None:
        for output in outputs:
            match output:
                case Transmit() | Close() | Connect() | Commit() | ReadLog() | ReadRows():
                    self._line.carry_out(output)
                case Delivered(delivery=delivery):
                    self._deliveries(delivery)
                case CursorConfirmed(session=session, upto=upto):
                    self._acks(session, upto)
                case LoggedIn() | LoginRefused():
                    self._login.give(output)
                case EndAnswered(request=request) | EndFailed(request=request):
                    reply = self._ends.get(request)
                    if reply is not None:
                        reply.give(output)
                case LoggedOut():
                    self._logout.give(output)
                case SessionLost(session=session, superseded=superseded, cause=cause):
                    self._logout.give(output)
                    self._lost(session, superseded, cause)
