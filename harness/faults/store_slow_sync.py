"""The disk of a core becomes slow at making things durable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.faults.fault import SWITCHED, Effect, Target
from harness.faults.fields import at_least, at_most
from harness.faults.registry import fault
from harness.faults.store import wait_for_count
from harness.faults.switches import Count, Switch
from harness.faults.targets import as_switched
from harness.faults.waiting import while_running

DELAY_MS_MAX = 10_000

EFFECT_SHARE_MIN = 0.9
"""Share of the delay that a sync must have taken longer."""


@fault("store_slow_sync")
@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSlowSync:
    """Let every fsync of the store take longer.

    Observed: syncs that took longer, and by how much. Without a commit there is no effect.

    Attributes:
        delay_ms: How much longer.
        duration_s: How long it holds, counted from the first slow sync.
        wait_s: How long to wait for that sync, beside its delay.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = SWITCHED

    delay_ms: int = 100
    duration_s: float = 2.0
    wait_s: float = 10.0

    def __post_init__(self) -> None:
        at_least(1, delay_ms=self.delay_ms)
        at_most(DELAY_MS_MAX, delay_ms=self.delay_ms)

    async def inject(self, target: Target) -> Effect:
        """Slow it down; observe the syncs that took longer, and by how much in the mean."""
        node, switches = as_switched(target)
        before, before_us = switches.get(Count.DELAYED_SYNCS), switches.get(Count.DELAYED_US)
        async with while_running(node.process, within_s=self.wait_s):
            switches.set(Switch.SYNC_DELAY_US, self.delay_ms * 1000)
        within_s = self.wait_s + self.delay_ms / 1000
        syncs = await wait_for_count(switches, Count.DELAYED_SYNCS, before, within_s=within_s)
        delayed_us = switches.get(Count.DELAYED_US) - before_us
        return {"delayed_syncs": syncs, "delay_ms": delayed_us / max(1, syncs) / 1000}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """A sync took longer by nearly what was asked for."""
        slow_ms = EFFECT_SHARE_MIN * self.delay_ms
        return effect["delayed_syncs"] >= 1 and effect["delay_ms"] >= slow_ms

    async def heal(self, target: Target) -> Effect:
        """Let it be as fast as it is."""
        _, switches = as_switched(target)
        switches.set(Switch.SYNC_DELAY_US, 0)
        return {}
