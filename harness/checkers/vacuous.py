"""D5: was anything tested at all?

A run in which nothing was sent, no fault had an effect or nobody reconnected proves nothing,
however clean its history is; so it is UNKNOWN. The idea is Jepsen's (a history without a successful
operation of some kind is not valid) and TigerBeetle's (assert that what should happen did).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from fnmatch import fnmatchcase

from harness.checkers.check import Clue, Found, Reach, check
from harness.checkers.facts import QUIET, Facts
from harness.checkers.index import Index
from harness.checkers.intervals import NEVER
from harness.checkers.run_facts import RunFacts
from harness.history.records import BY_PHASE, FAIL, INFO, OK, Completed, missed
from harness.report.result import CheckStatus
from harness.systems.topology import CLIENT_LINKS

ANY_CLIENT = f"{CLIENT_LINKS}*"
"""Stands for all client links."""


_RESENT = "message{s} acknowledged after more than one attempt"

NOTHING_RESENT = (
    "clients that are told at their return what of theirs is stored send none of it again; the "
    "scenario's Requires.resent is not for such a system"
)
"""What stands beside a requirement of resends where there were none. The reference's clients come
back so: their login is answered with the last message that is durable."""


@check(
    "D5",
    "VACUOUS",
    "what was to be tested did not happen",
    found=CheckStatus.UNKNOWN,
    reach=Reach.ONCE,
)
class Vacuous:
    """Compares what happened with what the scenario requires. Instances are shortfalls."""

    sees = (Completed,)

    def __init__(self) -> None:
        self._resent = 0

    def see(self, record: Completed, _index: Index, run: RunFacts) -> None:
        """Count what was acknowledged only after another attempt."""
        if record.attempts < 2 or record.outcome != OK:
            return
        if run.senders.get(record.producer) not in run.extra_actors:
            self._resent += record.count

    def finish(self, facts: Facts) -> Found:
        """Return every shortfall."""
        return _shortfalls(facts, self._resent)


def _shortfalls(facts: Facts, resent: int) -> Found:
    index, needs = facts.index, facts.run.requires
    happened = {
        "acknowledged message{s}": (facts.totals.ok, needs.sends_ok),
        "distinct delivered message{s}": (facts.totals.delivered, needs.delivered),
        "sender reconnect{s}": (
            _reconnects(facts, "sender"),
            # A churn that is planned cuts somebody.
            max(needs.sender_reconnects, "sender" in facts.run.churns),
        ),
        "receiver reconnect{s}": (
            _reconnects(facts, "receiver"),
            max(needs.receiver_reconnects, "receiver" in facts.run.churns),
        ),
        "reconnect{s} of every sender": (_least(facts, "sender"), needs.sender_reconnects_each),
        "reconnect{s} of every receiver": (
            _least(facts, "receiver"),
            needs.receiver_reconnects_each,
        ),
        "confirmed resize{s}": (
            sum(resize.outcome == OK for resize in index.resizes),
            max(needs.resizes, min(1, len(index.resizes_invoked))),
        ),
        "change{s} by the system's own rule": (
            sum(resize.outcome == OK and resize.by_rule for resize in index.resizes),
            needs.own_resizes,
        ),
        # Who says how many changes must be confirmed knows that some may not be.
        "planned resize{s} in effect": (
            _resizes_in_effect(facts),
            0 if needs.resizes else facts.run.promotions or 0,
        ),
        "fault{s} with an effect": (len(effective(facts)), needs.fault_effects),
        _RESENT: (resent, needs.resent),
        "message{s} waiting in one inbox": (
            facts.totals.backlog() if needs.backlog else 0,
            needs.backlog,
        ),
    }
    short = [
        f"{_counted(have, what)}, {need:,} required"
        + (f" ({NOTHING_RESENT})" if what == _RESENT and not have else "")
        for what, (have, need) in happened.items()
        if have < need
    ]
    short += _not_carried_out(facts)
    short += [
        f"fault {fault} ({kind} on {target}) had no observed effect"
        for fault, (kind, target) in struck(facts).items()
        if fault not in effective(facts)
    ]
    return Found(
        examined=len(happened) + len(facts.run.planned) + len(struck(facts)),
        instances=len(short),
        clues=[Clue(summary=text) for text in short],
        note="; ".join(short or _told(happened)),
    )


def _resizes_in_effect(facts: Facts) -> int:
    """Return how many changes are known to have happened.

    One that was asked for again, its outcome being open, and is refused then since its epoch has
    passed, has happened at the first time.
    """
    outcomes: dict[tuple[str, int, int], list[str]] = defaultdict(list)
    for resize in facts.index.resizes:
        key = resize.inbox, resize.expected_epoch, resize.bucket_count
        outcomes[key].append(resize.outcome)
    return sum(OK in seen or (INFO in seen and seen[-1] == FAIL) for seen in outcomes.values())


def _told(happened: Mapping[str, tuple[int, int]]) -> list[str]:
    """Return what happened beside what is required, for whoever chooses what to require."""
    return [
        _counted(have, what) + (f" ({need:,} required)" if need else "")
        for what, (have, need) in happened.items()
        if have or need
    ]


def _counted(have: int, what: str) -> str:
    return f"{have:,} {what.format(s='' if have == 1 else 's')}"


def _not_carried_out(facts: Facts) -> list[str]:
    """Return what was planned more often than it was done.

    What is planned for a pattern strikes each link and process that fits, so each of them has to
    be struck as often as something planned fits it; one may not stand in for another. Of client
    links those are struck that are in use, all at once, so there only how often is known.
    """
    done: dict[tuple[str, str], set[str]] = defaultdict(set)
    for mark in facts.index.faults:
        if not mark.fault.startswith(BY_PHASE):
            done[mark.kind, _place(mark.target)].add(mark.fault)
    wanted: Counter[tuple[str, str]] = Counter()
    for kind, on in facts.run.planned:
        places = [
            place for struck_by, place in done if struck_by == kind and fnmatchcase(place, on)
        ]
        wanted.update((kind, place) for place in places or [_place(on)])
    return [
        f"{kind} on {place} was planned {times:,} times and done {len(done[kind, place]):,} times"
        for (kind, place), times in sorted(wanted.items())
        if len(done[kind, place]) < times
    ]


def _place(target: str) -> str:
    """Return where a fault strikes: a target, or client links as a whole."""
    return ANY_CLIENT if target.startswith(CLIENT_LINKS) else target


def _reconnects(facts: Facts, role: str) -> int:
    """Return how often somebody of the plan came back."""
    return sum(
        visits.reconnects
        for (found, name), visits in facts.index.visits.items()
        if found == role and name not in facts.run.extra_actors
    )


def _least(facts: Facts, role: str) -> int:
    """Return how often that one came back that did so least often; those of the drain aside."""
    quiet = [mark.t_ns for mark in facts.index.phases if mark.name == QUIET and mark.begins]
    quiet_ns = quiet[-1] if quiet else NEVER
    return min(
        (
            visits.reconnects
            for (found, name), visits in facts.index.visits.items()
            if found == role and visits.first_ns < quiet_ns and name not in facts.run.extra_actors
        ),
        default=0,
    )


def struck(facts: Facts) -> dict[str, tuple[str, str]]:
    """Return (kind, target) of every fault that was requested, by its id."""
    return {mark.fault: (mark.kind, mark.target) for mark in facts.index.faults}


def effective(facts: Facts) -> set[str]:
    """Return the ids of faults of which an effect was observed, on each target that was there.

    What was seen last of a target counts: a healing may show that what was seen before was none.
    """
    last = {(mark.fault, mark.target): mark for mark in facts.index.faults}
    bit = {mark.fault for mark in last.values() if mark.effective}
    return bit - {mark.fault for mark in last.values() if missed(mark.effective, mark.effect)}
