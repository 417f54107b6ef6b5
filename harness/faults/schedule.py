"""Schedules of faults: decided before the run, printed, stored, and read back.

Pure. What is drawn at random is drawn in `harness.faults.mix`, from the run's seed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from harness.definitions import check_fields, check_type, not_blank, refuse
from harness.faults.fault import SWITCHED, Fault

PLANNED_MAX = 100_000
"""Most faults in a schedule; more is a mistake in a period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One fault at one time.

    Attributes:
        at_s: Seconds after the begin of the phase.
        fault: What is done.
        on: Name of the target, or a pattern (`fnmatch`) for every one that fits.
        optional: A system on which it cannot be done is tried without it, and the result says so.
            Without this mark such a system is refused.

    Processes are "core", "edge:eu-west" and "load:reader", "load:sender-1"; links are
    "edge-core:eu-west" and "client-edge:EDGE:ACTOR". Actors are "sender-0", "sender-1", … in the
    order of the plan and "reader-INBOX"; with more than 64 of them a link is that of a load
    process, "client-edge:EDGE:load-1".

    - one actor on one edge: ``client-edge:eu-west:sender-3``
    - one actor wherever it is connected: ``client-edge:*:sender-3``
    - everybody at an edge: ``client-edge:eu-west:*``, its senders ``client-edge:eu-west:sender-*``
    - every client: ``client-edge:*``

    Each actor has a link to every edge and uses one at a time, so a pattern of client links strikes
    those that hold a connection at that moment; whoever comes later is not touched. It has to
    show its effect on each of them, but for clients that left by themselves in that moment.
    """

    at_s: float
    fault: Fault
    on: str
    optional: bool = False

    def __post_init__(self) -> None:
        check_fields(self, at_s=_after_the_begin, on=not_blank)

    def __str__(self) -> str:
        parameters = ", ".join(f"{name}={value}" for name, value in _parameters(self).items())
        mark = " (optional)" if self.optional else ""
        return f"{self.at_s:9.3f} s  {self.fault.kind}({parameters}) on {self.on}{mark}"


def _parameters(planned: Planned) -> dict[str, Any]:
    # The protocol cannot say that every fault is a dataclass; the registry sees to it.
    return asdict(planned.fault)  # type: ignore[call-overload, no-any-return]


def at(at_s: float, fault: Fault, *, on: str, optional: bool = False) -> Planned:
    """Plan a fault at a time; `optional`: a system on which it cannot be done is tried without.

    Raises:
        DefinitionError: The time is negative or no number, the fault none, or the target no text.
    """
    return Planned(at_s=at_s, fault=fault, on=on, optional=optional)


def every(
    period_s: float,
    fault: Fault,
    *,
    on: str,
    begin_s: float = 0.0,
    end_s: float,
    optional: bool = False,
) -> tuple[Planned, ...]:
    """Plan a fault at begin_s, begin_s + period_s, … before `end_s`; `optional` as of `at`.

    Raises:
        DefinitionError: The period is not positive, the span is none, there would be more than
            `PLANNED_MAX`, or `at` would raise it.
    """
    for name, value in (("period_s", period_s), ("begin_s", begin_s), ("end_s", end_s)):
        check_type(value, float, f"every: {name}")
    if begin_s > end_s:
        raise refuse(f"every: begin_s={begin_s:g}, end_s={end_s:g}: no span of time")
    if period_s <= 0:
        raise refuse(f"every: period_s={period_s:g}: more than 0")
    if (end_s - begin_s) / period_s > PLANNED_MAX:
        raise refuse(f"every: period_s={period_s:g}: more than {PLANNED_MAX} until {end_s:g} s")
    planned: list[Planned] = []
    # Multiplied, not added up, so that the last one does not depend on rounding on the way.
    while (at_s := begin_s + len(planned) * period_s) < end_s:
        planned.append(at(at_s, fault, on=on, optional=optional))
    return tuple(planned)


def _after_the_begin(at_s: float) -> str:
    return "" if at_s >= 0 else "0 or more, for times count from the begin of the phase"


def in_order(planned: Iterable[Planned]) -> tuple[Planned, ...]:
    """Return a schedule by time; what is planned for the same time keeps its order."""
    return tuple(sorted(planned, key=lambda item: item.at_s))


def to_json(planned: Iterable[Planned]) -> list[dict[str, Any]]:
    """Return a schedule as JSON data; `harness.faults.registry.from_json` reads it back."""
    return [
        {
            "at_s": item.at_s,
            "kind": item.fault.kind,
            "on": item.on,
            "parameters": _parameters(item),
            **({"optional": True} if item.optional else {}),
        }
        for item in planned
    ]


def targets_of(planned: Iterable[Planned], kind: str) -> tuple[str, ...]:
    """Return the names and patterns that faults of one kind are aimed at, each once.

    A link that will be reset has to be opened for it: `Links.start(resets=…)`.
    """
    return tuple(dict.fromkeys(item.on for item in planned if item.fault.kind == kind))


def switched_targets(planned: Iterable[Planned]) -> tuple[str, ...]:
    """Return the names and patterns of processes that need switches inside, each once."""
    return tuple(dict.fromkeys(item.on for item in planned if item.fault.aims_at == SWITCHED))
