"""Checking the parameters of faults when they are made, so that mistakes come before a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from harness.errors import UsageError

SECONDS_MAX = 86_400.0
"""No fault holds, and none waits for its target, longer than a day."""

_IN_WORDS = {int: "a whole number", float: "a finite number", str: "a text", bool: "true or false"}


def at_least(least: float, **values: float) -> None:
    """Raise `UsageError` for the first value that is below `least`, or no number."""
    for name, value in values.items():
        # The comparison is written so that NaN is refused.
        if not value >= least:
            raise UsageError(f"{name}={value!r}: {least:g} or more")


def at_most(most: float, **values: float) -> None:
    """Raise `UsageError` for the first value that is above `most`."""
    for name, value in values.items():
        if value > most:
            raise UsageError(f"{name}={value!r}: at most {most:g}")


def check_fields(made: Any) -> None:
    """See that every field of a fault holds what it is declared to, and every time is one.

    Raises:
        UsageError: One does not; says what is allowed.
    """
    kinds: Mapping[str, Any] = get_type_hints(type(made))
    for field in fields(made):
        kind, value = kinds[field.name], getattr(made, field.name)
        if kind in _IN_WORDS and not _is(kind, value):
            raise UsageError(f"{made.kind}: {field.name}={value!r}: {_IN_WORDS[kind]}")
        if field.name in ("duration_s", "wait_s") and not 0 <= value <= SECONDS_MAX:
            raise UsageError(f"{made.kind}: {field.name}={value!r}: from 0 up to {SECONDS_MAX:g}")


def _is(kind: Any, value: object) -> bool:
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is float:
        return isinstance(value, (int, float)) and math.isfinite(value)
    return isinstance(value, kind)
