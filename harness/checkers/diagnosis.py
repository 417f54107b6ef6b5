"""What happened to a run that failed: one paragraph that a tired person understands. Pure.

Of all that failed one thing is the root and is told; the others are named. Messages that are gone
come first: a log that was wiped and filled again breaks identity, order and buckets too, and every
one of these follows from the loss. Else the first to believe is told (`TRUST_ORDER`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.checkers.check import Found
from harness.checkers.extent import Extent, Struck, struck
from harness.checkers.facts import Facts
from harness.checkers.intervals import NEVER
from harness.checkers.meanings import BLOWS, WHAT_HAPPENED
from harness.checkers.trust import in_trust_order
from harness.report.result import Check, CheckStatus, Diagnosis

INBOXES_TOLD_MAX = 3
"""More inboxes than this are told by their number."""

FAULTS_TOLD_MAX = 2
"""More faults than this are told by their number."""

_NAMES_A_LOSS = ("A1", "C8", "A6", "A2", "B3")
"""The checks that may name messages that are gone, the plainest first."""

_FALSE_IDENTITY = frozenset({"A3", "A4", "A5"})
"""What makes losses doubtful: the messages may be there under a wrong name or content."""


def diagnose(facts: Facts, results: Sequence[Check], answers: Sequence[object]) -> Diagnosis | None:
    """Return what happened; None unless a check failed.

    Args:
        facts: Of the last part, with the totals of all.
        results: The checks.
        answers: What each of them found, in the same order.
    """
    failed = in_trust_order(one for one in results if one.status is CheckStatus.FAIL)
    if not failed:
        return None
    found = dict(zip((one.id for one in results), answers, strict=True))
    by_id = {one.id: one for one in failed}
    totals = facts.totals
    names = [one for one in _NAMES_A_LOSS if one in by_id]
    # Where two readers see two logs at a time, nothing is known to have vanished.
    two_logs = names[:1] == ["A6"] and not totals.reused
    if totals.gone.count and names and not two_logs and not _FALSE_IDENTITY & by_id.keys():
        return _of_gone(facts, by_id[names[0]], failed)
    return _of_check(facts, failed[0], found[failed[0].id], failed)


def _of_gone(facts: Facts, root: Check, failed: Sequence[Check]) -> Diagnosis:
    totals, extent = facts.totals, facts.totals.gone
    acknowledged = extent.acknowledged == extent.count
    many = _messages(extent.count, "acknowledged message" if acknowledged else "message")
    known = totals.vanished or totals.reused
    what = f"{many} vanished" if known else f"{many} {_was(extent.count)} lost"
    text = f"{what}{_when(facts, extent)}{_whose(extent)}."
    one = extent.count == 1
    if totals.reused == extent.count:
        text += f" The log went back: {'its position was' if one else 'their positions were'}"
        text += " given out again."
    elif totals.reused:
        text += f" The log went back: {totals.reused:,} of their positions were given out again."
    elif totals.lost == extent.count:
        text += (
            " Nobody got it, though its inbox was"
            if one
            else (" Nobody got them, though their inboxes were")
        )
        text += " read to the end."
    elif not totals.lost:
        text += f" {'It was' if one else 'They were'} in the log, and the store lacks"
        text += " it now." if one else " them now."
    if totals.lost and totals.lost < extent.count:
        text += f" {totals.lost:,} of them never reached a reader."
    return _made(text, root, extent, extent.count, failed)


def _of_check(facts: Facts, root: Check, found: object, failed: Sequence[Check]) -> Diagnosis:
    extent = found.extent if isinstance(found, Found) else None
    when = ""
    if extent is not None and extent.count:
        when = _when(facts, extent, ", after")
    elif isinstance(found, Found):
        extent = _of_clues(facts, found)
        when = _before(facts, extent)
    else:
        extent = Extent()
    one, several = WHAT_HAPPENED.get(root.id, ("", ""))
    number = root.instances
    if one:
        what = (one if number == 1 else several).format(n=f"{number:,}")
    else:
        what = f"{root.name} ({root.id}), {number:,} found in {root.examined:,}: {root.reason}"
    text = f"{what.rstrip('.')}{when}{_whose(extent)}."
    return _made(text, root, extent, number, failed)


def _of_clues(facts: Facts, found: Found) -> Extent:
    """Return what the witnesses alone tell: the first of all that were found."""
    inboxes: Counter[str] = Counter()
    times = []
    for clue in found.clues:
        record = clue.record
        inbox = clue.inbox or str(getattr(record, "inbox", "") or getattr(record, "user", ""))
        if inbox:
            inboxes[inbox] += 1
        if record is not None:
            times.append(int(record.t_ns))
    if not times:
        return Extent(inboxes=inboxes)
    before = [one.id for one in struck(facts.index.faults) if one.requested_ns <= min(times)]
    return Extent(
        inboxes=inboxes,
        first_ns=min(times),
        last_ns=max(times),
        faults={before[-1]: len(times)} if before else {},
    )


def _made(
    text: str, root: Check, extent: Extent, number: int, failed: Sequence[Check]
) -> Diagnosis:
    ranked = Counter(dict(extent.faults)).most_common()
    return Diagnosis(
        text=text,
        check=root.id,
        messages=number,
        inboxes=[name for name, _ in Counter(dict(extent.inboxes)).most_common()],
        first_ns=extent.first_ns if extent.first_ns < NEVER else None,
        last_ns=extent.last_ns if extent.last_ns >= 0 else None,
        faults=[name for name, _ in ranked if name],
        also_failed=[f"{one.id} {one.name}" for one in failed if one.id != root.id],
    )


def _messages(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _when(facts: Facts, extent: Extent, word: str = " when") -> str:
    """Return behind which faults, where any may explain it."""
    by_id = {one.id: one for one in struck(facts.index.faults)}
    ranked = [
        (by_id[name], number)
        for name, number in Counter(dict(extent.faults)).most_common()
        if name in by_id
    ]
    if not ranked:
        return ", and no fault explains it" if by_id else ""
    told = sorted(ranked[:FAULTS_TOLD_MAX], key=lambda pair: pair[0].requested_ns)
    unexplained = extent.faults.get("", 0)
    parts = [
        _blow(fault) + (f" ({number:,} of them)" if len(ranked) > 1 or unexplained else "")
        for fault, number in told
    ]
    more = len(ranked) - len(told)
    behind = f", and after {more} other {'fault' if more == 1 else 'faults'}" if more else ""
    blows = f"{word} {' and '.join(parts)}{behind}"
    if not unexplained:
        return blows
    if unexplained > extent.count - unexplained:
        # What none explains is the larger part, so none is told as the cause of all.
        return f", and no fault explains {unexplained:,} of them; the others{blows}"
    others = "other one" if unexplained == 1 else f"other {unexplained:,}"
    return f"{blows}; no fault explains the {others}"


def _before(facts: Facts, extent: Extent) -> str:
    """Return the last fault before the first witness, which is all that can be said of these."""
    blows = {one.id: _blow(one) for one in struck(facts.index.faults)}
    told = [blows[name] for name in extent.faults if name in blows]
    return f" (the last fault before: {told[0]})" if told else ""


def _blow(fault: Struck) -> str:
    first, *others = fault.targets or ("it",)
    more = f" and {len(others)} more" if others else ""
    what = BLOWS.get(fault.kind, f"{fault.kind} struck {{target}}")
    told = what.format(target=first + more, was=_was(1 + len(others)))
    return f"{told} at {fault.requested_ns / 1e9:.2f} s"


def _whose(extent: Extent) -> str:
    """Return the inboxes and the moments."""
    names = [name for name, _ in Counter(dict(extent.inboxes)).most_common()]
    told = []
    if names:
        shown = names if len(names) <= INBOXES_TOLD_MAX else names[: INBOXES_TOLD_MAX - 1]
        more = len(names) - len(shown)
        listed = ", ".join(shown[:-1]) + " and " + shown[-1] if len(shown) > 1 else shown[0]
        if more:
            listed = f"{', '.join(shown)} and {more} more"
        told.append(f"{'inbox' if len(names) == 1 else 'inboxes'} {listed}")
    if extent.last_ns >= 0 and extent.first_ns < NEVER:
        did = "seen"
        if extent.acknowledged:
            did = "acknowledged" if extent.acknowledged == extent.count else "sent"
        elif extent.count and extent.faults and "" in extent.faults:
            did = "sent"
        first, last = extent.first_ns / 1e9, extent.last_ns / 1e9
        moments = f"at {first:.2f} s"
        if f"{first:.2f}" != f"{last:.2f}":
            moments = f"between {first:.2f} and {last:.2f} s"
        told.append(f"{did} {moments}")
    return f": {', '.join(told)}" if told else ""
