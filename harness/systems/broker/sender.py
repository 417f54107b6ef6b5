"""A sender over a broker's lines: an outbox that is published again on each new one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import anyio

from harness.systems.broker.line import (
    ANSWER_WITHIN_S,
    STORED_WITHIN_S,
    Ears,
    Memory,
    SenderLine,
    Unavailable,
)
from harness.systems.broker.lines import Lines
from harness.systems.broker.outbox import Outbox
from harness.systems.port import Batch, Outcome

LOOK_EVERY_S = 0.25
"""How often a sender looks whether an answer is overdue."""

PING_AFTER_S = ANSWER_WITHIN_S / 2
"""After this long without an answer a sender asks for a sign of life."""


class BrokerSender:
    """Publishes what its outbox holds, and all of it again, oldest first, on each new line."""

    def __init__(
        self,
        lines: Lines,
        group: str,
        outcomes: Callable[[Outcome], None],
        lost: Callable[[str], None],
    ) -> None:
        self._lines = lines
        self._group = group
        self._lost = lost
        self._outbox = Outbox(outcomes, self._flush_soon, lines.reach)
        self._memory = Memory()
        self._line: SenderLine | None = None
        self._life = 0
        """Rises with every connect and cut, so that a line that was left is not listened to."""
        self._work = anyio.Event()
        self._heard_s = 0.0
        self._alive_s = 0.0
        """When the last ping was answered."""

    async def connect(self, edge: str) -> None:
        """Open a line and publish what is unanswered."""
        await self.disconnect()
        life = self._life
        line = await self._lines.dial_sender(edge, self._group, self._ears(life), self._memory)
        if life != self._life:
            self._lines.leave(line)
            raise ConnectionError("cut while it was connecting")
        self._line = line
        self._outbox.rewind()
        self._heard_s = time.monotonic()
        self._lines.start(self._pump, line, life)

    def _ears(self, life: int) -> Ears:
        def answered(
            inbox: str, n_first: int, count: int, pos_first: int, attempts: int = 0, /
        ) -> None:
            if life == self._life:
                self._heard(inbox, n_first, count, pos_first, "", attempts=attempts)

        def refused(inbox: str, n_first: int, count: int, error: str) -> None:
            if life == self._life:
                self._heard(inbox, n_first, count, -1, error)

        def unknown(inbox: str, n_first: int, count: int, error: str) -> None:
            if life == self._life:
                self._heard(inbox, n_first, count, -1, error, definite=False)

        return Ears(
            answered=answered,
            refused=refused,
            unknown=unknown,
            lost=lambda cause: self._ended(life, cause),
            reach=self._lines.reach,
        )

    def _heard(
        self,
        inbox: str,
        n_first: int,
        count: int,
        pos_first: int,
        error: str,
        *,
        definite: bool = True,
        attempts: int = 0,
    ) -> None:
        self._heard_s = time.monotonic()
        self._outbox.answer(
            inbox,
            n_first,
            count,
            pos_first=pos_first,
            error=error,
            definite=definite,
            attempts=attempts,
        )
        self._work.set()

    async def _pump(self, line: SenderLine, life: int) -> None:
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
                if self._outbox.in_flight:
                    await self._see_that_it_lives(line)
        except OSError as error:
            self._ended(life, str(error) or "the broker does not read")

    async def _see_that_it_lives(self, line: SenderLine) -> None:
        """Ping a broker that owes an answer and is silent.

        Raises:
            Unavailable: It does not answer that either, or has answered nothing else for too long.
        """
        now_s = time.monotonic()
        if now_s - self._heard_s > STORED_WITHIN_S:
            raise Unavailable(f"pings are answered, and no message for {STORED_WITHIN_S:g} s")
        if now_s - max(self._heard_s, self._alive_s) > PING_AFTER_S:
            with anyio.move_on_after(ANSWER_WITHIN_S - PING_AFTER_S):
                await line.ping()
                self._alive_s = time.monotonic()
            if max(self._heard_s, self._alive_s) < now_s:
                raise Unavailable(f"no answer for {ANSWER_WITHIN_S:g} s, not even to a ping")

    def _ended(self, life: int, cause: str) -> None:
        if life == self._life and self._line is not None:
            self._leave()
            self._lost(cause)

    def _leave(self) -> None:
        self._life += 1
        self._work.set()
        line, self._line = self._line, None
        if line is not None:
            self._lines.leave(line)
        if self._memory.kept is not None:
            # Also while a line is being dialled: what is told to a life that is over is lost.
            self._memory.kept.leave()

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
        if self._memory.kept is not None:
            await self._memory.kept.close()
        self._outbox.close()
