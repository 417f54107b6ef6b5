"""Faults inside a real core that commits: their effect is measured, healing leaves nothing.

An administrator promotes an inbox again and again, so there is always a commit to strike; whatever
it was told is stored has to be there after the fault.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from harness.errors import UsageError
from harness.faults.clock_jump import ClockJump
from harness.faults.crash_in_recovery import CrashInRecovery
from harness.faults.fault import Fault
from harness.faults.power_loss import PowerLoss
from harness.faults.process_kill import ProcessKill
from harness.faults.process_terminate import ProcessTerminate
from harness.faults.store_full import StoreFull
from harness.faults.store_slow_sync import StoreSlowSync
from harness.faults.store_sync_error import StoreSyncError
from harness.faults.store_write_error import StoreWriteError
from harness.faults.switches import LOSSES, Count, Switches
from harness.faults.targets import ProcessTarget
from harness.links.ports import LOOPBACK, PortBlock
from harness.processes.environment import child_environment
from harness.processes.process import Process
from harness.testing.faults_doc import effect_keys
from harness.testing.nodes import ADMIN_TOKEN, CORE_KEYS
from reference.core.settings import CoreSettings
from reference.node.admin import AdminClient, Refusal
from reference.node.settings import CoreNodeSettings
from reference.wire.errors import ErrorCode

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

INBOX = "vip"
RETRY_S = 0.01
SOON_S = 0.4
"""How long a fault waits for a commit where none comes."""


@dataclass(slots=True, kw_only=True)
class Core:
    """A running core with switches, and what its administrator was told."""

    process: Process
    port: int
    switches: Switches
    target: ProcessTarget
    expected: list[bool]
    epoch: int = 0
    refused: set[ErrorCode] = field(default_factory=set)

    async def promote_for_ever(self) -> None:
        async with AdminClient(LOOPBACK, self.port, ADMIN_TOKEN) as admin:
            while True:
                # The core may die under any question, the one after a refusal too.
                with suppress(ConnectionError):
                    if await self.promoted(admin):
                        continue
                await asyncio.sleep(RETRY_S)

    async def promoted(self, admin: AdminClient) -> bool:
        """Promote once; return whether that was acknowledged."""
        try:
            self.epoch = (await admin.promote(INBOX, self.epoch, 2 + self.epoch % 5)).epoch
        except Refusal as refusal:
            self.refused.add(refusal.code)
            if refusal.code is ErrorCode.EPOCH_MISMATCH:
                # One that was not answered was stored all the same.
                self.epoch = await self.stored_epoch(admin)
            return False
        return True

    async def stored_epoch(self, admin: AdminClient) -> int:
        epochs = (await admin.inspect(INBOX)).epochs
        return max((entry.epoch for entry in epochs), default=0)


@asynccontextmanager
async def running(tmp_path: Path, *, obeys: bool = True) -> AsyncIterator[Core]:
    """Run a core; one that does not obey was started without its switches."""
    ports = PortBlock.lock()
    switches = Switches.create(tmp_path / "core.bin")
    settings = CoreNodeSettings(
        core=CoreSettings(**CORE_KEYS),
        database=str(tmp_path / "core.sqlite"),
        port=ports.take(),
        lifeline=True,
    )
    launcher = ["harness.testing.launch", "--switches", str(switches.path)]
    argv = launcher if obeys else ["reference.node"]
    process = Process(
        name="core",
        argv=[sys.executable, "-m", *argv, "core", "env:SETTINGS"],
        log=tmp_path / "core.log",
        env={**child_environment(), "SETTINGS": msgspec.json.encode(settings).decode()},
        ready="^ready",
    )
    admin = AdminClient(LOOPBACK, settings.port, ADMIN_TOKEN)
    expected: list[bool] = []

    async def gauges() -> Mapping[str, int]:
        return await admin.gauges()

    target = ProcessTarget(
        name="core",
        pid=lambda: process.pid,
        kill=process.kill,
        start=process.start,
        terminate=process.stop,
        gauges=gauges,
        expect_end=expected.append,
        switches=switches,
    )
    await process.start()
    try:
        yield Core(
            process=process, port=settings.port, switches=switches, target=target, expected=expected
        )
    finally:
        await admin.close()
        await process.kill()
        ports.close()


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    async with running(tmp_path) as core:
        yield core


@asynccontextmanager
async def busy(core: Core) -> AsyncIterator[None]:
    task = asyncio.create_task(core.promote_for_ever())
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def strike(core: Core, fault: Fault) -> dict[str, float]:
    """Strike a core that commits, heal, and see that it goes on with everything it told."""
    async with busy(core):
        effect = await fault.inject(core.target)
        assert fault.is_effective(effect), effect
        told = core.epoch
        effect |= await fault.heal(core.target)
        assert core.switches.at_rest
        assert await fault.heal(core.target) == {}
        async with asyncio.timeout(5):
            while core.epoch <= told:
                await asyncio.sleep(RETRY_S)
    async with AdminClient(LOOPBACK, core.port, ADMIN_TOKEN) as admin:
        assert await core.stored_epoch(admin) >= core.epoch
    assert set(effect) <= effect_keys()[fault.kind], "docs/faults.md"
    return effect


NEED_A_COMMIT = (
    StoreFull(wait_s=SOON_S),
    StoreSlowSync(wait_s=SOON_S),
    StoreWriteError(wait_s=SOON_S),
    StoreSyncError(wait_s=SOON_S),
    PowerLoss(wait_s=SOON_S),
)


async def strike_at(core: Core, fault: Fault) -> None:
    effect = await fault.inject(core.target)
    assert fault.is_effective(effect)
    effect |= await fault.heal(core.target)
    assert effect["back"] == 1
    assert set(effect) <= effect_keys()[fault.kind], "docs/faults.md"


async def test_what_a_core_outlives(core: Core) -> None:
    """A full store, a slow sync, a clock that jumps; and nothing at all where nothing commits."""
    pid = core.process.pid
    for fault in NEED_A_COMMIT:
        assert not fault.is_effective(await fault.inject(core.target)), fault
        await fault.heal(core.target)
        assert core.switches.at_rest
    assert core.expected == [True, False] * 3
    effect = await strike(core, StoreFull(duration_s=0))
    assert effect["refused_writes"] >= 1
    effect = await strike(core, StoreSlowSync(delay_ms=80))
    assert effect["delayed_syncs"] >= 1
    assert 80 <= effect["delay_ms"] < 1000
    for jump_s in (86_400.0, -86_400.0):
        effect = await strike(core, ClockJump(jump_s=jump_s))
        assert effect["off_before_s"] == pytest.approx(0, abs=3)
        assert effect["off_after_s"] == pytest.approx(jump_s, abs=3)
        assert effect["off_healed_s"] == pytest.approx(0, abs=3)
    async with busy(core):
        fault = StoreFull()
        await fault.inject(core.target)
        async with asyncio.timeout(5):
            while ErrorCode.STORAGE_FULL not in core.refused:
                await asyncio.sleep(RETRY_S)
        assert core.process.pid == pid
        # A recovery writes nothing, so a core that is killed now comes up all the same.
        await strike_at(core, ProcessKill(duration_s=0))
        await fault.heal(core.target)
    await strike(core, StoreFull())


async def test_an_error_ends_the_core_and_it_recovers(core: Core) -> None:
    for fault, counted in (
        (StoreWriteError(), "failed_writes"),
        (StoreSyncError(), "failed_syncs"),
    ):
        pid = core.process.pid
        core.expected.clear()
        effect = await strike(core, fault)
        assert effect[counted] >= 1
        assert (effect["gone"], effect["back"]) == (1, 1)
        assert core.expected == [True]
        assert core.process.pid not in (None, pid)


async def test_a_power_loss_takes_what_was_not_synced(core: Core) -> None:
    for loss in LOSSES:
        effect = await strike(core, PowerLoss(loss=loss, writes_count=2))
        assert 1 <= effect["lost_sectors"] <= effect["unsynced_sectors"]
        if loss == "all":
            assert effect["lost_sectors"] == effect["unsynced_sectors"]
        assert (effect["gone"], effect["back"]) == (1, 1)


async def test_a_core_is_killed_while_it_recovers(core: Core) -> None:
    effect = await strike(core, CrashInRecovery(kills_count=2))
    assert effect["kills_before_ready"] == 2
    assert effect["back"] == 1
    assert core.switches.get(Count.DEATHS_IN_RECOVERY) == 2


async def test_a_core_that_is_asked_to_end_does_so_by_itself(core: Core) -> None:
    effect = await strike(core, ProcessTerminate())
    assert (effect["gone"], effect["back"]) == (1, 1)
    with pytest.raises(UsageError, match="ends in order"):
        await ProcessTerminate().inject(
            ProcessTarget(
                name="x", pid=lambda: None, kill=core.target.kill, start=core.target.start
            )
        )


async def test_a_core_that_does_not_obey_shows_no_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.faults.clock_jump.SEEN_WITHIN_S", 1.2)
    monkeypatch.setattr("harness.faults.crash_in_recovery.MISSES_MAX", 0)
    faults = (*NEED_A_COMMIT, ClockJump(), CrashInRecovery(kills_count=1))
    async with running(tmp_path, obeys=False) as core, busy(core):
        for fault in faults:
            effect = await fault.inject(core.target)
            assert not fault.is_effective(effect), (fault, effect)
            await fault.heal(core.target)
        assert core.process.running
