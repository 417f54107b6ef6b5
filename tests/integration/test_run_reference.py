"""Whole runs of the reference through the real command line: kills, signals, damage."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from harness.processes.table import Sheet
from harness.report.codec import decode_result
from harness.report.result import Result, Status

pytestmark = pytest.mark.integration

FAN_IN = [
    "run", "global_fan_in", "--profile", "smoke", "--set", "rate_per_s=2000",
    "--set", "users=4", "--set", "user_senders=4", "--set", "vip_senders=4",
]  # fmt: skip
WITHIN_S = 120


@contextmanager
def running(out: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tallystick", *FAN_IN, *more, "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def result_of(out: Path) -> Result:
    return decode_result((out / "result.json").read_bytes())


def wait_for_load(process: subprocess.Popen[bytes]) -> None:
    """Read what the run says until its load has begun."""
    assert process.stderr is not None
    for line in process.stderr:
        if b"phase load" in line:
            return
    pytest.fail("the run ended before its load")


def node_pids(out: Path) -> list[int]:
    sheet = msgspec.json.decode((out / "processes.json").read_bytes(), type=Sheet)
    return [entry.pid for entry in sheet.processes]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return not re.search(r"\) [ZX] ", state)


def wait_gone(pids: list[int], within_s: float) -> list[int]:
    deadline = time.monotonic() + within_s
    while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def test_kills_of_core_and_edges_under_load_lose_nothing(tmp_path: Path):
    out = tmp_path / "run"
    kills_asked = ("--set", "core_kills=2", "--set", "edge_kills=2", "--set", "duration_s=12")
    with running(out, "--seed", "3", *kills_asked) as process:
        process.communicate(timeout=WITHIN_S)
    result = result_of(out)
    kills = [fault for fault in result.faults if fault.kind == "process_kill"]
    assert result.verdict.status is Status.PASS, result.verdict.reason
    assert len(kills) == 4
    assert all(fault.effective for fault in kills)
    assert result.counts.lost.total == result.counts.duplicated == result.counts.reordered == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_everything_and_leaves_a_partial_result(
    tmp_path: Path, number: signal.Signals, code: int
):
    out = tmp_path / "run"
    with running(out) as process:
        wait_for_load(process)
        pids = node_pids(out)
        assert len(pids) == 9  # Toxiproxy, the core, five edges, two load processes.
        process.send_signal(number)
        process.communicate(timeout=WITHIN_S)
    assert process.returncode == code
    assert wait_gone(pids, 3.0) == []
    result = result_of(out)
    assert not result.complete
    assert result.verdict.exit_code == code


def test_a_killed_harness_leaves_nothing_running(tmp_path: Path):
    out = tmp_path / "run"
    with running(out) as process:
        wait_for_load(process)
        pids = node_pids(out)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=WITHIN_S)
    assert wait_gone(pids, 5.0) == []
    assert not result_of(out).complete
