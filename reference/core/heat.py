"""Which inboxes are written to most, and the rule that gives the hot ones more buckets. Pure.

Every inbox that is being written to has a rate: a mean that forgets, with `window_ms` as its time
constant. It is a number per inbox, and inboxes that are quiet have none, so memory is bounded by
the inboxes that the core knows.

The rule promotes an inbox of one bucket whose rate is `hot_writes_per_s` or more, and demotes one
of `bucket_count` buckets whose rate is `cool_writes_per_s` or less. Between two changes of an inbox
lie at least `hold_ms`, and a rate between the two thresholds changes nothing, so it never flaps.
An inbox with any other count belongs to an administrator, and is left alone.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from reference.pulse import MS_NS

LOOK_EVERY_MS: Final = 100
"""How often rates are worked out."""

QUIET_WRITES_PER_S: Final = 0.5
"""An inbox below this rate is forgotten."""

HOTTEST_MAX: Final = 16
"""How many of the hottest inboxes are shown."""

EPOCHS_BY_RULE_MAX: Final = 4_096
"""The rule begins no further epoch of an inbox with so many: the rest is the administrator's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatSettings:
    """The rule. `hot_writes_per_s` 0: nothing is changed, rates are measured all the same."""

    hot_writes_per_s: int = 0
    cool_writes_per_s: int = 0
    hold_ms: int = 10_000
    bucket_count: int = 50
    window_ms: int = 2_000


class Change(NamedTuple):
    """What the rule wants: so many buckets for an inbox."""

    inbox: str
    bucket_count: int


class Hot(NamedTuple):
    """An inbox and its rate."""

    inbox: str
    writes_per_s: int


class Heat:
    """Measures rates and applies the rule. `bucket_count_of` tells the count in force."""

    def __init__(self, settings: HeatSettings, promoted: Iterable[str], now_ns: int) -> None:
        """Begin with no rates; `promoted` are the inboxes that have the rule's count already."""
        self._settings = settings
        self._written: dict[str, int] = {}
        self._rates: dict[str, float] = dict.fromkeys(promoted if self._is_on else (), 0.0)
        self._changed_ns: dict[str, int] = dict.fromkeys(self._rates, now_ns)
        self._looked_ns = now_ns
        self.promotions = 0
        self.demotions = 0

    @property
    def _is_on(self) -> bool:
        return self._settings.hot_writes_per_s > 0

    def wrote(self, inbox: str, count: int) -> None:
        """Count messages that are durable in an inbox."""
        self._written[inbox] = self._written.get(inbox, 0) + count

    def look(self, now_ns: int, count_of: Callable[[str], tuple[int, int]]) -> list[Change]:
        """Return what the rule wants changed now; called about every LOOK_EVERY_MS.

        Args:
            now_ns: The time.
            count_of: Tells an inbox' bucket count in force and how many epochs it has had.
        """
        passed_ns = now_ns - self._looked_ns
        if passed_ns < LOOK_EVERY_MS * MS_NS:
            return []
        self._looked_ns = now_ns
        self._work_out(passed_ns / 1e9)
        if not self._is_on:
            return []
        return [
            change
            for inbox in list(self._rates)
            if (change := self._wanted(inbox, now_ns, *count_of(inbox))) is not None
        ]

    def _work_out(self, passed_s: float) -> None:
        kept = math.exp(-passed_s / (self._settings.window_ms / 1000))
        written, self._written = self._written, {}
        for inbox in [*self._rates, *(written.keys() - self._rates.keys())]:
            now = written.get(inbox, 0) / passed_s
            rate = self._rates[inbox] = kept * self._rates.get(inbox, 0.0) + (1 - kept) * now
            if rate < QUIET_WRITES_PER_S and inbox not in self._changed_ns:
                del self._rates[inbox]

    def _wanted(self, inbox: str, now_ns: int, bucket_count: int, epochs: int) -> Change | None:
        settings, rate = self._settings, self._rates[inbox]
        since_ns = self._changed_ns.get(inbox)
        if since_ns is not None and now_ns - since_ns < settings.hold_ms * MS_NS:
            return None
        if bucket_count == 1 and rate >= settings.hot_writes_per_s and epochs < EPOCHS_BY_RULE_MAX:
            wanted = settings.bucket_count
            self.promotions += 1
        elif bucket_count == settings.bucket_count and rate <= settings.cool_writes_per_s:
            wanted = 1
            self.demotions += 1
        else:
            if bucket_count == 1:
                # It is not the rule's any more, and may be forgotten when it is quiet.
                self._changed_ns.pop(inbox, None)
            return None
        self._changed_ns[inbox] = now_ns
        return Change(inbox, wanted)

    def rate_of(self, inbox: str) -> float:
        """Return the rate of an inbox in messages per second."""
        return self._rates.get(inbox, 0.0)

    @property
    def measured(self) -> int:
        """How many inboxes have a rate."""
        return len(self._rates)

    def hottest(self) -> list[Hot]:
        """Return the inboxes with the highest rates, the highest first."""
        top = heapq.nlargest(HOTTEST_MAX, self._rates.items(), key=lambda pair: pair[1])
        return [Hot(inbox, int(rate)) for inbox, rate in top]
