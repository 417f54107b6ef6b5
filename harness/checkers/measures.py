"""What a history says in numbers: counts, latencies, throughput, bucket loads."""

from __future__ import annotations

import numpy as np

from harness.checkers.duplicated import doubled
from harness.checkers.facts import Facts
from harness.checkers.fifo import reordered
from harness.checkers.imbalance import epoch_loads
from harness.checkers.intervals import Column, Steps, split
from harness.checkers.lost import split_lost
from harness.report.result import (
    Counts,
    EpochLoads,
    InboxBuckets,
    Latencies,
    Latency,
    Lost,
    Reconnects,
    Sends,
    Throughput,
)


def count(facts: Facts) -> Counts:
    """Return all counts of a result."""
    lost = split_lost(facts)
    index = facts.index
    distinct = sum(end - begin for positions in index.lineage_delivered for begin, end in positions)
    return Counts(
        sends=Sends(ok=facts.ok.count, fail=facts.failed.count, info=facts.unknown.count),
        delivered=facts.delivered.count,
        redelivered=index.delivered_count - distinct,
        lost=Lost(
            total=facts.lost.count, prefix=lost.prefix, middle=lost.middle, suffix=lost.suffix
        ),
        duplicated=doubled(facts).count,
        reordered=int(reordered(facts)[1].sum()),
        unresolved=facts.unknown.minus(facts.delivered).count,
        recovered=facts.unknown.both(facts.delivered).count,
        reconnects=Reconnects(
            sender=index.reconnects["sender"], receiver=index.reconnects["receiver"]
        ),
    )


def latencies(facts: Facts) -> Latencies:
    """Return exact quantiles over messages, from when each was due to its ok and first delivery."""
    return Latencies(
        ack=quantiles(*_since_due(facts, facts.ok_at)),
        delivery=quantiles(*_since_due(facts, facts.first_at)),
    )


def _since_due(facts: Facts, reached: Steps) -> tuple[Column, Column]:
    """Return (ns from due, messages) of the pieces that have both times."""
    origin, begins, ends = split(reached.begins, reached.ends, facts.due_at.cuts)
    due = facts.due_at.at(begins, -1)
    known = due >= 0
    return (reached.values[origin] - due)[known], (ends - begins)[known]


def quantiles(waits: Column, weights: Column) -> Latency | None:
    """Return exact quantiles, in ms, of waits in ns that count as often as they weigh."""
    if not len(waits):
        return None
    order = np.argsort(waits, kind="stable")
    waits = waits[order]
    reach = np.cumsum(weights[order])
    total = int(reach[-1])

    def at(share: float) -> float:
        place = int(np.searchsorted(reach, share * total, side="left"))
        return round(float(waits[min(place, len(waits) - 1)]) / 1e6, 6)

    return Latency(p50=at(0.5), p90=at(0.9), p99=at(0.99), p999=at(0.999), max=at(1.0), count=total)


def throughput(facts: Facts) -> Throughput:
    """Return messages per second from the first invocation to the last event of each kind."""
    invoked = facts.invoked_at.values
    if not len(invoked):
        return Throughput()
    begin = int(invoked.min())
    offered = max(facts.invoked.count, facts.index.offered[0])

    def rate(messages: int, times: Column) -> float:
        if not len(times) or int(times.max()) <= begin:
            return 0.0
        return round(messages / ((int(times.max()) - begin) / 1e9), 3)

    return Throughput(
        offered=rate(offered, invoked),
        acknowledged=rate(facts.ok.count, facts.ok_at.values),
        delivered=rate(facts.delivered.count, facts.first_at.values),
    )


def bucket_loads(facts: Facts) -> list[InboxBuckets]:
    """Return the loads of the buckets as the last complete inspection of each inbox found them."""
    last = {table.inbox: table for table in facts.stored if table.complete}
    return [
        InboxBuckets(
            inbox=inbox,
            epochs=[
                EpochLoads(epoch=epoch, bucket_count=buckets, messages=sum(loads), loads=loads)
                for epoch, buckets, loads in epoch_loads(table)
            ],
        )
        for inbox, table in last.items()
        if len(table.pos)
    ]


def kills(facts: Facts) -> int:
    """Return how many processes were killed with effect."""
    marks = facts.index.faults
    return len({(m.fault, m.target) for m in marks if "kill" in m.kind and m.effective})
