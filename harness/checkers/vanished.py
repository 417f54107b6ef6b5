"""What the log held and holds no more: acknowledged or delivered, and gone.

A message is gone if another one was seen at its position later (the log was wiped and its positions
were given out again) and it is at no other position, or if a complete inspection of the store lacks
it. What was never delivered at all is `Facts.lost` and not counted here. O(ranges log ranges).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.checkers.extent import Extent, extent_of
from harness.checkers.facts import Facts
from harness.checkers.fifo import holes
from harness.checkers.intervals import (
    KEY_BITS,
    NUMBER_LIMIT,
    Column,
    Spans,
    Steps,
    column,
    marks,
    split,
)
from harness.checkers.lost import missing_middle
from harness.checkers.unstored import missing_in_store
from harness.systems.promises import Promise


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """Messages of a part that are gone.

    Attributes:
        vanished: In the log once, and no more; none of them is in `Facts.lost`.
        reused: How many of these, or of the lost, have a position that was given out again: they
            were not seen there any more when another message was.
        passed_by: Acknowledged (or promised), neither lost nor vanished, and left out by a reader.
        extent: Of all lost and vanished messages together.
    """

    vanished: Spans
    reused: int
    passed_by: Spans
    extent: Extent


def gone(facts: Facts) -> Gone:
    """Return what is gone from the log, and what a reader left out."""
    displaced, replaced, reused = _displaced(facts)
    unstored = _unstored(facts)
    lost = facts.lost
    vanished = displaced.union(Spans.of(unstored.begins, unstored.ends)).minus(lost)
    missing = missing_middle(facts)[1]
    if facts.promised(Promise.PREFIX):
        missing = missing.union(holes(facts)[1])
    everything = lost.union(vanished)
    seen = _first_of(replaced, unstored, _passed(facts, lost))
    return Gone(
        vanished=vanished,
        reused=reused.both(displaced).count,
        passed_by=missing.minus(everything),
        extent=extent_of(facts, everything, seen, gone=True),
    )


def _first_of(*steps: Steps) -> Steps:
    """Return the least value of several functions, where any has one."""
    cuts = marks(*(one.cuts for one in steps))
    if not len(cuts):
        return steps[0]
    begins, ends = cuts[:-1], cuts[1:]
    never = np.iinfo(np.int64).max
    least = np.min([one.at(begins, never) for one in steps], axis=0)
    known = least < never
    return Steps.of(begins[known], ends[known], least[known])


def _displaced(facts: Facts) -> tuple[Spans, Steps, Spans]:
    """Return the messages that lost their only position to others, and when that was seen.

    The third are those whose last sight there came before, and whose position went to one that was
    sent after they had been seen there: it was given out again, and no two readers differ.
    """
    nothing = Spans.empty()
    _, shared = facts.shared_positions
    if not shared:
        return nothing, Steps(nothing.begins, nothing.ends, nothing.begins), nothing
    place, count, key, first, last = _observed(facts, shared)
    # Rows of one place lie behind each other, in the order in which they were first seen.
    replaced = np.zeros(len(place), dtype=np.bool_)
    replaced[:-1] = place[:-1] == place[1:]
    seen = np.append(first[1:], 0)[replaced]
    begins, ends = key[replaced], (key + count)[replaced]
    places = facts.places
    at = places.inbox << KEY_BITS | places.pos
    origin, cut, cut_end = split(at, at + places.count, shared.cuts)
    alone = ~shared.contains(cut)
    safe = places.key[origin] + cut - at[origin]
    kept = Spans.of(
        np.concatenate((safe[alone], key[~replaced])),
        np.concatenate(((safe + cut_end - cut)[alone], (key + count)[~replaced])),
    )
    displaced = Spans.of(begins, ends).minus(kept)
    order = np.argsort(seen, kind="stable")
    following = np.append(key[1:], -1)[replaced]
    sent = facts.invoked_at.at(following, -1)
    again = (last[replaced] <= seen) & (sent > first[replaced])
    return (
        displaced,
        Steps.of(begins[order], ends[order], seen[order]),
        Spans.of(begins[again], ends[again]),
    )


def _observed(facts: Facts, shared: Spans) -> tuple[Column, Column, Column, Column, Column]:
    """Return (place, messages, key, first and last seen) of every run seen at shared positions."""
    key, count, t, pos, _, _ = facts.deliveries
    named_key, named_count, named_t, outcome, named_pos, _ = facts.columns("completed")
    named = (outcome == 0) & (named_pos >= 0) & (named_pos + named_count <= NUMBER_LIMIT)
    stored, counts = facts.misplaced, facts.seen_elsewhere
    found = stored.key[counts]
    key = np.concatenate((key, named_key[named], found))
    count = np.concatenate((count, named_count[named], np.ones_like(found)))
    t = np.concatenate((t, named_t[named], stored.asked_ns[counts]))
    pos = np.concatenate((pos, named_pos[named], stored.pos[counts]))
    place = facts.inbox_of(key) << KEY_BITS | pos
    cuts = marks(place, place + count, shared.cuts)
    origin, begins, ends = split(place, place + count, cuts)
    inside = shared.contains(begins)
    origin, begins, ends = origin[inside], begins[inside], ends[inside]
    key, t = key[origin] + begins - place[origin], t[origin]
    order = np.lexsort((t, key, begins))
    begins, ends, key, t = begins[order], ends[order], key[order], t[order]
    fresh = np.ones(len(key), dtype=np.bool_)
    fresh[1:] = (key[1:] != key[:-1]) | (begins[1:] != begins[:-1])
    last = t[np.append(fresh[1:], True)] if len(t) else t
    begins, ends, key, t = begins[fresh], ends[fresh], key[fresh], t[fresh]
    order = np.lexsort((t, begins))
    return begins[order], (ends - begins)[order], key[order], t[order], last[order]


def _unstored(facts: Facts) -> Steps:
    """Return when an inspection lacked each message that one lacked."""
    begins, ends, seen = [column([])], [column([])], [column([])]
    for _, asked_ns, _, missing in missing_in_store(facts):
        begins.append(missing.begins)
        ends.append(missing.ends)
        seen.append(np.full(len(missing.begins), asked_ns, dtype=np.int64))
    return Steps.of(np.concatenate(begins), np.concatenate(ends), np.concatenate(seen))


def _passed(facts: Facts, lost: Spans) -> Steps:
    """Return when a later message of its sender was delivered in place of each lost one."""
    reached = facts.first_at
    after = np.searchsorted(reached.begins, lost.begins)
    some = after < len(reached.begins)
    some[some] &= reached.begins[after[some]] >> KEY_BITS == lost.begins[some] >> KEY_BITS
    begins, ends, after = lost.begins[some], lost.ends[some], after[some]
    return Steps.of(begins, ends, reached.values[after] if len(after) else column([]))
