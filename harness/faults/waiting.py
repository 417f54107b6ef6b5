"""Striking when there is something to strike, and holding for as long as was planned.

With clients and faults that come and go, a link may be empty or a process away at the planned
moment, and a fault on nothing shows nothing. So a fault waits a little before it strikes.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio

from harness.faults.targets import ProcessTarget
from harness.links.link import Cut, Link

POLL_S = 0.005


async def strike_connected(
    link: Link, blow: Callable[[Link], Awaitable[Cut]], *, within_s: float
) -> Cut:
    """Cut or reset a link once a connection of it is open, or when the time is over.

    Who finds no server behind the link is connected for a moment too: a blow that found nobody any
    more is taken back and dealt again. Where the kernel does not tell how many are open, this
    strikes at once, and once.
    """
    deadline = time.monotonic() + within_s
    while True:
        await _until(lambda: link.connections() != 0, deadline - time.monotonic())
        cut = await blow(link)
        if cut.connections or link.connections() is None or time.monotonic() > deadline:
            return cut
        await link.restore()


async def wait_for_process(process: ProcessTarget, *, within_s: float) -> None:
    """Return when the process runs, or when the time is over."""
    await _until(lambda: process.pid() is not None, within_s)


@asynccontextmanager
async def while_running(process: ProcessTarget, *, within_s: float) -> AsyncIterator[None]:
    """Hold the process's turn once it runs, so that no other fault ends or starts it meanwhile.

    The turn of another fault is waited for as long as it takes; `within_s` bounds only how long a
    process that is away is waited for. When that is over, the turn is held without a process.
    """
    deadline = time.monotonic() + within_s
    while True:
        await process.turn.acquire()
        if process.pid() is not None or time.monotonic() > deadline:
            break
        process.turn.release()
        await anyio.sleep(POLL_S)
    try:
        yield
    finally:
        process.turn.release()


async def _until(condition: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return
        await anyio.sleep(POLL_S)


async def hold(duration_s: float) -> None:
    """Return once so much time has passed, never earlier.

    Timers of the event loop count in whole milliseconds from when it last looked at the clock, so
    a plain sleep may end up to one early, and a fault would hold for less than was planned.
    """
    end_s = time.monotonic() + duration_s
    while (left_s := end_s - time.monotonic()) > 0:
        await anyio.sleep(left_s)
