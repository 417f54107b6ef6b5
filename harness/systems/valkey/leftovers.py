"""The keys that runs make at a server: found, and removed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from valkey.exceptions import ResponseError

from harness.systems.broker.leftovers import Leftover, run_of
from harness.systems.broker.line import Unavailable
from harness.systems.broker.settings import Credentials
from harness.systems.valkey.pipe import Pipe

SCAN_COUNT = 1_000
"""Keys that the server looks at in one step; it serves nobody else meanwhile."""


async def find(connect: Mapping[str, Any], port: int) -> list[Leftover]:
    """Return every key of the database that a run has made.

    Raises:
        Unavailable: The server does not tell.
    """
    async with _connected(connect, port) as pipe:
        names = [name async for name in _keys(pipe, "tallystick:*")]
        return [await _look(pipe, name) for name in names if run_of(_text(name))]


async def remove(connect: Mapping[str, Any], port: int, found: Sequence[Leftover]) -> None:
    """Remove these, as far as they are still there.

    Raises:
        Unavailable: The server does not remove one.
    """
    async with _connected(connect, port) as pipe:
        for one in found:
            await pipe.call("DEL", one.name.encode(errors="surrogateescape"))


async def remove_keys(connect: Mapping[str, Any], port: int) -> None:
    """Remove every key that this run has made.

    Raises:
        Unavailable: It did not work; the keys begin with the run's prefix.
    """
    async with _connected(connect, port) as pipe:
        async for name in _keys(pipe, f"{connect['prefix']}*"):
            await pipe.call("DEL", name)


@asynccontextmanager
async def _connected(connect: Mapping[str, Any], port: int) -> AsyncIterator[Pipe]:
    pipe = Pipe.through(port, Credentials.at(connect["endpoint"]), lambda _cause: None)
    try:
        await pipe.open()
        yield pipe
    except ResponseError as error:
        raise Unavailable(str(error)) from error
    finally:
        pipe.abort()


async def _keys(pipe: Pipe, pattern: str) -> AsyncIterator[bytes]:
    """Yield the keys that fit, each once."""
    seen: set[bytes] = set()
    cursor = b"0"
    while True:
        cursor, names = await pipe.call("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT)
        for name in names:
            if name not in seen:
                seen.add(name)
                yield name
        if cursor == b"0":
            return


async def _look(pipe: Pipe, name: bytes) -> Leftover:
    return Leftover(
        kind="key",
        name=_text(name),
        run=run_of(_text(name)),
        size_bytes=await _ask(pipe, "MEMORY", "USAGE", name),
        unchanged_s=await _ask(pipe, "OBJECT", "IDLETIME", name),
    )


async def _ask(pipe: Pipe, *words: str | bytes) -> int | None:
    """Return a number, None where the server does not tell it: to this user, or in this mode."""
    try:
        answer = await pipe.call(*words)
    except ResponseError:
        return None
    return None if answer is None else int(answer)


def _text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")
