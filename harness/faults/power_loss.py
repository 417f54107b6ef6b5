"""The machine of a core loses power: what was not synced is gone or torn, and the process too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.errors import UsageError
from harness.faults.ending import bring_back
from harness.faults.fault import SWITCHED, Effect, Target
from harness.faults.fields import at_least
from harness.faults.registry import fault
from harness.faults.store import make_it_end
from harness.faults.switches import LOSSES, Count, Switch
from harness.faults.targets import as_switched


@fault("power_loss")
@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLoss:
    """End the process in the middle of a commit, and take back what it had not synced.

    A SIGKILL alone loses nothing that was written, since the kernel keeps it. Here every sector
    that was written and not synced is put back to what it was, or torn, before the process dies by
    SIGKILL. Sectors of 512 bytes are taken to be written whole; a sync is taken to be true.

    Observed: sectors that were not synced, those that were put back, and that the very process that
    ran before is gone. Without a commit meanwhile there is no effect.

    Attributes:
        loss: "all": everything unsynced is gone; "torn": any part of it; "tail": all that was
            written behind some moment.
        writes_count: The power fails at this write, counted from the injection; at the sync of a
            commit at the latest.
        duration_s: How long the process stays away before it is started again.
        wait_s: How long to wait for a commit.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = SWITCHED
    takes_process: ClassVar[bool] = True

    loss: str = "all"
    writes_count: int = 8
    duration_s: float = 0.2
    wait_s: float = 10.0

    def __post_init__(self) -> None:
        at_least(1, writes_count=self.writes_count)
        if self.loss not in LOSSES:
            raise UsageError(f"loss {self.loss!r}: one of {', '.join(LOSSES)}")

    async def inject(self, target: Target) -> Effect:
        """Let the power fail; observe what was lost, and that the process is gone."""
        node, switches = as_switched(target)
        counts = (Count.UNSYNCED_SECTORS, Count.LOST_SECTORS)
        before = [switches.get(count) for count in counts]
        switches.set(Switch.POWER_AFTER_WRITES, self.writes_count)
        power = 1 + LOSSES.index(self.loss)
        effect = await make_it_end(node, switches, Switch.POWER_LOSS, power, within_s=self.wait_s)
        for count, first in zip(counts, before, strict=True):
            effect[count.name.lower()] = switches.get(count) - first
        return effect

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """Something unsynced was lost, and the process that ran before is gone."""
        return effect["lost_sectors"] >= 1 and effect["gone"] == 1

    async def heal(self, target: Target) -> Effect:
        """Bring the power back and start the core; observe how long until it was ready."""
        node, switches = as_switched(target)
        switches.set(Switch.POWER_LOSS, 0)
        switches.set(Switch.POWER_AFTER_WRITES, 0)
        return await bring_back(node)
