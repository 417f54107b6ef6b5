"""A process is killed without warning (SIGKILL) and started again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import anyio

from harness.errors import HarnessError
from harness.faults.fault import Effect, Target
from harness.faults.registry import fault
from harness.faults.targets import as_process
from harness.faults.waiting import wait_for_process
from harness.processes.identity import is_same, look


@fault("process_kill")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessKill:
    """Kill a process.

    Attributes:
        duration_s: How long it stays away before it is started again.
        wait_s: How long to wait for it to run, should an earlier fault still hold.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = "process"

    duration_s: float = 0.2
    wait_s: float = 5.0

    async def inject(self, target: Target) -> Effect:
        """Kill it; observe that the very process that ran before is gone."""
        process = as_process(target)
        await wait_for_process(process, within_s=self.wait_s)
        pid = process.pid()
        before = None if pid is None else look(pid)
        await process.kill()
        if pid is None or before is None:
            return {"gone": 0.0}
        return {"pid": pid, "gone": float(not is_same(pid, before.mark))}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """It ran before and is gone."""
        return effect["gone"] == 1

    async def heal(self, target: Target) -> Effect:
        """Start it if it does not run; observe how long that took until it was ready."""
        process = as_process(target)
        if process.pid() is not None:
            return {}
        begun = anyio.current_time()
        await process.start()
        if process.pid() is None:
            raise HarnessError(f"{process.name} is not back after its start")
        return {"back": 1.0, "ready_after_ms": (anyio.current_time() - begun) * 1000}
