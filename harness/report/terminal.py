"""The final report on stdout: one block per scenario, readable at a glance in 80 columns.

A failure is told in this order: what happened, the claim that it broke, what else failed, one
witness with the command that tells its story, the one that repeats the run, then the figures that
matter. It fits `FAIL_LINES_MAX` lines; the command that it names tells all.
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report import bars, drawn, failure, reach, untried, words
from harness.report.budget import Wish, share_out
from harness.report.result import Check, CheckStatus, Limits, Result, Status, Suite
from harness.run.bound import in_words
from harness.run.verdict import failed_in_order

WIDTH = 80
"""Columns used where the output is no terminal, and at most on one."""

FAIL_LINES_MAX = 40
"""A failure takes no more lines of 80 columns, whatever is to be told: what matters least gives up
its lines first (`harness.report.failure`)."""

_HEADING_LINES_MAX = 3

_LABEL = 13
"""Columns before the text: two of margin, the label, one between."""

_STYLES = {
    "PASS": "bold green",
    "FAIL": "bold red",
    "ERROR": "bold magenta",
    "UNKNOWN": "bold yellow",
    "MISSED": "yellow",
}


def make_console(file: IO[str], *, stderr_width: int | None = None) -> Console:
    """Return a console of 80 columns off a terminal; colour only on one and without NO_COLOR."""
    console = Console(file=file, highlight=False, soft_wrap=False)
    if not console.is_terminal or console.width > WIDTH:
        console.width = stderr_width or WIDTH
    return console


def make_table(*headings: str) -> Table:
    """Return a table for `print_table`, with these columns."""
    return Table(*headings, box=None, pad_edge=False, show_edge=False)


def print_table(console: Console, table: Table) -> None:
    """Print a table; no line ends with blanks, so that a file of it is as good as the screen."""
    for segments in console.render_lines(table, pad=False):
        line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
        line.rstrip()
        console.print(line, soft_wrap=True)


@contextmanager
def _even_if_nobody_reads(console: Console) -> Iterator[None]:
    """Let a report end where its reader has gone away; what was judged does not depend on it."""
    try:
        yield
    except (BrokenPipeError, SystemExit):
        # rich leaves the process when a pipe is closed, with the exit code that means FAIL here.
        console.quiet = True


def print_result(
    console: Console, result: Result, run_dir: Path, *, everything: bool = False
) -> None:
    """Print the block of one scenario. A closed pipe ends the printing and nothing else.

    Args:
        console: Where to.
        result: The run.
        run_dir: Stands in commands.
        everything: Print a failure whole too, with the witnesses of every check.
    """
    with _even_if_nobody_reads(console):
        if result.verdict.status is Status.FAIL and not everything:
            _print_failure(console, result, run_dir)
        else:
            _print_result(console, result, run_dir)


def _print_failure(console: Console, result: Result, run_dir: Path) -> None:
    sheet = _Sheet(console)
    _head(sheet, result, lines_max=_HEADING_LINES_MAX)
    rows = list(failure.rows(result, run_dir))
    wishes = [
        Wish(
            lines=sheet.height(row.body, None if row.is_command else row.lines_max),
            least=row.least,
            whole=row.is_command,
            rank=row.rank,
        )
        for row in rows
    ]
    given = share_out(wishes, FAIL_LINES_MAX - sheet.lines - 1)  # One is blank.
    for row, lines in zip(rows, given, strict=True):
        if lines and row.is_command:
            sheet.verbatim(row.label, row.body, _STYLES.get(row.style, row.style))
        elif lines:
            sheet.row(row.label, row.body, _STYLES.get(row.style, row.style), lines_max=lines)
    console.print()


def _print_result(console: Console, result: Result, run_dir: Path) -> None:
    sheet = _Sheet(console)
    _head(sheet, result)
    nothing = words.nothing_happened(result)
    if result.verdict.status is Status.PASS:
        # Before the claim, which it limits; elsewhere what happened comes first.
        sheet.rows("not tried", untried.lines(result.not_tried))
        sheet.row("claim", result.run.claim)
    else:
        _broken(sheet, result, run_dir)
    if nothing:
        sheet.row("checks", "nothing was sent, so there is nothing to judge and no figure")
    elif result.checks:
        _measured(sheet, result)
        _checks(sheet, result.checks)
    else:
        sheet.row("checks", "none was made")
    if result.drawn:
        sheet.row("drawn", "; ".join(drawn.lines(result.drawn)), lines_max=6)
    for line in _oddities(result):
        sheet.row("note", line)
    sheet.verbatim("results", f"{run_dir}")
    if result.verdict.status is Status.PASS:
        sheet.verbatim("repeat", result.run.repeat_command)
    console.print()


def print_suite(console: Console, suite: Suite, suite_dir: Path) -> None:
    """Print the closing lines of a suite: one per scenario, then the verdict of all.

    A closed pipe ends the printing and nothing else.
    """
    with _even_if_nobody_reads(console):
        _print_suite(console, suite, suite_dir)


def _print_suite(console: Console, suite: Suite, suite_dir: Path) -> None:
    sheet = _Sheet(console)
    for one in suite.scenarios:
        missed = ", limits MISSED" if one.limits is Limits.MISSED else ""
        # The folder is the scenario's name, with a number behind it where it ran several times.
        name = one.result.partition("/")[0]
        beside = f", {untried.beside(one.not_tried)}" if one.not_tried else ""
        sheet.heading(one.status.value, f"{name}{missed}{beside}", f"{one.duration_s:.1f} s")
    for skipped in suite.not_applicable:
        sheet.heading("N/A", f"{skipped.name}: {skipped.reason}", "")
    for left in suite.not_run:
        sheet.heading("NOT RUN", f"{left.name}: {left.reason.removeprefix('not run: ')}", "")
    console.print("-" * console.width)
    verdict = suite.verdict
    unfinished = "" if suite.complete else ", not complete"
    sheet.heading(
        verdict.status.value,
        f"suite{_not_whole(suite)}, {suite.profile}, seed {suite.seed}{unfinished}",
        f"exit {verdict.exit_code}",
    )
    sheet.row("reason", verdict.reason)
    if told := reach.never(suite, shlex.join(["tallystick", "reach", str(suite_dir)])):
        sheet.row("reach", told)
    sheet.verbatim("results", str(suite_dir))


def _not_whole(suite: Suite) -> str:
    """Return what stands beside a suite's verdict: what it does not speak of."""
    told = untried.of_suite(suite)
    return f", {told}" if told else ""


class _Sheet:
    """Lines with a label column, wrapped behind it; what is meant for copying is never wrapped.

    Attributes:
        unicode: Whether more than ASCII may be printed.
        lines: How many lines of the console were filled.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self.unicode = "utf" in console.encoding.lower()
        self.lines = 0

    def height(self, body: str, lines_max: int | None) -> int:
        """Return the lines that a row takes; None: of one that is not wrapped."""
        if lines_max is None:
            return -(-(_LABEL + len(body)) // self._console.width)
        return len(self._wrapped(body, lines_max))

    def heading(self, status: str, left: str, right: str, lines_max: int | None = None) -> None:
        room = self._console.width - _LABEL - len(right) - 1
        first, *more = self._wrapped(left, lines_max, max(room, 20))
        text = Text()
        text.append(f"{status:<{_LABEL}}", style=_STYLES.get(status, ""))
        text.append(f"{first:<{room}} {right}".rstrip(), style="bold")
        self._line(text)
        for line in more:
            self._line(Text(" " * _LABEL + line, style="bold"))

    def row(self, label: str, body: str, style: str = "", lines_max: int | None = None) -> None:
        """Print a wrapped text; what is more than `lines_max` lines is cut off, and ends in ….

        Words that are longer than a line are broken.
        """
        for index, line in enumerate(self._wrapped(body, lines_max)):
            self.verbatim(label if index == 0 else "", line, style)

    def _wrapped(self, body: str, lines_max: int | None, room: int = 0) -> list[str]:
        return textwrap.wrap(
            body,
            room or self._console.width - _LABEL,
            break_on_hyphens=False,
            max_lines=lines_max,
            placeholder=" …" if self.unicode else " ...",
        ) or [""]

    def rows(self, label: str, bodies: Sequence[str]) -> None:
        for index, body in enumerate(bodies):
            self.row(label if index == 0 else "", body)

    def verbatim(self, label: str, body: str, style: str = "") -> None:
        text = Text()
        text.append(f"  {label:<{_LABEL - 2}}", style="dim")
        text.append(body, style=style)
        self._line(text)

    def _line(self, text: Text) -> None:
        if not self.unicode:
            # A report must not fail on a terminal that knows only ASCII (LC_ALL=C).
            plain = text.plain.replace("µ", "u").encode("ascii", "replace").decode()
            text = Text(plain, spans=text.spans)
        self.lines += max(1, -(-len(text.plain) // self._console.width))
        self._console.print(text, soft_wrap=True)


def _head(sheet: _Sheet, result: Result, lines_max: int | None = None) -> None:
    run, verdict = result.run, result.verdict
    parts = [run.scenario, run.profile, f"seed {run.seed}"]
    if result.system.name != "reference":
        parts.append(f"system {result.system.name}")
    if left := untried.beside(untried.count_of(result.not_tried)):
        # First, so that it stands in the line of the verdict whatever else is wrapped.
        parts.insert(1, left)
    sheet.heading(verdict.status.value, ", ".join(parts), f"{run.duration_s:.1f} s", lines_max)
    if result.system.planted_bug is not None:
        planted = f"this system ran with a planted bug: {result.system.planted_bug}"
        sheet.row("PLANTED", planted, lines_max=lines_max)
    if not result.complete:
        sheet.row("INCOMPLETE", "the run was cut off; what follows covers a part of it")


def _broken(sheet: _Sheet, result: Result, run_dir: Path) -> None:
    root, others = failed_in_order(result.checks, result.diagnosis)
    if root is None:
        sheet.row("reason", f"{result.verdict.reason} ({result.verdict.reason_code})")
        sheet.row("claim", result.run.claim)
        sheet.rows("not tried", untried.lines(result.not_tried))
    else:
        sheet.row("what", failure.what(result, root), _STYLES["FAIL"])
        sheet.row("broken", result.run.claim)
        sheet.rows("not tried", untried.lines(result.not_tried))
        for check in (root, *others):
            _anomaly(sheet, check, result, run_dir)
    sheet.verbatim("repeat", result.run.repeat_command, style="bold")


def _anomaly(sheet: _Sheet, check: Check, result: Result, run_dir: Path) -> None:
    sheet.row("anomaly", words.anomaly(check), style="red")
    shown = check.witnesses[: words.WITNESSES_SHOWN_MAX]
    for witness in shown:
        sheet.row("witness", witness.summary)
        for record in witness.records[: words.RECORDS_SHOWN_MAX]:
            sheet.row("", f"- {words.record(record, result.senders)}")
        if len(witness.records) > words.RECORDS_SHOWN_MAX:
            more = len(witness.records) - words.RECORDS_SHOWN_MAX
            sheet.row("", f"- and {words.counted(more, 'more record')}")
    if len(check.witnesses) > len(shown) or check.witnesses_truncated:
        sheet.row("", f"more witnesses: {len(check.witnesses)} in result.json")
    where = [witness.history_ref for witness in shown if witness.history_ref]
    if where:
        sheet.verbatim("records", f"{run_dir / where[0]}")
        for other in where[1:]:
            sheet.verbatim("", f"{run_dir / other}")
    named = next((witness.message for witness in shown if witness.message), "")
    if named:
        name = words.named(named, result.senders)
        sheet.verbatim("look", words.history_command(str(run_dir), name))


def _measured(sheet: _Sheet, result: Result) -> None:
    sheet.rows("messages", list(words.fate(result.counts)))
    if result.bound is not None:
        sheet.row("bound", in_words(result.bound))
    latencies = result.latency_ms
    lines = [
        words.latency("ack", latencies.ack),
        words.latency("delivery", latencies.delivery),
        *(words.latency(f"{one.label}: ack", one.ack) for one in result.load_latency_ms),
    ]
    sheet.rows("latency", [line for line in lines if line is not None])
    sheet.row("per second", words.throughput(result.throughput_per_s))
    if behind := words.generator(result.throughput_per_s):
        sheet.row("generator", behind)
    if result.limits:
        style = _STYLES.get(result.verdict.limits.value, "")
        sheet.row("limits", result.verdict.limits.value, style=style)
        sheet.rows("", [words.limit(one) for one in result.limits])
    sheet.rows("faults", words.faults_together(result.faults))
    sheet.rows("errors", words.client_errors(result.client_errors))
    sheet.rows("processes", words.processes(result.processes))
    for index, line in enumerate(bars.draw(result.buckets, unicode=sheet.unicode)):
        label = "buckets" if index == 0 else ""
        if len(line) > WIDTH - _LABEL:
            sheet.row(label, line)
        else:
            sheet.verbatim(label, line)


def _checks(sheet: _Sheet, checks: Sequence[Check]) -> None:
    groups = words.by_status(checks)
    passed = groups[CheckStatus.PASS]
    ids = " ".join(check.id for check in passed)
    sheet.row("checks", f"{len(passed)} passed: {ids}" if passed else "none passed")
    for status in (CheckStatus.FAIL, CheckStatus.ERROR, CheckStatus.UNKNOWN):
        for check in groups[status]:
            told = words.instances(check) if status is CheckStatus.FAIL else check.reason
            line = f"{status.value} {check.id} {check.name}: {told or 'not judged'}"
            sheet.row("", line, style=_STYLES[status.value])
    skipped = groups[CheckStatus.NOT_APPLICABLE]
    if skipped:
        ids = " ".join(check.id for check in skipped)
        sheet.row("", f"{len(skipped)} not applicable: {ids}")


def _oddities(result: Result) -> list[str]:
    around = [
        f"link {link.link} was bypassed: {words.counted(link.connections, 'connection')} "
        f"and {words.counted(link.bytes, 'byte')} in the proxy, "
        f"{link.connections_counted:,} and {link.bytes_counted:,} counted"
        for link in result.coverage
        if not link.covered
    ]
    return [*around, *result.environment.flags, *result.notes]
