"""D1, D2, D3: what stayed open, and did everything come to rest?

None of these is a broken promise of safety: an unknown outcome is legal, and a system that is slow
or stuck has not lost anything yet. So D1 only counts, and D2 and D3 leave the run UNKNOWN.
"""

from __future__ import annotations

from harness.checkers import clues
from harness.checkers.check import Clue, Found, Reach, check
from harness.checkers.facts import DRAINED, Facts
from harness.report.result import CheckStatus


@check(
    "D1",
    "UNRESOLVED",
    "sent with an unknown outcome and not delivered; counted, never an error",
    found=CheckStatus.PASS,
    reach=Reach.KEYS,
)
def unresolved(facts: Facts) -> Found:
    """INFO and not in R at drain. Instances are messages."""
    open_ones = facts.unknown.minus(facts.delivered)
    return Found(
        examined=facts.invoked.count,
        instances=open_ones.count,
        clues=clues.of_spans(facts, open_ones, lambda _key: "ended unknown and was not delivered"),
        note=f"{facts.totals.unresolved:,} sends ended unknown and were not delivered (legal)"
        if facts.totals.unresolved
        else "",
    )


@check(
    "D2",
    "UNSEEN",
    "acknowledged, not delivered, and the end not reached",
    found=CheckStatus.UNKNOWN,
    reach=Reach.KEYS,
)
def unseen(facts: Facts) -> Found:
    """OK and not delivered in an inbox that was not drained; in a drained one that is A1."""
    waiting = facts.ok.minus(facts.delivered).minus(facts.lost)
    totals = facts.totals
    note = ""
    if totals.unseen:
        age_s = (facts.index.last_ns - totals.oldest_unseen_ns) / 1e9
        note = f"{totals.unseen:,} acknowledged messages unseen, the oldest for {age_s:.3f} s"
    return Found(
        examined=facts.ok.count,
        instances=waiting.count,
        clues=clues.of_spans(
            facts, waiting, lambda _key: "was acknowledged and has not been delivered yet"
        ),
        note=note,
    )


@check(
    "D3",
    "STUCK",
    "no outcome or no progress after healing",
    found=CheckStatus.UNKNOWN,
    reach=Reach.KEYS,
)
def stuck(facts: Facts) -> Found:
    """Tell whether the drain reached its end and every send has an outcome.

    The times it takes are measured where the waiting is done; here its conclusion is repeated.
    """
    examined = facts.invoked.count + (len(facts.index.sessions) if facts.is_last else 0)
    if facts.run.trouble:
        code, reason = facts.run.trouble[0]
        return Found(examined=examined, unknown=f"{code}: {reason}")
    if not any(mark.name == DRAINED and mark.begins for mark in facts.index.phases):
        return Found(examined=examined, unknown="the drain did not reach its end")
    silent = facts.silent
    if silent:
        producer, inbox, n = facts.message(int(silent.begins[0]))
        clue = Clue(
            summary=f"{facts.describe(int(silent.begins[0]))} never got an outcome",
            inbox=inbox,
            producer=producer,
            n=n,
        )
        return Found(examined=examined, instances=silent.count, clues=[clue])
    return Found(examined=examined)
