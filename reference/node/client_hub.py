"""What real clients share: the tasks and the clock of many of them, and one TCP connection each.

A client that is idle costs two sleeping tasks while it is connected and nothing while it is not.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Protocol

import anyio
from anyio.abc import TaskGroup

from reference.events import (
    TICK_INTERVAL_MS,
    Close,
    Commit,
    Connect,
    ConnectFailed,
    Event,
    ReadLog,
    ReadRows,
    Transmit,
)
from reference.node.connection import Connection
from reference.node.driver import CONNECT_TIMEOUT_S
from reference.node.tls import Trust, connect, why_failed
from reference.reach import Reach

log = logging.getLogger("tallystick.client")

LOGIN_TIMEOUT_S: Final = 10.0
"""How long `connect` and `login` try, until they raise ConnectionError."""


class _Ticked(Protocol):
    def due_ns(self) -> int: ...

    def tick(self, now_ns: int) -> None: ...


class ClientHub:
    """Owns the tasks and the clock of many clients; an async context manager.

    Leaving it aborts whatever is still open. An error in a client's callback ends the hub.
    """

    def __init__(self, trusted: Trust | None = None) -> None:
        """Make a hub whose clients trust such edges; None for no encryption."""
        self.trusted = trusted
        self._tasks: TaskGroup | None = None
        self._clients: dict[int, _Ticked] = {}
        self._numbers = itertools.count(1)
        self.reach = Reach()
        """What all its clients have reached."""

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


class ClientLine:
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
        """Carry out an effect of the machine."""
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
                    stream = await connect(*address, self._hub.trusted)
            except OSError as error:
                log.info("%s:%d: %s", *address, why_failed(error))
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
