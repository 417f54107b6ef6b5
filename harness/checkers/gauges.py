"""What the gauges of the nodes said: limits exceeded, commits made, wake-ups that came late."""

from __future__ import annotations

from harness.checkers.entries import Oddity
from harness.history.records import GaugeSeen

COMMITS_GAUGE = "commits"
"""The gauge that counts a core's commits since its start."""

LAG_GAUGE = "tick_lag_us_max"
"""The gauge that says how late a node was woken at the worst: the machine did not let it run."""


LOAD_LAG_GAUGE = "pace_lag_us_max"
"""The same of a load process: what it records may have come so much earlier."""


class Gauges:
    """Takes readings in the order of time.

    Attributes:
        count: Readings of gauges that have a limit.
        over_limit: Those above it.
        commits: Commits of all cores, over their restarts; None where no core told any.
        lag_ns_max: How late a node was woken at the worst.
        load_lag_ns_max: How late a load process was.
    """

    def __init__(self) -> None:
        self.count = 0
        self.over_limit = Oddity()
        self.commits: int | None = None
        self.lag_ns_max = 0
        self.load_lag_ns_max = 0
        self._commits: dict[tuple[str, int], int] = {}

    def see(self, record: GaugeSeen) -> None:
        """Take the next reading."""
        if record.limit >= 0:
            self.count += 1
            if record.value > record.limit:
                self.over_limit.add(1, record)
        if record.name == LAG_GAUGE:
            self.lag_ns_max = max(self.lag_ns_max, record.value * 1_000)
        if record.name == LOAD_LAG_GAUGE:
            self.load_lag_ns_max = max(self.load_lag_ns_max, record.value * 1_000)
        if record.name == COMMITS_GAUGE:
            node = (record.role, record.index)
            before = self._commits.get(node, 0)
            # A restarted node counts from zero again.
            gained = record.value - before if record.value >= before else record.value
            self._commits[node] = record.value
            self.commits = (self.commits or 0) + gained
