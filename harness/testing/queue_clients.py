"""The clients of the queue, as load processes make them: the larger half of its adapter."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import anyio
import msgpack

from harness.links.ports import LOOPBACK
from harness.systems.port import Batch, Delivery, Login, OutboxFull, Outcome, RunOfMessages
from harness.systems.topology import client_link
from harness.testing.queue_server import LENGTH_BYTES, pack, read_frame

CONNECT_WITHIN_S = 3.0
"""How long one edge is tried before the harness may choose another."""

OUTBOX_BYTES_MAX = 4 * 1024 * 1024
"""What a sender keeps unanswered; a single larger batch is taken alone."""


class Line:
    """One connection through a proxy. After `cut` or `close` it hands over nothing more."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        count_bytes: Callable[[int], None],
    ) -> None:
        self._reader = reader
        self._count_bytes = count_bytes
        self._writer = writer
        self._left = False

    def send(self, frame: bytes) -> None:
        """Write a frame, unless the connection has ended and `run` is about to notice."""
        if not self._writer.is_closing():
            self._writer.write(frame)

    async def read(self) -> list[Any]:
        """Return the next message; raises ConnectionError when there is none any more."""
        frame = await read_frame(self._reader)
        self._count_bytes(LENGTH_BYTES + len(frame))
        message: list[Any] = msgpack.unpackb(frame)
        return message

    async def run(self, taken: Callable[..., None], ended: Callable[[str], None]) -> None:
        """Hand every message to `taken` until the connection ends."""
        try:
            while not self._left:
                message = await self.read()
                if not self._left:
                    taken(*message)
        except ConnectionError as error:
            if not self._left:
                ended(str(error))
        finally:
            self._writer.transport.abort()

    def cut(self) -> None:
        """End it abruptly; what is on its way may be lost."""
        self._left = True
        self._writer.transport.abort()

    def close(self) -> None:
        """End it behind what was sent."""
        self._left = True
        self._writer.close()


class QueueConnector:
    """Makes the clients of one load process and owns the tasks that read their connections."""

    def __init__(self, connect: Mapping[str, Any]) -> None:
        self._ports: Mapping[str, int] = connect["ports"]
        self._sleeps_s: float = connect.get("sleeps_s", 0.0)
        self._tasks = anyio.create_task_group()
        self._opened: Counter[str] = Counter()
        self._bytes_read: Counter[str] = Counter()

    async def __aenter__(self) -> QueueConnector:
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
        self,
        *,
        producer: int,
        group: str,
        outcomes: Callable[[Outcome], None],
        lost: Callable[[str], None],
    ) -> QueueSender:
        """Return a sender. Batches name their producer themselves, so it need not know it."""
        return QueueSender(self, group, outcomes, lost)

    def receiver(
        self,
        *,
        inbox: str,
        group: str,
        deliveries: Callable[[Delivery], None],
        acks: Callable[[int, int, str], None],
        lost: Callable[[int, str], None],
    ) -> QueueReceiver:
        """Return a receiver."""
        return QueueReceiver(self, inbox, group, deliveries, acks, lost)

    async def dial(self, edge: str, group: str, first: bytes) -> tuple[Line, list[Any]]:
        """Connect, say `first`, and return the line and the answer.

        Raises:
            ConnectionError: There was no answer within `CONNECT_WITHIN_S`.
        """
        link = client_link(edge, group)
        try:
            with anyio.fail_after(CONNECT_WITHIN_S):
                reader, writer = await asyncio.open_connection(LOOPBACK, self._ports[link])
                line = Line(reader, writer, lambda read: self._bytes_read.update({link: read}))
                try:
                    line.send(first)
                    answer = await line.read()
                except BaseException:
                    line.cut()
                    raise
        except OSError as error:  # TimeoutError is one too.
            await anyio.sleep(self._sleeps_s)
            raise ConnectionError(f"{link}: {error or 'no answer'}") from error
        self._opened[link] += 1
        return line, answer

    def listen(self, line: Line, taken: Callable[..., None], ended: Callable[[str], None]) -> None:
        """Read a line from now on; not before the next turn of the event loop."""
        self._tasks.start_soon(line.run, taken, ended)

    def traffic(self) -> Mapping[str, tuple[int, int]]:
        """Return (connections that were answered, bytes read from them) per link."""
        return {link: (self._opened[link], self._bytes_read[link]) for link in self._opened}


class QueueSender:
    """Resends whatever is unanswered, oldest first, when it is connected again."""

    def __init__(
        self,
        connector: QueueConnector,
        group: str,
        outcomes: Callable[[Outcome], None],
        lost: Callable[[str], None],
    ) -> None:
        self._connector = connector
        self._group = group
        self._outcomes = outcomes
        self._lost = lost
        self._line: Line | None = None
        self._outbox: dict[tuple[str, int], Batch] = {}
        self._outbox_bytes = 0
        self._attempts: Counter[tuple[str, int]] = Counter()

    async def connect(self, edge: str) -> None:
        """Connect and resend."""
        await self.disconnect()
        line, _hello = await self._connector.dial(edge, self._group, pack("hello"))
        self._line = line
        for batch in self._outbox.values():
            self._send(line, batch)
        self._connector.listen(line, self._take, self._ended)

    async def disconnect(self) -> None:
        """Cut the connection."""
        if self._line is not None:
            self._line.cut()
        self._line = None

    def _ended(self, cause: str) -> None:
        self._line = None
        self._lost(cause)

    def submit(self, batch: Batch) -> None:
        """Keep the batch until it is answered; what the connection buffers is part of that."""
        size_bytes = _size_bytes(batch)
        if self._outbox and self._outbox_bytes + size_bytes > OUTBOX_BYTES_MAX:
            raise OutboxFull
        self._outbox[batch.inbox, batch.n_first] = batch
        self._outbox_bytes += size_bytes
        if self._line is not None:
            self._send(self._line, batch)

    def _send(self, line: Line, batch: Batch) -> None:
        self._attempts[batch.inbox, batch.n_first] += 1
        line.send(
            pack(
                "send", batch.inbox, batch.producer, batch.n_first, batch.count, batch.lengths,
                batch.body,
            )
        )  # fmt: skip

    def _take(self, _stored: str, inbox: str, _producer: int, n_first: int, pos: int) -> None:
        batch = self._outbox.pop((inbox, n_first))
        self._outbox_bytes -= _size_bytes(batch)
        self._tell(batch, "ok", pos)

    def _tell(self, batch: Batch, outcome: str, pos_first: int = -1) -> None:
        self._outcomes(
            Outcome(
                inbox=batch.inbox,
                producer=batch.producer,
                n_first=batch.n_first,
                count=batch.count,
                outcome=outcome,
                pos_first=pos_first,
                attempts=self._attempts.pop((batch.inbox, batch.n_first), 0),
            )
        )

    async def close(self) -> None:
        """Disconnect; what was never sent has certainly failed, the rest is unknown."""
        await self.disconnect()
        while self._outbox:
            key = next(iter(self._outbox))
            self._tell(self._outbox.pop(key), "info" if self._attempts[key] else "fail")
        self._outbox_bytes = 0


def _size_bytes(batch: Batch) -> int:
    return len(batch.lengths) + len(batch.body)


class QueueReceiver:
    """A reader of one inbox; the queue pushes to it."""

    def __init__(
        self,
        connector: QueueConnector,
        inbox: str,
        group: str,
        deliveries: Callable[[Delivery], None],
        acks: Callable[[int, int, str], None],
        lost: Callable[[int, str], None],
    ) -> None:
        self._connector = connector
        self._inbox = inbox
        self._group = group
        self._deliveries = deliveries
        self._acks = acks
        self._lost = lost
        self._line: Line | None = None
        self._session = -1
        self._ends: deque[asyncio.Future[int]] = deque()

    async def login(self, edge: str, from_pos: int) -> Login:
        """Begin to read."""
        await self.abort()
        first = pack("read", self._inbox, from_pos)
        self._line, answer = await self._connector.dial(edge, self._group, first)
        _reading, self._session, next_pos = answer
        self._connector.listen(self._line, self._take, self._ended)
        return Login(session=self._session, next_pos=next_pos)

    def _take(self, kind: str, *message: Any) -> None:
        match kind:
            case "batch":
                pos_first, producer, n_first, count, lengths, body = message
                self._deliveries(
                    Delivery(
                        inbox=self._inbox,
                        session=self._session,
                        pos_first=pos_first,
                        redelivered=False,  # Within a session the queue never repeats itself.
                        runs=[RunOfMessages(producer=producer, n_first=n_first, count=count)],
                        lengths=lengths,
                        body=body,
                    )
                )
            case "acked":
                self._acks(self._session, message[0], "ok")
            case "end":
                answer = self._ends.popleft()
                if not answer.done():  # Whoever asked may have given up.
                    answer.set_result(message[0])

    def ack(self, upto: int) -> None:
        """Acknowledge; the queue sends on as its window allows."""
        if self._line is not None:
            self._line.send(pack("ack", upto))

    async def end(self) -> int:
        """Ask where the inbox ends."""
        if self._line is None:
            raise ConnectionError("not logged in")
        answer = asyncio.get_running_loop().create_future()
        self._ends.append(answer)
        self._line.send(pack("end"))
        end_pos: int = await answer
        return end_pos

    def _ended(self, cause: str) -> None:
        session = self._session
        self._forget(cause)
        self._lost(session, cause)

    def _forget(self, cause: str) -> None:
        self._line = None
        while self._ends:
            answer = self._ends.popleft()
            if not answer.done():
                answer.set_exception(ConnectionError(cause))

    async def abort(self) -> None:
        """Cut the connection."""
        if self._line is not None:
            self._line.cut()
        self._forget("cut")

    async def logout(self) -> None:
        """Close the connection behind the last acknowledgement."""
        if self._line is not None:
            self._line.close()
        self._forget("logged out")
