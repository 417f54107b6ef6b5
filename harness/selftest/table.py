"""The self-test for people: bug → check that named it → time."""

from __future__ import annotations

from rich.console import Console

from harness.report.terminal import make_table, print_table
from harness.report.words import counted
from harness.selftest.campaign import Report
from harness.selftest.trial import Seen


def line_of(seen: Seen, done: int, wanted: int) -> str:
    """Return one line of progress."""
    name = seen.bug or f"no bug, {seen.trial}"
    return f"[{done:>2}/{wanted}] {name}: {_outcome(seen)} in {seen.duration_s:.1f} s"


def _outcome(seen: Seen) -> str:
    if not seen.bug:
        alarm = f"{seen.verdict or 'no verdict'} ({', '.join(seen.failed) or seen.reason})"
        return "no alarm" if seen.as_it_should_be else f"ALARM: {alarm}"
    if seen.bug and seen.suite:
        found = f"found by {', '.join(seen.failed)} in {seen.trial}"
        return found if seen.as_it_should_be else f"missed (at the end {seen.verdict or 'nothing'})"
    if seen.found_by:
        return f"found by {', '.join(seen.found_by)}"
    others = f"; failed: {', '.join(seen.failed)}" if seen.failed else f"; {seen.reason}"
    return f"ESCAPED (expected {' or '.join(seen.expected)}{others})"


def print_report(console: Console, report: Report) -> None:
    """Print the table, and what escaped."""
    table = make_table()
    table.add_column("bug", no_wrap=True)
    missed = "missed" if report.suite else "ESCAPED"
    where = ("scenario",) if report.suite else ()
    for heading in ("kind", "in", *where, "found by", "also"):
        table.add_column(heading)
    table.add_column("s", justify="right")
    for seen in report.bugs:
        also = [check for check in seen.failed if check not in seen.found_by]
        table.add_row(
            seen.bug,
            seen.category,
            seen.place,
            *((seen.trial if seen.as_it_should_be else "",) if report.suite else ()),
            " ".join(seen.found_by) or ("" if seen.as_it_should_be else missed),
            " ".join(also),
            f"{seen.duration_s:.1f}",
        )
    print_table(console, table)
    console.print("\nWithout a bug:")
    for seen in report.baselines:
        console.print(f"  {seen.trial}: {_outcome(seen)}, {seen.duration_s:.1f} s", soft_wrap=True)
    found = len(report.bugs) - len(report.escaped)
    console.print(
        f"\n{found} of {counted(len(report.bugs), 'bug')} found in {report.duration_s:.0f} s."
    )
    if not report.complete:
        console.print("The self-test was interrupted; the rest was not tried.")
    for seen in [*report.bugs, *report.baselines]:
        if not seen.as_it_should_be and not (seen.bug and report.suite):
            console.print(
                f"  {seen.bug or seen.trial}: {_outcome(seen)}; see {seen.run_dir}", soft_wrap=True
            )
