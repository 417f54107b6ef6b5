"""A6, A7: is the log one sequence, with each message in it once?

A run of messages at consecutive positions is a line: key and position rise together. Two lines of
one stream that share an n put that message at two positions; two lines that share a position hold
two messages there. So both questions are coverage counts over the lines, exact for the whole
history, whatever reader, reply or inspection named them. O(lines log lines), and O(log lines) for
each message that an inspection found.
"""

from __future__ import annotations

import numpy as np

from harness.checkers import clues
from harness.checkers.check import WITNESSES_MAX, Clue, Found, Reach, check
from harness.checkers.extent import extent_of
from harness.checkers.facts import Facts
from harness.checkers.intervals import KEY_BITS, NUMBER_LIMIT, Spans, depths
from harness.systems.promises import Promise


def doubled(facts: Facts) -> Spans:
    """Return the messages that are at two or more positions."""
    begins, ends, depth = depths(facts.places.key, facts.places.end)
    return Spans(begins[depth > 1], ends[depth > 1])


@check("A6", "DIVERGENT", "two different messages at one position", reach=Reach.PARTS)
def divergent(facts: Facts) -> Found:
    """Over all readers, replays, replies and inspections; instances are positions.

    A stored message counts where it had taken effect before the inspection, or where the one had
    that the log has at its position.
    """
    examined, shared = facts.shared_positions
    log = facts.log_and(facts.seen_elsewhere)
    begin = log.inbox << KEY_BITS | log.pos
    found = []
    for place in shared.begins[:WITNESSES_MAX].tolist():
        inbox, pos = place >> KEY_BITS, place & (NUMBER_LIMIT - 1)
        over = np.flatnonzero((begin <= place) & (place < begin + log.count))
        keys = [int(log.key[i] + place - begin[i]) for i in over[:2]]
        found.append(
            Clue(
                summary=(
                    f"position {pos} of {facts.index.inboxes[inbox]} holds both "
                    f"{facts.describe(keys[0])} and {facts.describe(keys[1])}"
                ),
                inbox=facts.index.inboxes[inbox],
                pos=pos,
                others=tuple(facts.message(key)[::2] for key in keys),
            )
        )
    return Found(examined=examined, instances=shared.count, clues=found)


@check(
    "A7",
    "DUP-LOG",
    "one message at two positions of the log",
    needs=Promise.EXACTLY_ONCE_LOG,
    reach=Reach.KEYS,
)
def dup_log(facts: Facts) -> Found:
    """Instances are messages. Redelivery of one position is no duplicate; it is counted apart."""
    log, twice = facts.places, doubled(facts)
    begins, ends, _ = depths(log.key, log.end)

    def tell(key: int) -> str:
        over = (log.key <= key) & (key < log.end)
        positions = (log.pos + key - log.key)[over].tolist()
        return f"is in the log at the positions {', '.join(map(str, sorted(positions)[:4]))}"

    return Found(
        examined=int((ends - begins).sum()),
        instances=twice.count,
        extent=extent_of(facts, twice),
        clues=clues.of_spans(facts, twice, tell),
    )
