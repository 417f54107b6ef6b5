"""What carries over from one part of a long history to the part before it.

Parts are judged from the latest to the first. Two parts never share a message or a position, and
every message of the later one lies behind every one of the earlier, in its stream and in its inbox
(`eras`). So all that an earlier part has to know of the later ones are a few numbers per stream and
per inbox.

Parts that hang together, and are apart only because all at once would be too large, are in order by
their ids and not by their positions. What follows from positions is passed on over the whole of
them, never from one of them to the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from harness.checkers.intervals import NEVER, Column, column

if TYPE_CHECKING:
    from harness.checkers.facts import Facts
    from harness.checkers.stored import StoredTable


@dataclass(frozen=True, slots=True, kw_only=True)
class _Behind:
    """What lies at higher positions than every message of the part that is judged next.

    Attributes:
        ok_ns: Per stream the first ok of a message with a known position.
        until_ns: Per inbox the least U.
        bucket_lowest: Lowest position per (inspection, epoch, bucket) within its bucket.
    """

    ok_ns: Column = field(default_factory=lambda: column([]))
    until_ns: Column = field(default_factory=lambda: column([]))
    bucket_lowest: dict[tuple[int, int, int], int] = field(default_factory=dict)

    def and_of(self, facts: Facts) -> _Behind:
        """Return the same with a part that was judged."""
        pieces = facts.pieces
        ok_ns = _grown(self.ok_ns, len(facts.index.streams), NEVER)
        np.minimum.at(ok_ns, pieces.lines.stream, pieces.ok)
        until_ns = _grown(self.until_ns, len(facts.index.inboxes), NEVER)
        np.minimum.at(until_ns, pieces.lines.inbox, pieces.until)
        lowest = dict(self.bucket_lowest)
        for table in facts.stored:
            for which, low in _lowest(table):
                lowest[which] = min(low, lowest.get(which, low))
        return _Behind(ok_ns=ok_ns, until_ns=until_ns, bucket_lowest=lowest)


class Later:
    """The later parts in numbers. `parts` counts them."""

    def __init__(self) -> None:
        self.parts = 0
        self._behind = self._behind_next = _Behind()
        self._sent_end = column([])
        self._read_last = column([])
        self._read_invoked_ns = column([])
        self.proofs: dict[str, dict[int, int]] = {}
        """First proof by an entry, per inbox and epoch."""

    def ok_ns(self, streams: Column) -> Column:
        """Return per stream the first ok of a message behind this part; NEVER without."""
        return _at(self._behind.ok_ns, streams, NEVER)

    def until_ns(self, inboxes: Column) -> Column:
        """Return per inbox the least U of a message behind this part; NEVER without."""
        return _at(self._behind.until_ns, inboxes, NEVER)

    @property
    def bucket_lowest(self) -> dict[tuple[int, int, int], int]:
        """Lowest position per (inspection, epoch, bucket) within its bucket, behind this part."""
        return self._behind.bucket_lowest

    def sent_end(self, streams: int) -> Column:
        """Return per stream the key behind the last message sent and delivered; -1 for none."""
        return _grown(self._sent_end, streams, -1)

    def read_last(self, streams: int) -> tuple[Column, Column]:
        """Return per stream the last key that its canonical reader has, and its I; -1 for none."""
        return _grown(self._read_last, streams, -1), _grown(self._read_invoked_ns, streams, -1)

    def take(self, facts: Facts, *, hangs: bool = False) -> None:
        """Add a part that was judged.

        Args:
            facts: Of the part.
            hangs: The part that is judged next hangs together with this one, so which positions
                of the two come first is not known.
        """
        self.parts += 1
        self._behind_next = self._behind_next.and_of(facts)
        if not hangs:
            self._behind = self._behind_next
        self._sent_end = facts.sent_end
        self._read_last, self._read_invoked_ns = facts.read_last
        self.proofs = facts.epoch_proofs


def _lowest(table: StoredTable) -> Iterator[tuple[tuple[int, int, int], int]]:
    """Yield each (inspection, epoch, bucket) and its lowest position within the bucket."""
    epoch, bucket, bpos = table.row_epoch, table.row_bucket, table.row_bpos
    order = np.lexsort((bpos, bucket, epoch))
    fresh = np.ones(len(order), dtype=np.bool_)
    e, b = epoch[order], bucket[order]
    fresh[1:] = (e[1:] != e[:-1]) | (b[1:] != b[:-1])
    for row in order[fresh].tolist():
        yield (table.inspection, int(epoch[row]), int(bucket[row])), int(bpos[row])


def _at(values: Column, places: Column, default: int) -> Column:
    if not len(values):
        return np.full(len(places), default, dtype=np.int64)
    return values[places]


def _grown(values: Column, size: int, fill: int) -> Column:
    more = np.full(size - len(values), fill, dtype=np.int64)
    return np.concatenate((values, more))
