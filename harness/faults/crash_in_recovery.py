"""A core is killed, and killed again and again while it recovers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.errors import HarnessError
from harness.faults.ending import bring_back, gone, mark_of
from harness.faults.fault import SWITCHED, Effect, Target
from harness.faults.fields import at_least, at_most
from harness.faults.registry import fault
from harness.faults.switches import Count, Switch, Switches
from harness.faults.targets import Node, as_switched
from harness.faults.waiting import while_running

KILLS_COUNT_MAX = 20

MISSES_MAX = 3
"""Starts that may become ready before the kill; each makes the next one strike earlier."""


@fault("crash_in_recovery")
@dataclass(frozen=True, slots=True, kw_only=True)
class CrashInRecovery:
    """Kill the process, then let it be killed (SIGKILL) while it recovers, several times.

    The kills strike at file operations of the store between its opening and the moment when the
    process says that it is ready, spread evenly over as many as the last recovery took.

    Observed: kills that struck before the process was ready.

    Attributes:
        kills_count: How many.
        duration_s: How long it stays away before it may recover in peace.
        wait_s: How long to wait for it to run, should an earlier fault still hold.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = SWITCHED
    takes_process: ClassVar[bool] = True

    kills_count: int = 3
    duration_s: float = 0.0
    wait_s: float = 10.0

    def __post_init__(self) -> None:
        at_least(1, kills_count=self.kills_count)
        at_most(KILLS_COUNT_MAX, kills_count=self.kills_count)

    async def inject(self, target: Target) -> Effect:
        """Kill it again and again; observe the kills that struck before it was ready."""
        node, switches = as_switched(target)
        async with while_running(node.process, within_s=self.wait_s):
            before = mark_of(node.process)
            await node.kill()
            effect = gone(before)
            operations = max(1, switches.get(Count.RECOVERY_OPERATIONS))
            struck = misses = 0
            while struck < self.kills_count and misses <= MISSES_MAX:
                strike_at = max(1, operations * (struck + 1) // (self.kills_count + 1))
                if await _dies_at(node, switches, strike_at):
                    struck += 1
                else:
                    misses += 1
                    operations = max(1, min(operations, strike_at) // 2)
        return {**effect, "kills_before_ready": struck, "recovery_operations": operations}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """All kills struck before it was ready."""
        return effect["gone"] == 1 and effect["kills_before_ready"] >= self.kills_count

    async def heal(self, target: Target) -> Effect:
        """Let it recover in peace; observe how long until it was ready."""
        node, switches = as_switched(target)
        switches.set(Switch.DIE_AT_OPERATION, 0)
        return await bring_back(node)


async def _dies_at(node: Node, switches: Switches, operation: int) -> bool:
    """Start the process and return whether it was killed before it was ready; it is gone then."""
    deaths = switches.get(Count.DEATHS_IN_RECOVERY)
    switches.set(Switch.DIE_AT_OPERATION, operation)
    try:
        await node.start()
    except HarnessError:
        if switches.get(Count.DEATHS_IN_RECOVERY) == deaths:
            raise
        return True
    finally:
        switches.set(Switch.DIE_AT_OPERATION, 0)
    await node.kill()
    return False
