"""What faults inside a store have in common: a switch, and a count that shows that it bit."""

from __future__ import annotations

import time

import anyio

from harness.faults.ending import gone, mark_of, wait_gone
from harness.faults.fault import Effect
from harness.faults.switches import Count, Switch, Switches
from harness.faults.targets import Node
from harness.faults.waiting import while_running

POLL_S = 0.005

LAST_MOMENT_S = 0.25
"""After a switch is taken back, a process that had seen it may still be on its way to its end."""


async def wait_for_count(switches: Switches, count: Count, above: int, *, within_s: float) -> int:
    """Wait until a count is above a value; return by how much, 0 when the time is over."""
    deadline = time.monotonic() + within_s
    while switches.get(count) <= above and time.monotonic() < deadline:
        await anyio.sleep(POLL_S)
    return switches.get(count) - above


async def make_it_end(
    node: Node, switches: Switches, switch: Switch, value: int, *, within_s: float
) -> Effect:
    """Set a switch that ends the process at its next commit; return whether it is gone.

    When it did not end in time the switch is taken back. The caller holds no turn.
    """
    process = node.process
    async with while_running(process, within_s=within_s):
        before = mark_of(process)
        process.expect_end(True)
        switches.set(switch, value)
        if not await wait_gone(process, within_s=within_s):
            switches.set(switch, 0)
            if not await wait_gone(process, within_s=LAST_MOMENT_S):
                process.expect_end(False)
    return gone(before)
