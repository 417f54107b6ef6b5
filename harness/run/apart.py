"""Keeps the times at which a core is away and the faults on its clients' links apart. Pure.

Where clients talk to the core itself, nobody is answered while it is away or stands still: a fault
on their links has nobody to strike then, and one that strikes just before cannot be measured any
more. Either would make a run UNKNOWN that shows nothing wrong.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

from harness.faults.fault import LINK
from harness.faults.schedule import Planned, in_order
from harness.scenario.phases import Load

CORE = "core"

ENDS = frozenset({"process_kill", "process_terminate", "crash_in_recovery", "power_loss"})
"""Faults that end a process, which then has to come back."""

PAUSES = frozenset({"process_pause"})
"""Faults under which a process answers nobody, and goes on by itself."""

MEASURED_WITHIN_S = 3.0
"""What a fault on the links of all clients of a region needs beside its duration, until its effect
is measured on each, on a busy machine."""


def keep_apart(load: Load, restart_s: float) -> Load:
    """Return a load in which the core goes away only between faults on links, and they wait for it.

    What is planned behind comes as much later, and the load lasts as much longer, so that the order
    of everything stays.

    Args:
        load: Its faults and events are looked at.
        restart_s: How long the system needs at most to come back.
    """
    begun: list[tuple[float, float]] = []
    """(time from which on, how much later) as planned, by time."""
    late_s = busy_until_s = 0.0
    faults: list[Planned] = []
    for one in in_order(load.faults):
        at_s = one.at_s + late_s
        if one.fault.kind in ENDS | PAUSES and fnmatchcase(CORE, one.on):
            waits_s = max(0.0, busy_until_s - at_s)
            faults.append(replace(one, at_s=at_s + waits_s))
            late_s += waits_s + one.fault.duration_s
            late_s += restart_s if one.fault.kind in ENDS else 0.0
            begun.append((one.at_s, late_s))
            continue
        if one.fault.aims_at == LINK:
            busy_until_s = max(busy_until_s, at_s + one.fault.duration_s + MEASURED_WITHIN_S)
        faults.append(replace(one, at_s=at_s))

    def later(at_s: float) -> float:
        return at_s + next((late for since, late in reversed(begun) if since < at_s), 0.0)

    return replace(
        load,
        duration_s=load.duration_s + late_s,
        faults=tuple(faults),
        during=tuple((later(after_s), event) for after_s, event in load.during),
    )
