"""Blocks of ports: disjoint between runs, free again however a run ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest

from harness.errors import HarnessError
from harness.links.ports import BLOCK_PORTS, END_PORT, FIRST_PORT, LOOPBACK, PortBlock

pytestmark = pytest.mark.integration

HOLDER = """
import sys
from harness.links.ports import PortBlock
print(PortBlock.lock().first, flush=True)
sys.stdin.read()
"""


def test_blocks_of_processes_are_disjoint_and_freed_by_a_kill() -> None:
    blocks = [PortBlock.lock() for _ in range(3)]
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        firsts = [*(block.first for block in blocks), theirs]
        assert len(set(firsts)) == 4
        for first in firsts:
            assert (first - FIRST_PORT) % BLOCK_PORTS == 0
            assert FIRST_PORT <= first < first + BLOCK_PORTS <= END_PORT
        other.send_signal(signal.SIGKILL)
        other.wait(5)
    with socket.socket() as free:
        free.bind((LOOPBACK, theirs))
    for block in blocks:
        block.close()
        block.close()


def test_a_taken_port_is_passed_over_and_a_used_up_block_gets_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("harness.links.ports.BLOCKS_MAX", 2)
    block = PortBlock.lock()
    try:
        taken = block.first + 1
        with socket.socket() as holder:
            # As servers do: an earlier run's connection may still be in TIME_WAIT on that port.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind((LOOPBACK, taken))
            holder.listen(1)
            ports = [block.take()]
            assert ports == [taken + 1]
            with pytest.raises(HarnessError, match="are taken"):
                ports.extend(iter(block.take, 0))
        assert len(set(ports)) == len(ports)
        beyond = [port for port in ports if port not in range(block.first, block.end)]
        second = (min(beyond) - FIRST_PORT) // BLOCK_PORTS * BLOCK_PORTS + FIRST_PORT
        assert set(beyond) <= set(range(second + 1, second + BLOCK_PORTS))
        assert len(ports) - len(beyond) >= BLOCK_PORTS // 2
        for first in (block.first, second):
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind((LOOPBACK, first))
    finally:
        block.close()


def test_when_every_block_is_held_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    block = PortBlock.lock()
    try:
        monkeypatch.setattr("harness.links.ports.FIRST_PORT", block.first)
        monkeypatch.setattr("harness.links.ports.END_PORT", block.end)
        with pytest.raises(HarnessError, match="no free block"):
            PortBlock.lock()
    finally:
        block.close()
