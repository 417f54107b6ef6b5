"""Real clients: the sender and receiver machines over anyio, many of them in one process.

A `ClientHub` owns the tasks of all its clients and one clock for them; a client that is idle costs
two sleeping tasks while it is connected and nothing while it is not. The clients' callbacks are
called in the event loop and must not block.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, TypeVar

import anyio
from anyio.abc import TaskGroup

from reference.client.outcomes import (
    ConnectionLost,
    CursorConfirmed,
    Delivered,
    EndAnswered,
    EndFailed,
    LoggedIn,
    LoggedOut,
    LoginRefused,
    Ready,
    ReceiverOutput,
    SenderOutcome,
    SenderOutput,
    SessionLost,
)
from reference.client.receiver import ReceiverMachine, ReceiverSettings
from reference.client.sender import SenderMachine, SenderSettings
from reference.events import (
    TICK_INTERVAL_MS,
    Close,
    Commit,
    Connect,
    ConnectFailed,
    Event,
    ReadLog,
    ReadRows,
    Tick,
    Transmit,
)
from reference.node.connection import Connection
from reference.node.driver import CONNECT_TIMEOUT_S
from reference.wire.errors import LocalProtocolError
from reference.wire.messages import Delivery, Segment

LOGIN_TIMEOUT_S: Final = 10.0
"""How long `connect` and `login` try, until they raise ConnectionError."""

END_TIMEOUT_S: Final = 10.0
"""How long `end` waits for its answer."""

LOGOUT_TIMEOUT_S: Final = 2.0
"""How long `logout` waits for its answer, until the connection is just closed."""

T = TypeVar("T")


class _Ticked(Protocol):
    def due_ns(self) -> int: ...

    def tick(self, now_ns: int) -> None: ...


class ClientHub:
    """Owns the tasks and the clock of many clients; an async context manager.

    Leaving it aborts whatever is still open. An error in a client's callback ends the hub.
    """

    def __init__(self) -> None:
        self._tasks: TaskGroup | None = None
        self._clients: dict[int, _Ticked] = {}
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> ClientHub:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._tick)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        assert self._tasks is not None
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, trace)

    @property
    def tasks(self) -> TaskGroup:
        """The task group that carries the clients.

        Raises:
            RuntimeError: The hub was not entered.
        """
        if self._tasks is None:
            raise RuntimeError("enter the ClientHub first: `async with ClientHub() as hub`")
        return self._tasks

    def next_number(self) -> int:
        """Return a number that no connection of this hub had before."""
        return next(self._numbers)

    def add(self, client: _Ticked) -> None:
        """Tick a client from now on."""
        self._clients[id(client)] = client

    def remove(self, client: _Ticked) -> None:
        """Tick it no longer. Idempotent."""
        self._clients.pop(id(client), None)

    async def _tick(self) -> None:
        while True:
            await anyio.sleep(TICK_INTERVAL_MS / 1000)
            now_ns = time.monotonic_ns()
            for client in list(self._clients.values()):
                if client.due_ns() <= now_ns:
                    client.tick(now_ns)


class _Line:
    """Carries the one connection of a client's machine, to an address that may change."""

    def __init__(self, hub: ClientHub, feed: Callable[[Event], None]) -> None:
        self._hub = hub
        self._feed = feed
        self._connection: Connection | None = None
        self._dial_scope: anyio.CancelScope | None = None
        self._ended = anyio.Event()
        self._ended.set()
        self.address = ("", 0)
        self.opened = 0
        self.bytes_in = 0
        self.bytes_out = 0

    def carry_out(self, effect: object) -> None:
        match effect:
            case Transmit(messages=messages):
                if self._connection is not None:
                    self._connection.transmit(messages)
            case Close():
                if self._connection is not None:
                    self._connection.close()
            case Connect():
                self._ended = anyio.Event()
                self._dial_scope = anyio.CancelScope()
                self._hub.tasks.start_soon(self._dial, self._dial_scope, self.address)
            case Commit() | ReadLog() | ReadRows():
                raise TypeError(f"a client has no store: {effect}")

    async def abort(self) -> None:
        """Close at once and wait until `Closed` or `ConnectFailed` was fed."""
        if self._dial_scope is not None:
            self._dial_scope.cancel()
        if self._connection is not None:
            self._connection.abort()
        await self._ended.wait()

    async def ended(self) -> None:
        """Wait until no connection is there."""
        await self._ended.wait()

    async def _dial(self, scope: anyio.CancelScope, address: tuple[str, int]) -> None:
        stream = None
        with scope:
            try:
                with anyio.fail_after(CONNECT_TIMEOUT_S):
                    stream = await anyio.connect_tcp(*address)
            except (OSError, TimeoutError):
                stream = None
        self._dial_scope = None
        if stream is None or scope.cancel_called:
            if stream is not None:
                await stream.aclose()
            self._feed_end(ConnectFailed(link=0))
            return
        connection = Connection(stream, self._hub.next_number(), self._note, 0)
        self._connection = connection
        self.opened += 1
        try:
            await connection.run()
        finally:
            self.bytes_in += connection.bytes_in
            self.bytes_out += connection.bytes_out
            self._connection = None
            self._ended.set()

    def _note(self, event: Event) -> None:
        self._feed(event)

    def _feed_end(self, event: Event) -> None:
        self._ended.set()
        self._feed(event)


class SenderClient:
    """A producer over TCP.

    `outcomes` gets every outcome of the outbox (`Acknowledged`, `Rejected`, `LineageLost`, at
    `close` `Unresolved`), `lost(cause)` is called when a connection that was up has ended without
    our doing; the outbox stays, and `connect` goes on with it, also through another edge.
    """

    def __init__(
        self,
        hub: ClientHub,
        settings: SenderSettings,
        *,
        outcomes: Callable[[SenderOutcome], None],
        lost: Callable[[str], None] = lambda cause: None,
    ) -> None:
        self._hub = hub
        self._machine = SenderMachine(settings)
        self._outcomes = outcomes
        self._lost = lost
        self._line = _Line(hub, self._feed)
        self._up = False
        self._cause = ""
        self._ready = anyio.Event()

    @property
    def machine(self) -> SenderMachine:
        """The machine, for its gauges."""
        return self._machine

    @property
    def connected(self) -> bool:
        """The producer is logged in."""
        return self._up

    @property
    def connections_opened(self) -> int:
        """TCP connections that came up so far, those included that ended before a login."""
        return self._line.opened

    @property
    def bytes_carried(self) -> tuple[int, int]:
        """Bytes received and sent over all connections that have ended."""
        return self._line.bytes_in, self._line.bytes_out

    async def connect(self, host: str, port: int, timeout_s: float = LOGIN_TIMEOUT_S) -> None:
        """Log in at an edge and go on with what is unanswered.

        A connection that is still there is cut first.

        Raises:
            ConnectionError: It did not come up in time; nothing is tried any more.
        """
        await self.disconnect()
        self._line.address = (host, port)
        self._ready = anyio.Event()
        self._cause = ""
        self._hub.add(self)
        self._run(self._machine.connect(time.monotonic_ns()))
        with anyio.move_on_after(timeout_s):
            await self._ready.wait()
        if not self._up:
            await self.disconnect()
            raise ConnectionError(self._cause or f"no login at {host}:{port} in {timeout_s} s")

    async def disconnect(self) -> None:
        """Cut the connection, also in the middle of a batch; the outbox stays."""
        self._up = False
        self._run(self._machine.disconnect(time.monotonic_ns()))
        await self._line.abort()
        self._hub.remove(self)

    def submit(self, segment: Segment) -> None:
        """Take a batch into the outbox.

        Raises:
            OutboxFull: There is no room now; nothing was taken.
            LocalProtocolError: It breaks a limit or the numbering; nothing was taken.
        """
        self._run(self._machine.submit(segment, time.monotonic_ns()))

    async def close(self) -> None:
        """Cut the connection and report what is unanswered as `Unresolved`."""
        await self.disconnect()
        for outcome in self._machine.abandon():
            self._outcomes(outcome)

    def due_ns(self) -> int:
        """Return when the machine wants its next tick."""
        return self._machine.due_ns()

    def tick(self, now_ns: int) -> None:
        """Tick the machine."""
        self._run(self._machine.handle(Tick(), now_ns))

    def _feed(self, event: Event) -> None:
        self._run(self._machine.handle(event, time.monotonic_ns()))

    def _run(self, outputs: list[SenderOutput]) -> None:
        for output in outputs:
            match output:
                case Transmit() | Close() | Connect() | Commit() | ReadLog() | ReadRows():
                    self._line.carry_out(output)
                case Ready():
                    self._up = True
                    self._ready.set()
                case ConnectionLost(cause=cause):
                    self._cause = cause
                    if self._up:
                        self._up = False
                        self._lost(cause)
                case _:
                    self._outcomes(output)


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
    end ourselves. Nothing logs in again by itself.
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
        self._deliveries = deliveries
        self._acks = acks
        self._lost = lost
        self._line = _Line(hub, self._feed)
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
