"""Every fault on real links and processes: its effect is observed, and healing leaves nothing."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.faults.fault import Fault
from harness.faults.link_cut import LinkCut
from harness.faults.link_latency import LinkLatency
from harness.faults.link_pause import LinkPause
from harness.faults.link_reset import LinkReset
from harness.faults.nemesis import Nemesis
from harness.faults.process_kill import ProcessKill
from harness.faults.process_pause import ProcessPause
from harness.faults.process_terminate import ProcessTerminate
from harness.faults.schedule import at
from harness.faults.targets import TOXIPROXY, ProcessTarget, RunTargets
from harness.history.records import Record
from harness.links.link import Link
from harness.links.links import Links
from harness.links.ports import LOOPBACK
from harness.links.proxies import ToxiproxyApi
from harness.processes.process import Process
from harness.testing.echo import echo_server

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

NODE = "import sys\nprint('ready', flush=True)\nsys.stdin.read()"


@dataclass(slots=True, kw_only=True)
class Scene:
    """A link to an echo server, a node, and a nemesis that can break both."""

    api: ToxiproxyApi
    link: Link
    node: Process
    targets: RunTargets
    nemesis: Nemesis
    records: list[Record]


@pytest.fixture
async def scene(links: Links, tmp_path: Path) -> AsyncIterator[Scene]:
    node = Process(
        name="core",
        argv=[sys.executable, "-I", "-S", "-c", NODE],
        log=tmp_path / "logs" / "core-0.log",
        ready="^ready",
    )
    await node.start()
    target = ProcessTarget(name="core", kill=node.kill, start=node.start, pid=lambda: node.pid)
    async with echo_server(links.ports.take()) as echo:
        link = await links.open("reset:eu-west", echo.port, probe=b"?")
        targets = RunTargets(links, [target])
        records: list[Record] = []
        nemesis = Nemesis(targets=targets, now_ns=time.monotonic_ns, record=records.append)
        yield Scene(
            api=links.server.api,
            link=link,
            node=node,
            targets=targets,
            nemesis=nemesis,
            records=records,
        )
    await node.kill()


async def strike(scene: Scene, fault: Fault, on: str) -> dict[str, float]:
    await scene.nemesis.run([at(0, fault, on=on)])
    # The fault heals itself; that all is brought to rest at the end is another matter.
    assert await scene.link.round_trip_ms() is not None
    state = await scene.api.show(scene.link.name)
    assert scene.link.is_rest(state)
    assert scene.node.running
    await scene.nemesis.heal_all()
    entry = scene.nemesis.journal()[-1]
    assert entry.effective
    assert entry.confirmed_ns is not None
    assert entry.healed_ns is not None
    assert entry.requested_ns <= entry.confirmed_ns <= entry.healed_ns
    return entry.effect


async def test_a_reset_counts_its_connections(scene: Scene) -> None:
    ends = [await asyncio.open_connection(LOOPBACK, scene.link.listen_port) for _ in range(3)]
    effect = await strike(scene, LinkReset(), "reset:*")
    assert effect["connections"] == 3
    assert effect["resets"] == 3
    for reader, writer in ends:
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()


async def test_a_reset_waits_for_somebody_to_reset(scene: Scene) -> None:
    async def late() -> asyncio.StreamWriter:
        await asyncio.sleep(0.15)
        return (await asyncio.open_connection(LOOPBACK, scene.link.listen_port))[1]

    coming = asyncio.create_task(late())
    effect = await strike(scene, LinkReset(), "reset:eu-west")
    assert effect["connections"] == 1
    (await coming).close()


async def test_a_reset_of_an_idle_link_has_no_effect(scene: Scene) -> None:
    await scene.nemesis.run([at(0, LinkReset(wait_s=0.05), on="reset:eu-west")])
    assert not scene.nemesis.journal()[-1].effective


async def test_a_cut_refuses_while_it_holds(scene: Scene) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, scene.link.listen_port)
    run = asyncio.create_task(strike(scene, LinkCut(duration_s=0.3), "reset:eu-west"))
    assert await reader.read(1) == b"", "only a reset resets"
    while not scene.nemesis.active:
        await asyncio.sleep(0.005)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(LOOPBACK, scene.link.listen_port)
    assert (await run) == {"connections": 1, "refused": 1}
    writer.close()
    assert await scene.link.round_trip_ms() is not None


@pytest.mark.parametrize("blow", [LinkCut(duration_s=0.1), LinkReset()], ids=lambda one: one.kind)
async def test_a_pause_is_not_prolonged_by_a_blow_to_what_it_holds(
    scene: Scene, links: Links, blow: Fault
) -> None:
    """Toxiproxy tries for 5 s to pass on each chunk of a connection that is gone."""
    async with echo_server(links.ports.take()) as echo:
        link = await links.open("reset:held", echo.port, probe=b"?", ping=b"0123456789ab")
        reader, writer = await asyncio.open_connection(LOOPBACK, link.listen_port)
        run = asyncio.create_task(
            scene.nemesis.run(
                [at(0, LinkPause(duration_s=0.4), on=link.name), at(0.3, blow, on=link.name)]
            )
        )
        while not scene.nemesis.active:
            await asyncio.sleep(0.005)
        writer.write(b"x" * 400_000)
        await run
        # Only a reset resets; a cut is an end of file, also on a link that can be reset.
        reset = isinstance(blow, LinkReset)
        with pytest.raises(ConnectionResetError if reset else asyncio.IncompleteReadError):
            await reader.readexactly(400_001)
        writer.close()
    pause, struck = scene.nemesis.journal()
    assert pause.effective
    assert struck.effective
    assert pause.confirmed_ns is not None
    assert pause.healed_ns is not None
    assert pause.healed_ns - pause.confirmed_ns < 3e9
    assert link.is_rest(await scene.api.show(link.name))


async def test_latency_shows_in_a_probe(scene: Scene) -> None:
    effect = await strike(scene, LinkLatency(latency_ms=40, duration_s=0.05), "reset:eu-west")
    assert effect["rtt_after_ms"] >= effect["rtt_before_ms"] + 64
    after = await scene.link.round_trip_ms()
    assert after is not None
    assert after < effect["rtt_after_ms"]


async def test_latency_on_a_link_without_probe_is_not_taken_for_proven(
    scene: Scene, links: Links
) -> None:
    await links.open("blind", links.ports.take())
    await scene.nemesis.run([at(0, LinkLatency(latency_ms=40, duration_s=0), on="blind")])
    assert not scene.nemesis.journal()[-1].effective


async def test_a_killed_process_comes_back(scene: Scene) -> None:
    before = scene.node.pid
    effect = await strike(scene, ProcessKill(duration_s=0.05), "core")
    assert (effect["gone"], effect["back"]) == (1, 1)
    assert scene.node.running
    assert scene.node.pid != before


async def test_a_paused_process_stands_still_and_goes_on(scene: Scene) -> None:
    before = scene.node.pid
    effect = await strike(scene, ProcessPause(duration_s=0.05), "core")
    assert effect == {"stopped": 1, "running": 1}
    assert scene.node.pid == before


async def test_a_cut_of_an_idle_link_has_no_effect(scene: Scene) -> None:
    await scene.nemesis.run([at(0, LinkCut(wait_s=0.05, duration_s=0), on="reset:eu-west")])
    assert not scene.nemesis.journal()[-1].effective


async def test_a_blow_that_does_not_land_has_no_effect(scene: Scene) -> None:
    async def nothing() -> None: ...

    target = ProcessTarget(
        name="core", pid=lambda: scene.node.pid, kill=nothing, start=nothing, terminate=nothing
    )
    for fault in (ProcessKill(), ProcessTerminate()):
        assert not fault.is_effective(await fault.inject(target))
    away = ProcessTarget(name="core", pid=lambda: None, kill=nothing, start=nothing)
    for absent in (ProcessKill(wait_s=0.02), ProcessPause(wait_s=0.02)):
        assert not absent.is_effective(await absent.inject(away))


async def test_toxiproxy_itself_stands_still(scene: Scene) -> None:
    run = asyncio.create_task(strike(scene, ProcessPause(duration_s=0.4), TOXIPROXY))
    while not scene.nemesis.active:
        await asyncio.sleep(0.005)
    assert await scene.link.round_trip_ms(within_s=0.1) is None
    assert await run == {"stopped": 1, "running": 1}
    with pytest.raises(UsageError, match="toxiproxy is no process that can be killed"):
        scene.nemesis.check([at(0, ProcessKill(), on=TOXIPROXY)])


async def test_a_schedule_cut_short_is_healed_to_the_last(scene: Scene) -> None:
    _, writer = await asyncio.open_connection(LOOPBACK, scene.link.listen_port)
    run = asyncio.create_task(
        scene.nemesis.run(
            [
                at(0, LinkCut(duration_s=60), on="reset:eu-west"),
                at(0, ProcessKill(duration_s=60), on="core"),
            ]
        )
    )
    while len(scene.nemesis.active) < 2:
        await asyncio.sleep(0.005)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await scene.nemesis.heal_all()
    assert scene.node.running
    assert await scene.link.round_trip_ms() is not None
    assert all(entry.healed_ns is not None for entry in scene.nemesis.journal())
    writer.close()
