"""A9, A12, A13: does a new session go on where the last one ended?

Redelivery after a reconnect is legal for at-least-once delivery; it is illegal only behind a cursor
that was confirmed. An acknowledgement that ended unknown may have counted, so it excuses both: what
it covers may come again, and may be left out.

Examined are the sessions that resumed: those behind a cursor, or behind a place that they named.
Where nobody did, there is nothing to be said, and the rows are NOT_APPLICABLE.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator

from harness.checkers.check import WITNESSES_MAX, Clue, Found, Reach, check
from harness.checkers.entries import Session
from harness.checkers.facts import Facts
from harness.checkers.sessions import skipped
from harness.history.records import UNTOLD, Opened
from harness.systems.promises import Promise

FROM_CURSOR = -2
"""`Opened.from_pos` of a login that left the place to the system's durable cursor."""


class Cursors:
    """The highest acknowledged position per owner, as it rose in time."""

    def __init__(self, acks: Iterable[tuple[Hashable, int, int]]) -> None:
        """Take (owner, t_ns, upto) by rising time."""
        self._times: dict[Hashable, list[int]] = defaultdict(list)
        self._tops: dict[Hashable, list[int]] = defaultdict(list)
        for owner, t_ns, upto in acks:
            tops = self._tops[owner]
            if not tops or upto > tops[-1]:
                tops.append(upto)
                self._times[owner].append(t_ns)

    def before(self, owner: Hashable, t_ns: int) -> int:
        """Return the highest position acknowledged before `t_ns`, -1 for none."""
        at = bisect_left(self._times.get(owner, ()), t_ns)
        return self._tops[owner][at - 1] if at else -1


def confirmed(facts: Facts) -> Cursors:
    """Return what each (reader, inbox) had confirmed."""
    rows = zip(*(values.tolist() for values in facts.index.acks_confirmed.columns()), strict=True)
    return Cursors((lineage, t_ns, upto) for lineage, _, upto, t_ns in rows)


def attempted(facts: Facts) -> Cursors:
    """Return what anyone had tried to acknowledge per inbox, which a shared cursor may hold.

    Where late comers are fenced off, a try in a session that a later one had superseded before
    counts for nothing.
    """
    fenced = facts.promised(Promise.FENCING)
    index = facts.index
    rows = zip(*(values.tolist() for values in index.acks_invoked.columns()), strict=True)
    named = ((index.inboxes[index.readers[lineage][1]], *row) for lineage, *row in rows)
    return Cursors(
        (inbox, t_ns, upto)
        for inbox, session, upto, t_ns in named
        if not (fenced and facts.superseded_ns(inbox, session) < t_ns)
    )


def _logins(facts: Facts) -> Iterator[tuple[Session, Opened]]:
    for session in facts.index.sessions:
        if session.opened is not None:
            yield session, session.opened


def _answer(logins: int, resumed: int, instances: int, clues: list[Clue]) -> Found:
    """Return the finding: without a login nothing is known, and a first login resumes nothing."""
    return Found(
        examined=resumed,
        instances=instances,
        clues=clues,
        unknown="" if logins else "nobody logged in",
        not_applicable=""
        if resumed or not logins
        else "nobody came back to an inbox with something behind them",
    )


@check(
    "A9",
    "REDELIVER-AFTER-ACK",
    "delivered again though its acknowledgement was confirmed",
    reach=Reach.ONCE,
)
def redeliver_after_ack(facts: Facts) -> Found:
    """Look for pos p in a session whose login began after ackok(upto >= p) had completed.

    A login that names an earlier place itself asks for the repetition. Instances are positions.
    """
    cursors = confirmed(facts)
    logins = resumed = instances = 0
    found: list[Clue] = []
    for session, opened in _logins(facts):
        logins += 1
        floor = cursors.before(session.reader, opened.t_invoked_ns)
        if opened.from_pos != FROM_CURSOR:
            floor = min(floor, opened.from_pos)
        resumed += floor >= 0
        again = session.delivered.count_below(floor + 1)
        instances += again
        if again and len(found) < WITNESSES_MAX:
            found.append(
                Clue(
                    summary=(
                        f"session {session.number} of {opened.reader} delivered {again} positions "
                        f"of {opened.inbox} again, from {session.delivered.begins[0]} on, though "
                        f"all up to {floor} were acknowledged before its login"
                    ),
                    inbox=opened.inbox,
                    pos=session.delivered.begins[0],
                    record=opened,
                )
            )
    return _answer(logins, resumed, instances, found)


@check(
    "A12",
    "SKIP-RESUME",
    "a new session began behind a message that was not delivered yet",
    reach=Reach.ONCE,
)
def skip_resume(facts: Facts) -> Found:
    """Look for a first position > f + 1 with a message between.

    f is the place that the login named; of a login that left it to the cursor, the highest
    acknowledgement that anyone had attempted. Instances are positions.
    """
    cursors = attempted(facts)
    gaps: list[tuple[Session, int, int]] = []
    logins = resumed = 0
    for session, opened in _logins(facts):
        logins += 1
        # Where nothing was delivered yet, it begins where the system said.
        begin = session.first_pos if session.first_pos >= 0 else opened.next_pos
        tried = cursors.before(opened.inbox, opened.t_ns)
        last = opened.from_pos
        if last == FROM_CURSOR:
            last = tried
        elif facts.run.trims:
            last = max(last, tried)
        resumed += last >= 0
        if begin > last + 1:
            gaps.append((session, last + 1, begin))
    instances, found = skipped(facts, gaps, "began behind")
    return _answer(logins, resumed, instances, found)


@check(
    "A13",
    "ACK-REGRESS",
    "a session resumed before a confirmed acknowledgement",
    needs=Promise.DURABLE_CURSOR,
    reach=Reach.ONCE,
)
def ack_regress(facts: Facts) -> Found:
    """Compare where each session resumes with its login's place, or with the confirmed cursor.

    Where the answer to a login names the cursor, that is held against the confirmed one as well: a
    reader that names its own place would not notice that its cursor is gone. Instances are
    sessions.
    """
    cursors = confirmed(facts)
    found: list[Clue] = []
    logins = resumed = 0
    for session, opened in _logins(facts):
        logins += 1
        cursor = cursors.before(session.reader, opened.t_invoked_ns)
        floor = cursor if opened.from_pos == FROM_CURSOR else opened.from_pos
        told = opened.cursor != UNTOLD
        resumed += floor >= 0 or (told and cursor >= 0)
        if opened.next_pos <= floor or (told and opened.cursor < cursor):
            if opened.next_pos <= floor:
                wrong = f"resumed {opened.inbox} at {opened.next_pos}"
                had = f"it had everything up to {floor}"
            else:
                wrong = f"was told that the cursor of {opened.inbox} is {opened.cursor}"
                had = f"an acknowledgement up to {cursor} was confirmed"
            found.append(
                Clue(
                    summary=f"session {session.number} of {opened.reader} {wrong}, though {had}",
                    inbox=opened.inbox,
                    pos=opened.next_pos,
                    record=opened,
                )
            )
    return _answer(logins, resumed, len(found), found)
