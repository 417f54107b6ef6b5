"""Checking the parameters of faults when they are made, so that mistakes come before a run."""

from __future__ import annotations

from typing import Any

from harness.definitions import between, check_fields
from harness.errors import UsageError

SECONDS_MAX = 86_400.0
"""No fault holds, and none waits for its target, longer than a day."""


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


def check_types(made: Any) -> None:
    """See that every field of a fault holds what it is declared to, and every time is one.

    Raises:
        DefinitionError: One does not; says where it was made, and what is allowed.
    """
    check_fields(made, duration_s=_TIME, wait_s=_TIME)


_TIME = between(0, SECONDS_MAX)
