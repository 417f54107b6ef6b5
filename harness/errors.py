"""Trouble of the harness itself. It never becomes a pass, and never a FAIL of the system."""

from __future__ import annotations


class HarnessError(Exception):
    """Raised when the harness could not do its part; the run ends in ERROR (exit code 70)."""


def first_line(error: BaseException) -> str:
    """Return what an error says, of a group its first; its kind where it says nothing."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error).strip() or type(error).__name__


class UsageError(Exception):
    """Raised for wrong arguments or parameters; one line says what is allowed (exit code 2)."""


class DefinitionError(UsageError):
    """Raised for what cannot be in a user's own file; begins with its name and line if known."""


class DamagedHistory(HarnessError):
    """Raised when a history's files are not what its recorders wrote."""


class SetupError(HarnessError):
    """Raised when something that must be installed or started is missing, with the next step."""
