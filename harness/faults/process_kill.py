"""A process dies at once (SIGKILL) and is started again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.faults.ending import bring_back, gone, mark_of
from harness.faults.fault import NODE, Effect, Target
from harness.faults.registry import fault
from harness.faults.targets import as_node
from harness.faults.waiting import while_running


@fault("process_kill")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessKill:
    """Kill a process.

    Observed: the very process that ran before is gone, and another one is ready after healing.

    Attributes:
        duration_s: How long it stays away before it is started again.
        wait_s: How long to wait for it to run, should an earlier fault still hold.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = NODE
    takes_process: ClassVar[bool] = True

    duration_s: float = 0.2
    wait_s: float = 10.0

    async def inject(self, target: Target) -> Effect:
        """Kill it; observe that the very process that ran before is gone."""
        node = as_node(target)
        async with while_running(node.process, within_s=self.wait_s):
            before = mark_of(node.process)
            await node.kill()
        return gone(before)

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """It ran before and is gone."""
        return effect["gone"] == 1

    async def heal(self, target: Target) -> Effect:
        """Start it if it does not run; observe how long that took until it was ready."""
        return await bring_back(as_node(target))
