"""Markdown for documents of which a part is made from the code. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a `|` inside a cell stays one."""
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def put_between(text: str, begin: str, end: str, made: str) -> str:
    """Return a document with `made` between its two marks.

    Raises:
        ValueError: A mark is missing.
    """
    head, mark, rest = text.partition(begin)
    _, closing, tail = rest.partition(end)
    if not mark or not closing:
        raise ValueError(f"the document lacks {begin!r} or {end!r}")
    return f"{head}{begin}\n\n{made}\n\n{end}{tail}"
