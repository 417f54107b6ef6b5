"""A small piece of HTML for notebooks: a title, sentences, figures; no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape


def card(title: str, *, good: bool, lines: Sequence[str], rows: Mapping[str, str]) -> str:
    """Return the card; every text is escaped.

    Args:
        title: Its first line, in bold.
        good: The mark beside it is green, else red; the title says it in words too.
        lines: Sentences below.
        rows: Names and values of a table.
    """
    colour = "#1a7f37" if good else "#cf222e"
    told = "".join(f"<div>{escape(line)}</div>" for line in lines)
    cells = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows.items()
    )
    return (
        f'<div style="border-left:4px solid {colour};padding-left:8px">'
        f"<strong>{escape(title)}</strong>{told}<table>{cells}</table></div>"
    )
