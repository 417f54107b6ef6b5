"""What the seed drew beside a plan, in words: it stands in every report."""

from __future__ import annotations

from collections.abc import Iterable

from harness.report.result import Drawn

NAME_CHARS_MAX = 24
"""A longer name is cut here, and in `result.json` it is whole."""


def lines(drawn: Iterable[Drawn]) -> list[str]:
    """Return what was drawn, a line for each thing: "sizes: 0, 1, 262,144 bytes"."""
    return [f"{one.what}: {', '.join(map(_value, one.values))}{_unit(one)}" for one in drawn]


def _value(value: int | str) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return value if len(value) <= NAME_CHARS_MAX else f"{value[:NAME_CHARS_MAX]}…"


def _unit(one: Drawn) -> str:
    return f" {one.unit}" if one.unit else ""
