"""Writes of a core's store fail with an I/O error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.faults.ending import bring_back
from harness.faults.fault import SWITCHED, Effect, Target
from harness.faults.registry import fault
from harness.faults.store import make_it_end
from harness.faults.switches import Count, Switch
from harness.faults.targets import as_switched


@fault("store_write_error")
@dataclass(frozen=True, slots=True, kw_only=True)
class StoreWriteError:
    """Fail every write of the store (SQLITE_IOERR).

    Nobody knows then what became of the commit, so a core has to end and to recover; one that
    goes on shows no effect. It is started again when this heals.

    Observed: writes that failed, and that the very process that ran before is gone.

    Attributes:
        duration_s: How long the process stays away before it is started again.
        wait_s: How long to wait for a commit, and for the end that it brings.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = SWITCHED
    takes_process: ClassVar[bool] = True

    duration_s: float = 0.2
    wait_s: float = 10.0

    async def inject(self, target: Target) -> Effect:
        """Let writes fail; observe those that did, and that the process is gone."""
        node, switches = as_switched(target)
        before = switches.get(Count.FAILED_WRITES)
        effect = await make_it_end(node, switches, Switch.FAIL_WRITES, 1, within_s=self.wait_s)
        return {**effect, "failed_writes": switches.get(Count.FAILED_WRITES) - before}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """One failed, and the process that ran before is gone."""
        return effect["failed_writes"] >= 1 and effect["gone"] == 1

    async def heal(self, target: Target) -> Effect:
        """Let writes succeed again and start the core; observe how long until it was ready."""
        node, switches = as_switched(target)
        switches.set(Switch.FAIL_WRITES, 0)
        return await bring_back(node)
