"""`python -m harness.selftest.docs`: write the table of docs/selftest.md from the registry."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from harness import markdown
from harness.testing.bugs.registry import Category, PlantedBug, all_bugs

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "selftest.md"

BEGIN = "<!-- Made by `python -m harness.selftest.docs`; do not edit. -->"
END = "<!-- End of the table. -->"

KINDS = list(Category)
HEADINGS = ("bug", "what is wrong", "kind", "goes into", "named by", "scenario", "medium")


def table(bugs: Iterable[PlantedBug]) -> str:
    """Return the table in Markdown, by kind and name."""
    rows = [
        (
            f"`{bug.name}`",
            bug.summary,
            bug.category.value,
            bug.place.value,
            ", ".join(bug.named_by),
            f"`{bug.trial}`",
            bug.medium.value,
        )
        for bug in sorted(bugs, key=lambda bug: (KINDS.index(bug.category), bug.name))
    ]
    return markdown.table(HEADINGS, rows)


def with_table(text: str, made: str) -> str:
    """Return a document with the table between its two marks.

    Raises:
        ValueError: A mark is missing.
    """
    return markdown.put_between(text, BEGIN, END, made)


def main() -> int:
    """Write the document anew; return the exit code."""
    text = DOCUMENT.read_text("utf-8")
    DOCUMENT.write_text(with_table(text, table(all_bugs().values())), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
