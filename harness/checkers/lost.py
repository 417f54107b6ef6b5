"""A1, A2: was everything that was acknowledged delivered?

What goes in must come out; compared by identity, never by counting. Loss needs a drained inbox
(`Facts.drained`) as its precondition, a missing middle does not: once a later message of the same
sender was delivered, the order of positions proves that the reader has passed the earlier one.
The split into prefix, middle and suffix is Jepsen's (its NATS and Kafka workloads).
O(ranges log ranges).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.checkers import clues
from harness.checkers.check import Found, check
from harness.checkers.facts import Facts
from harness.checkers.intervals import KEY_BITS, NEVER, Column, Mask, Spans, split
from harness.systems.promises import Promise


@dataclass(frozen=True, slots=True, kw_only=True)
class LostSplit:
    """Lost messages by their place among what their sender had delivered."""

    prefix: int
    middle: int
    suffix: int


def split_lost(facts: Facts) -> LostSplit:
    """Return the split; of a sender of whom nothing was delivered everything is suffix."""
    lost, delivered = facts.lost, facts.delivered
    stream = lost.begins >> KEY_BITS
    streams = delivered.begins >> KEY_BITS
    first_at = np.searchsorted(streams, stream, side="left")
    last_at = np.searchsorted(streams, stream, side="right") - 1
    some = last_at >= first_at
    zero = np.zeros_like(stream)
    if len(streams):
        first = np.where(some, delivered.begins[np.minimum(first_at, len(streams) - 1)], zero)
        last = np.where(some, delivered.ends[np.maximum(last_at, 0)], zero)
    else:
        first = last = zero
    prefix = int(np.clip(np.minimum(lost.ends, first) - lost.begins, 0, None).sum())
    suffix = int(np.clip(lost.ends - np.maximum(lost.begins, last), 0, None).sum())
    return LostSplit(prefix=prefix, middle=lost.count - prefix - suffix, suffix=suffix)


@check("A1", "LOST", "acknowledged, and not delivered though the inbox was read to its end")
def lost(facts: Facts) -> Found:
    """Every OK(m) of a drained inbox is in R. Not drained: UNKNOWN, unless something is lost."""
    found = clues.of_spans(
        facts,
        facts.lost,
        lambda key: (
            f"was acknowledged at {clues.seconds(ok_time(facts, key))} and delivered to nobody, "
            "though its inbox was read to the confirmed end"
        ),
    )
    return Found(
        examined=facts.ok.count,
        instances=facts.lost.count,
        clues=found,
        unknown=facts.not_drained(),
    )


def ok_time(facts: Facts, key: int) -> int:
    """Return C of one message."""
    return int(facts.ok_at.at(np.array([key]), 0)[0])


def missing_middle(facts: Facts) -> tuple[int, Spans]:
    """Return (how many messages were compared, the acknowledged ones that were passed by)."""
    read, last_key = _canonical_reads(facts)
    if not read:
        return 0, Spans.empty()
    # Of each stream only what lies up to the last delivered id can have been passed by.
    streams = np.flatnonzero(last_key >= 0)
    below = Spans(streams << KEY_BITS, last_key[streams] + 1)
    passed = facts.ok.both(below)
    missing = passed.minus(read)
    if facts.promised(Promise.FIFO_PIPELINED):
        return passed.count, missing
    _, begins, ends = split(missing.begins, missing.ends, facts.ok_at.cuts)
    ok = facts.ok_at.at(begins, NEVER)
    # Invocation times rise with n, so the last delivered id is the strongest proof there is.
    later = facts.invoked_at.at(last_key[begins >> KEY_BITS], -1)
    sure = ok < later
    return passed.count, Spans(begins[sure], ends[sure])


def _canonical_reads(facts: Facts) -> tuple[Spans, Column]:
    """Return what the canonical readers delivered, and the last key of each stream (-1: none)."""
    chosen: Mask = np.zeros(len(facts.index.readers), dtype=np.bool_)
    for reader in facts.canonical.values():
        chosen[reader] = facts.from_start[reader]
    read = facts.delivered_to(chosen).both(facts.invoked)
    last_key = np.full(len(facts.index.streams), -1, dtype=np.int64)
    np.maximum.at(last_key, read.begins >> KEY_BITS, read.ends - 1)
    return read, last_key


@check("A2", "MISSING-MIDDLE", "acknowledged, and passed by though a later one was delivered")
def passed_by(facts: Facts) -> Found:
    """OK(n), C(n) < I(n') or FIFO promised, n' delivered by the canonical reader, n not by it."""
    examined, missing = missing_middle(facts)
    return Found(
        examined=examined,
        instances=missing.count,
        clues=clues.of_spans(
            facts,
            missing,
            lambda key: (
                f"was acknowledged at {clues.seconds(ok_time(facts, key))}; the reader delivered "
                "later ones of this sender and not this one"
            ),
        ),
        unknown="" if examined else _why_nothing_passed(facts),
    )


def _why_nothing_passed(facts: Facts) -> str:
    if not facts.canonical:
        return "nobody read"
    if not any(facts.from_start[reader] for reader in facts.canonical.values()):
        return "no canonical reader began at the start of its inbox"
    return "no acknowledged message lies before a delivered one of its sender"
