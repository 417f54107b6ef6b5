"""D6: does the system know who is online, once things have settled?

A question is judged only if nothing that concerns the user happened within the promised bound
before it was asked, nor until it was answered: no login, no end of a session, and no fault or
restart that may end connections unseen. What breaks one edge, or a link of it, says nothing of who
is connected elsewhere; what else breaks (the core, Toxiproxy, a load process) concerns everybody.

A fault that silences an edge for longer than the bound (a cut of its link to the core, in one
direction or both, or its end) says something by itself: from then on, and until it is about to be
healed, the core may show nobody online there.

The promised bound presumes that nodes get to run. How late a node was woken at the worst, by its
own measurement, is added to it, for the question and for the change alike; on a machine with time
to spare that is milliseconds.

A login or an end is recorded when it is over. Where the history ends early, what had begun before
an answer may be missing, so the last answers are not judged.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping

from harness.checkers.check import WITNESSES_MAX, Clue, Found, Reach, check
from harness.checkers.clues import seconds
from harness.checkers.facts import Facts
from harness.checkers.quiet import DISTURBING_PHASES
from harness.checkers.silences import Spans, covers, silences
from harness.history.records import (
    BROKEN,
    BY_PHASE,
    PRESENCE_UNANSWERED,
    Closed,
    Opened,
    PresenceSeen,
)
from harness.systems.promises import Promise

EVERYWHERE = ""
"""Stands for every edge at once."""


@check(
    "D6",
    "PRESENCE",
    "presence differs from the sessions after it had time to settle",
    needs=Promise.PRESENCE,
    reach=Reach.ONCE,
)
def presence(facts: Facts) -> Found:
    """STALE: online but shown absent. GHOST: gone but shown online, or at the wrong edge."""
    disturbances, quiet = _disturbances(facts), silences(facts)
    examined = instances = 0
    found: list[Clue] = []
    bound_ns = facts.run.presence_bound_ns + 2 * facts.index.gauges.lag_ns_max
    ends_early = facts.run.torn or facts.run.killed
    known_until_ns = facts.index.last_ns - (bound_ns if ends_early else 0)
    for seen in facts.index.presence:
        settled_ns = seen.t_invoked_ns - bound_ns
        if seen.t_ns > known_until_ns:
            continue
        if any(begin <= seen.t_ns and end >= settled_ns for begin, end in disturbances[EVERYWHERE]):
            continue
        last = _settled(facts, seen, settled_ns, bound_ns)
        if _is_silent(quiet, seen.edge, settled_ns, seen.t_ns) and seen.online:
            examined += 1
            instances += 1
            what = (
                f"was shown online at {seen.edge}, which had been silent for longer than the bound"
            )
            found.append(_clue(seen, what))
            continue
        if last is None:
            continue
        if isinstance(last, Opened) and _is_silent(quiet, last.edge, settled_ns, seen.t_ns):
            # Nobody can know whether it is there: to show it absent is right.
            examined += 1
            continue
        concerned = {EVERYWHERE, seen.edge, *_edges_of(facts, last)}
        spans = (span for where in concerned for span in disturbances[where])
        if any(begin <= seen.t_ns and end >= settled_ns for begin, end in spans):
            continue
        examined += 1
        wrong = _differs(seen, last)
        if wrong:
            instances += 1
            found.append(_clue(seen, wrong))
    answers = len(facts.index.presence)
    unanswered = sum(mark.name == PRESENCE_UNANSWERED for mark in facts.index.phases)
    left = f"; {unanswered} questions had no answer" if unanswered else ""
    return Found(
        examined=examined,
        instances=instances,
        clues=found[:WITNESSES_MAX],
        unknown=""
        if examined
        else f"none of {answers} answers came after things had settled{left}",
        not_applicable="" if answers or unanswered else "nobody asked who is online",
    )


def _clue(seen: PresenceSeen, wrong: str) -> Clue:
    summary = f"{seen.user} {wrong} when asked at {seconds(seen.t_invoked_ns)}"
    return Clue(summary=summary, inbox=seen.user, record=seen)


def _is_silent(quiet: Mapping[str, Spans], edge: str, begin_ns: int, end_ns: int) -> bool:
    """Say whether the core can have heard nothing of an edge for all of that time."""
    return any(
        covers(quiet.get(target, ()), begin_ns, end_ns)
        for target in (f"edge-core:{edge}", f"edge:{edge}")
    )


def _disturbances(facts: Facts) -> dict[str, list[tuple[int, int]]]:
    """Return the times [begin, end] in which connections may end unseen, by edge."""
    spans: dict[tuple[str, str], tuple[int, int]] = {}
    last_ns = facts.index.last_ns
    for mark in facts.index.faults:
        if mark.fault.startswith(BY_PHASE):
            continue  # Its phase is named below; what a storm cut has its own records.
        key = (mark.fault, mark.target)
        begin, _ = spans.get(key, (mark.t_ns, last_ns))
        spans[key] = (begin, mark.t_ns if mark.state == "healed" else last_ns)
    found = defaultdict(list)
    for (_, target), span in spans.items():
        found[_edge_of(target)].append(span)
    begun: dict[str, int] = {}
    for phase in facts.index.phases:
        if phase.name in DISTURBING_PHASES:
            if phase.begins:
                begun[phase.name] = phase.t_ns
            else:
                found[EVERYWHERE].append((begun.pop(phase.name, phase.t_ns), phase.t_ns))
    found[EVERYWHERE] += [(begin, last_ns) for begin in begun.values()]
    return found


def _edges_of(facts: Facts, event: Opened | Closed) -> Iterable[str]:
    """Return the edge of a session: of one that has ended, where it was opened."""
    if isinstance(event, Opened):
        return (event.edge,)
    opened = (e for e in facts.index.session_events[event.inbox] if isinstance(e, Opened))
    return (e.edge for e in opened if e.session == event.session)


def _edge_of(target: str) -> str:
    """Return the edge that alone a fault concerns, EVERYWHERE if it may be more."""
    kind, _, rest = target.partition(":")
    edge, _, _ = rest.partition(":")
    alone = kind in ("edge", "edge-core", "client-edge") and edge and not set(edge) & set("*?[")
    return edge if alone else EVERYWHERE


def _settled(
    facts: Facts, seen: PresenceSeen, settled_ns: int, bound_ns: int
) -> Opened | Closed | None:
    """Return the user's last session event if it had time to settle, else None.

    A login or an end that had begun before the answer may have taken effect; one that came without
    our doing may have begun a whole bound before it was noticed.
    """
    events = facts.index.session_events.get(seen.user, [])
    stop = bisect_right(events, seen.t_ns, key=lambda event: event.t_ns)
    before = bisect_left(events, settled_ns, key=lambda event: event.t_ns)
    if before != stop or stop == 0:
        return None
    for event in events[stop:]:
        if _begun_ns(event, bound_ns) <= seen.t_ns:
            return None
    return _in_force(events[:stop], facts.promised(Promise.FENCING))


def _begun_ns(event: Opened | Closed, bound_ns: int) -> int:
    """Return the earliest time at which the event may have taken effect."""
    if event.t_invoked_ns >= 0:
        return event.t_invoked_ns
    # A superseding login is an event of its own, so its victim's end needs no allowance.
    lost = isinstance(event, Closed) and event.cause in ("lost", BROKEN)
    return event.t_ns - bound_ns if lost else event.t_ns


def _in_force(events: list[Opened | Closed], fenced: bool) -> Opened | Closed:
    """Return the event that decides: the end of an older session changes nothing.

    Where sessions are fenced, the reply to an older login may come behind that to a later one.
    """
    opened: Opened | None = None
    last: Opened | Closed = events[-1]
    for event in events:
        if isinstance(event, Opened):
            if opened is None or not fenced or event.session >= opened.session:
                opened = last = event
        elif opened is None or event.session == opened.session:
            last = event
    return last


def _differs(seen: PresenceSeen, last: Opened | Closed) -> str:
    if isinstance(last, Closed):
        return (
            f"was shown online at {seen.edge}, though its session had ended" if seen.online else ""
        )
    if not seen.online:
        return f"was shown absent, though logged in at {last.edge}"
    if seen.edge != last.edge:
        return f"was shown at {seen.edge}, though logged in at {last.edge}"
    if seen.session >= 0 and seen.session != last.session:
        return f"was shown in session {seen.session}, though in session {last.session}"
    return ""
