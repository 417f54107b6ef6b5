"""A process stands still for a time (SIGSTOP): its connections stay open and nothing moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.faults.fault import PROCESS, Effect, Target
from harness.faults.registry import fault
from harness.faults.targets import as_process
from harness.faults.waiting import while_running


@fault("process_pause")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPause:
    """Pause a process: the core, an edge, a load process, or Toxiproxy itself ("toxiproxy").

    While Toxiproxy stands still no other fault can be put on a link or taken off it, so plan none
    for that time.

    Observed: the state of the process as the kernel tells it, stopped and then running.

    Attributes:
        duration_s: How long it stands still.
        wait_s: How long to wait for it to run, should an earlier fault still hold.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = PROCESS
    takes_process: ClassVar[bool] = True

    duration_s: float = 2.0
    wait_s: float = 10.0

    async def inject(self, target: Target) -> Effect:
        """Stop it; observe it as stopped."""
        process = as_process(target)
        async with while_running(process, within_s=self.wait_s):
            if process.pid() is None:
                return {"stopped": 0.0}
            await process.pause()
        return {"stopped": float(process.is_stopped())}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """It was seen stopped."""
        return effect["stopped"] == 1

    async def heal(self, target: Target) -> Effect:
        """Let it run on; observe that it is not stopped any more."""
        process = as_process(target)
        await process.resume()
        return {"running": float(process.pid() is not None and not process.is_stopped())}
