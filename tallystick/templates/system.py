"""Template title: a system under test of one's own, reached over TCP.

As it stands it runs against a queue in memory (`Queue`, at the end), so that there is something to
change step by step: first `deploy` (start your server, or find it), then `Line` (how it is spoken
to), then `promises`. Run any scenario that needs no ability on it, from the folder it lies in::

    tallystick run ./your_scenario.py --system template_name:SYSTEM

A message is known by (producer, n) within its inbox; whatever your system does to it, sender and
receiver have to bring that back. Every connection has to go through the ports of `connect`: they
are the proxies.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import anyio
from anyio.from_thread import start_blocking_portal

from tallystick import (
    Ability,
    Batch,
    Delivery,
    Links,
    LinkWanted,
    NodeUsage,
    OutboxFull,
    Outcome,
    ProcessTarget,
    Promise,
    RunOfMessages,
    SessionLogin,
    Topology,
    client_link,
    client_links,
)

HOST = "127.0.0.1"
LINE_BYTES_MAX = 64 << 20
CONNECT_WITHIN_S = 3.0
OUTBOX_BATCHES_MAX = 64


class TemplateName:
    """The system: what it promises, how it is started, how clients are made."""

    name = "template_name"
    version = "1"
    # What is not promised is not judged. Promise what your system's documentation does.
    promises = frozenset({Promise.EXACTLY_ONCE_LOG, Promise.FIFO_PIPELINED, Promise.TOTAL_ORDER})
    abilities: frozenset[Ability] = frozenset()
    presence_bound_s = 0.0
    route = ""
    one_hop = True

    async def deploy(self, topology: Topology, links: Links, run_dir: Path, seed: int) -> Running:
        """Start it, with a proxy in front of it for every edge and client group."""
        port = links.ports.take()
        with ExitStack() as starting:
            portal = starting.enter_context(start_blocking_portal())
            server = portal.call(Queue().serve, port)
            starting.callback(portal.call, server.close)
            opened = await links.open_all(
                [
                    LinkWanted(name=link, upstream_port=port, probe=b'["hello"]\n')
                    for edge in topology.edges
                    for link in client_links(topology, edge)
                ]
            )
            ports = {link.name: link.listen_port for link in opened}
            return Running(starting.pop_all(), {"ports": ports})

    def connector(self, connect: Mapping[str, Any]) -> Connector:
        """Return what makes clients; called in each load process."""
        return Connector(connect)


class Running:
    """The running system."""

    config: Mapping[str, Any] = {}

    def __init__(self, stack: ExitStack, connect: Mapping[str, Any]) -> None:
        self._stack = stack
        self.connect = connect

    def targets(self) -> Sequence[ProcessTarget]:
        """Return the processes that faults may be done to."""
        return ()

    async def gauges(self) -> list[tuple[str, int, str, int, int]]:
        """Return (role, index, name, value, limit) of each gauge."""
        return []

    def usage(self) -> list[NodeUsage]:
        """Return what each process has used."""
        return []

    def find_dead(self) -> list[str]:
        """Return processes that ended by themselves."""
        return []

    async def teardown(self) -> None:
        """Stop it. Idempotent."""
        await anyio.to_thread.run_sync(self._stack.close)


class Line:
    """One connection through a proxy: a JSON array per line, in both directions."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        count: Callable[[int], None],
    ) -> None:
        self._reader, self._writer, self._count = reader, writer, count
        self.left = False

    def send(self, *message: Any) -> None:
        """Write a message, unless the connection has ended and `read` is about to notice."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def read(self) -> list[Any]:
        """Return the next message; raises ConnectionError when there is none any more."""
        data = await self._reader.readline()
        self._count(len(data))
        if not data.endswith(b"\n"):
            raise ConnectionError("the connection ended")
        message: list[Any] = json.loads(data)
        return message

    async def run(self, take: Callable[[list[Any]], None], ended: Callable[[str], None]) -> None:
        """Hand every message to `take` until the connection ends."""
        try:
            while not self.left:
                message = await self.read()
                if not self.left:
                    take(message)
        except ConnectionError as error:
            if not self.left:
                ended(str(error))
        finally:
            self._writer.transport.abort()

    def leave(self, *, orderly: bool) -> None:
        """End it: behind what was sent, or abruptly."""
        self.left = True
        if orderly:
            self._writer.close()
        else:
            self._writer.transport.abort()


class Connector:
    """Makes the clients of one load process, and counts what they send through each proxy."""

    def __init__(self, connect: Mapping[str, Any]) -> None:
        self._ports: Mapping[str, int] = connect["ports"]
        self._tasks = anyio.create_task_group()
        self._opened: Counter[str] = Counter()
        self._bytes_read: Counter[str] = Counter()

    async def __aenter__(self) -> Connector:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, trace)

    def sender(
        self, *, producer: int, group: str, outcomes: Callable[[Outcome], None],
        lost: Callable[[str], None],
    ) -> Sender:  # fmt: skip
        """Return a sender that is not connected yet."""
        return Sender(self, group, outcomes, lost)

    def receiver(
        self, *, inbox: str, group: str, deliveries: Callable[[Delivery], None],
        acks: Callable[[int, int, str], None], lost: Callable[[int, str], None],
    ) -> Receiver:  # fmt: skip
        """Return a receiver that is not logged in yet."""
        return Receiver(self, inbox, group, deliveries, acks, lost)

    async def dial(self, edge: str, group: str, *first: Any) -> tuple[Line, list[Any]]:
        """Connect, say `first`, and return the line and the answer; or raise ConnectionError."""
        link = client_link(edge, group)
        try:
            with anyio.fail_after(CONNECT_WITHIN_S):
                reader, writer = await asyncio.open_connection(
                    HOST, self._ports[link], limit=LINE_BYTES_MAX
                )
                line = Line(reader, writer, lambda n: self._bytes_read.update({link: n}))
                try:
                    line.send(*first)
                    answer = await line.read()
                except BaseException:
                    line.leave(orderly=False)
                    raise
        except OSError as error:  # TimeoutError is one too.
            raise ConnectionError(f"{link}: {error or 'no answer'}") from error
        self._opened[link] += 1
        return line, answer

    def listen(
        self, line: Line, take: Callable[[list[Any]], None], ended: Callable[[str], None]
    ) -> None:
        """Read a line from now on."""
        self._tasks.start_soon(line.run, take, ended)

    def traffic(self) -> Mapping[str, tuple[int, int]]:
        """Return (connections, bytes read) per link; a client that went around is found out."""
        return {link: (self._opened[link], self._bytes_read[link]) for link in self._opened}


class Sender:
    """Resends under the same ids, over any reconnect, until it knows the outcome."""

    def __init__(
        self, connector: Connector, group: str, outcomes: Callable[[Outcome], None],
        lost: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._connector, self._group = connector, group
        self._outcomes, self._lost = outcomes, lost
        self._line: Line | None = None
        self._outbox: dict[tuple[str, int], Batch] = {}
        self._attempts: Counter[tuple[str, int]] = Counter()

    async def connect(self, edge: str) -> None:
        """Connect and resend what is unanswered, oldest first."""
        await self.disconnect()
        self._line, _hello = await self._connector.dial(edge, self._group, "hello")
        for batch in self._outbox.values():
            self._send(self._line, batch)
        self._connector.listen(self._line, self._take, self._ended)

    async def disconnect(self) -> None:
        """Cut the connection; the outbox stays."""
        if self._line is not None:
            self._line.leave(orderly=False)
        self._line = None

    def submit(self, batch: Batch) -> None:
        """Take a batch; raises OutboxFull where there is no room."""
        if len(self._outbox) >= OUTBOX_BATCHES_MAX:
            raise OutboxFull
        self._outbox[batch.inbox, batch.n_first] = batch
        if self._line is not None:
            self._send(self._line, batch)

    def _send(self, line: Line, batch: Batch) -> None:
        self._attempts[batch.inbox, batch.n_first] += 1
        lengths, body = (base64.b64encode(x).decode() for x in (batch.lengths, batch.body))
        line.send("send", batch.inbox, batch.producer, batch.n_first, batch.count, lengths, body)

    def _take(self, message: list[Any]) -> None:
        _stored, inbox, n_first, pos = message
        self._tell(self._outbox.pop((inbox, n_first)), "ok", pos)

    def _tell(self, batch: Batch, outcome: str, pos_first: int = -1) -> None:
        self._outcomes(
            Outcome(
                inbox=batch.inbox, producer=batch.producer, n_first=batch.n_first,
                count=batch.count, outcome=outcome, pos_first=pos_first,
                attempts=self._attempts.pop((batch.inbox, batch.n_first), 0),
            )
        )  # fmt: skip

    def _ended(self, cause: str) -> None:
        self._line = None
        self._lost(cause)

    async def close(self) -> None:
        """End. What is unanswered is unknown ("info"): only what was never sent has failed."""
        await self.disconnect()
        while self._outbox:
            key = next(iter(self._outbox))
            self._tell(self._outbox.pop(key), "info" if self._attempts[key] else "fail")


class Receiver:
    """A consumer of one inbox."""

    def __init__(
        self, connector: Connector, inbox: str, group: str,
        deliveries: Callable[[Delivery], None], acks: Callable[[int, int, str], None],
        lost: Callable[[int, str], None],
    ) -> None:  # fmt: skip
        self._connector, self._inbox, self._group = connector, inbox, group
        self._deliveries, self._acks, self._lost = deliveries, acks, lost
        self._line: Line | None = None
        self._session = -1
        self._ends: list[asyncio.Future[int]] = []

    async def login(self, edge: str, from_pos: int) -> SessionLogin:
        """Open a session behind `from_pos` (-1: from the start, -2: from the durable cursor)."""
        await self.abort()
        self._line, answer = await self._connector.dial(
            edge, self._group, "read", self._inbox, from_pos
        )
        _reading, self._session, next_pos = answer
        self._connector.listen(self._line, self._take, self._ended)
        return SessionLogin(session=self._session, next_pos=next_pos)

    def _take(self, message: list[Any]) -> None:
        match message:
            case ["batch", pos_first, producer, n_first, count, lengths, body]:
                self._deliveries(
                    Delivery(
                        inbox=self._inbox, session=self._session, pos_first=pos_first,
                        redelivered=False,
                        runs=[RunOfMessages(producer=producer, n_first=n_first, count=count)],
                        lengths=base64.b64decode(lengths), body=base64.b64decode(body),
                    )
                )  # fmt: skip
            case ["acked", upto]:
                self._acks(self._session, upto, "ok")
            case ["end", pos]:
                self._ends.pop(0).set_result(pos)

    def ack(self, upto: int) -> None:
        """Acknowledge everything up to `upto`."""
        if self._line is not None:
            self._line.send("ack", upto)

    async def end(self) -> int:
        """Return the position beyond which nothing lay when this was asked."""
        if self._line is None:
            raise ConnectionError("not logged in")
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._ends.append(answer)
        self._line.send("end")
        # Whoever asks may give up; the answer is taken off the list all the same.
        return await asyncio.shield(answer)

    def _ended(self, cause: str) -> None:
        self._forget(cause)
        self._lost(self._session, "lost")

    def _forget(self, cause: str) -> None:
        self._line = None
        for answer in self._ends:
            answer.set_exception(ConnectionError(cause))
            answer.exception()  # Nobody may be waiting any more; that is no error.
        self._ends.clear()

    async def abort(self) -> None:
        """Cut the connection abruptly."""
        if self._line is not None:
            self._line.leave(orderly=False)
        self._forget("cut")

    async def logout(self) -> None:
        """End the session in order."""
        if self._line is not None:
            self._line.leave(orderly=True)
        self._forget("logged out")


class Queue:
    """Something to run against: logs in memory, each batch stored once. Replace it by your own."""

    def __init__(self) -> None:
        self._logs: dict[str, list[list[Any]]] = {}
        self._ends: Counter[str] = Counter()
        self._stored: dict[tuple[str, int, int], int] = {}
        self._cursors: dict[str, int] = {}
        self._sessions = 0
        self._grown = asyncio.Condition()

    async def serve(self, port: int) -> asyncio.Server:
        """Listen; clients are served until the server is closed."""
        return await asyncio.start_server(self._client, HOST, port, limit=LINE_BYTES_MAX)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, inbox, reading = Line(reader, writer, lambda n: None), "", None
        with suppress(ConnectionError):
            while True:
                match await line.read():
                    case ["hello"]:
                        line.send("hello")
                    case ["send", box, producer, n_first, count, lengths, body]:
                        key = (box, producer, n_first)
                        if key not in self._stored:
                            pos = self._stored[key] = self._ends[box]
                            self._ends[box] += count
                            entry = [pos, producer, n_first, count, lengths, body]
                            self._logs.setdefault(box, []).append(entry)
                            async with self._grown:
                                self._grown.notify_all()
                        line.send("stored", box, n_first, self._stored[key])
                    case ["read", box, from_pos]:
                        inbox, self._sessions = box, self._sessions + 1
                        pos = self._cursors.get(box, -1) if from_pos == -2 else from_pos
                        line.send("reading", self._sessions, pos + 1)
                        reading = asyncio.create_task(self._deliver(line, box, pos + 1))
                    case ["ack", upto]:
                        self._cursors[inbox] = max(upto, self._cursors.get(inbox, -1))
                        line.send("acked", upto)
                    case ["end"]:
                        line.send("end", self._ends[inbox] - 1)
        if reading is not None:
            reading.cancel()
        line.leave(orderly=False)

    async def _deliver(self, line: Line, inbox: str, next_pos: int) -> None:
        index = 0
        while True:
            log = self._logs.get(inbox, [])
            for entry in log[index:]:
                if entry[0] >= next_pos:
                    line.send("batch", *entry)
            index = len(log)
            async with self._grown:
                while len(self._logs.get(inbox, [])) == index:
                    await self._grown.wait()


SYSTEM = TemplateName()
