"""A link that was made for resets closes in order all the same, until it is reset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from harness.links.linger import ProxySockets
from harness.links.links import Links
from harness.links.ports import LOOPBACK
from harness.testing.echo import echo_server

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

WHOLE_BYTES = 2_000_000
ALL, HOLD = b"a", b"h"


@asynccontextmanager
async def generous_server(port: int) -> AsyncIterator[list[str]]:
    """Send 2 MB to who asks for all and close in order; hold others; tell how each ended."""
    endings: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await reader.readexactly(1) == ALL:
                writer.write(bytes(WHOLE_BYTES))
                await writer.drain()
                writer.write_eof()
            else:
                writer.write(b"!")
            await reader.read()
            endings.append("end of file")
        except ConnectionResetError:
            endings.append("reset")
        finally:
            writer.close()

    async with await asyncio.start_server(serve, LOOPBACK, port):
        yield endings


async def read_slowly(port: int) -> int:
    """Return how many bytes came up to an end of file; a reset raises ConnectionResetError."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port, limit=16_384)
    writer.write(ALL)
    read_bytes = 0
    await asyncio.sleep(0.5)  # By now the server has closed, and the proxy has heard of it.
    while chunk := await reader.read(16_384):
        read_bytes += len(chunk)
        await asyncio.sleep(0.002)
    writer.close()
    return read_bytes


@pytest.mark.parametrize("name", ["reset-me", "plain"])
async def test_a_slow_reader_gets_all_of_an_orderly_close(links: Links, name: str) -> None:
    port = links.ports.take()
    async with generous_server(port) as endings:
        link = await links.open(name, port)
        assert link.closes_in_order, "the sockets of the proxy cannot be borrowed here"
        assert await read_slowly(link.listen_port) == WHOLE_BYTES
        assert endings == ["end of file"]


async def test_a_reset_leaves_later_connections_and_other_links_in_order(links: Links) -> None:
    port = links.ports.take()
    async with generous_server(port) as endings:
        link, other = await links.open("reset-a", port), await links.open("reset-b", port)
        held, held_writer = await asyncio.open_connection(LOOPBACK, other.listen_port)
        held_writer.write(HOLD)
        await held.readexactly(1)
        reader, writer = await asyncio.open_connection(LOOPBACK, link.listen_port)
        writer.write(HOLD)
        await reader.readexactly(1)
        cut = await link.reset()
        assert (cut.connections, cut.resets) == (1, 1)
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()
        assert await read_slowly(link.listen_port) == WHOLE_BYTES
        assert endings == ["reset", "end of file"]
        held_writer.close()
        await held_writer.wait_closed()
        async with asyncio.timeout(5):
            while len(endings) < 3:
                await asyncio.sleep(0.01)
        assert endings[-1] == "end of file", "linger was left on a connection of another link"


async def test_many_links_to_one_server_are_reset_at_once(links: Links) -> None:
    async with echo_server(links.ports.take()) as echo:
        made = [await links.open(f"reset-{n}", echo.port) for n in range(12)]
        ends = [await asyncio.open_connection(LOOPBACK, link.listen_port) for link in made]
        for reader, writer in ends:
            writer.write(b"x")
            await reader.readexactly(1)
        cuts = await asyncio.gather(*(link.reset() for link in made))
        assert [(cut.connections, cut.resets) for cut in cuts] == [(1, 1)] * len(made)
        for reader, writer in ends:
            with pytest.raises(ConnectionResetError):
                await reader.read(1)
            writer.close()
        assert echo.endings == ["reset"] * len(made)


async def test_where_sockets_cannot_be_borrowed_a_link_says_that_it_does_not_close_in_order(
    links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProxySockets, "reachable", False)
    other = Links(links.server, links.ports, resets=["reset*"])
    async with echo_server(links.ports.take()) as echo:
        link = await other.open("reset-me", echo.port)
        assert (link.resets, link.closes_in_order) == (True, False)
        reader, writer = await asyncio.open_connection(LOOPBACK, link.listen_port)
        writer.write(b"x")
        await reader.readexactly(1)
        assert (await link.reset()).resets == 1
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()
