"""Links through a real Toxiproxy: what is done to them is what both ends see."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.links.link import Link
from harness.links.links import Links, LinkWanted
from harness.links.ports import BLOCK_PORTS, LOOPBACK
from harness.links.proxies import BOTH, DOWNSTREAM, UPSTREAM, Toxic, ToxiproxyApi
from harness.testing.echo import echo_server

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(link: Link) -> Ends:
    """Connect through a link and see that bytes go through."""
    reader, writer = await asyncio.open_connection(LOOPBACK, link.listen_port)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    return reader, writer


async def until(condition: Callable[[], bool], within_s: float = 2.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition does not come true"
        await asyncio.sleep(0.005)


async def test_a_reset_reaches_both_ends_and_the_link_stays_open(links: Links) -> None:
    async with echo_server(links.ports.take()) as echo:
        link = await links.open("reset-me", echo.port)
        reader, writer = await connect(link)
        cut = await link.reset()
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        await until(lambda: echo.endings == ["reset"])
        assert cut.connections == 1
        assert cut.resets == 1
        writer.close()
        _, again = await connect(link)
        again.close()


async def test_a_plain_link_refuses_to_be_reset_and_cuts_with_end_of_file(links: Links) -> None:
    async with echo_server(links.ports.take()) as echo:
        link = await links.open("plain", echo.port)
        reader, writer = await connect(link)
        with pytest.raises(HarnessError, match="'plain' was not opened for resets"):
            await link.reset()
        cut = await link.cut()
        assert await reader.read(1) == b""
        await until(lambda: echo.endings == ["end of file"])
        assert (cut.connections, cut.resets) == (1, 0)
        assert await link.is_refusing()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(LOOPBACK, link.listen_port)
        await link.restore()
        await link.restore()
        assert not await link.is_refusing()
        writer.close()


async def test_a_pause_holds_everything_and_loses_nothing(links: Links) -> None:
    body = bytes(range(256)) * 400
    async with echo_server(links.ports.take()) as echo:
        link = await links.open("paused", echo.port)
        reader, writer = await connect(link)
        await link.impose("p", "bandwidth", {"rate": 0}, BOTH)
        writer.write(body)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.25)
        assert echo.bytes_in == 5
        await link.lift("p")
        assert await asyncio.wait_for(reader.readexactly(len(body)), 5) == body
        await link.lift("p")
        writer.close()


async def test_latency_is_added_in_both_directions_and_healing_leaves_what_is_at_rest(
    links: Links,
) -> None:
    async with echo_server(links.ports.take()) as echo:
        link = await links.open("slow", echo.port, latency_ms=20, probe=b"?")
        at_rest_ms = await link.round_trip_ms()
        await link.impose("l", "latency", {"latency": 60, "jitter": 0}, BOTH)
        slower_ms = await link.round_trip_ms()
        await link.heal()
        healed_ms = await link.round_trip_ms()
        assert at_rest_ms is not None
        assert slower_ms is not None
        assert healed_ms is not None
        assert at_rest_ms >= 40
        assert slower_ms >= 160
        assert 40 <= healed_ms < 160


async def test_bytes_vanish_in_one_direction_only(links: Links) -> None:
    async with echo_server(links.ports.take()) as echo:
        link = await links.open("one-way", echo.port)
        reader, writer = await connect(link)
        await link.impose("s", "timeout", {"timeout": 0}, [DOWNSTREAM])
        writer.write(b"there")
        await until(lambda: echo.bytes_in == 10)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        await link.lift("s")
        assert await asyncio.wait_for(reader.read(1), 2) == b""
        writer.close()
        # The other way round nothing arrives at the server any more.
        reader, writer = await connect(link)
        await link.impose("s", "timeout", {"timeout": 0}, [UPSTREAM])
        writer.write(b"lost")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        assert echo.bytes_in == 15
        await link.heal()
        writer.close()


async def test_heal_undoes_everything_at_once_and_can_be_repeated(links: Links) -> None:
    async with echo_server(links.ports.take()) as echo:
        link = await links.open("reset-all", echo.port, latency_ms=1, jitter_ms=1)
        await link.impose("l", "latency", {"latency": 5, "jitter": 2}, BOTH)
        await link.impose("p", "bandwidth", {"rate": 0}, BOTH)
        await link.impose("s", "timeout", {"timeout": 0}, [UPSTREAM])
        await link.cut()
        for _ in range(2):
            await links.heal()
            state = await links.server.api.show(link.name)
            assert state.enabled
            assert sorted(state.toxics) == sorted(link.rest)
            assert {"rest-latency-downstream", "rest-latency-upstream"} <= set(state.toxics)
        _, writer = await connect(link)
        writer.close()


async def test_healing_puts_back_what_somebody_else_took_away(links: Links) -> None:
    async with echo_server(links.ports.take()) as echo:
        link = await links.open("reset-damaged", echo.port, latency_ms=1)
        await links.server.api.remove(link.name, "rest-latency-upstream")
        await links.server.api.add(link.name, Toxic(name="stray", type="latency", stream=UPSTREAM))
        await link.heal()
        assert link.is_rest(await links.server.api.show(link.name))
        assert "rest-latency-upstream" in link.rest


async def test_coverage_is_what_the_clients_counted(links: Links) -> None:
    async with echo_server(links.ports.take()) as echo:
        first = await links.open("reset-first", echo.port, probe=b"?")
        second = await links.open("second", echo.port)
        idle = await links.open("idle", echo.port)
        for _ in range(3):
            reader, writer = await connect(first)
            writer.write(b"x" * 1000)
            await reader.readexactly(1000)
            writer.close()
            await writer.wait_closed()
        _, kept = await connect(second)
        assert (await links.coverage())["second"].connections == 1
        coverage = await links.finish()
        kept.close()
    assert (coverage["reset-first"].connections, coverage["reset-first"].probes) == (3, 0)
    assert (coverage["reset-first"].bytes_up, coverage["reset-first"].bytes_down) == (3015, 3015)
    assert (coverage["second"].connections, coverage["second"].bytes_up) == (1, 5)
    assert coverage[idle.name].connections == 0
    assert coverage[idle.name].bytes_up == 0


async def test_coverage_waits_for_connections_that_were_open_to_the_last(links: Links) -> None:
    async with echo_server(links.ports.take()) as echo:
        link = await links.open("crowd", echo.port)
        ends = [await connect(link) for _ in range(150)]
        coverage = (await links.finish())["crowd"]
        for _, writer in ends:
            writer.close()
    assert (coverage.connections, coverage.bytes_up, coverage.bytes_down) == (150, 750, 750)


@pytest.mark.parametrize("name", ["plain", "reset"])
async def test_what_a_client_read_is_counted_though_it_went_away_in_the_middle(
    links: Links, name: str
) -> None:
    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while True:
                writer.write(b"x" * 200_000)
                await writer.drain()

    port = links.ports.take()
    read_bytes = 0
    async with await asyncio.start_server(flood, LOOPBACK, port):
        link = await links.open(name, port)
        for _ in range(8):
            reader, writer = await asyncio.open_connection(LOOPBACK, link.listen_port)
            for _ in range(10):
                read_bytes += len(await reader.read(65_536))
            writer.transport.abort()
        coverage = (await links.finish())[name]
    assert coverage.connections == 8
    assert coverage.bytes_down >= read_bytes


async def test_what_came_to_probes_is_not_taken_for_a_clients_bytes(links: Links) -> None:
    """Else somebody could go around the proxy with as many bytes as the probes had."""
    async with echo_server(links.ports.take()) as echo:
        link = await links.open("probed", echo.port, probe=b"?", ping=b"0123456789ab")
        probe = await link.open_probe()
        assert probe is not None
        assert (await probe.burst(6_000, within_s=5)).complete
        await probe.half_close_ms(within_s=5)
        await probe.close()
        assert await link.round_trip_ms() is not None
        _, writer = await connect(link)
        writer.close()
        coverage = (await links.finish())["probed"]
    assert (coverage.connections, coverage.probes, coverage.bytes_down) == (1, 2, 5)


async def test_probes_are_counted_apart_and_an_absent_upstream_is_told(links: Links) -> None:
    link = await links.open("nobody", links.ports.take(), probe=b"?")
    assert await link.round_trip_ms(within_s=1) is None
    reader, writer = await asyncio.open_connection(LOOPBACK, link.listen_port)
    assert await reader.read(1) == b""
    writer.close()
    coverage = (await links.finish())["nobody"]
    assert (coverage.connections, coverage.unforwarded) == (1, coverage.probes + 1)
    assert coverage.probes > 1


async def test_two_runs_have_ports_and_servers_of_their_own(
    links: Links, tmp_path: Path, toxiproxy_binary: Path
) -> None:
    other = await Links.start(toxiproxy_binary, run_dir=tmp_path / "other")
    try:
        ours = range(links.ports.first, links.ports.end)
        assert not set(ours) & set(range(other.ports.first, other.ports.end))
        assert links.server.api.port in ours
        async with echo_server(links.ports.take()) as echo:
            here = await links.open("same-name", echo.port)
            there = await other.open("same-name", echo.port)
            await here.cut()
            assert await here.is_refusing()
            _, writer = await connect(there)
            writer.close()
    finally:
        await other.close()


async def test_many_links_are_opened_at_once_and_healed_together(links: Links) -> None:
    async with echo_server(links.ports.take()) as echo:
        names = [f"reset-{n}" for n in range(2)] + [f"plain-{n}" for n in range(BLOCK_PORTS)]
        opened = await links.open_all(
            [LinkWanted(name=name, upstream_port=echo.port, latency_ms=1) for name in names]
        )
        assert [link.name for link in opened] == names
        assert len({link.listen_port for link in opened}) == len(names) > BLOCK_PORTS
        first, last = opened[0], opened[-1]
        assert (first.resets, last.resets) == (True, False)
        assert links.in_use(opened) == []
        await last.impose("p", "bandwidth", {"rate": 0}, BOTH)
        await first.cut()
        await links.heal()
        states = await links.server.api.show_all()
        assert all(link.is_rest(states[link.name]) for link in opened)
        reader, writer = await connect(last)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        assert links.in_use(opened) == [last]
        writer.close()
        seen = await links.finish()
        assert seen[last.name].connections == 1
        assert seen[last.name].bytes_up == 6
        with pytest.raises(HarnessError, match="'plain-0'"):
            await links.open_all([LinkWanted(name="plain-0", upstream_port=1)])


async def test_errors_name_the_proxy(links: Links) -> None:
    await links.open("twice", links.ports.take())
    with pytest.raises(HarnessError, match="'twice'"):
        await links.open("twice", links.ports.take())
    api = links.server.api
    with pytest.raises(HarnessError, match="'missing'"):
        await api.enable("missing", False)
    with pytest.raises(HarnessError, match=r"'twice'.*type"):
        await api.add("twice", Toxic(name="odd", type="no-such-toxic", stream=UPSTREAM))
    # Taken for a success by the package itself: status 500.
    with pytest.raises(HarnessError, match=r"'taken'.*address already in use"):
        await api.create_all({"taken": (links.server.api.port, "127.0.0.1:1")})


async def test_a_server_that_never_answers_is_an_error_within_the_deadline() -> None:
    # The kernel completes the connection, and nobody ever reads from it.
    with socket.socket() as silent:
        silent.bind((LOOPBACK, 0))
        silent.listen()
        api = ToxiproxyApi(silent.getsockname()[1])
        begun = time.monotonic()
        with pytest.raises(HarnessError, match=r"'stuck'.*within 0\.2 s|'stuck'.*timed out"):
            await api._call("get", "/proxies/stuck", "stuck", within_s=0.2)
        assert time.monotonic() - begun < 2


async def test_a_proxy_of_the_environment_is_not_asked(
    links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://{LOOPBACK}:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert await links.server.api.version()
