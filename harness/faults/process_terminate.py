"""A process is asked to end (SIGTERM), as at a deployment, and is started again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import anyio

from harness.faults.ending import bring_back, gone, mark_of
from harness.faults.fault import SERVER, Effect, Target
from harness.faults.registry import fault
from harness.faults.targets import as_node, as_server
from harness.faults.waiting import while_running


@fault("process_terminate")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTerminate:
    """Ask a process to end, and see that it does so by itself.

    Observed: the very process that ran before is gone, how long that took, and another one is ready
    after healing. One that has to be killed is an error of the deployment.

    Attributes:
        duration_s: How long it stays away before it is started again.
        wait_s: How long to wait for it to run, should an earlier fault still hold.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = SERVER
    takes_process: ClassVar[bool] = True

    duration_s: float = 0.2
    wait_s: float = 10.0

    async def inject(self, target: Target) -> Effect:
        """Ask it to end; observe that the very process that ran before is gone, and how soon."""
        node, terminate = as_server(target)
        async with while_running(node.process, within_s=self.wait_s):
            before = mark_of(node.process)
            begun = anyio.current_time()
            await terminate()
        return {**gone(before), "ended_after_ms": (anyio.current_time() - begun) * 1000}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """It ran before and is gone."""
        return effect["gone"] == 1

    async def heal(self, target: Target) -> Effect:
        """Start it if it does not run; observe how long that took until it was ready."""
        return await bring_back(as_node(target))
