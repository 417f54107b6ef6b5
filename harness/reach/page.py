"""`python -m harness.reach.page SUITE…`: write the record of docs/reach.md from suites that ran.

The record says for each rare state how often each suite reached it. A test holds it against the
catalogue: a state that no suite of the record reached is red.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import markdown
from harness.errors import HarnessError, UsageError
from harness.reach.catalogue import CATALOGUE, LEFT_OUT, RareState
from harness.report.reach import NEVER, count
from harness.report.result import Suite
from harness.report.stored import load_result, load_suite
from harness.report.writer import SUITE_NAME

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reach.md"

BEGIN = "<!-- Made by `python -m harness.reach.page SUITE…`; do not edit. -->"
END = "<!-- End of the record. -->"

HEADINGS = ("state", "what it is", "who can reach it")

COMMIT_CHARS = 12
"""How much of a commit is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One suite of the record.

    Attributes:
        heading: The system, the profile and the seed.
        about: What ran, when, and what it came to, in a line.
        reached: How often it reached each state, by name.
    """

    heading: str
    about: str
    reached: Mapping[str, int]


def column_of(folder: Path) -> Column:
    """Return the column of a suite's folder.

    Raises:
        UsageError: It is none, its runs are of several systems, or it did not come to its end.
    """
    suite = load_suite(folder / SUITE_NAME)
    if not suite.complete:
        raise UsageError(f"{folder}: the suite did not come to its end")
    places = [folder / one.result for one in suite.scenarios]
    results = [load_result(place) for place in places if place.is_file()]
    systems = sorted({one.system.name for one in results})
    if len(systems) != 1:
        raise UsageError(f"{folder}: a column is of one system, not of {len(systems)}")
    if any(one.system.planted_bug for one in results):
        raise UsageError(f"{folder}: it ran with a planted bug")
    ended = max(filter(None, (one.run.ended_at for one in results)), default="")
    return Column(
        heading=f"{systems[0]}, {suite.profile}, seed {suite.seed}",
        about=_about(suite, ended.partition("T")[0], len(results)),
        reached=suite.reached,
    )


def _about(suite: Suite, day: str, runs: int) -> str:
    judged = suite.environment.tallystick
    commit = judged.commit[:COMMIT_CHARS] or "unknown"
    changed = " with changes" if judged.dirty else ""
    return f"{runs} runs, {suite.verdict.status.value}, {day}, commit {commit}{changed}"


def record(columns: Sequence[Column]) -> str:
    """Return the record in Markdown: what ran, the table, and what is left out."""
    told = [f"- {one.heading}: {one.about}" for one in columns]
    rows = [
        (
            f"`{state.name}`",
            state.meaning,
            _systems(state),
            *(
                count(one.reached, state.name) if state.is_of(_system_of(one)) else ""
                for one in columns
            ),
        )
        for state in CATALOGUE
    ]
    left = [(f"`{name}`", why) for name, why in sorted(LEFT_OUT.items())]
    return "\n".join(
        (
            *told,
            "",
            markdown.table((*HEADINGS, *(one.heading for one in columns)), rows),
            "",
            "Counted, and expected of no suite:",
            "",
            markdown.table(("state", "why"), left),
        )
    )


def _systems(state: RareState) -> str:
    return ", ".join(state.systems) or "every system"


def _system_of(column: Column) -> str:
    return column.heading.partition(",")[0]


def read(text: str) -> list[Column]:
    """Return the columns of a document, as `record` wrote them.

    Raises:
        ValueError: There is no record in it.
    """
    lines = text.partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    told = dict(line[2:].split(": ", 1) for line in lines if line.startswith("- "))
    rows = [_cells(line) for line in lines if line.startswith(("| state", "| `"))]
    if not rows or rows[0][: len(HEADINGS)] != HEADINGS:
        raise ValueError("the document has no record")
    width = len(rows[0])
    body = [row for row in rows[1:] if len(row) == width]
    return [
        Column(
            heading=heading,
            about=told[heading],
            reached={
                row[0].strip("`"): int(row[place].replace(",", ""))
                for row in body
                if row[place] not in ("", NEVER)
            },
        )
        for place, heading in enumerate(rows[0][len(HEADINGS) :], start=len(HEADINGS))
    ]


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))


def unreached(columns: Iterable[Column]) -> list[str]:
    """Return the states of the catalogue that no column reached, in its order."""
    reached = {name for one in columns for name, times in one.reached.items() if times}
    return [state.name for state in CATALOGUE if state.name not in reached]


def main(arguments: Sequence[str]) -> int:
    """Write the document anew from the folders of suites; return the exit code."""
    if not arguments:
        sys.stderr.write("usage: python -m harness.reach.page SUITE…\n")
        return 2
    try:
        columns = [column_of(Path(folder)) for folder in arguments]
    except (HarnessError, UsageError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    text = DOCUMENT.read_text("utf-8")
    made = record(columns)
    DOCUMENT.write_text(markdown.put_between(text, BEGIN, END, made), "utf-8")
    for name in unreached(columns):
        sys.stderr.write(f"never reached: {name}\n")
    return 1 if unreached(columns) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
