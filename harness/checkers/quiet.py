"""Since when nothing has been disturbed, as the records pass."""

from __future__ import annotations

from harness.history.records import FaultMarked, PhaseMarked

DISTURBING_PHASES = ("restart", "kill", "start", "heal")
"""Phases in which nodes stop or links change, so connections may end unseen."""

DISTURBED_NS = 1 << 62
"""Later than everything: something is disturbed now."""


class Quiet:
    """Takes the marks of faults and phases in the order of time."""

    def __init__(self) -> None:
        self._held: set[tuple[str, str]] = set()
        self._last_ns = -DISTURBED_NS

    def see(self, record: FaultMarked | PhaseMarked) -> None:
        """Take a mark."""
        if isinstance(record, FaultMarked):
            key, holds = (record.fault, record.target), record.state != "healed"
        elif record.name in DISTURBING_PHASES:
            key, holds = ("", record.name), record.begins
        else:
            return
        (self._held.add if holds else self._held.discard)(key)
        self._last_ns = record.t_ns

    def since_ns(self, settle_ns: int) -> int:
        """Return since when all has been at rest, if that takes so long after a disturbance."""
        return DISTURBED_NS if self._held else self._last_ns + settle_ns
