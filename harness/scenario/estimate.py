"""About how long a plan takes, before it is run.

Fitted to runs on 2 cores: rough on purpose, and rather too long, since whoever waits minds less.
Pure; drains and recoveries that go badly take up to their own deadlines and are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.scenario.performed import phases_of
from harness.scenario.phases import (
    AskPresence,
    Drain,
    Load,
    Phase,
    Restart,
    Send,
    SendExtras,
    Stream,
)
from harness.scenario.scenario import Plan

BEGIN_AND_END_S = 4.0
"""Start of the command and the proxies, teardown, judging."""

PROCESS_S = 0.35
"""Per process of the deployment and of the load: two cores start them one after the other."""

LOAD_S = 0.7
"""Connecting the senders of a load, and the begin of its schedule."""

SENT_PER_S = 40_000
"""Messages that a `Send` moves per second."""

READ_AGAIN_PER_S = 150_000
"""Messages that are read, inspected and judged per second."""

PRESENCE_S = 3.0
"""Until presence is settled by the promised bound."""

RESTART_S = 1.5
"""Stopping a node, starting it, recovering."""

STEP_S = 0.3
"""Any other phase."""


def estimate_s(plan: Plan) -> float:
    """Return about how many seconds a run of the plan takes."""
    processes = 2 + len(plan.topology.edges) + plan.load_processes
    phases = list(phases_of(plan.phases))
    phases_s = sum(map(_phase_s, phases))
    reading_s = _messages(phases) / READ_AGAIN_PER_S
    return BEGIN_AND_END_S + PROCESS_S * processes + phases_s + reading_s


def _phase_s(phase: Phase) -> float:
    match phase:
        case Load(duration_s=duration_s):
            return duration_s + LOAD_S
        case Send(stream=stream):
            return LOAD_S + _sent(stream, 0.0) / SENT_PER_S
        case SendExtras(extras=extras):
            return LOAD_S + sum(extra.messages for extra in extras) / SENT_PER_S
        case AskPresence():
            return PRESENCE_S
        case Restart():
            return RESTART_S
        case Drain(reread=reread):
            return 2.0 if reread else 1.0
        case _:
            return STEP_S


def _messages(phases: Iterable[Phase]) -> float:
    total = 0.0
    for phase in phases:
        match phase:
            case Load(duration_s=duration_s, streams=streams):
                total += sum(_sent(stream, duration_s) for stream in streams)
            case Send(stream=stream):
                total += _sent(stream, 0.0)
            case _:
                pass
    return total


def _sent(stream: Stream, duration_s: float) -> float:
    counted = float(stream.count * stream.producers)
    scheduled = stream.rate_per_s * duration_s
    return min(counted, scheduled) if counted and scheduled else max(counted, scheduled)


def in_words(seconds: float) -> str:
    """Return a length for people: "about 15 s", "about 4 min", "about 2.5 h"."""
    if seconds < 90:
        return f"about {5 * max(1, round(seconds / 5))} s"
    if seconds < 5_400:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3_600:.1f} h"
