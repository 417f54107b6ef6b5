"""A streams client: a pipe for commands, and one more for what blocks.

An inbox is a stream with a hash beside it (see `scripts`). A batch is one script, so it is stored
whole or not at all; its answer leaves the server when the log is synced (``appendfsync always``).
Reading is XREAD from the position that the reader names, without a consumer group. The cursor is a
field of one hash, and never moves back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from valkey.exceptions import ResponseError

from harness.systems.broker.codec import pack
from harness.systems.broker.line import Ears, Unavailable
from harness.systems.broker.settings import Credentials
from harness.systems.port import Batch
from harness.systems.valkey.pipe import Pipe
from harness.systems.valkey.scripts import APPEND, MOVE_CURSOR
from harness.systems.valkey.trouble import in_words

IN_FLIGHT_MAX = 4_096
"""Messages that one sender sends ahead of their acknowledgements."""

FETCH_MESSAGES = 1_000
"""Messages that one XREAD asks for."""

BLOCK_MS = 1_000
"""How long an XREAD waits at the server for the first message."""


class ValkeyLine:
    """One client; the connection for what blocks is opened by `open_inbox`."""

    in_flight_max = IN_FLIGHT_MAX

    def __init__(self, port: int, ears: Ears, connect: Mapping[str, Any]) -> None:
        self._ears = ears
        self._prefix: str = connect["prefix"]
        self._trims: bool = connect["trims"]
        who = (
            Credentials.at(connect["endpoint"])
            if "endpoint" in connect
            else Credentials(password=connect["password"])
        )
        self._commands = Pipe.through(port, who, ears.lost)
        self._blocking = Pipe.through(port, who, ears.lost)
        self._append = self._move_cursor = b""
        self._inbox = ""
        self._answering: set[asyncio.Future[Any]] = set()

    @property
    def connections(self) -> int:
        """Connections that were answered: one, or two for a reader."""
        return sum(pipe.bytes_read > 0 for pipe in (self._commands, self._blocking))

    @property
    def bytes_read(self) -> int:
        """Every byte read from both sockets."""
        return self._commands.bytes_read + self._blocking.bytes_read

    async def open(self) -> None:
        """Connect and hand over the scripts, which a server forgets at its end."""
        await self._commands.open()
        self._append = await self._ask("SCRIPT", "LOAD", APPEND)
        self._move_cursor = await self._ask("SCRIPT", "LOAD", MOVE_CURSOR)

    async def _ask(self, *words: str | bytes | int) -> Any:
        try:
            return await self._commands.call(*words)
        except ResponseError as error:
            raise Unavailable(in_words(error)) from error

    def _stream(self, inbox: str) -> str:
        return f"{self._prefix}{{{inbox}}}"

    def _hash(self, inbox: str) -> str:
        return f"{self._prefix}{{{inbox}}}:ids"

    async def publish(self, batch: Batch, index_first: int) -> None:
        """Send the batch as one script."""
        n_first = batch.n_first + index_first
        count = batch.count - index_first
        answer = await self._commands.send(
            "EVALSHA", self._append, 2, self._stream(batch.inbox), self._hash(batch.inbox),
            f"{batch.producer:x}", n_first, *(message for _, message in pack(batch, index_first)),
        )  # fmt: skip
        self._answering.add(answer)
        answer.add_done_callback(lambda done: self._answered(done, batch.inbox, n_first, count))

    def _answered(self, done: asyncio.Future[Any], inbox: str, n_first: int, count: int) -> None:
        self._answering.discard(done)
        if done.cancelled():
            return
        error = done.exception()
        if isinstance(error, ResponseError):
            # Whatever the reason, what follows must not overtake what was refused.
            self.abort()
            self._ears.reach["valkey.refused"] += 1
            self._ears.lost(f"refused: {in_words(error)}")
        if error is not None:
            return
        known, pos = done.result()
        old = min(count, max(0, known + 1 - n_first))
        if old:
            self._ears.reach["valkey.known" if old == count else "valkey.known_in_part"] += 1
            self._ears.answered(inbox, n_first, old, -1)
        if count > old:
            self._ears.answered(inbox, n_first + old, count - old, pos)

    async def open_inbox(self, inbox: str) -> int:
        """Open the connection to read on, and return the cursor of the inbox."""
        self._inbox = inbox
        await self._blocking.open()
        found = await self._ask("HGET", f"{self._prefix}cursors", inbox)
        return -1 if found is None else int(found)

    async def fetch(self, next_pos: int) -> list[tuple[int, bytes]]:
        """Read on from a position; an entry before it need not exist any more."""
        behind = f"{next_pos - 1}-1" if next_pos else "0-0"
        try:
            found = await self._blocking.call(
                "XREAD", "COUNT", FETCH_MESSAGES, "BLOCK", BLOCK_MS, "STREAMS",
                self._stream(self._inbox), behind,
            )  # fmt: skip
        except ResponseError as error:
            raise Unavailable(in_words(error)) from error
        if not found:
            return []
        ((_, entries),) = found
        return [(int(at.split(b"-")[0]), fields[1]) for at, fields in entries]

    async def end(self) -> int:
        """Return the position of the last entry that was ever added."""
        try:
            told = await self._commands.call("XINFO", "STREAM", self._stream(self._inbox))
        except ResponseError as error:
            if "no such key" in str(error):
                return -1
            raise Unavailable(in_words(error)) from error
        about = dict(zip(told[::2], told[1::2], strict=True))
        return int(about[b"last-generated-id"].split(b"-")[0])

    async def commit(self, pos: int) -> None:
        """Move the cursor, then drop what was acknowledged."""
        await self._ask("EVALSHA", self._move_cursor, 1, f"{self._prefix}cursors", self._inbox, pos)
        if self._trims:
            await self._ask("XTRIM", self._stream(self._inbox), "MINID", "=", f"{pos + 1}-0")

    async def ping(self) -> None:
        """Make a round trip."""
        await self._ask("PING")

    def abort(self) -> None:
        """Cut both connections."""
        self._commands.abort()
        self._blocking.abort()

    async def close(self) -> None:
        """Close behind what was sent: nothing is left to send once the server has answered."""
        try:
            await self._commands.call("PING")
        except ResponseError as error:
            raise Unavailable(in_words(error)) from error
        finally:
            self.abort()


async def ask_version(connect: Mapping[str, Any], port: int) -> str:
    """Log in and return what the server is.

    Raises:
        Unavailable: It does not accept us, or does not tell.
    """
    pipe = Pipe.through(port, Credentials.at(connect["endpoint"]), lambda _cause: None)
    try:
        await pipe.open()
        told = (await pipe.call("INFO", "server")).decode(errors="replace")
    except ResponseError as error:
        raise Unavailable(in_words(error)) from error
    finally:
        pipe.abort()
    fields = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    if "valkey_version" in fields:
        return f"Valkey {fields['valkey_version']}"
    return f"Redis {fields.get('redis_version', 'of an unknown version')}"
