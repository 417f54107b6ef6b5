"""What somebody may have meant who named something that there is not. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LIKENESS_MIN = 0.5
"""Words that have less in common are no slip of the finger."""


def nearest(word: str, known: Iterable[str], likeness_min: float = LIKENESS_MIN) -> str:
    """Return the nearest of what is known, "" if nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=likeness_min)
    return near[0] if near else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'X'?" with the nearest of what is known, "" if nothing is near."""
    near = nearest(word, known)
    return f"; did you mean {near!r}?" if near else ""
