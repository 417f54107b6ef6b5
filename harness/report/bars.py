"""Bucket loads as bars, beside what the hash leads one to expect."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from harness.report.result import EpochLoads, InboxBuckets
from harness.report.words import counted

WIDE_COUNT_MAX = 12
"""Up to so many buckets each gets a line of its own; beyond it one column each."""

DRAWN_COUNT_MAX = 240
"""Beyond so many buckets a row of columns says nothing that the line above it does not."""

EPOCHS_SHOWN_MAX = 8
"""Bucketed epochs drawn in one report; the result file holds them all."""

COLUMNS = 60
"""Width of a bar and of a row of columns."""

_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = " .:-=+*#@"


def draw(buckets: Sequence[InboxBuckets], *, unicode: bool = True) -> list[str]:
    """Return the lines for all epochs with more than one bucket."""
    drawn: list[str] = []
    epochs = [(b.inbox, e) for b in buckets for e in b.epochs if e.bucket_count > 1 and e.messages]
    for inbox, epoch in epochs[:EPOCHS_SHOWN_MAX]:
        drawn += _epoch(inbox, epoch, unicode)
    if len(epochs) > EPOCHS_SHOWN_MAX:
        left = len(epochs) - EPOCHS_SHOWN_MAX
        drawn.append(f"and {counted(left, 'more epoch')} in the result file")
    return drawn


def chance(epoch: EpochLoads) -> tuple[float, float]:
    """Return the expected load of a bucket and its standard deviation under a fair hash."""
    share = 1 / epoch.bucket_count
    return epoch.messages * share, math.sqrt(epoch.messages * share * (1 - share))


def _epoch(inbox: str, epoch: EpochLoads, unicode: bool) -> Iterator[str]:
    expected, deviation = chance(epoch)
    plus_minus = "±" if unicode else "+-"
    yield (
        f"{inbox}, epoch {epoch.epoch}: {epoch.messages:,} messages in {epoch.bucket_count} "
        f"buckets; expected {_round(expected)} {plus_minus} {_round(deviation)} each, "
        f"found {min(epoch.loads):,} to {max(epoch.loads):,}"
    )
    if epoch.bucket_count <= WIDE_COUNT_MAX:
        yield from _wide(epoch.loads, unicode)
    elif epoch.bucket_count <= DRAWN_COUNT_MAX:
        yield from _narrow(epoch.loads, unicode)


def _round(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _wide(loads: Sequence[int], unicode: bool) -> Iterator[str]:
    block = "█" if unicode else "#"
    largest = max(loads)
    number_width = len(f"{largest:,}")
    bar_width = COLUMNS - number_width - 6
    for bucket, load in enumerate(loads):
        length = math.ceil(load * bar_width / largest)
        yield f"{bucket:>3} {load:>{number_width},} {block * length}".rstrip()


def _narrow(loads: Sequence[int], unicode: bool) -> Iterator[str]:
    blocks = _BLOCKS if unicode else _ASCII_BLOCKS
    largest = max(loads)
    for first in range(0, len(loads), COLUMNS):
        row = loads[first : first + COLUMNS]
        # An empty bucket stays a blank; any load at all is at least the lowest block.
        yield "".join(blocks[math.ceil(load * (len(blocks) - 1) / largest)] for load in row)
