"""Carries the effects of a machine out over sockets, threads and the clock."""

from __future__ import annotations

import itertools
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketListener, SocketStream, TaskGroup

from reference.doorstep import find_oldest
from reference.events import (
    TICK_INTERVAL_MS,
    Close,
    Commit,
    Connect,
    ConnectFailed,
    Effect,
    Event,
    ReadLog,
    ReadRows,
    Tick,
    Transmit,
)
from reference.node.connection import LINGER_S, Connection
from reference.node.memory import RSS_BYTES_MAX, rss_bytes
from reference.node.storage import StoreThreads
from reference.node.tls import (
    ADDRESS_HANDSHAKES_MAX,
    HANDSHAKES_MAX,
    Trust,
    accept,
    connect,
    why_failed,
)
from reference.reach import Reach, gauges_of
from reference.store.port import Store
from reference.wire import messages as m
from reference.wire.errors import ErrorCode

CONNECT_TIMEOUT_S: Final = 3.0
"""How long opening a connection may take."""

ACCEPT_PAUSE_S: Final = 0.05
"""How long a node waits after it could not accept, so that it does not spin without descriptors."""

CLOCK_STEP_NS: Final = 1_000_000_000
"""By how much the wall clock must leave the monotonic one to have been stepped."""

GAUGES_INTERVAL_NS: Final = 1_000_000_000
"""How often a node looks at its own memory."""

log = logging.getLogger("tallystick.node")


class Machine(Protocol):
    """What a driver carries."""

    extra_gauges: dict[str, int]

    def handle(self, event: Event, now_ns: int) -> list[Effect]:
        """Take one event and return what is to be done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Handshake:
    """An accepted connection that has not come so far that the machine knows it."""

    address: str
    scope: anyio.CancelScope


class Driver:
    """Carries one machine: accepts, connects, reads, writes, commits and ticks.

    `run` ends after `stop`, or with the error of whatever went wrong: a machine's or a store's
    error ends the node, because nobody knows then what it would say next.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        store: Store | None = None,
        upstream: tuple[str, int] | None = None,
        tls: ssl.SSLContext | None = None,
        trusted: Trust | None = None,
    ) -> None:
        """Take a machine to carry.

        Args:
            machine: What decides.
            store: Where a core keeps what it has.
            upstream: Whom an edge dials.
            tls: What a node shows those who dial it; None for no encryption.
            trusted: Whom an edge takes for the core; None for no encryption.
        """
        self._machine = machine
        self._store = store
        self._upstream = upstream
        self._tls = tls
        self._trusted = trusted
        self._handshakes: dict[int, _Handshake] = {}
        self._threads: StoreThreads | None = None
        self._connections: dict[int, Connection] = {}
        self._numbers = itertools.count(1)
        self._tasks: TaskGroup | None = None
        self._stopped = anyio.Event()
        self._all_closed = anyio.Event()
        self._failure: BaseException | None = None
        self._gauged_ns = 0
        self._lag_ns_max = 0
        self._reach = Reach()
        self._wall_ahead_ns: int | None = None
        self._uplink_answered = 0
        self._uplink_bytes_read = 0

    def stop(self) -> None:
        """Let `run` come to its end: connections are told, commits under way are finished."""
        self._stopped.set()

    async def run(self, listener: SocketListener, ready: Callable[[], None]) -> None:
        """Serve on `listener` until `stop`; call `ready` once everything is under way."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                if self._store is not None:
                    self._threads = StoreThreads(self._store, self._feed, self._fail)
                self._feed(Tick())
                tasks.start_soon(self._tick)
                async with listener:
                    tasks.start_soon(self._accept, listener)
                    ready()
                    await self._stopped.wait()
                if self._failure is None:
                    await self._say_goodbye()
                tasks.cancel_scope.cancel()
        finally:
            if self._threads is not None and self._failure is None:
                await self._threads.close()
        if self._failure is not None:
            raise self._failure

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
        self._stopped.set()

    def _feed(self, event: Event) -> None:
        for effect in self._machine.handle(event, time.monotonic_ns()):
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Transmit(conn=conn, messages=messages):
                connection = self._connections.get(conn)
                if connection is not None:
                    connection.transmit(messages)
            case Commit():
                assert self._threads is not None
                self._threads.commit(effect)
            case ReadLog() | ReadRows():
                assert self._threads is not None
                self._threads.read(effect)
            case Close(conn=conn, reason=reason):
                connection = self._connections.get(conn)
                if connection is not None:
                    if reason:
                        log.warning("connection %d: closed by us, %s", conn, reason)
                    connection.close()
            case Connect(link=link):
                assert self._tasks is not None
                self._tasks.start_soon(self._connect, link)

    async def _accept(self, listener: SocketListener) -> None:
        assert self._tasks is not None
        while True:
            try:
                stream = await listener.accept()
            except anyio.ClosedResourceError:
                return
            except OSError as error:
                # One connection could not be taken (it is gone, or no descriptor is free).
                log.warning("accepting a connection: %s", error)
                await anyio.sleep(ACCEPT_PAUSE_S)
                continue
            address = _address_of(stream)
            if self._tls is None:
                self._tasks.start_soon(self._carry, stream, -1, address)
            else:
                self._tasks.start_soon(self._shake_hands, stream, self._tls, address)

    async def _shake_hands(self, stream: SocketStream, tls: ssl.SSLContext, address: str) -> None:
        """Carry a connection once TLS is on it; those that come no further take nobody's place."""
        oldest = find_oldest(
            list(self._handshakes.values()),
            address,
            full=False,
            silent_max=HANDSHAKES_MAX,
            address_max=ADDRESS_HANDSHAKES_MAX,
        )
        if oldest is not None:
            oldest.scope.cancel()
        number = next(self._numbers)
        secure: ByteStream | None = None
        with anyio.CancelScope() as scope:
            self._handshakes[number] = _Handshake(address=address, scope=scope)
            try:
                secure = await accept(stream, tls)
            except OSError as error:
                log.warning("a TLS handshake with %s failed: %s", address, why_failed(error))
            finally:
                del self._handshakes[number]
        if secure is not None:
            await self._carry(secure, -1, address)

    async def _connect(self, link: int) -> None:
        assert self._upstream is not None
        host, port = self._upstream
        try:
            with anyio.fail_after(CONNECT_TIMEOUT_S):
                stream: ByteStream = await connect(host, port, self._trusted)
        except OSError as error:
            log.info("link %d to %s:%d: %s", link, host, port, why_failed(error))
            self._feed(ConnectFailed(link=link))
            return
        await self._carry(stream, link)

    async def _carry(self, stream: ByteStream, link: int = -1, address: str = "") -> None:
        conn = next(self._numbers)
        connection = Connection(stream, conn, self._feed, link, address)
        self._connections[conn] = connection
        log.debug("connection %d opened, link %d", conn, link)
        try:
            await connection.run()
        finally:
            del self._connections[conn]
            if link >= 0:
                self._uplink_answered += connection.bytes_in > 0
                self._uplink_bytes_read += connection.bytes_in
            if self._stopped.is_set() and not self._connections:
                self._all_closed.set()
            log.debug("connection %d closed", conn)

    async def _tick(self) -> None:
        interval_s = TICK_INTERVAL_MS / 1000
        due_s = anyio.current_time()
        while True:
            due_s += interval_s
            await anyio.sleep(max(0.0, due_s - anyio.current_time()))
            late_s = anyio.current_time() - due_s
            self._lag_ns_max = max(self._lag_ns_max, int(late_s * 1e9))
            if late_s > interval_s:
                due_s = anyio.current_time()
            self._look_at_itself()
            self._feed(Tick())

    def _look_at_itself(self) -> None:
        now_ns = time.monotonic_ns()
        if now_ns - self._gauged_ns < GAUGES_INTERVAL_NS:
            return
        self._gauged_ns = now_ns
        self._machine.extra_gauges.update(
            rss_bytes=rss_bytes(),
            rss_bytes_limit=RSS_BYTES_MAX,
            cpu_us=time.process_time_ns() // 1000,
            held_bytes=sum(c.held_bytes for c in self._connections.values()),
            tick_lag_us_max=self._lag_ns_max // 1000,
            wall_clock_us=time.time_ns() // 1000,
        )
        self._look_at_clock(now_ns)
        self._machine.extra_gauges.update(gauges_of(self._reach))
        if self._store is not None:
            self._machine.extra_gauges.update(self._store.gauges())
        if self._upstream is not None:
            carried = [c.bytes_in for c in self._connections.values() if c.link >= 0]
            self._machine.extra_gauges.update(
                uplink_connections=self._uplink_answered + sum(read > 0 for read in carried),
                uplink_bytes_read=self._uplink_bytes_read + sum(carried),
            )

    def _look_at_clock(self, now_ns: int) -> None:
        """Count the steps of the wall clock, which nothing here may depend on."""
        ahead_ns = time.time_ns() - now_ns
        before_ns, self._wall_ahead_ns = self._wall_ahead_ns, ahead_ns
        if before_ns is not None and abs(ahead_ns - before_ns) > CLOCK_STEP_NS:
            forward = ahead_ns > before_ns
            self._reach["node.clock_stepped_on" if forward else "node.clock_stepped_back"] += 1

    async def _say_goodbye(self) -> None:
        farewell = m.Error(-1, ErrorCode.SHUTTING_DOWN, "the node is stopping")
        for connection in list(self._connections.values()):
            connection.close(farewell)
        if self._connections:
            with anyio.move_on_after(2 * LINGER_S):
                await self._all_closed.wait()


def _address_of(stream: SocketStream) -> str:
    """Return the host that a connection came from, "" where it is gone already."""
    found = stream.extra(SocketAttribute.remote_address, None)
    return str(found[0]) if isinstance(found, tuple) else ""
