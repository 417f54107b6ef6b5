"""The core says "durable" as soon as it has given the commit to the store."""

from __future__ import annotations

from collections import deque

from harness.testing.bugs.registry import Category, Medium, PlantedBug, Trial
from harness.testing.simulator.plan import Action
from reference.core.machine import CoreMachine
from reference.core.settings import CoreSettings
from reference.events import (
    Commit,
    CommitRefused,
    Committed,
    Effect,
    Event,
    ReadLog,
    ReadRows,
    Recovered,
)


class HastyCore:
    """A core that is told of each commit's success before the store has begun it.

    Reads wait until the store has caught up: a read of what is not there would end the core, and
    hide the bug.
    """

    def __init__(self, settings: CoreSettings, recovered: Recovered) -> None:
        self._inner = CoreMachine(settings, recovered)
        self._under_way: deque[Commit] = deque()
        self._reads: list[Effect] = []
        self.extra_gauges = self._inner.extra_gauges

    def handle(self, event: Event, now_ns: int) -> list[Effect]:
        """Take an event as the real core does."""
        if not isinstance(event, Committed | CommitRefused):
            return self._hasten(self._inner.handle(event, now_ns), now_ns)
        self._under_way.popleft()
        if self._under_way:
            return [self._under_way[0]]
        reads, self._reads = self._reads, []
        return reads

    def _hasten(self, effects: list[Effect], now_ns: int) -> list[Effect]:
        out: list[Effect] = []
        for effect in effects:
            match effect:
                case Commit(commit_no=commit_no):
                    self._under_way.append(effect)
                    if len(self._under_way) == 1:
                        out.append(effect)
                    told = self._inner.handle(Committed(commit_no=commit_no), now_ns)
                    out += self._hasten(told, now_ns)
                case ReadLog() | ReadRows() if self._under_way:
                    self._reads.append(effect)
                case _:
                    out.append(effect)
        return out


BUG = PlantedBug(
    name="acknowledge-before-commit",
    summary="An acknowledgement leaves before the messages are durable.",
    category=Category.LOSS,
    replaces="the core machine",
    named_by=("A1", "A6"),
    trial=Trial(scenario="power_loss"),
    medium=Medium.POWER_LOSS,
    focus=(Action.CORE_CRASHES, Action.CORE_CRASHES_IN_COMMIT),
    core=HastyCore,
)
