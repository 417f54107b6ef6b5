"""The states of the checks beside a run: they are shown, and they never hold a run up."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harness.processes.table import Sheet
from harness.report.codec import decode_result
from harness.report.result import Status

pytestmark = pytest.mark.integration

SCENARIO = """
from tallystick import Drain, Load, Login, Plan, Requires, Scenario, Stream, Topology

SCENARIO = Scenario(
    name="watched",
    claim="Whoever watches changes nothing.",
    plan=Plan(
        vary=False,
        topology=Topology(edges=("here",)),
        phases=(
            Login(inboxes=("ann",)),
            Load(duration_s=6.0, streams=(Stream(to=("ann",), producers=2, rate_per_s=200.0),)),
            Drain(),
        ),
        requires=Requires(sends_ok=500, delivered=500),
    ),
)
"""

BREAKING = """
from harness.testing import queue_clients, queue_system

def submit(self, batch):
    raise RuntimeError("an error in the adapter")

queue_clients.QueueSender.submit = submit
SYSTEM = queue_system.QueueSystem()
"""

START = """
from harness.cli.main import main
from harness.report import live
live.PlainLines.wants_checks = True
live.LINE_EVERY_S = 0.5
main()
"""
"""Off a terminal nobody asks for the states by himself."""


def watched(folder: Path, system: str) -> subprocess.CompletedProcess[str]:
    (folder / "watched.py").write_text(SCENARIO)
    words = ["run", "watched.py", "--system", system, "--out", "out"]
    return subprocess.run(
        [sys.executable, "-P", "-c", START, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )


def test_those_who_watch_see_checks_while_messages_flow(tmp_path: Path) -> None:
    done = watched(tmp_path, "harness.testing.queue_system:SYSTEM")
    assert done.returncode == 0, done.stderr
    load = done.stderr.partition("phase load")[2].partition("phase heal")[0]
    holds = [int(found) for found in re.findall(r"checks: (\d+) hold so far", load)]
    assert holds
    assert max(holds) >= 5
    assert (tmp_path / "out" / "logs" / "online.log").read_text() == ""
    sheet = msgspec.json.decode((tmp_path / "out" / "processes.json").read_bytes(), type=Sheet)
    assert "online" not in [entry.name for entry in sheet.processes]


def test_a_run_whose_load_process_breaks_ends_while_it_is_watched(tmp_path: Path) -> None:
    (tmp_path / "my_adapter.py").write_text(BREAKING)
    done = watched(tmp_path, "my_adapter:SYSTEM")
    assert done.returncode == 70, done.stderr
    result = decode_result((tmp_path / "out" / "result.json").read_bytes())
    assert result.verdict.status is Status.ERROR
    assert "load process 1 ended by itself" in result.verdict.reason
