"""A producer over TCP: the sender machine on a connection of its own."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio

from reference.client.outcomes import (
    ConnectionLost,
    LineageLost,
    Ready,
    SenderOutcome,
    SenderOutput,
)
from reference.client.sender import SenderMachine, SenderSettings
from reference.events import Close, Commit, Connect, Event, ReadLog, ReadRows, Tick, Transmit
from reference.node.client_hub import LOGIN_TIMEOUT_S, ClientHub, ClientLine
from reference.wire.messages import Segment


class SenderClient:
    """A producer over TCP.

    `outcomes` gets every outcome of the outbox (`Acknowledged`, `Rejected`, `LineageLost`, at
    `close` `Unresolved`), `lost(cause)` is called when a connection that was up has ended without
    our doing; the outbox stays, and `connect` goes on with it, also through another edge. Callbacks
    are called in the event loop and must not block.
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
        self._machine.reach = hub.reach
        self._outcomes = outcomes
        self._lost = lost
        self._line = ClientLine(hub, self._feed)
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
            ConnectionError: It did not come up in time, or the producer id may not be used; nothing
                is tried any more.
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
                case LineageLost(detail=detail):
                    self._outcomes(output)
                    self._cause = detail
                    self._ready.set()
                case _:
                    self._outcomes(output)
