"""Text on one margin, for the verbs that explain and list."""

from __future__ import annotations

import textwrap

import typer

WIDTH = 80


def paragraph(text: str, indent: int = 0, *, deeper: int = 0) -> None:
    """Print a text in lines of `WIDTH` columns at most.

    Args:
        text: Line breaks and several blanks in it count as one blank.
        indent: Columns before every line.
        deeper: Columns more before each line behind the first.
    """
    typer.echo(
        textwrap.fill(
            " ".join(text.split()),
            WIDTH,
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + deeper),
            break_on_hyphens=False,
        )
    )
