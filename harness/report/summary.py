"""`summary.md`: a run on one page, for a CI job's summary or a pull request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.report import bars, drawn, reach, untried, words
from harness.report.result import Check, CheckStatus, Result, Status, Suite, SuiteScenario, Verdict
from harness.report.writer import write_atomically
from harness.run.bound import in_words
from harness.run.verdict import failed_in_order

SUMMARY_NAME = "summary.md"


def write_summary(run_dir: Path, result: Result) -> Path:
    """Write `summary.md` into the run folder and return its path."""
    return write_atomically(run_dir / SUMMARY_NAME, result_markdown(result).encode())


def write_suite_summary(suite_dir: Path, suite: Suite) -> Path:
    """Write `summary.md` into the folder of a suite and return its path."""
    return write_atomically(suite_dir / SUMMARY_NAME, suite_markdown(suite).encode())


def result_markdown(result: Result, run_dir: str = "RESULT") -> str:
    """Return a run as Markdown; `run_dir` stands in the commands to type."""
    return "\n".join(_result_lines(result, run_dir)) + "\n"


def broken_markdown(label: str, verdict: Verdict) -> str:
    """Return a run of which there is no result as Markdown."""
    return f"# {verdict.status.value}: {label}\n\n{escape(verdict.reason)}\n"


def suite_markdown(suite: Suite) -> str:
    """Return a suite as Markdown, with links to its results."""
    return suite_table(suite, links=True)


def suite_table(suite: Suite, *, links: bool) -> str:
    """Return a suite as a table; without links for a page that lies elsewhere."""
    verdict = suite.verdict
    word = _beside(verdict.status, untried.of_suite(suite))
    lines = [
        f"# {word}: Tallystick suite, {suite.profile}, seed {suite.seed}",
        "",
        escape(verdict.reason) + ("" if suite.complete else " (not complete)"),
        "",
        "| scenario | verdict | limits | seconds | reason |",
        "|---|---|---|---:|---|",
    ]
    lines += [
        f"| {_name(one, links=links)} | {_beside(one.status, untried.beside(one.not_tried))} "
        f"| {one.limits.value} "
        f"| {one.duration_s:.1f} | {escape(one.reason)} |"
        for one in suite.scenarios
    ]
    lines += [
        f"| {n.name} | not applicable | | | {escape(n.reason)} |" for n in suite.not_applicable
    ]
    lines += [f"| {n.name} | not run | | | {escape(n.reason)} |" for n in suite.not_run]
    if told := reach.never(suite, "tallystick reach RESULT"):
        lines += ["", escape(f"{told[0].upper()}{told[1:]}.")]
    return "\n".join(lines) + "\n"


def _beside(status: Status, told: str) -> str:
    return f"{status.value}, {told}" if told else status.value


def _name(one: SuiteScenario, *, links: bool) -> str:
    name = one.result.partition("/")[0]
    return f"[{name}]({one.result})" if links else name


def _result_lines(result: Result, run_dir: str) -> Iterator[str]:
    run, verdict = result.run, result.verdict
    left = untried.beside(untried.count_of(result.not_tried))
    yield f"# {_beside(verdict.status, left)}: {run.scenario}, {run.profile}, seed {run.seed}"
    yield ""
    if verdict.status is Status.PASS:
        yield from _not_tried(result)
    if result.system.planted_bug is not None:
        yield f"**This system ran with a planted bug: {escape(result.system.planted_bug)}**\n"
    if not result.complete:
        yield "**Incomplete: the run was cut off.**\n"
    yield f"Claim: {escape(run.claim)}\n"
    yield f"{escape(verdict.reason)}\n"
    if verdict.status is not Status.PASS:
        yield from _not_tried(result)
    root, others = failed_in_order(result.checks, result.diagnosis)
    if others:
        yield f"Also failed: {escape(words.also_failed(others))}\n"
    if root is not None:
        yield from _anomaly(root, result, run_dir)
    if not words.nothing_happened(result):
        yield from _figures(result)
        yield from _checks(result.checks)
    if result.drawn:
        yield "\n## Drawn by the seed beside the plan\n"
        yield from (f"- {escape(line)}" for line in drawn.lines(result.drawn))
    yield from ["", "Repeat the schedule of load and faults:", "", f"    {run.repeat_command}"]


def _not_tried(result: Result) -> Iterator[str]:
    if result.not_tried:
        yield "Not tried, though planned:\n"
        yield from (f"- {escape(line)}" for line in untried.lines(result.not_tried))
        yield ""


def _anomaly(check: Check, result: Result, run_dir: str) -> Iterator[str]:
    yield f"## {escape(words.anomaly(check))}\n"
    shown = check.witnesses[: words.WITNESSES_SHOWN_MAX]
    for witness in shown:
        where = f" `{witness.history_ref}`" if witness.history_ref else ""
        yield f"- {escape(witness.summary)}{where}"
        for record in witness.records[: words.RECORDS_SHOWN_MAX]:
            yield f"  - `{words.record(record, result.senders)}`"
        if (more := len(witness.records) - words.RECORDS_SHOWN_MAX) > 0:
            yield f"  - and {words.counted(more, 'more record')}"
        if witness.message:
            name = words.named(witness.message, result.senders)
            yield f"  - `{words.history_command(run_dir, name)}`"
    if len(check.witnesses) > len(shown):
        yield f"- more witnesses: {len(check.witnesses)} in `result.json`"
    yield ""


def _figures(result: Result) -> Iterator[str]:
    for line in words.fate(result.counts):
        yield f"- {line}"
    if result.bound is not None:
        yield f"- {in_words(result.bound)}"
    for name, measured in (
        ("ack", result.latency_ms.ack),
        ("delivery", result.latency_ms.delivery),
    ):
        told = words.latency(name, measured)
        if told is not None:
            yield f"- {told}"
    yield f"- per second: {words.throughput(result.throughput_per_s)}"
    if behind := words.generator(result.throughput_per_s):
        yield f"- generator: {behind}"
    yield from (f"- limit {words.limit(one)}" for one in result.limits)
    yield from (f"- fault {escape(line)}" for line in words.faults_together(result.faults))
    yield from (f"- errors: {escape(one)}" for one in words.client_errors(result.client_errors))
    yield from (f"- {line}" for line in words.processes(result.processes))
    yield from (f"- note: {escape(note)}" for note in [*result.environment.flags, *result.notes])
    drawn = bars.draw(result.buckets)
    if drawn:
        yield from ["", "```", *drawn, "```"]
    yield ""


def _checks(checks: list[Check]) -> Iterator[str]:
    yield from ["| check | status | examined | instances | reason |", "|---|---|---:|---:|---|"]
    for check in checks:
        if check.status is not CheckStatus.NOT_APPLICABLE:
            yield (
                f"| {check.id} {check.name} | {check.status.value} | {check.examined:,} "
                f"| {check.instances:,} | {escape(check.reason)} |"
            )
    skipped = [c.id for c in checks if c.status is CheckStatus.NOT_APPLICABLE]
    if skipped:
        yield from ["", f"Not applicable: {' '.join(skipped)}"]


def escape(text: str) -> str:
    """Return the text so that it stays in its table cell and starts no markup."""
    flat = " ".join(text.split())
    for letter in "\\|*_`":
        flat = flat.replace(letter, f"\\{letter}")
    return flat.replace("<", "&lt;").replace(">", "&gt;")
