"""Template title: a broker under test of one's own.

As it stands it starts a small broker in a process of its own (`Broker`, at the end), so that there
is something to change step by step: first `deploy` (start your server), then `Line` (how it is
spoken to), then `promises`. Try it from the folder it lies in::

    tallystick conform template_name:SYSTEM
    tallystick run core_crash --profile smoke --system template_name:SYSTEM

Whatever your broker does to a message, `pack` puts its id in front, by which the harness knows it
again. Every connection has to go through the port that a line is given: it is a proxy's.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from tallystick import (
    Ability,
    Batch,
    BrokerConnector,
    BrokerDeployment,
    Dial,
    Ears,
    Links,
    Memory,
    ProbeWords,
    Process,
    Promise,
    Topology,
    Unavailable,
    open_client_links,
    pack,
)

HOST = "127.0.0.1"
LINE_BYTES_MAX = 64 << 20
FETCH_BYTES_MAX = 1 << 20
FETCH_WITHIN_S = 1.0
PING = b'[0, "ping"]\n'


class TemplateName:
    """The system: what it promises, how it is started, how it is spoken to."""

    name = "template_name"
    version = "1"
    # What is not promised is not judged. Promise what your system's documentation does.
    promises = frozenset(
        {
            Promise.EXACTLY_ONCE_LOG,
            Promise.DURABLE_CURSOR,
            Promise.FIFO_PIPELINED,
            Promise.PREFIX,
            Promise.LINEARIZABLE_APPEND,
            Promise.LINEARIZABLE_END,
            Promise.DENSE_POSITIONS,
        }
    )
    abilities = frozenset({Ability.KILL, Ability.RESTART, Ability.PAUSE})
    presence_bound_s = 0.0
    route = ""
    one_hop = True

    async def deploy(
        self, topology: Topology, links: Links, run_dir: Path, seed: int
    ) -> BrokerDeployment:
        """Start the server in the run's folder, with a proxy for every edge and client group."""
        port = links.ports.take()
        server = Process(
            name=self.name,
            argv=[sys.executable, __file__, str(port), str(run_dir / "journal")],
            log=run_dir / "logs" / f"{self.name}.log",
            ready="ready",
            table=links.table,
            watches_lifeline=False,
        )
        # A ping is as long as its answer, [0, "pong"].
        words = ProbeWords(greeting=PING, ping=PING)
        ports = await open_client_links(topology, links, port, words)
        await server.start()
        return BrokerDeployment(server, {"ports": ports}, {"server_version": self.version})

    def connector(self, connect: Mapping[str, Any]) -> BrokerConnector:
        """Return what makes clients; called in each load process."""

        async def dial(port: int, ears: Ears, _memory: Memory | None = None) -> Line:
            line = Line(port, ears)
            try:
                await line.open()
            except BaseException:
                line.abort()
                raise
            return line

        return BrokerConnector(Dial(sender=dial, reader=dial), connect["ports"])


class Line:
    """One connection through a proxy, for a sender or a reader: numbered JSON, a line each."""

    in_flight_max = 1_000

    def __init__(self, port: int, ears: Ears) -> None:
        self.connections = self.bytes_read = 0
        self._port, self._ears = port, ears
        self._writer: asyncio.StreamWriter | None = None
        self._owed: dict[int, asyncio.Future[Any]] = {}
        self._serial = 0
        self._inbox = ""

    async def open(self) -> None:
        """Connect; raises Unavailable if the server does not answer."""
        try:
            reader, self._writer = await asyncio.open_connection(
                HOST, self._port, limit=LINE_BYTES_MAX
            )
        except OSError as error:
            raise Unavailable(str(error)) from error
        self._listening = asyncio.create_task(self._listen(reader))
        await self.ping()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        cause = "the server closed the connection"
        try:
            while (data := await reader.readline()).endswith(b"\n"):
                # A proxy takes connections for a dead server too: what counts is an answer.
                self.connections = 1
                self.bytes_read += len(data)
                serial, answer = json.loads(data)
                if (owed := self._owed.pop(serial, None)) and not owed.done():
                    owed.set_result(answer)
        except OSError as error:
            cause = str(error)
        if self._writer is not None:
            self.abort()
            self._ears.lost(cause)

    def _send(self, *words: Any) -> asyncio.Future[Any]:
        if self._writer is None or self._writer.is_closing():
            raise Unavailable("the connection has ended")
        self._serial += 1
        self._owed[self._serial] = answer = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps([self._serial, *words]).encode() + b"\n")
        return answer

    async def publish(self, batch: Batch, index_first: int) -> None:
        """Hand over a batch from an index on; what became of it comes to `_stored`."""
        n_first = batch.n_first + index_first
        messages = [base64.b64encode(one).decode() for _, one in pack(batch, index_first)]
        answer = self._send("store", batch.inbox, batch.producer, n_first, messages)
        answer.add_done_callback(partial(self._stored, batch.inbox, n_first, len(messages)))
        if self._writer is not None:
            await self._writer.drain()

    def _stored(self, inbox: str, n_first: int, count: int, answer: asyncio.Future[Any]) -> None:
        if answer.cancelled() or answer.exception() is not None:
            return  # Nobody knows; it is published again on the next connection.
        known_count, pos = answer.result()
        if known_count:
            self._ears.answered(inbox, n_first, known_count, -1)
        if count > known_count:
            self._ears.answered(inbox, n_first + known_count, count - known_count, pos)

    async def open_inbox(self, inbox: str) -> int:
        """Prepare to read an inbox and return its durable cursor (-1: none)."""
        self._inbox = inbox
        return int(await self._send("cursor", inbox))

    async def fetch(self, next_pos: int) -> list[tuple[int, bytes]]:
        """Return (position, message) from a position on; waits a moment for the first."""
        found = await self._send("fetch", self._inbox, next_pos)
        return [(next_pos + index, base64.b64decode(one)) for index, one in enumerate(found)]

    async def end(self) -> int:
        """Return the position of the last message (-1: none)."""
        return int(await self._send("end", self._inbox))

    async def commit(self, pos: int) -> None:
        """Store the durable cursor."""
        await self._send("commit", self._inbox, pos)

    async def ping(self) -> None:
        """Return when the server has answered."""
        await self._send("ping")

    def abort(self) -> None:
        """Cut the connection. Idempotent."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.transport.abort()
        for answer in self._owed.values():
            if not answer.done():
                answer.set_exception(Unavailable("the connection has ended"))
                answer.exception()  # Nobody may be waiting any more; that is no error.
        self._owed.clear()

    async def close(self) -> None:
        """Close the connection behind what was sent."""
        try:
            await self.ping()
        finally:
            self.abort()


class Broker:
    """Something to run against: logs in memory, each change synced first. Use your own instead."""

    def __init__(self, journal: Path) -> None:
        self._logs: dict[str, list[str]] = {}
        self._known: dict[tuple[str, int], int] = {}
        self._cursors: dict[str, int] = {}
        self._grown = asyncio.Condition()
        journal.touch()
        self._journal = journal.open("r+b", buffering=0)
        whole, _, torn = self._journal.read().rpartition(b"\n")
        for line in whole.splitlines():
            self._change(json.loads(line))
        self._journal.truncate(self._journal.seek(-len(torn), os.SEEK_END))

    def _change(self, words: list[Any]) -> Any:
        match words:
            case ["store", inbox, producer, n_first, messages]:
                log = self._logs.setdefault(inbox, [])
                pos, next_n = len(log), self._known.get((inbox, producer), 0)
                known_count = min(len(messages), max(0, next_n - n_first))
                log.extend(messages[known_count:])
                self._known[inbox, producer] = max(next_n, n_first + len(messages))
                return known_count, pos
            case ["commit", inbox, pos]:
                self._cursors[inbox] = max(pos, self._cursors.get(inbox, -1))
        return None

    async def _answer(self, words: list[Any]) -> Any:
        match words:
            case ["ping"]:
                return "pong"
            case ["cursor", inbox]:
                return self._cursors.get(inbox, -1)
            case ["end", inbox]:
                return len(self._logs.get(inbox, [])) - 1
            case ["fetch", inbox, next_pos]:
                log = self._logs.setdefault(inbox, [])
                with suppress(TimeoutError):
                    async with asyncio.timeout(FETCH_WITHIN_S), self._grown:
                        await self._grown.wait_for(lambda: len(log) > next_pos)
                upto, size = next_pos, 0
                while upto < len(log) and size < FETCH_BYTES_MAX:
                    size += len(log[upto])
                    upto += 1
                return log[next_pos:upto]
        self._journal.write(json.dumps(words).encode() + b"\n")
        os.fsync(self._journal)
        changed = self._change(words)
        async with self._grown:
            self._grown.notify_all()
        return changed

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a client until it goes; a fetch that waits holds up nothing behind it."""

        async def answer(serial: int, words: list[Any]) -> None:
            writer.write(json.dumps([serial, await self._answer(words)]).encode() + b"\n")

        with suppress(OSError):
            async with asyncio.TaskGroup() as answering:
                while (data := await reader.readline()).endswith(b"\n"):
                    serial, *words = json.loads(data)
                    answering.create_task(answer(serial, words))
        writer.transport.abort()


async def main(port: int, journal: Path) -> None:
    """Serve until killed."""
    server = await asyncio.start_server(Broker(journal).serve, HOST, port, limit=LINE_BYTES_MAX)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await server.serve_forever()


SYSTEM = TemplateName()

if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
