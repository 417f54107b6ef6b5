"""How a case says what it saw."""

from __future__ import annotations


class Broken(Exception):
    """Raised by a case when the adapter does not do what the case protects; says what it saw."""


def confirm(holds: bool, told: str) -> None:
    """Raise `Broken` with what was seen unless something holds."""
    if not holds:
        raise Broken(told)
