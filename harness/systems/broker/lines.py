"""The lines of one load process: dialled, counted, closed, and the tasks that work on them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import TypeVar

import anyio

from harness.systems.broker.line import (
    CONNECT_WITHIN_S,
    Dial,
    Ears,
    Line,
    Memory,
    ReaderLine,
    SenderLine,
    Unavailable,
)
from harness.systems.topology import client_link

CLOSE_WITHIN_S = 2.0
"""Deadline for an orderly close; behind it the connections are cut."""

AnyLine = TypeVar("AnyLine", bound=Line)


class Lines:
    """What the clients of one load process share.

    Args:
        dial: Opens lines.
        ports: Where each link's proxy listens, by the link's name.
    """

    def __init__(self, dial: Dial, ports: Mapping[str, int]) -> None:
        self._dial = dial
        self._ports = ports
        self._tasks = anyio.create_task_group()
        self._lines: dict[str, list[Line]] = {}
        self._opened: Counter[str] = Counter()
        self._bytes_read: Counter[str] = Counter()
        self._memories: list[Memory] = []
        self._session = 0
        self.reach: Counter[str] = Counter()
        """The rare states that its clients and lines have reached."""

    async def __aenter__(self) -> Lines:
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
            for memory in self._memories:
                if memory.kept is not None:
                    await memory.kept.close()
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, trace)

    async def dial_sender(self, edge: str, group: str, ears: Ears, memory: Memory) -> SenderLine:
        """Open a sender's line through the proxy of a group to an edge.

        Raises:
            ConnectionError: It did not come up within `CONNECT_WITHIN_S`.
        """
        link = client_link(edge, group)
        if memory not in self._memories:
            self._memories.append(memory)
        return await self._dialled(link, self._dial.sender(self._ports[link], ears, memory))

    async def dial_reader(self, edge: str, group: str, ears: Ears) -> ReaderLine:
        """Open a reader's line through the proxy of a group to an edge.

        Raises:
            ConnectionError: It did not come up within `CONNECT_WITHIN_S`.
        """
        link = client_link(edge, group)
        return await self._dialled(link, self._dial.reader(self._ports[link], ears))

    async def _dialled(self, link: str, dialling: Awaitable[AnyLine]) -> AnyLine:
        try:
            with anyio.fail_after(CONNECT_WITHIN_S):
                line = await dialling
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
