"""Senders and receivers over a broker's lines: the harness' port, once for all brokers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType

import anyio

from harness.systems.broker.codec import split, unpack
from harness.systems.broker.line import (
    ANSWER_WITHIN_S,
    CONNECT_WITHIN_S,
    Dial,
    Ears,
    Line,
    Unavailable,
)
from harness.systems.broker.outbox import Outbox
from harness.systems.port import Batch, Delivery, Login, Outcome
from harness.systems.topology import client_link

LOOK_EVERY_S = 0.25
"""How often a sender looks whether an answer is overdue."""

PING_EVERY_S = 1.0
"""How often a receiver that is otherwise quiet asks its broker for a sign of life."""

WINDOW_BYTES = 4 * 1024 * 1024
"""What a receiver takes before it acknowledges; it fetches no more until then."""

CLOSE_WITHIN_S = 2.0
"""Deadline for an orderly close; behind it the connections are cut."""

FROM_CURSOR = -2


class BrokerConnector:
    """Makes the clients of one load process and owns their tasks.

    Args:
        dial_line: Opens lines.
        ports: Where each link's proxy listens, by the link's name.
    """

    def __init__(self, dial_line: Dial, ports: Mapping[str, int]) -> None:
        self._dial_line = dial_line
        self._ports = ports
        self._tasks = anyio.create_task_group()
        self._lines: dict[str, list[Line]] = {}
        self._opened: Counter[str] = Counter()
        self._bytes_read: Counter[str] = Counter()
        self._session = 0

    async def __aenter__(self) -> BrokerConnector:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        with anyio.CancelScope(shield=True):
            for line in [line for lines in self._lines.values() for line in lines]:
                await self.close(line)
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, trace)

    def sender(
        self,
        *,
        producer: int,
        group: str,
        outcomes: Callable[[Outcome], None],
        lost: Callable[[str], None],
    ) -> BrokerSender:
        """Return a sender. Batches name their producer themselves, so it need not know it."""
        return BrokerSender(self, group, outcomes, lost)

    def receiver(
        self,
        *,
        inbox: str,
        group: str,
        deliveries: Callable[[Delivery], None],
        acks: Callable[[int, int, str], None],
        lost: Callable[[int, str], None],
    ) -> BrokerReceiver:
        """Return a receiver."""
        return BrokerReceiver(self, inbox, group, deliveries, acks, lost)

    async def dial(self, edge: str, group: str, ears: Ears) -> Line:
        """Open a line through the proxy of a group to an edge.

        Raises:
            ConnectionError: It did not come up within `CONNECT_WITHIN_S`.
        """
        link = client_link(edge, group)
        try:
            with anyio.fail_after(CONNECT_WITHIN_S):
                line = await self._dial_line(self._ports[link], ears)
        except OSError as error:  # TimeoutError and Unavailable are ones too.
            raise ConnectionError(f"{link}: {error or 'no answer'}") from error
        self._lines.setdefault(link, []).append(line)
        return line

    def leave(self, line: Line) -> None:
        """Cut a line and keep what it counted."""
        line.abort()
        for link, lines in self._lines.items():
            if line in lines:
                lines.remove(line)
                self._opened[link] += line.connections
                self._bytes_read[link] += line.bytes_read

    async def close(self, line: Line) -> None:
        """End a line in order, or after `CLOSE_WITHIN_S` without."""
        try:
            with anyio.move_on_after(CLOSE_WITHIN_S):
                await line.close()
        except Unavailable:
            pass  # It ends all the same.
        finally:
            self.leave(line)

    def start(self, work: Callable[..., object], *args: object) -> None:
        """Run a task until it ends or this connector does."""
        self._tasks.start_soon(work, *args)  # type: ignore[arg-type]

    def next_session(self) -> int:
        """Return a number above all that were drawn before on this host: brokers have none."""
        self._session = max(self._session + 1, time.monotonic_ns() // 1_000)
        return self._session

    def traffic(self) -> Mapping[str, tuple[int, int]]:
        """Return (connections opened, bytes read) per link."""
        opened, read = self._opened.copy(), self._bytes_read.copy()
        for link, lines in self._lines.items():
            opened[link] += sum(line.connections for line in lines)
            read[link] += sum(line.bytes_read for line in lines)
        return {link: (opened[link], read[link]) for link in opened}


class BrokerSender:
    """Publishes what its outbox holds, and all of it again, oldest first, on each new line."""

    def __init__(
        self,
        connector: BrokerConnector,
        group: str,
        outcomes: Callable[[Outcome], None],
        lost: Callable[[str], None],
    ) -> None:
        self._connector = connector
        self._group = group
        self._lost = lost
        self._outbox = Outbox(outcomes, self._flush_soon)
        self._line: Line | None = None
        self._life = 0
        """Rises with every connect and cut, so that a line that was left is not listened to."""
        self._work = anyio.Event()
        self._heard_s = 0.0

    async def connect(self, edge: str) -> None:
        """Open a line and publish what is unanswered."""
        await self.disconnect()
        life = self._life
        line = await self._connector.dial(edge, self._group, self._ears(life))
        if life != self._life:
            self._connector.leave(line)
            raise ConnectionError("cut while it was connecting")
        self._line = line
        self._outbox.rewind()
        self._heard_s = time.monotonic()
        self._connector.start(self._pump, line, life)

    def _ears(self, life: int) -> Ears:
        def answered(inbox: str, n_first: int, count: int, pos_first: int) -> None:
            if life == self._life:
                self._heard(inbox, n_first, count, pos_first, "")

        def refused(inbox: str, n_first: int, count: int, error: str) -> None:
            if life == self._life:
                self._heard(inbox, n_first, count, -1, error)

        return Ears(answered=answered, refused=refused, lost=lambda cause: self._ended(life, cause))

    def _heard(self, inbox: str, n_first: int, count: int, pos_first: int, error: str) -> None:
        self._heard_s = time.monotonic()
        self._outbox.answer(inbox, n_first, count, pos_first=pos_first, error=error)
        self._work.set()

    async def _pump(self, line: Line, life: int) -> None:
        try:
            while life == self._life:
                unsent = None
                if self._outbox.in_flight < line.in_flight_max:
                    unsent = self._outbox.next_unsent()
                if unsent is None:
                    self._work = anyio.Event()
                    with anyio.move_on_after(LOOK_EVERY_S):
                        await self._work.wait()
                else:
                    if not self._outbox.in_flight:
                        self._heard_s = time.monotonic()
                    with anyio.fail_after(ANSWER_WITHIN_S):
                        await line.publish(*unsent)
                silent_s = time.monotonic() - self._heard_s
                if self._outbox.in_flight and silent_s > ANSWER_WITHIN_S:
                    raise Unavailable(f"no answer for {ANSWER_WITHIN_S:g} s")
        except OSError as error:
            self._ended(life, str(error) or "the broker does not read")

    def _ended(self, life: int, cause: str) -> None:
        if life == self._life and self._line is not None:
            self._leave()
            self._lost(cause)

    def _leave(self) -> None:
        self._life += 1
        self._work.set()
        line, self._line = self._line, None
        if line is not None:
            self._connector.leave(line)

    def _flush_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._outbox.flush)

    def submit(self, batch: Batch) -> None:
        """Take a batch; it is kept until it is answered."""
        self._outbox.take(batch)
        self._work.set()

    async def disconnect(self) -> None:
        """Cut the line."""
        self._leave()

    async def close(self) -> None:
        """Cut the line; what was never published has certainly failed, the rest is unknown."""
        self._leave()
        self._outbox.close()


class BrokerReceiver:
    """Fetches one inbox from a position on, as far as its window allows."""

    def __init__(
        self,
        connector: BrokerConnector,
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
        self._unacked: list[tuple[int, int]] = []
        self._ack_wanted = -1
        self._acked = -1
        self._changed = anyio.Event()

    async def login(self, edge: str, from_pos: int) -> Login:
        """Begin to read."""
        await self.abort()
        session = self._connector.next_session()
        self._session = session
        line = await self._connector.dial(edge, self._group, self._ears(session))
        try:
            with anyio.fail_after(CONNECT_WITHIN_S):
                cursor = await line.open_inbox(self._inbox)
        except OSError as error:
            self._connector.leave(line)
            raise ConnectionError(f"{self._inbox}: {error or 'no answer'}") from error
        if session != self._session:
            self._connector.leave(line)
            raise ConnectionError("cut while it was logging in")
        self._line = line
        self._unacked = []
        self._acked = self._ack_wanted = cursor
        next_pos = (cursor if from_pos == FROM_CURSOR else from_pos) + 1
        for work in (self._read, self._write_cursor, self._watch):
            self._connector.start(self._guarded, work, line, session, next_pos)
        return Login(session=session, next_pos=next_pos)

    def _ears(self, session: int) -> Ears:
        return Ears(
            answered=lambda *_: None,
            refused=lambda *_: None,
            lost=lambda cause: self._ended(session, cause),
        )

    async def _guarded(
        self, work: Callable[[Line, int, int], object], line: Line, session: int, next_pos: int
    ) -> None:
        try:
            await work(line, session, next_pos)  # type: ignore[misc]
        except OSError as error:
            self._ended(session, str(error) or "no answer")

    async def _read(self, line: Line, session: int, next_pos: int) -> None:
        while session == self._session:
            if sum(size for _, size in self._unacked) >= WINDOW_BYTES:
                await self._change()
                continue
            found = await line.fetch(next_pos)
            if session != self._session:
                return
            for piece in split(found):
                delivery = unpack(self._inbox, session, piece)
                self._unacked.append(
                    (piece.pos_first + len(piece.messages) - 1, len(delivery.body))
                )
                self._deliveries(delivery)
            if found:
                next_pos = found[-1][0] + 1

    async def _write_cursor(self, line: Line, session: int, _next_pos: int) -> None:
        while session == self._session:
            upto = self._ack_wanted
            if upto <= self._acked:
                await self._change()
                continue
            with anyio.fail_after(ANSWER_WITHIN_S):
                await line.commit(upto)
            if session == self._session:
                self._acked = upto
                self._acks(session, upto, "ok")

    async def _watch(self, line: Line, session: int, _next_pos: int) -> None:
        while session == self._session:
            with anyio.fail_after(ANSWER_WITHIN_S):
                await line.ping()
            await anyio.sleep(PING_EVERY_S)

    async def _change(self) -> None:
        """Wait for an acknowledgement or the end of the session."""
        if self._changed.is_set():
            self._changed = anyio.Event()
        await self._changed.wait()

    def ack(self, upto: int) -> None:
        """Move the cursor; acknowledgements that come while one is stored are stored as one."""
        self._ack_wanted = max(self._ack_wanted, upto)
        self._unacked = [(pos, size) for pos, size in self._unacked if pos > upto]
        self._changed.set()

    async def end(self) -> int:
        """Ask where the inbox ends."""
        line = self._line
        if line is None:
            raise ConnectionError("not logged in")
        try:
            with anyio.fail_after(ANSWER_WITHIN_S):
                return await line.end()
        except OSError as error:
            raise ConnectionError(str(error) or "no answer") from error

    def _ended(self, session: int, cause: str) -> None:
        if session == self._session and self._line is not None:
            self._leave()
            self._lost(session, "lost")

    def _leave(self) -> Line | None:
        self._session = -1
        self._changed.set()
        line, self._line = self._line, None
        if line is not None:
            self._connector.leave(line)
        return line

    async def abort(self) -> None:
        """Cut the line."""
        self._leave()

    async def logout(self) -> None:
        """Store what was acknowledged, then close the line."""
        line, session, upto = self._line, self._session, self._ack_wanted
        self._session = -1
        self._line = None
        self._changed.set()
        if line is None:
            return
        try:
            if upto > self._acked:
                with anyio.fail_after(ANSWER_WITHIN_S):
                    await line.commit(upto)
                self._acks(session, upto, "ok")
        except OSError:
            pass  # The acknowledgement stays unknown; nobody was told that it is stored.
        finally:
            await self._connector.close(line)
