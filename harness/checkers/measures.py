"""What a history says in numbers: counts, latencies, throughput, bucket loads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.checkers.facts import Facts
from harness.checkers.intervals import NEVER
from harness.report.result import (
    Counts,
    EpochLoads,
    InboxBuckets,
    Latencies,
    Lost,
    Reconnects,
    Sends,
    Throughput,
)

DUPLICATES = ("A7", "A8", "A9", "C2")
"""Checks whose instances are duplicates."""

ORDER = ("A10", "B1", "B2", "B4", "B6", "B7", "C3")
"""Checks whose instances are out of order."""

LEFT_OUT = ("A11", "A12")
"""Checks whose instances a reader left out."""


def count(facts: Facts, instances: Mapping[str, int]) -> Counts:
    """Return all counts of a result.

    None of them is lower than what a check of its kind finds, so they never contradict one.

    Args:
        facts: Of the last part, with the totals of all.
        instances: What each check found, by id.
    """

    def most(own: int, ids: Iterable[str]) -> int:
        return max(own, *(instances.get(one, 0) for one in ids))

    index, totals = facts.index, facts.totals
    distinct = sum(end - begin for positions in index.lineage_delivered for begin, end in positions)
    return Counts(
        sends=Sends(ok=totals.ok, fail=totals.failed, info=totals.unknown),
        delivered=totals.delivered,
        redelivered=index.delivered_count - distinct,
        lost=Lost(
            total=totals.lost,
            prefix=totals.prefix,
            middle=totals.lost - totals.prefix - totals.suffix,
            suffix=totals.suffix,
        ),
        vanished=totals.vanished,
        passed_by=most(totals.passed_by, LEFT_OUT),
        duplicated=most(totals.doubled, DUPLICATES),
        reordered=most(totals.reordered, ORDER),
        unresolved=totals.unresolved,
        recovered=totals.recovered,
        reconnects=Reconnects(
            sender=index.reconnects["sender"], receiver=index.reconnects["receiver"]
        ),
    )


def latencies(facts: Facts) -> Latencies:
    """Return quantiles over messages, from when each was due to its ok and first delivery.

    They are exact in a history of up to `spread.ENTRIES_MAX` ranges, else to 0.05 %.
    """
    return Latencies(ack=facts.totals.ack.latency(), delivery=facts.totals.delivery.latency())


def throughput(facts: Facts) -> Throughput:
    """Return messages per second from the first invocation to the last event of each kind."""
    totals = facts.totals
    begin_ns = totals.first_invoked_ns
    if begin_ns == NEVER:
        return Throughput()

    def rate(messages: int, last_ns: int) -> float:
        return round(messages / ((last_ns - begin_ns) / 1e9), 3) if last_ns > begin_ns else 0.0

    due, handed, late_ns_max = facts.index.offered
    never_offered = max(0, due - handed)
    return Throughput(
        offered=rate(totals.invoked + never_offered, totals.last_invoked_ns),
        never_offered=never_offered,
        late_max_ms=round(late_ns_max / 1e6, 3),
        acknowledged=rate(totals.ok, totals.last_ok_ns),
        delivered=rate(totals.delivered, totals.last_first_ns),
    )


def bucket_loads(facts: Facts) -> list[InboxBuckets]:
    """Return the loads of the buckets as the last complete inspection of each inbox found them."""
    index = facts.index
    last = {
        one.inbox: number for number, one in enumerate(index.inspections.snapshots) if one.complete
    }
    return [
        InboxBuckets(
            inbox=index.inboxes[inbox],
            epochs=[
                EpochLoads(
                    epoch=epoch,
                    bucket_count=load.count,
                    messages=sum(load.loads()),
                    loads=load.loads(),
                )
                for epoch, load in sorted(facts.totals.loads[number].items())
            ],
        )
        for inbox, number in last.items()
        if number in facts.totals.loads
    ]


def kills(facts: Facts) -> int:
    """Return how many nodes were killed with effect; a killed load process tries no store."""
    struck = (m for m in facts.index.faults if "kill" in m.kind and m.effective)
    return len({(m.fault, m.target) for m in struck if not m.target.startswith("load:")})
