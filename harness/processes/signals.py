"""Stopping and waking processes by signal, and seeing that they obeyed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress

import anyio

from harness.errors import HarnessError
from harness.processes.identity import look

OBEY_WITHIN_S = 1.0
"""Deadline for a process to be seen stopped after SIGSTOP, or running after SIGCONT."""

POLL_S = 0.005


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that is gone is left in peace."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


async def stop_running(name: str, pids: Sequence[int]) -> None:
    """Stop processes (SIGSTOP) and wait until each is seen stopped.

    Raises:
        HarnessError: One is not seen stopped in time.
    """
    await _switch(name, pids, signal.SIGSTOP, stopped=True)


async def let_run(name: str, pids: Sequence[int]) -> None:
    """Let processes run on (SIGCONT); those that are gone or not stopped are left as they are.

    Raises:
        HarnessError: One is still stopped when the time is over.
    """
    await _switch(name, pids, signal.SIGCONT, stopped=False)


async def _switch(name: str, pids: Sequence[int], number: signal.Signals, *, stopped: bool) -> None:
    for pid in pids:
        send(pid, number)
    deadline = time.monotonic() + OBEY_WITHIN_S
    for pid in pids:
        while (seen := look(pid)) is not None and (seen.state == "T") != stopped:
            if time.monotonic() > deadline:
                raise HarnessError(f"{name} ({pid}) did not obey {number.name}")
            await anyio.sleep(POLL_S)
