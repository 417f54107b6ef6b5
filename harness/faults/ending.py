"""What faults that end a process have in common: seeing it go, and bringing it back."""

from __future__ import annotations

import time

import anyio

from harness.errors import HarnessError
from harness.faults.fault import Effect
from harness.faults.targets import Node, ProcessTarget
from harness.processes.identity import is_same, look

POLL_S = 0.005


def mark_of(process: ProcessTarget) -> tuple[int, str] | None:
    """Return what tells the process that runs now from every other; None when none runs."""
    pid = process.pid()
    seen = None if pid is None else look(pid)
    return None if pid is None or seen is None else (pid, seen.mark)


def gone(before: tuple[int, str] | None) -> Effect:
    """Return whether the very process that ran before is gone."""
    if before is None:
        return {"gone": 0.0}
    pid, mark = before
    return {"gone": float(not is_same(pid, mark))}


async def wait_gone(process: ProcessTarget, *, within_s: float) -> bool:
    """Wait until no such process runs; return whether that came."""
    deadline = time.monotonic() + within_s
    while process.pid() is not None:
        if time.monotonic() > deadline:
            return False
        await anyio.sleep(POLL_S)
    return True


async def bring_back(node: Node) -> Effect:
    """Start it if it does not run; return how long that took until it was ready.

    Raises:
        HarnessError: It is not back.
    """
    async with node.process.turn:
        if node.process.pid() is not None:
            return {}
        begun = anyio.current_time()
        await node.start()
        if node.process.pid() is None:
            raise HarnessError(f"{node.process.name} is not back after its start")
        return {"back": 1.0, "ready_after_ms": (anyio.current_time() - begun) * 1000}
