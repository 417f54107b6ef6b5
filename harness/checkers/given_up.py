"""D9: is a silent link given up?

A link that swallows what one side says, and a node that stands still, look like peace: only who
asks for signs of life, and counts them, can tell. Within the bound of presence the client of a
session that goes through must have ended it; how late nodes and load processes were woken at the
worst is added twice. That the core gives a silent edge up is seen by who it says is online (D6).
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.checkers.check import WITNESSES_MAX, Clue, Found, Reach, check
from harness.checkers.clues import seconds
from harness.checkers.facts import Facts
from harness.checkers.silences import silences
from harness.history.records import Closed, Opened
from harness.systems.promises import Promise


@check(
    "D9",
    "NOT-GIVEN-UP",
    "a session outlived the silence of its link or edge by more than the bound",
    needs=Promise.PRESENCE,
    reach=Reach.ONCE,
)
def not_given_up(facts: Facts) -> Found:
    """Look for sessions that were open before a silence and a whole bound into it.

    Instances are sessions, once per silence.
    """
    gauges = facts.index.gauges
    bound_ns = facts.run.presence_bound_ns + 2 * max(gauges.lag_ns_max, gauges.load_lag_ns_max)
    ends_early = facts.run.torn or bool(facts.run.killed)
    quiet = silences(facts)
    examined = instances = 0
    found: list[Clue] = []
    for login, ended_ns in _sessions(facts):
        for target in (login.link, f"edge:{login.edge}"):
            for begin_ns, end_ns in quiet.get(target, ()):
                due_ns = begin_ns + bound_ns
                if not login.t_ns < begin_ns < ended_ns or due_ns >= end_ns:
                    continue
                if ends_early and ended_ns > facts.index.last_ns:
                    continue  # Its end may be missing from this history.
                examined += 1
                if ended_ns > due_ns:
                    instances += 1
                    what = f"was still open at {seconds(due_ns)}, though {target} was silent since"
                    summary = (
                        f"session {login.session} of {login.reader} {what} {seconds(begin_ns)}"
                    )
                    found.append(Clue(summary=summary, inbox=login.inbox, record=login))
    return Found(
        examined=examined,
        instances=instances,
        clues=found[:WITNESSES_MAX],
        not_applicable="" if examined else "no session's link or edge was silent for that long",
    )


def _sessions(facts: Facts) -> Iterator[tuple[Opened, int]]:
    """Yield each login with the time at which its session ended, at the latest."""
    for events in facts.index.session_events.values():
        ends: dict[tuple[str, int], list[int]] = {}
        for event in events:
            if isinstance(event, Closed):
                ends.setdefault((event.reader, event.session), []).append(event.t_ns)
        for event in events:
            if isinstance(event, Opened):
                mine = ends.get((event.reader, event.session), ())
                yield event, next((t for t in mine if t >= event.t_ns), facts.index.last_ns + 1)
