"""E2: what quiet users pay for a loud one, as the p99 of the same inboxes in labelled loads.

The loads labelled "baseline" say which inboxes are watched and what they wait for when nobody is
loud; every other label is held against them. Baselines that lie between the loud loads, not before
all of them, keep a machine that is slow for a while from looking like a noisy neighbour.

It is a matter of speed, so it never fails a run: a scenario that wants a bound states a limit on
`noisy_neighbour_ratio`. After the interference measurements that multi-tenant stores publish.
"""

from __future__ import annotations

from harness.checkers.check import Clue, Found, Reach, check
from harness.checkers.facts import Facts
from harness.checkers.totals import label_windows
from harness.report.result import CheckStatus, Latency, LoadLatency

BASELINE = "baseline"

RATIO_MAX = 5.0
"""A p99 above so many times the baseline's is counted as an instance (and still no failure)."""

MESSAGES_MIN = 1_000
"""Fewer messages in a label say nothing about one in a hundred of them."""


@check(
    "E2",
    "NOISY-NEIGHBOUR",
    "quiet users' p99 beside a loud one, against the same users' in quiet loads; never an error",
    found=CheckStatus.PASS,
    reach=Reach.ONCE,
)
def noisy_neighbour(facts: Facts) -> Found:
    """Compare the labels. Instances are labels above RATIO_MAX."""
    found = by_label(facts)
    if not found:
        return Found(examined=0, not_applicable="no loads were labelled to be compared")
    if found[0].label != BASELINE:
        return Found(examined=0, unknown="no load was labelled as the baseline")
    thin = [one.label for one in found if one.ack is None or one.ack.count < MESSAGES_MIN]
    if thin or len(found) == 1:
        what = f"too few messages in {', '.join(thin)}" if thin else "only a baseline was run"
        return Found(examined=0, unknown=what)
    loud = [one for one in found if (ratio_of(one) or 0.0) > RATIO_MAX]
    told = [_tell(one) for one in found]
    return Found(
        examined=sum(one.ack.count for one in found if one.ack is not None),
        instances=len(loud),
        clues=[Clue(summary=_tell(one)) for one in loud],
        note=f"p99 from due to acknowledged, quiet users: {'; '.join(told)}",
    )


def ratio_of(one: LoadLatency) -> float | None:
    """Return the larger of the two ratios, None where there is none, as for the baseline."""
    known = [ratio for ratio in (one.ack_p99_ratio, one.delivery_p99_ratio) if ratio is not None]
    return max(known, default=None)


def _tell(one: LoadLatency) -> str:
    p99_ms = one.ack.p99 if one.ack is not None else 0.0
    times = f" ({one.ack_p99_ratio:.2f} times)" if one.ack_p99_ratio is not None else ""
    return f"{one.label} {p99_ms:.1f} ms{times}"


def by_label(facts: Facts) -> list[LoadLatency]:
    """Return the latencies of the watched inboxes per label, the baseline first; [] for none."""
    totals = facts.totals
    watched = totals.sent_in.get(BASELINE, set())
    seen = {
        label: (
            totals.label_ack[label].latency(watched),
            totals.label_delivery[label].latency(watched),
        )
        for label in label_windows(facts)
    }
    if not seen:
        return []
    base_ack, base_delivery = seen.get(BASELINE, (None, None))
    return [
        LoadLatency(
            label=label,
            ack=ack,
            delivery=delivery,
            ack_p99_ratio=None if label == BASELINE else _ratio(ack, base_ack),
            delivery_p99_ratio=None if label == BASELINE else _ratio(delivery, base_delivery),
        )
        for label, (ack, delivery) in sorted(seen.items(), key=lambda item: item[0] != BASELINE)
    ]


def _ratio(latency: Latency | None, base: Latency | None) -> float | None:
    if latency is None or base is None or base.p99 <= 0:
        return None
    return round(latency.p99 / base.p99, 4)
