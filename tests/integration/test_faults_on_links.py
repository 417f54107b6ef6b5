"""Every fault of Toxiproxy's on a real link: its effect is measured, and healing leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from harness.faults.fault import Fault
from harness.faults.link_bandwidth import LinkBandwidth
from harness.faults.link_cut_one_way import LinkCutOneWay
from harness.faults.link_latency import LinkLatency
from harness.faults.link_limit_data import LinkLimitData
from harness.faults.link_pause import LinkPause
from harness.faults.link_slicer import LinkSlicer
from harness.faults.link_slow_close import LinkSlowClose
from harness.links.link import Link
from harness.links.links import Links
from harness.links.ports import LOOPBACK
from harness.links.probe import Probe
from harness.links.proxies import BOTH, DOWNSTREAM, UPSTREAM
from harness.testing.echo import echo_server
from harness.testing.faults_doc import effect_keys

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

WAYS = (UPSTREAM, DOWNSTREAM, "both")


@pytest.fixture
async def link(links: Links) -> AsyncIterator[Link]:
    async with echo_server(links.ports.take()) as echo:
        yield await links.open("edge-core:eu", echo.port, probe=b"?", ping=b"0123456789ab")


def framed(size_bytes: int) -> bytes:
    return size_bytes.to_bytes(4, "little") + bytes(size_bytes)


async def answer_frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each frame when all of it is there: a small one by itself, a big one by a byte."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readexactly(4)
            body = await reader.readexactly(int.from_bytes(head, "little"))
            writer.write(head + body if len(body) < 64 else b"!")
    writer.close()


@pytest.fixture
async def framed_link(links: Links) -> AsyncIterator[Link]:
    port = links.ports.take()
    async with await asyncio.start_server(answer_frames, LOOPBACK, port):
        yield await links.open("framed", port, probe=framed(1), ping=framed(8), heavy=framed)


async def strike(links: Links, link: Link, fault: Fault) -> dict[str, float]:
    """Inject and heal a fault twice each, as an interrupted run may; return what was observed."""
    effect = await fault.inject(link)
    effective = fault.is_effective(effect)
    healing = await fault.heal(link)
    state = await links.server.api.show(link.name)
    assert link.is_rest(state), "healing left something behind"
    assert not link.parked
    assert await link.round_trip_ms() is not None
    assert await fault.heal(link) == {}
    assert effective, effect
    assert set(effect | healing) <= effect_keys()[fault.kind], "docs/faults.md"
    return effect | healing


@pytest.mark.parametrize("direction", WAYS)
async def test_latency(links: Links, link: Link, direction: str) -> None:
    effect = await strike(links, link, LinkLatency(latency_ms=50, direction=direction))
    assert effect["added_rtt_min_ms"] == (100 if direction == "both" else 50)


@pytest.mark.parametrize("direction", WAYS)
async def test_bandwidth(links: Links, framed_link: Link, direction: str) -> None:
    link = framed_link
    fault = LinkBandwidth(rate_bytes_per_s=40_000, direction=direction)
    effect = await strike(links, link, fault)
    assert 10_000 < effect["after_bytes_per_s"] <= 50_000 < effect["before_bytes_per_s"]


@pytest.mark.parametrize("direction", WAYS)
async def test_slicer(links: Links, framed_link: Link, direction: str) -> None:
    link = framed_link
    effect = await strike(links, link, LinkSlicer(delay_ms=4, direction=direction))
    if direction == UPSTREAM:
        assert effect["after_ms"] >= effect["before_ms"] + 30
    else:
        assert effect["pieces_before"] < 4 <= effect["pieces_after"]


async def test_what_a_node_says_by_itself_is_no_reply_to_a_big_ping(links: Links) -> None:
    spoke = asyncio.Event()

    async def interrupt(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readexactly(4)
            body = await reader.readexactly(int.from_bytes(head, "little"))
            writer.write(head + body)
            await reader.readexactly(4)
            writer.write(framed(8))
            spoke.set()
        writer.close()

    port = links.ports.take()
    async with await asyncio.start_server(interrupt, LOOPBACK, port):
        link = await links.open("talks", port, probe=framed(1), ping=framed(8), heavy=framed)
        probe = await link.open_probe()
        assert probe is not None
        assert await probe.heavy_ms(1_000, within_s=2) is None
        assert spoke.is_set()
        await probe.close()


async def test_pings_do_where_there_are_no_big_ones(links: Links) -> None:
    async with echo_server(links.ports.take()) as echo:
        link = await links.open("edge-core:eu", echo.port, probe=b"?", ping=b"0123456789ab")
        effect = await strike(links, link, LinkSlicer(delay_ms=4, direction=UPSTREAM))
        assert effect["pieces_before"] < 4 <= effect["pieces_after"]
        effect = await strike(links, link, LinkBandwidth(rate_bytes_per_s=20_000))
        assert effect["after_bytes_per_s"] <= 25_000


async def test_a_fault_under_a_pause_is_lifted_when_the_pause_is(links: Links, link: Link) -> None:
    """Toxiproxy cannot take a toxic away while the next one holds its bytes."""
    slicer, pause = LinkSlicer(delay_ms=1), LinkPause()
    reader, writer = await asyncio.open_connection(LOOPBACK, link.listen_port)
    await slicer.inject(link)
    await pause.inject(link)
    writer.write(b"x" * 200_000)
    lifting = asyncio.create_task(slicer.heal(link))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(lifting), 0.2)
    await pause.heal(link)
    await asyncio.wait_for(lifting, 5)
    assert len(await asyncio.wait_for(reader.readexactly(200_000), 5)) == 200_000
    assert link.is_rest(await links.server.api.show(link.name))
    await slicer.inject(link)
    await pause.inject(link)
    await asyncio.wait_for(link.heal(), 5)
    await slicer.heal(link)
    await pause.heal(link)
    writer.close()


@pytest.mark.parametrize("direction", WAYS)
async def test_a_pause_delivers_what_it_held(links: Links, link: Link, direction: str) -> None:
    effect = await strike(links, link, LinkPause(direction=direction))
    assert effect["replied_bytes"] == 0
    assert effect["read_after_bytes"] == effect["sent_bytes"] == 48
    assert effect["ended_after"] == 0


@pytest.mark.parametrize("direction", BOTH)
async def test_a_cut_one_way_swallows_and_ends(links: Links, link: Link, direction: str) -> None:
    effect = await strike(links, link, LinkCutOneWay(direction=direction))
    assert effect["replied_bytes"] == 0
    assert (effect["read_after_bytes"], effect["ended_after"]) == (0, 1)


async def test_a_swallowed_connection_is_seen_to_end_behind_what_a_node_says_by_itself(
    links: Links,
) -> None:
    spoke = asyncio.Event()

    async def speak_when_bored(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(TimeoutError):
            while heard := await asyncio.wait_for(reader.read(1_000), 0.5):
                writer.write(heard)
            return
        writer.write(b"still here? " * 20)
        await writer.drain()
        spoke.set()
        await reader.read()
        writer.close()

    port = links.ports.take()
    async with await asyncio.start_server(speak_when_bored, LOOPBACK, port):
        link = await links.open("edge-core:eu", port, probe=b"?", ping=b"0123456789ab")
        fault = LinkCutOneWay(direction=UPSTREAM)
        assert fault.is_effective(await fault.inject(link))
        await asyncio.wait_for(spoke.wait(), 5)
        healing = await fault.heal(link)
    assert healing["read_after_bytes"] >= 48
    assert healing["ended_after"] == 1


@pytest.mark.parametrize("direction", WAYS)
async def test_slow_close(links: Links, link: Link, direction: str) -> None:
    effect = await strike(links, link, LinkSlowClose(delay_ms=150, direction=direction))
    assert effect["close_before_ms"] < 100
    assert effect["close_after_ms"] >= (300 if direction == "both" else 150)


@pytest.mark.parametrize("direction", WAYS)
async def test_limit_data(links: Links, link: Link, direction: str) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, link.listen_port)
    writer.write(b"x" * 100)
    await reader.readexactly(100)
    fault = LinkLimitData(limit_bytes=5_000, direction=direction)
    effect = await fault.inject(link)
    assert fault.is_effective(effect)
    assert effect["closed"] == 2
    if direction == DOWNSTREAM:
        assert effect["replied_bytes"] == 5_000
    # A connection that was open before is closed by it too, counted from the injection.
    writer.write(b"x" * 6_000)
    assert len(await asyncio.wait_for(reader.read(-1), 3)) <= 5_000
    writer.close()
    await fault.heal(link)
    await links.heal()
    assert await link.round_trip_ms() is not None


@pytest.mark.parametrize("limit_bytes", [500, 65_536])
async def test_a_reset_is_no_limit(
    links: Links, limit_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with echo_server(links.ports.take()) as echo:
        link = await links.open("reset:eu", echo.port, probe=b"?", ping=b"0123456789ab")

        async def reset_instead(*_arguments: object) -> None:
            assert (await link.reset()).connections >= 1

        monkeypatch.setattr(link, "impose", reset_instead)
        fault = LinkLimitData(limit_bytes=limit_bytes)
        effect = await fault.inject(link)
        assert effect["closed"] == 1
        assert not fault.is_effective(effect)


@pytest.mark.parametrize("limit_bytes", [500, 65_536])
async def test_a_server_that_ends_long_connections_shows_no_limit(
    links: Links, limit_bytes: int
) -> None:
    async def tire(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(400))
        writer.close()

    port = links.ports.take()
    async with await asyncio.start_server(tire, LOOPBACK, port):
        link = await links.open("tires", port, probe=b"?" * 400, ping=b"0123456789ab")
        fault = LinkLimitData(limit_bytes=limit_bytes)
        assert not fault.is_effective(await fault.inject(link))
        await fault.heal(link)


@pytest.mark.parametrize("limit_bytes", [1, 4_095, 4_096, 524_288])
@pytest.mark.parametrize("direction", WAYS)
async def test_every_limit_that_is_allowed_shows(
    links: Links, link: Link, limit_bytes: int, direction: str
) -> None:
    fault = LinkLimitData(limit_bytes=limit_bytes, direction=direction)
    effect = await strike(links, link, fault)
    assert effect["before_bytes"] == effect["sent_bytes"] > limit_bytes


@pytest.mark.parametrize(
    "fault",
    [
        LinkLatency(latency_ms=10, direction=UPSTREAM),
        LinkLatency(latency_ms=110, jitter_ms=100),
        LinkSlicer(size_avg_bytes=8_192, direction=DOWNSTREAM),
        LinkSlicer(size_avg_bytes=8_192, size_variation_bytes=8_191),
        LinkSlicer(size_avg_bytes=1, size_variation_bytes=0),
        LinkSlicer(delay_ms=60),
        LinkSlowClose(delay_ms=10, direction=UPSTREAM),
        LinkBandwidth(rate_bytes_per_s=1_000),
        LinkBandwidth(rate_bytes_per_s=100_000, direction=DOWNSTREAM),
    ],
    ids=str,
)
async def test_what_is_just_allowed_shows(links: Links, link: Link, fault: Fault) -> None:
    await strike(links, link, fault)


async def test_the_highest_limit_shows(links: Links, framed_link: Link) -> None:
    await strike(links, framed_link, LinkBandwidth(rate_bytes_per_s=10_000_000))


async def test_a_big_ping_is_smaller_where_pauses_are_long(links: Links, framed_link: Link) -> None:
    fault = LinkSlicer(delay_ms=500, size_variation_bytes=1_023, direction=UPSTREAM)
    begun = time.monotonic()
    effect = await strike(links, framed_link, fault)
    assert effect["after_ms"] >= effect["before_ms"] + 250
    assert time.monotonic() - begun < 4


async def test_a_probe_is_waited_for_as_long_as_it_is_delayed(
    links: Links, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.faults.link_latency.PROBE_WITHIN_S", 0.3)
    effect = await strike(links, link, LinkLatency(latency_ms=300))
    assert effect["rtt_after_ms"] >= 600
    monkeypatch.setattr("harness.faults.link_slicer.PROBE_WITHIN_S", 0.3)
    await strike(links, link, LinkSlicer(delay_ms=40))


async def test_a_server_that_hangs_up_on_the_silent_shows_what_it_can(links: Links) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(TimeoutError, ConnectionError):
            while heard := await asyncio.wait_for(reader.read(1_000), 1.2):
                writer.write(heard)
            writer.close()
            return
        writer.write(b"still there?")
        writer.close()

    port = links.ports.take()
    async with await asyncio.start_server(hang_up, LOOPBACK, port):
        link = await links.open("edge-core:eu", port, probe=b"?", ping=b"0123456789ab")
        effect = await strike(links, link, LinkLatency(latency_ms=3_000, direction=UPSTREAM))
        assert 1_200 <= effect["rtt_after_ms"] < 2_400
        effect = await strike(links, link, LinkSlowClose(delay_ms=3_000, direction=UPSTREAM))
        assert 1_200 <= effect["close_after_ms"] < 2_400


@pytest.mark.parametrize(
    "fault",
    [
        LinkLatency(latency_ms=50),
        LinkBandwidth(rate_bytes_per_s=40_000),
        LinkSlicer(delay_ms=2, direction=UPSTREAM),
    ],
    ids=lambda fault: fault.kind,
)
async def test_a_server_that_is_late_once_shows_no_effect(
    links: Links, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[float] = []
    serving: list[asyncio.Task[None]] = []

    async def be_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(4)
                body = await reader.readexactly(int.from_bytes(head, "little"))
                if late:
                    await asyncio.sleep(late.pop())
                writer.write(head + body if len(body) < 64 else b"!")
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.create_task(be_late(reader, writer)))

    async def impose(*_arguments: object) -> None:
        late.append(0.4)

    port = links.ports.take()
    async with await asyncio.start_server(serve, LOOPBACK, port):
        link = await links.open("late", port, probe=framed(1), ping=framed(8), heavy=framed)
        monkeypatch.setattr(link, "impose", impose)
        effect = await fault.inject(link)
        await asyncio.wait_for(asyncio.gather(*serving), 5)
    assert not late
    assert not fault.is_effective(effect)


async def test_a_close_that_is_late_once_shows_no_effect(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Toxiproxy answers a close by itself, so no server can be late with it."""
    late: list[float] = []
    half_close_ms = Probe.half_close_ms

    async def late_once(probe: Probe, *, within_s: float) -> float | None:
        took_ms = await half_close_ms(probe, within_s=within_s)
        return late.pop() if late else took_ms

    async def impose(*_arguments: object) -> None:
        late.append(400.0)

    monkeypatch.setattr(Probe, "half_close_ms", late_once)
    monkeypatch.setattr(link, "impose", impose)
    fault = LinkSlowClose(delay_ms=50)
    effect = await fault.inject(link)
    assert not late
    assert not fault.is_effective(effect)


NEVER_SHOWN = (
    LinkLatency(latency_ms=30),
    LinkBandwidth(rate_bytes_per_s=40_000),
    LinkSlicer(delay_ms=2),
    LinkPause(),
    LinkCutOneWay(),
    LinkSlowClose(delay_ms=50),
    LinkLimitData(limit_bytes=500),
)


@pytest.mark.parametrize("fault", NEVER_SHOWN, ids=lambda fault: fault.kind)
async def test_without_a_toxic_there_is_no_effect(
    link: Link, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def impose(*_arguments: object) -> None: ...

    monkeypatch.setattr(link, "impose", impose)
    # What ends only by its deadline need not be waited for in full here.
    monkeypatch.setattr("harness.faults.link_limit_data.ENDS_WITHIN_S", 0.2)
    monkeypatch.setattr("harness.faults.silence.ANSWERED_WITHIN_S", 0.05)
    assert not fault.is_effective(await fault.inject(link))
    await fault.heal(link)


@pytest.mark.parametrize("fault", NEVER_SHOWN, ids=lambda fault: fault.kind)
async def test_a_link_to_nobody_shows_no_effect(
    links: Links, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.links.link.SERVER_BACK_WITHIN_S", 0.2)
    link = await links.open("nobody", links.ports.take(), probe=b"?", ping=b"?")
    begun = time.monotonic()
    assert not fault.is_effective(await fault.inject(link))
    await fault.heal(link)
    assert time.monotonic() - begun < 3
    assert link.is_rest(await links.server.api.show(link.name))


@pytest.mark.parametrize("fault", NEVER_SHOWN, ids=lambda fault: fault.kind)
async def test_a_link_without_a_probe_shows_no_effect(links: Links, fault: Fault) -> None:
    async with echo_server(links.ports.take()) as echo:
        link = await links.open("blind", echo.port)
        assert not fault.is_effective(await fault.inject(link))
        await fault.heal(link)
        assert link.is_rest(await links.server.api.show(link.name))


async def test_a_fault_that_struck_twice_is_healed_once(links: Links, link: Link) -> None:
    fault = LinkPause()
    for _ in range(2):
        await fault.inject(link)
    await fault.heal(link)
    assert not link.parked
    assert link.is_rest(await links.server.api.show(link.name))
