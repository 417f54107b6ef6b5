"""C4, C5, C6: does a change of the bucket count cut the log cleanly, and lose nothing?

A new count begins a new epoch at a position: below it lies the old epoch, above it the new one, and
who sends after the change was proven lies in the new one. Judged from what an inspection found.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.checkers import clues
from harness.checkers.check import WITNESSES_MAX, Clue, Found, Reach, check
from harness.checkers.duplicated import doubled
from harness.checkers.facts import Facts
from harness.checkers.fifo import reordered
from harness.checkers.inspected import found_in_store
from harness.checkers.intervals import NEVER, Column, Mask, Spans, column, marks, split
from harness.checkers.stored import StoredTable
from harness.history.records import OK, ResizeInvoked
from harness.systems.promises import Promise


@check(
    "C4",
    "EPOCH-OVERLAP",
    "an entry lies above one of a later epoch",
    needs=Promise.EPOCH_CUT,
    reach=Reach.PARTS,
)
def epoch_overlap(facts: Facts) -> Found:
    """Entry of epoch e at a position above some entry of e' > e, both of one inspection.

    Instances are messages, once per inspection that found them.
    """
    examined = instances = 0
    found: list[Clue] = []
    for table in facts.stored:
        known = sorted(facts.index.inspections.snapshots[table.inspection].lowest.items())
        examined += len(table.pos)
        if len(known) == 1:
            continue
        epochs, lowest = column([e for e, _ in known]), column([low for _, low in known])
        least = _least_above(lowest)[np.searchsorted(epochs, table.row_epoch)]
        wrong = table.pos > np.repeat(least, table.counts)
        instances += int(wrong.sum())
        found += _clues(table, wrong, "lies above an entry of a later epoch")
    return found_in_store(facts, examined=examined, instances=instances, clues=found)


@check(
    "C5",
    "STALE-EPOCH",
    "stored in an old epoch though sent after a newer one was proven",
    needs=Promise.EPOCH_CUT,
    reach=Reach.PARTS,
)
def stale_epoch(facts: Facts) -> Found:
    """Look for an m of epoch e with I(m) later than the first proof of e' > e; count messages.

    A proof is the ok of a resize, or U of an entry of e' that had taken effect before the
    inspection that found it began; a resize that ended unknown is proven by an entry only.
    Instances are messages, once per inspection that found them.
    """
    examined = instances = 0
    found: list[Clue] = []
    proofs = facts.epoch_proofs
    for table in facts.stored:
        examined += len(table.pos)
        proven = _proven(facts, table.inbox, proofs.get(table.inbox, {}))
        epochs = np.unique(np.concatenate((table.row_epoch, proven[:, 0])))
        if int(table.row_epoch.min()) == int(epochs[-1]):
            continue
        which = np.searchsorted(epochs, table.epoch)
        proof = np.full(len(epochs), NEVER, dtype=np.int64)
        np.minimum.at(proof, np.searchsorted(epochs, proven[:, 0]), proven[:, 1])
        invoked = facts.invoked_at.at(table.key, -1)
        wrong = invoked > _least_above(proof)[which]
        instances += int(wrong.sum())
        found += _clues(table, wrong, "was sent after a newer epoch was proven")
    return found_in_store(facts, examined=examined, instances=instances, clues=found)


def _least_above(values: Column) -> Column:
    """Return for each place the least value behind it."""
    least = np.full(len(values), NEVER, dtype=np.int64)
    if len(values) > 1:
        least[:-1] = np.minimum.accumulate(values[::-1])[::-1][1:]
    return least


def _proven(facts: Facts, inbox: str, by_entry: Mapping[int, int]) -> Column:
    """Return rows (epoch, when its resize was confirmed, or an entry proved it)."""
    rows = [
        (resize.epoch, resize.t_ns)
        for resize in facts.index.resizes
        if resize.inbox == inbox and resize.outcome == OK
    ]
    return np.array([*rows, *by_entry.items()], dtype=np.int64).reshape(-1, 2)


def _clues(table: StoredTable, wrong: Mask, what: str) -> list[Clue]:
    return [
        Clue(
            summary=f"{table.describe(row)} {what}",
            inbox=table.inbox,
            producer=int(table.producer[row]),
            n=int(table.n[row]),
            pos=int(table.pos[row]),
        )
        for row in np.flatnonzero(wrong)[:WITNESSES_MAX].tolist()
    ]


@check(
    "C6",
    "RESIZE-LOSS",
    "lost, doubled or reordered while its inbox was being resized",
    needs=Promise.BUCKETS,
    reach=Reach.PARTS,
)
def resize_loss(facts: Facts) -> Found:
    """A1, A7 or B2 of a message under way ([I, U]) during a resize, and A7 of one moved by it.

    The same anomalies as there, told apart because a resize is what they have in common. Moved is
    what an inspection after the resize found at another position. Instances are messages.
    """
    if not facts.index.resizes_invoked:
        return Found(examined=0, not_applicable="no inbox was resized")
    wrong, moved = facts.lost, Spans.empty()
    if facts.promised(Promise.EXACTLY_ONCE_LOG):
        twice = doubled(facts)
        wrong = wrong.union(twice)
        moved = _moved(facts).both(twice)
    if facts.promised(Promise.FIFO_PIPELINED):
        lines, count, _ = reordered(facts)
        wrong = wrong.union(Spans.of(lines.key, lines.key + count))
    cuts = marks(facts.invoked_at.cuts, facts.ok_at.cuts, facts.first_at.cuts)
    _, begins, ends = split(wrong.begins, wrong.ends, cuts)
    invoked = facts.invoked_at.at(begins, NEVER)
    until = facts.until_of(begins)
    inbox = facts.inbox_of(begins)
    under_way = np.zeros(len(begins), dtype=np.bool_)
    for resize in facts.index.resizes_invoked:
        mine = inbox == facts.index.inbox(resize.inbox)
        under_way |= mine & (invoked <= _resize_end(facts, resize)) & (until >= resize.t_ns)
    labelled = Spans(begins[under_way], ends[under_way]).union(moved)
    return Found(
        examined=len(facts.index.resizes_invoked) if facts.is_last else 0,
        instances=labelled.count,
        clues=clues.of_spans(
            facts, labelled, lambda _key: "was under way while its inbox was being resized"
        ),
        unknown=facts.not_drained(),
    )


def _moved(facts: Facts) -> Spans:
    """Return what was found elsewhere after a resize that was not over when it was sent."""
    key, asked_ns = facts.misplaced.key[facts.elsewhere], facts.misplaced.asked_ns[facts.elsewhere]
    invoked, inbox = facts.invoked_at.at(key, NEVER), facts.inbox_of(key)
    moved = np.zeros(len(key), dtype=np.bool_)
    for resize in facts.index.resizes_invoked:
        mine = inbox == facts.index.inbox(resize.inbox)
        since = (resize.t_ns < asked_ns) & (invoked <= _resize_end(facts, resize))
        moved |= mine & since
    return Spans.of(key[moved], key[moved] + 1)


def _resize_end(facts: Facts, asked: ResizeInvoked) -> int:
    for done in facts.index.resizes:
        same = (done.inbox, done.expected_epoch, done.bucket_count) == (
            asked.inbox,
            asked.expected_epoch,
            asked.bucket_count,
        )
        if same and done.t_ns >= asked.t_ns:
            return done.t_ns if done.outcome == OK else NEVER
    return NEVER
