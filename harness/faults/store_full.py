"""The disk of a core is full for a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.faults.fault import SWITCHED, Effect, Target
from harness.faults.registry import fault
from harness.faults.store import wait_for_count
from harness.faults.switches import Count, Switch
from harness.faults.targets import as_switched
from harness.faults.waiting import while_running


@fault("store_full")
@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFull:
    """Refuse every write of the store with SQLITE_FULL, as a copy-on-write file system does.

    A core that is killed meanwhile comes up again: a recovery writes nothing.

    Observed: writes that the file system refused. Without a commit meanwhile there is no effect.

    Attributes:
        duration_s: How long it is full, counted from the first write that was refused.
        wait_s: How long to wait for that write.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = SWITCHED

    duration_s: float = 2.0
    wait_s: float = 10.0

    async def inject(self, target: Target) -> Effect:
        """Fill it up; observe the writes that were refused."""
        node, switches = as_switched(target)
        before = switches.get(Count.REFUSED_FULL)
        async with while_running(node.process, within_s=self.wait_s):
            switches.set(Switch.FULL, 1)
        refused = await wait_for_count(switches, Count.REFUSED_FULL, before, within_s=self.wait_s)
        return {"refused_writes": refused}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """A write was refused."""
        return effect["refused_writes"] >= 1

    async def heal(self, target: Target) -> Effect:
        """Let there be room again."""
        _, switches = as_switched(target)
        switches.set(Switch.FULL, 0)
        return {}
