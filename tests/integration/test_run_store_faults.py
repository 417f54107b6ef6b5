"""A whole run with a broken disk and clock: PASS, every fault with its effect; and its replay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harness.report.codec import decode_result
from harness.report.result import Status
from harness.run.brief import read_brief

pytestmark = pytest.mark.integration

WITHIN_S = 120

SCENARIO = '''
"""Everything that can be wrong with a core's disk and clock, one after the other."""

from tallystick import (
    ClockJump, CrashInRecovery, Load, Login, Plan, PowerLoss, Requires, Scenario, StoreFull,
    StoreSlowSync, Stream, Topology, at,
)

SCENARIO = Scenario(
    name="store_faults",
    claim="Nothing acknowledged is lost whatever is wrong with the core's disk and clock.",
    plan=Plan(
        vary=False,
        topology=Topology(edges=("here",)),
        phases=(
            Login(inboxes=("ann",)),
            Load(
                duration_s=6,
                streams=(Stream(to=("ann",), producers=2, rate_per_s=400, batch_count=10),),
                faults=(
                    at(0.2, ClockJump(jump_s=-40 * 86_400.0, duration_s=2), on="core"),
                    at(0.3, StoreSlowSync(delay_ms=40, duration_s=0.3), on="core"),
                    at(0.9, StoreFull(duration_s=0.4), on="core"),
                    at(1.6, PowerLoss(loss="torn", duration_s=0.1), on="core"),
                    at(2.6, CrashInRecovery(kills_count=2), on="core"),
                ),
            ),
        ),
        requires=Requires(sends_ok=1_000, delivered=1_000, fault_effects=5),
    ),
)
'''


def tallystick(*words: str) -> str:
    """Run a command that must end in PASS, and return what it wrote on stderr."""
    command = [sys.executable, "-m", "tallystick", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def test_a_core_outlives_its_disk_and_its_clock_and_a_replay_strikes_alike(tmp_path: Path) -> None:
    file, first, again = tmp_path / "store_faults.py", tmp_path / "first", tmp_path / "again"
    file.write_text(SCENARIO)
    tallystick("run", str(file), "--seed", "11", "--out", str(first))
    result = decode_result((first / "result.json").read_bytes())
    assert result.verdict.status is Status.PASS
    assert result.system.config["switches"] == ["core"]
    assert result.system.planted_bug is None
    assert all(fault.effective and fault.healed_ns is not None for fault in result.faults)
    assert {fault.kind for fault in result.faults} == {
        "clock_jump", "crash_in_recovery", "power_loss", "store_full", "store_slow_sync"
    }  # fmt: skip
    # The scenario draws another schedule now; a replay keeps to the stored one, and says so.
    file.write_text(SCENARIO.replace("delay_ms=40", "delay_ms=9"))
    # A link that will point elsewhere does not get into the command that repeats the run.
    (tmp_path / "latest").symlink_to("first")
    told = tallystick("replay", str(tmp_path / "latest"), "--out", str(again))
    assert "not the interleaving" in told
    assert "source has changed" in told
    assert read_brief(again).faults == read_brief(first).faults
    replayed = decode_result((again / "result.json").read_bytes())
    assert replayed.run.seed == 11
    assert replayed.run.repeat_command == f"tallystick replay {first}"
    assert any("source has changed" in note for note in replayed.notes)
    assert [fault.parameters for fault in replayed.faults if fault.kind == "store_slow_sync"] == [
        msgspec.to_builtins(fault.parameters)
        for fault in result.faults
        if fault.kind == "store_slow_sync"
    ]
