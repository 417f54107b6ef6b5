"""The cases that take the time: how soon after a cut or a restart is a client served again?

Latencies of a run count from when a message was due. A pause that an adapter or its client library
makes between "it is there again" and "it is acknowledged" would be taken for the system's.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Coroutine
from typing import Any

import anyio

from harness.conform.bench import EDGES, RESET, Bench, until
from harness.conform.broken import confirm
from harness.conform.case import case
from harness.conform.steps import sent
from harness.links.link import Link
from harness.systems.port import as_restartable, restart_within_s
from harness.systems.promises import Ability

TRIES = 5
"""How often a way back over a link is timed."""

RESTARTS = 2
"""How often a restart is timed."""

DOWN_S = 0.3
"""How long a link stays down: some attempts fail meanwhile, and one has failed just before."""

BACK_WITHIN_S = 1.0
"""The median of the ways back. Some eight round trips of the bench's 50 ms, and the rest for a busy
machine; a pause of a client library's is rarely below 1 s."""

BACK_WITHIN_MAX_S = 2.0
"""The longest one: not even now and then may a client sleep."""


@case("no pause of ours, sending: a link that is up again brings the first ok at once")
async def a_sender_that_comes_back_is_answered_at_once(bench: Bench) -> str:
    """Timed from the end of a cut, in which the sender has tried in vain."""
    inbox = bench.inbox()
    writer = await sent(bench, inbox, 1, group=RESET)

    async def back() -> None:
        before = len(writer.ids("ok"))
        writer.submit(1)
        await writer.connect()
        await until(lambda: len(writer.ids("ok")) > before, "the first ok")

    return await _timed(_link(bench), back)


@case("no pause of ours, reading: a link that is up again brings the first message at once")
async def a_receiver_that_comes_back_is_served_at_once(bench: Bench) -> str:
    """Timed from the end of a cut, in which the receiver has tried in vain."""
    inbox = bench.inbox()
    await sent(bench, inbox, 1)
    reader = bench.reader(inbox, RESET)

    async def back() -> None:
        before = len(reader.got)
        await reader.receiver.abort()
        await reader.login()
        await until(lambda: len(reader.got) > before, "the first message")

    return await _timed(_link(bench), back)


@case(
    "the time of a restart: within what the system says of itself it answers again",
    abilities=(Ability.KILL,),
)
async def a_restart_takes_no_longer_than_declared(bench: Bench) -> str:
    """Timed from the start after a kill to the first ok of a sender that tries all the time."""
    bound_s = restart_within_s(bench.system)
    inbox = bench.inbox()
    writer = await sent(bench, inbox, 1)
    nodes = as_restartable(bench.deployment)
    took: list[float] = []
    for _ in range(RESTARTS):
        before = len(writer.ids("ok"))
        await nodes.kill("core", 0)
        writer.submit(1)
        begun_s = time.monotonic()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(nodes.start, "core", 0)
            await writer.settle()
        took.append(time.monotonic() - begun_s)
        confirm(len(writer.ids("ok")) > before, "what was sent over a restart was not ok")
    told = _told(took)
    confirm(max(took) <= bound_s, f"{told}; declared: {bound_s:g} s")
    return told


def _link(bench: Bench) -> Link:
    return bench.links.by_name[f"client-edge:{EDGES[0]}:{RESET}"]


async def _timed(link: Link, back: Callable[[], Coroutine[Any, Any, None]]) -> str:
    """Cut a link and time from its end on how long a client needs that comes back; several times.

    Raises:
        Broken: It takes longer than it may.
    """
    took: list[float] = []
    for _ in range(TRIES):
        await link.cut()
        up_s = 0.0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(back)
            await anyio.sleep(DOWN_S)
            up_s = time.monotonic()
            await link.restore()
        took.append(time.monotonic() - up_s)
    told = _told(took)
    confirm(statistics.median(took) <= BACK_WITHIN_S, f"{told}; median at most {BACK_WITHIN_S:g} s")
    confirm(max(took) <= BACK_WITHIN_MAX_S, f"{told}; max at most {BACK_WITHIN_MAX_S:g} s")
    return told


def _told(took: list[float]) -> str:
    return (
        f"median {statistics.median(took) * 1000:,.0f}, max {max(took) * 1000:,.0f} ms"
        f" of {len(took)}"
    )
