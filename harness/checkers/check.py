"""What a check is, how one is registered and found, and how its finding becomes a status.

A check is a function of the facts, or a class whose instances also see records as they pass. Files
of this package are imported by walking it, those of other packages through the entry-point group
``tallystick.checks``; nothing has to be listed anywhere.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import entry_points
from typing import Any, Protocol, TypeVar, cast

import harness.checkers
from harness.checkers.extent import Extent
from harness.checkers.facts import Facts
from harness.checkers.index import Index
from harness.checkers.run_facts import RunFacts
from harness.history.records import Record
from harness.report.result import Check as CheckResult
from harness.report.result import CheckStatus
from harness.systems.promises import Promise
from harness.user_code import told

ENTRY_POINT_GROUP = "tallystick.checks"

WITNESSES_MAX = 32
"""Witnesses kept per check; instances are always counted completely."""


class Reach(StrEnum):
    """How much of a history a check has to see at once; it matters for long ones only.

    WHOLE: everything; a history that is too long for that leaves the check UNKNOWN.
    PARTS: one part after the other; what it finds in them adds up.
    KEYS: as PARTS, and it asks only about messages one by one, so it is exact even for parts that
    hang together.
    ONCE: only what the index keeps, and the totals, after all parts.
    """

    WHOLE = "whole"
    PARTS = "parts"
    KEYS = "keys"
    ONCE = "once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clue:
    """One instance of an anomaly, and where to look for the records that prove it.

    Attributes:
        summary: The anomaly in one sentence.
        inbox: With `producer` and `n`, or with `pos`, what the proving records are about.
        record: The record that gave it away, if there is a single one.
        others: (producer, n) of the messages of the same inbox that this one stands against.
    """

    summary: str
    inbox: str = ""
    producer: int = -1
    n: int = -1
    pos: int = -1
    record: Record | None = None
    others: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a check found.

    Attributes:
        examined: How many things it looked at; 0 proves nothing and ends UNKNOWN.
        instances: How many anomalies, counted completely.
        clues: The first of them.
        unknown: Why it cannot be judged, if nothing was found.
        not_applicable: Why the question does not arise in this run.
        note: What to say beside a status that explains itself.
        extent: Where and when the messages lie that are wrong; None: only the clues tell.
    """

    examined: int
    instances: int = 0
    clues: Sequence[Clue] = ()
    unknown: str = ""
    not_applicable: str = ""
    note: str = ""
    extent: Extent | None = None


class Check(Protocol):
    """A check that answers at the end."""

    def finish(self, facts: Facts) -> Found:
        """Return what was found. Called once, or several times for a live view."""


class SeeingCheck(Check, Protocol):
    """A check that also sees records of the types in `sees`, after the index took each."""

    sees: tuple[type[Any], ...]

    def see(self, record: Any, index: Index, run: RunFacts) -> None:
        """Take a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A registered check.

    Attributes:
        id: As in `docs/invariants.md`, e.g. "A1".
        name: The anomaly's name, e.g. "LOST".
        meaning: The anomaly in a few words.
        needs: The promise without which it does not apply; None: it always does.
        found: The status when an instance is found.
        make: Returns a fresh check for one history.
        reach: How much of a history it has to see at once.
    """

    id: str
    name: str
    meaning: str
    needs: Promise | None
    found: CheckStatus
    make: Callable[[], Check]
    reach: Reach = Reach.WHOLE


_SPECS: dict[str, Spec] = {}
_MADE_BY: dict[str, tuple[str, str]] = {}

Made = TypeVar("Made", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class _Finisher:
    function: Callable[[Facts], Found]

    def finish(self, facts: Facts) -> Found:
        return self.function(facts)


def check(
    check_id: str,
    name: str,
    meaning: str,
    *,
    needs: Promise | None = None,
    found: CheckStatus = CheckStatus.FAIL,
    reach: Reach = Reach.WHOLE,
) -> Callable[[Made], Made]:
    """Register a function ``(Facts) -> Found`` or a class with `finish` (and `sees`, `see`).

    Raises:
        ValueError: The id is taken by another one.
    """

    def register(made: Made) -> Made:
        name_of_it = (made.__module__, made.__qualname__)
        # A user's file that is loaded again under the same name brings the same check again.
        if check_id in _SPECS and _MADE_BY[check_id] != name_of_it:
            raise ValueError(f"check {check_id!r} is registered twice")
        _MADE_BY[check_id] = name_of_it
        make = (
            cast("Callable[[], Check]", made)
            if isinstance(made, type)
            else lambda: _Finisher(cast("Callable[[Facts], Found]", made))
        )
        _SPECS[check_id] = Spec(
            id=check_id,
            name=name,
            meaning=meaning,
            needs=needs,
            found=found,
            make=make,
            reach=reach,
        )
        return made

    return register


def all_checks() -> list[Spec]:
    """Return every check of this package and of installed ones, by id."""
    for module in pkgutil.iter_modules(harness.checkers.__path__, "harness.checkers."):
        importlib.import_module(module.name)
    for point in entry_points(group=ENTRY_POINT_GROUP):
        point.load()
    return sorted(_SPECS.values(), key=lambda spec: (spec.id[0], int_or_last(spec.id[1:]), spec.id))


def int_or_last(text: str) -> int:
    """Return the number that `text` is, or one behind all ids in use."""
    return int(text) if text.isdecimal() else 1 << 16


def ask(spec: Spec, made: Check, facts: Facts) -> Found | CheckResult:
    """Ask a check about a part. A result instead of a finding settles the whole history.

    A check that raises ends in ERROR: a broken check is never a pass, and never the system's FAIL.
    """
    if spec.needs is not None and spec.needs not in facts.run.promises:
        reason = f"the system does not promise {spec.needs.value}"
        return _result(spec, CheckStatus.NOT_APPLICABLE, reason)
    try:
        return made.finish(facts)
    except Exception as error:
        return broken(spec, error)


def conclude(spec: Spec, found: Found | CheckResult) -> tuple[CheckResult, list[Clue]]:
    """Return the result of a finding about a whole history, and the clues that are kept."""
    if not isinstance(found, Found):
        return found, []
    return _result(spec, *_status(spec, found), found), list(found.clues[:WITNESSES_MAX])


def add_up(later: Found, earlier: Found) -> Found:
    """Return what was found in two parts of a history.

    It is unknown, or not applicable, only if both are: a part in which nothing was delivered does
    not make the others unknown.
    """
    return Found(
        examined=later.examined + earlier.examined,
        instances=later.instances + earlier.instances,
        clues=[*earlier.clues, *later.clues][:WITNESSES_MAX],
        unknown=earlier.unknown if later.unknown else "",
        not_applicable=earlier.not_applicable if later.not_applicable else "",
        note=earlier.note or later.note,
        extent=_together(earlier.extent, later.extent),
    )


def _together(one: Extent | None, other: Extent | None) -> Extent | None:
    if one is None or other is None:
        return one or other
    return one.plus(other)


def broken(spec: Spec, error: Exception) -> CheckResult:
    """Return the result of a check that raised."""
    return _result(spec, CheckStatus.ERROR, f"the check broke: {told(error)}")


def _status(spec: Spec, found: Found) -> tuple[CheckStatus, str]:
    if found.instances:
        first = found.clues[0].summary if found.clues else f"{found.instances} found"
        more = f" (and {found.instances - 1:,} more)" if found.instances > 1 else ""
        return spec.found, found.note or first + more
    if found.not_applicable:
        return CheckStatus.NOT_APPLICABLE, found.not_applicable
    if found.unknown:
        return CheckStatus.UNKNOWN, found.unknown
    if not found.examined:
        return CheckStatus.UNKNOWN, found.note or "there was nothing to examine"
    return CheckStatus.PASS, found.note


def _result(
    spec: Spec, status: CheckStatus, reason: str, found: Found | None = None
) -> CheckResult:
    return CheckResult(
        id=spec.id,
        name=spec.name,
        status=status,
        reason=reason,
        examined=found.examined if found else 0,
        instances=found.instances if found else 0,
        witnesses_truncated=bool(found and found.instances > min(len(found.clues), WITNESSES_MAX)),
    )
