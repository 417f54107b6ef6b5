"""What carries over from one part of a long history to the part before it.

Parts are judged from the latest to the first. Two parts never share a message or a position, and
every message of the later one lies behind every one of the earlier, in its stream and in its inbox
(`eras`). So all that an earlier part has to know of the later ones are a few numbers per stream and
per inbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.checkers.intervals import NEVER, Column, column

if TYPE_CHECKING:
    from harness.checkers.facts import Facts
    from harness.checkers.stored import StoredTable


class Later:
    """The later parts in numbers. `parts` counts them."""

    def __init__(self) -> None:
        self.parts = 0
        self._ok_ns = column([])
        self._until_ns = column([])
        self._sent_end = column([])
        self._read_last = column([])
        self._read_invoked_ns = column([])
        self.bucket_lowest: dict[tuple[str, int, int], int] = {}
        """Lowest position per (inbox, epoch, bucket) within its bucket."""
        self.proofs: dict[str, dict[int, int]] = {}
        """First proof by an entry, per inbox and epoch."""

    def ok_ns(self, streams: Column) -> Column:
        """Return per stream the first ok of a message with a known position; NEVER without."""
        return _at(self._ok_ns, streams, NEVER)

    def until_ns(self, inboxes: Column) -> Column:
        """Return per inbox the least U; NEVER without."""
        return _at(self._until_ns, inboxes, NEVER)

    def sent_end(self, streams: int) -> Column:
        """Return per stream the key behind the last message sent and delivered; -1 for none."""
        return _grown(self._sent_end, streams, -1)

    def read_last(self, streams: int) -> tuple[Column, Column]:
        """Return per stream the last key that its canonical reader has, and its I; -1 for none."""
        return _grown(self._read_last, streams, -1), _grown(self._read_invoked_ns, streams, -1)

    def take(self, facts: Facts) -> None:
        """Add a part that was judged."""
        self.parts += 1
        streams, inboxes = len(facts.index.streams), len(facts.index.inboxes)
        pieces = facts.pieces
        self._ok_ns = _grown(self._ok_ns, streams, NEVER)
        np.minimum.at(self._ok_ns, pieces.lines.stream, pieces.ok)
        self._until_ns = _grown(self._until_ns, inboxes, NEVER)
        np.minimum.at(self._until_ns, pieces.lines.inbox, pieces.until)
        self._sent_end = facts.sent_end
        self._read_last, self._read_invoked_ns = facts.read_last
        for table in facts.stored_distinct:
            self._take_stored(facts, table)

    def _take_stored(self, facts: Facts, table: StoredTable) -> None:
        epoch, bucket, bpos = table.row_epoch, table.row_bucket, table.row_bpos
        order = np.lexsort((bpos, bucket, epoch))
        fresh = np.ones(len(order), dtype=np.bool_)
        e, b = epoch[order], bucket[order]
        fresh[1:] = (e[1:] != e[:-1]) | (b[1:] != b[:-1])
        for row in order[fresh].tolist():
            which = (table.inbox, int(epoch[row]), int(bucket[row]))
            low = int(bpos[row])
            self.bucket_lowest[which] = min(low, self.bucket_lowest.get(which, low))
        if len(facts.index.lowest[facts.index.inbox(table.inbox)]) == 1:
            return
        until = facts.until_of(table.key)
        proofs = self.proofs.setdefault(table.inbox, {})
        for number in np.unique(epoch).tolist():
            first = int(until[table.epoch == number].min())
            proofs[number] = min(first, proofs.get(number, first))


def _at(values: Column, places: Column, default: int) -> Column:
    if not len(values):
        return np.full(len(places), default, dtype=np.int64)
    return values[places]


def _grown(values: Column, size: int, fill: int) -> Column:
    more = np.full(size - len(values), fill, dtype=np.int64)
    return np.concatenate((values, more))
