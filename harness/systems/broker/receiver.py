"""A receiver over a broker's lines: one inbox, read as far as a window allows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from harness.systems.broker.codec import split, unpack
from harness.systems.broker.line import ANSWER_WITHIN_S, CONNECT_WITHIN_S, Ears, ReaderLine
from harness.systems.broker.lines import Lines
from harness.systems.port import Delivery, Login

PING_EVERY_S = 1.0
"""How often a receiver that is otherwise quiet asks its broker for a sign of life."""

WINDOW_BYTES = 1024 * 1024
"""What a receiver takes before it acknowledges; it fetches no more until then."""

FROM_CURSOR = -2


class BrokerReceiver:
    """Fetches one inbox from a position on, as far as its window allows.

    With `trims` the broker drops what lies up to the cursor, so a login never begins before it:
    whoever waited for what is gone would wait for ever.
    """

    def __init__(
        self,
        lines: Lines,
        inbox: str,
        group: str,
        deliveries: Callable[[Delivery], None],
        acks: Callable[[int, int, str], None],
        lost: Callable[[int, str], None],
        *,
        trims: bool = False,
    ) -> None:
        self._trims = trims
        self._lines = lines
        self._inbox = inbox
        self._group = group
        self._deliveries = deliveries
        self._acks = acks
        self._lost = lost
        self._line: ReaderLine | None = None
        self._session = -1
        self._unacked: list[tuple[int, int]] = []
        self._ack_wanted = -1
        self._acked = -1
        self._changed = anyio.Event()

    async def login(self, edge: str, from_pos: int) -> Login:
        """Begin to read."""
        await self.abort()
        session = self._lines.next_session()
        self._session = session
        line = await self._lines.dial_reader(edge, self._group, self._ears(session))
        try:
            with anyio.fail_after(CONNECT_WITHIN_S):
                cursor = await line.open_inbox(self._inbox)
        except OSError as error:
            self._lines.leave(line)
            raise ConnectionError(f"{self._inbox}: {error or 'no answer'}") from error
        if session != self._session:
            self._lines.leave(line)
            raise ConnectionError("cut while it was logging in")
        self._line = line
        self._unacked = []
        self._acked = self._ack_wanted = cursor
        from_cursor = from_pos == FROM_CURSOR or (self._trims and cursor > from_pos)
        if from_cursor and from_pos != FROM_CURSOR:
            self._lines.reach["broker.login_behind_trimming"] += 1
        next_pos = (cursor if from_cursor else from_pos) + 1
        for work in (self._read, self._write_cursor, self._watch):
            self._lines.start(self._guarded, work, line, session, next_pos)
        return Login(session=session, next_pos=next_pos)

    def _ears(self, session: int) -> Ears:
        return Ears(
            answered=lambda *_: None,
            refused=lambda *_: None,
            unknown=lambda *_: None,
            lost=lambda cause: self._ended(session, cause),
            reach=self._lines.reach,
        )

    async def _guarded(
        self,
        work: Callable[[ReaderLine, int, int], Awaitable[None]],
        line: ReaderLine,
        session: int,
        next_pos: int,
    ) -> None:
        try:
            await work(line, session, next_pos)
        except OSError as error:
            self._ended(session, str(error) or "no answer")

    async def _read(self, line: ReaderLine, session: int, next_pos: int) -> None:
        while session == self._session:
            if sum(size for _, size in self._unacked) >= WINDOW_BYTES:
                self._lines.reach["broker.window_full"] += 1
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

    async def _write_cursor(self, line: ReaderLine, session: int, _next_pos: int) -> None:
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

    async def _watch(self, line: ReaderLine, session: int, _next_pos: int) -> None:
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
            self._lost(session, cause)

    def _leave(self) -> None:
        self._session = -1
        self._changed.set()
        line, self._line = self._line, None
        if line is not None:
            self._lines.leave(line)

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
            await self._lines.close(line)
