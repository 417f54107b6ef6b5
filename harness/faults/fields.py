"""Checking the parameters of faults when they are made, so that mistakes come before a run."""

from __future__ import annotations

from harness.errors import UsageError


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
