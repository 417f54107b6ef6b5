"""The streams and key-value buckets that runs make at a server: found, and removed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from harness.systems.broker.leftovers import Leftover, run_of
from harness.systems.broker.line import Unavailable
from harness.systems.nats.connection import REQUEST_WITHIN_S, NatsConnection

PAGES_MAX = 10_000
"""Most questions for streams; a server tells 256 of them at once."""

BUCKET = "KV_"
"""How the stream of a key-value bucket begins."""


async def find(connect: Mapping[str, Any], port: int) -> list[Leftover]:
    """Return every stream and bucket at the server that a run has made.

    Raises:
        Unavailable: The server does not tell.
    """
    async with _connected(connect, port) as client:
        return [one async for stream in _streams(client) for one in _ours(stream)]


async def remove(connect: Mapping[str, Any], port: int, found: Sequence[Leftover]) -> None:
    """Remove these, as far as they are still there.

    Raises:
        Unavailable: The server does not remove one.
    """
    async with _connected(connect, port) as client:
        manager = client.jsm(timeout=REQUEST_WITHIN_S)
        for one in found:
            try:
                await manager.delete_stream(one.name)
            except nats.js.errors.NotFoundError:
                continue


async def remove_streams(connect: Mapping[str, Any], port: int) -> None:
    """Remove everything that this run has made.

    Raises:
        Unavailable: It did not work; the names begin with the run's prefix.
    """
    if connect["jetstream"]:
        run = run_of(connect["prefix"])
        await remove(connect, port, [one for one in await find(connect, port) if one.run == run])


@asynccontextmanager
async def _connected(connect: Mapping[str, Any], port: int) -> AsyncIterator[Client]:
    connection = NatsConnection(port, connect, lambda _cause: None)
    try:
        await connection.open()
        yield connection.client
    except (nats.errors.Error, KeyError, ValueError) as error:
        raise Unavailable(str(error) or type(error).__name__) from error
    finally:
        await connection.close()


async def _streams(client: Client) -> AsyncIterator[Mapping[str, Any]]:
    """Yield what the server says of each stream; nats-py leaves out when it was changed."""
    offset = 0
    for _ in range(PAGES_MAX):
        asked = json.dumps({"offset": offset}).encode()
        answer = await client.request("$JS.API.STREAM.LIST", asked, timeout=REQUEST_WITHIN_S)
        page = json.loads(answer.data)
        if "error" in page:
            raise Unavailable(f"streams are not told: {page['error'].get('description', '')}")
        streams = page.get("streams") or []
        for stream in streams:
            yield stream
        offset += len(streams)
        if not streams or offset >= page.get("total", 0):
            return


def _ours(stream: Mapping[str, Any]) -> Iterator[Leftover]:
    name = str(stream["config"]["name"])
    if run := run_of(name.removeprefix(BUCKET)):
        state = stream["state"]
        yield Leftover(
            kind="key-value bucket" if name.startswith(BUCKET) else "stream",
            name=name,
            run=run,
            messages=int(state["messages"]),
            size_bytes=int(state["bytes"]),
            unchanged_s=_unchanged_s(stream, state),
        )


def _unchanged_s(stream: Mapping[str, Any], state: Mapping[str, Any]) -> float:
    changed = max(_time(stream["created"]), _time(state.get("last_ts") or stream["created"]))
    now = _time(stream["ts"]) if "ts" in stream else datetime.now(UTC)
    return max(0.0, (now - changed).total_seconds())


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
