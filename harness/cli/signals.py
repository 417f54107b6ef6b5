"""Work under signals: what the commands that run something share.

SIGINT, SIGTERM and SIGHUP cancel the work, which stops what it started behind a shield.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio
import anyio.abc

from harness.errors import HarnessError

SIGNALS_MAX = 3
"""This many signals end the process at once, without waiting for the clean-up."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(Generic[T]):
    """How work under signals ended: with a value, or by a signal (its exit code)."""

    value: T | None = None
    interrupted_by: int | None = None


def under_signals(work: Callable[[], Awaitable[T]]) -> Ended[T]:
    """Run async work to its end or until a signal stops it; its exceptions are raised as they are.

    Work that still ends in order after the signal counts as ended.
    """
    return anyio.run(_under_signals, work, backend_options={"use_uvloop": True})


async def _under_signals(work: Callable[[], Awaitable[T]]) -> Ended[T]:
    scope = anyio.CancelScope()
    received: list[int] = []
    values: list[T] = []
    errors: list[Exception] = []
    async with anyio.create_task_group() as tasks:
        await tasks.start(_watch_signals, scope, received)
        with scope:
            try:
                values.append(await work())
            except Exception as error:
                # Raised behind the task group, which would wrap it.
                errors.append(error)
        tasks.cancel_scope.cancel()
    if values:
        return Ended(value=values[0])
    if received:
        for trouble in errors:
            sys.stderr.write(f"trouble while stopping: {type(trouble).__name__}: {trouble}\n")
        return Ended(interrupted_by=128 + received[0])
    raise errors[0] if errors else HarnessError("the run was cancelled from within")


async def _watch_signals(
    scope: anyio.CancelScope,
    received: list[int],
    *,
    task_status: anyio.abc.TaskStatus[None],
) -> None:
    with anyio.open_signal_receiver(*_stopping_signals()) as signals:
        task_status.started()
        async for number in signals:
            received.append(number)
            if len(received) == 1:
                sys.stderr.write("interrupted; stopping what was started\n")
                scope.cancel()
            elif len(received) == SIGNALS_MAX:
                # Nodes and proxies have lifelines: they end with this process.
                os._exit(128 + received[0])
            else:
                sys.stderr.write("still stopping; once more leaves at once\n")


def _stopping_signals() -> list[signal.Signals]:
    """Return what stops a run; a terminal that closes does not where nohup said so."""
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else [])]
