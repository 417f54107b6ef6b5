"""A17: does a session end for a reason, and does its client learn of it?

What breaks connections (faults, slow consumers, a machine that stands still) may end any session.
What nothing excuses is a system that contradicts itself, so that its client must end the session,
and a system that gives the inbox to another session and leaves the client of the first to wait.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.checkers import clues
from harness.checkers.check import WITNESSES_MAX, Clue, Found, Reach, check
from harness.checkers.clues import seconds
from harness.checkers.facts import Facts
from harness.checkers.intervals import NEVER
from harness.checkers.quiet import DISTURBING_PHASES
from harness.history.records import BROKEN, Closed, Connected, Opened
from harness.systems.promises import Promise


@check(
    "A17",
    "ENDED-UNEXPLAINED",
    "a client ended its session since the system contradicted itself, or was not told of its end",
    needs=Promise.FENCING,
    reach=Reach.ONCE,
)
def ended_unexplained(facts: Facts) -> Found:
    """Look for sessions that broke, and for those that outlived a later login unawares.

    A client of a superseded session must learn of it within the bound of presence, or see its
    connection end. That is judged only before the first fault and the first phase that stops nodes,
    and where no load process was killed. Instances are sessions, and connections without one.
    """
    found: list[Clue] = []
    examined = instances = 0
    for inbox, events in facts.index.session_events.items():
        logins = [event for event in events if isinstance(event, Opened)]
        ends = [event for event in events if isinstance(event, Closed)]
        examined += len(logins)
        for end in ends:
            if end.cause == BROKEN:
                instances += 1
                what = "was ended by its client, since what the system sent contradicted itself"
                found.append(_clue(inbox, end, f"session {end.session} of {end.reader} {what}"))
        for login in logins:
            superseded_ns = facts.superseded_ns(inbox, login.session)
            if _went_on(facts, login, ends, superseded_ns):
                instances += 1
                what = f"was superseded at {seconds(superseded_ns)}, and its client was not told"
                found.append(
                    _clue(inbox, login, f"session {login.session} of {login.reader} {what}")
                )
    broken = facts.index.broken_connections
    found += clues.of_oddity(broken, _tell_connection)
    return Found(
        examined=examined,
        instances=instances + broken.count,
        clues=found[:WITNESSES_MAX],
        unknown="" if examined else "nobody logged in",
    )


def _tell_connection(record: Connected) -> str:
    return f"{record.name} ended its connection, since what the system sent contradicted itself"


def _clue(inbox: str, record: Opened | Closed, summary: str) -> Clue:
    return Clue(summary=summary, inbox=inbox, record=record)


def _went_on(facts: Facts, login: Opened, ends: Iterable[Closed], superseded_ns: int) -> bool:
    """Return whether a session was still open a whole bound after another had taken its place."""
    if superseded_ns == NEVER or facts.run.torn or facts.run.killed:
        return False
    bound_ns = facts.run.presence_bound_ns + 2 * facts.index.gauges.lag_ns_max
    due_ns = max(superseded_ns, login.t_ns) + bound_ns
    mine = (
        end.t_ns if end.t_invoked_ns < 0 else end.t_invoked_ns
        for end in ends
        if (end.reader, end.session) == (login.reader, login.session) and end.t_ns >= login.t_ns
    )
    # An end that had begun when the history stopped may be missing from it.
    ended_ns = next(mine, facts.index.last_ns - bound_ns)
    return due_ns < ended_ns and due_ns < _disturbed_ns(facts)


def _disturbed_ns(facts: Facts) -> int:
    """Return when something first happened that may end connections unseen."""
    faults = (mark.t_ns for mark in facts.index.faults)
    phases = (mark.t_ns for mark in facts.index.phases if mark.name in DISTURBING_PHASES)
    return min((*faults, *phases), default=NEVER)
