"""A1, A2: was everything that was acknowledged delivered?

What goes in must come out; compared by identity, never by counting. Loss needs a drained inbox
(`Facts.drained`) as its precondition, a missing middle does not: once a later message of the same
sender was delivered, the order of positions proves that the reader has passed the earlier one.
The split into prefix, middle and suffix is Jepsen's (its NATS and Kafka workloads).
O(ranges log ranges).
"""

from __future__ import annotations

import numpy as np

from harness.checkers import clues
from harness.checkers.check import Found, Reach, check
from harness.checkers.extent import extent_of
from harness.checkers.facts import Facts
from harness.checkers.intervals import KEY_BITS, NEVER, Spans, column, split
from harness.checkers.resume import FROM_CURSOR
from harness.history.records import Opened
from harness.systems.promises import Promise


@check(
    "A1",
    "LOST",
    "acknowledged, and not delivered though the inbox was read to its end",
    reach=Reach.KEYS,
)
def lost(facts: Facts) -> Found:
    """Every OK(m) of a drained inbox is in R. Not drained: UNKNOWN, unless something is lost."""
    found = clues.of_spans(
        facts,
        facts.lost,
        lambda key: (
            f"was acknowledged at {clues.seconds(ok_time(facts, key))} and delivered to nobody, "
            f"though its inbox was read to the confirmed end{_readings(facts, key)}; "
            f"{_place(facts, key)}"
        ),
    )
    return Found(
        examined=facts.ok.count,
        instances=facts.lost.count,
        extent=extent_of(facts, facts.lost, gone=True),
        clues=found,
        unknown=facts.not_drained(),
    )


def _readings(facts: Facts, key: int) -> str:
    """Return how often the inbox was read from its start: a second reading rules out a skip."""
    inbox = facts.index.streams[key >> KEY_BITS].inbox
    times = sum(
        of == inbox and facts.from_start[reader]
        for reader, (_, of) in enumerate(facts.index.readers)
    )
    return f", {times} times from its start" if times > 1 else ""


def _place(facts: Facts, key: int) -> str:
    """Return where it lay among what its sender had delivered."""
    stream = facts.index.streams[key >> KEY_BITS]
    if key >= stream.delivered_end:
        return "no later one of its sender was delivered"
    if key < stream.delivered_first:
        return "no earlier one of its sender was delivered"
    return "earlier and later ones of its sender were delivered"


def ok_time(facts: Facts, key: int) -> int:
    """Return C of one message."""
    return int(facts.ok_at.at(np.array([key]), 0)[0])


def missing_middle(facts: Facts) -> tuple[int, Spans]:
    """Return (how many messages were compared, the acknowledged ones that were passed by)."""
    last_key, last_invoked_ns = facts.read_last
    # Of each stream only what lies up to the last delivered id can have been passed by.
    streams = np.flatnonzero(last_key >= 0)
    below = Spans(streams << KEY_BITS, last_key[streams] + 1)
    passed = facts.ok.both(below)
    missing = passed.minus(facts.canonical_reads).minus(_left_to_others(facts))
    if facts.promised(Promise.FIFO_PIPELINED):
        return passed.count, missing
    _, begins, ends = split(missing.begins, missing.ends, facts.ok_at.cuts)
    ok = facts.ok_at.at(begins, NEVER)
    # Invocation times rise with n, so the last delivered id is the strongest proof there is.
    sure = ok < last_invoked_ns[begins >> KEY_BITS]
    return passed.count, Spans(begins[sure], ends[sure])


def _left_to_others(facts: Facts) -> Spans:
    """Return what canonical readers need not have: what others had acknowledged for them.

    Readers of one inbox share its cursor. One that leaves its place to the cursor begins behind
    what another has acknowledged; and so does one that names its own place, where the store drops
    what was acknowledged. Whether it begins too far is A12's question.
    """
    reader_of = facts.canonical
    top: dict[int, int] = {}
    key, end = [column([])], [column([])]
    log = facts.log
    for session in facts.index.sessions:
        reader, opened = session.reader, session.opened
        upto = top.get(reader, -1)
        top[reader] = max(upto, session.top_pos)
        if reader_of[session.inbox] != reader or opened is None:
            continue
        if opened.from_pos != FROM_CURSOR and not facts.run.trims:
            continue
        # An acknowledgement that was not answered may drop messages after the login.
        begin = max(opened.next_pos, session.first_pos) if facts.run.trims else opened.next_pos
        stop = min(begin, _tried_by_others(facts, reader, opened) + 1)
        if stop <= upto + 1:
            continue
        mine = log.inbox == session.inbox
        begins = log.key + np.maximum(upto + 1 - log.pos, 0)
        ends = np.minimum(log.end, log.key + stop - log.pos)
        mine &= begins < ends
        key.append(begins[mine])
        end.append(ends[mine])
    return Spans.of(np.concatenate(key), np.concatenate(end))


def _tried_by_others(facts: Facts, reader: int, opened: Opened) -> int:
    """Return the highest position that others had tried to acknowledge when a session opened."""
    inbox = facts.index.inbox(opened.inbox)
    lineage, _, upto, t_ns = facts.index.acks_invoked.columns()
    inboxes = column([of for _, of in facts.index.readers])
    theirs = (inboxes[lineage] == inbox) & (lineage != reader) & (t_ns < opened.t_ns)
    return int(upto[theirs].max(initial=-1))


@check(
    "A2",
    "MISSING-MIDDLE",
    "acknowledged, and passed by though a later one was delivered",
    reach=Reach.KEYS,
)
def passed_by(facts: Facts) -> Found:
    """OK(n), C(n) < I(n') or FIFO promised, n' delivered by the canonical reader, n not by it.

    What another reader of the inbox had acknowledged before a login that left its place to the
    cursor is not asked of the canonical one.
    """
    examined, missing = missing_middle(facts)
    return Found(
        examined=examined,
        instances=missing.count,
        extent=extent_of(facts, missing, gone=True),
        clues=clues.of_spans(
            facts,
            missing,
            lambda key: (
                f"was acknowledged at {clues.seconds(ok_time(facts, key))}; the reader delivered "
                f"later ones of this sender and not this one; {_elsewhere(facts, key)}"
            ),
        ),
        unknown="" if examined else _why_nothing_passed(facts),
    )


def _elsewhere(facts: Facts, key: int) -> str:
    """Return whether it was skipped only, or is missing for all readers."""
    if facts.delivered.contains(np.array([key]))[0]:
        return "another reading has it, so it was skipped"
    return "no other reading has it"


def _why_nothing_passed(facts: Facts) -> str:
    if not facts.canonical:
        return "nobody read"
    if not any(facts.from_start[reader] for reader in facts.canonical.values()):
        return "no canonical reader began at the start of its inbox"
    return "no acknowledged message lies before a delivered one of its sender"
