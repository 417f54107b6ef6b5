"""A harness that is SIGKILLed leaves no node and no Toxiproxy behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.links.ports import LOOPBACK
from harness.processes.identity import children, is_same, look
from harness.processes.table import end_leftovers

pytestmark = pytest.mark.integration

GONE_WITHIN_S = 3.0

HARNESS = """
import asyncio, json, sys
from pathlib import Path
from harness.links.links import Links
from harness.processes.process import Process
from harness.processes.table import ProcessTable

NODE = "import sys; print('ready', flush=True); sys.stdin.read()"


async def main(binary, run_dir, paused):
    table = ProcessTable(run_dir)
    links = await Links.start(binary, run_dir=run_dir, table=table)
    node = Process(
        name="core",
        argv=[sys.executable, "-I", "-S", "-c", NODE],
        log=run_dir / "core.log",
        ready="ready",
        table=table,
    )
    await node.start()
    if paused:
        await node.pause()
    print(json.dumps([node.pid, links.server.process.pid, links.ports.first]), flush=True)
    await asyncio.Event().wait()


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "paused"))
"""


def marks(pids: list[int]) -> dict[int, str]:
    found = {pid: look(pid) for pid in pids}
    return {pid: seen.mark for pid, seen in found.items() if seen is not None}


def still_there(marked: dict[int, str]) -> list[int]:
    return [pid for pid, mark in marked.items() if is_same(pid, mark)]


@pytest.mark.parametrize("state", ["running", "paused"])
def test_everything_is_gone_within_seconds(
    tmp_path: Path, toxiproxy_binary: Path, state: str
) -> None:
    run_dir = tmp_path / "a-run"
    run_dir.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", HARNESS, str(toxiproxy_binary), str(run_dir), state],
        stdout=subprocess.PIPE,
        text=True,
    ) as harness:
        assert harness.stdout is not None
        node, wrapper, first_port = json.loads(harness.stdout.readline())
        server = children(wrapper)
        assert len(server) == 1
        marked = marks([node, wrapper, *server])
        assert len(marked) == 3
        os.kill(harness.pid, signal.SIGKILL)
    begun = time.monotonic()
    while still_there(marked):
        if time.monotonic() - begun > GONE_WITHIN_S:
            # Not every container lets the kernel wake an orphaned stopped process; then the next
            # start has to find it.
            assert state == "paused"
            assert still_there(marked) == [node]
            assert end_leftovers(tmp_path) == [f"a-run/core ({node})"]
            break
        time.sleep(0.01)
    assert still_there(marked) == []
    assert end_leftovers(tmp_path) == []
    with socket.socket() as free:
        free.bind((LOOPBACK, first_port))
