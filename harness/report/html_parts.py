"""The parts of the HTML report that need no script: what failed, tables, commands, facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

import msgspec

from harness.checkers.trust import in_trust_order
from harness.report import words
from harness.report.result import (
    Check,
    CheckStatus,
    ClientError,
    Fault,
    Limit,
    Result,
    Status,
    Witness,
)
from harness.report.space_time import of_records, of_story
from harness.report.story import Story
from harness.run.bound import in_words
from harness.run.verdict import failed_in_order

WITNESSES_MAX = 8
"""Witnesses drawn per check; the result file holds more."""

WITNESSES_OPEN = 1
"""Of them so many are open from the start: the next ones mostly tell the same again."""

WITNESSES_TOLD = 3
"""Of so many the whole way of the message is drawn, of the others their records."""


def told_messages(result: Result) -> list[str]:
    """Return the messages whose whole way should be drawn."""
    root, _ = failed_in_order(result.checks, result.diagnosis)
    if root is None:
        return []
    return [witness.message for witness in root.witnesses[:WITNESSES_TOLD] if witness.message]


def failures(result: Result, run_dir: str, stories: Mapping[str, Story]) -> Iterator[str]:
    """Yield what failed first, with its witnesses as diagrams, and name what else did.

    Where nothing failed and the run did not pass: what is not proven.

    Args:
        result: The run.
        run_dir: Stands in commands.
        stories: The ways of messages, by name; a witness without one shows its own records.
    """
    check, others = failed_in_order(result.checks, result.diagnosis)
    if check is not None:
        yield f'<section class="box broken"><h2>{escape(check.id)} {escape(check.name)}</h2>'
        yield f"<p>{escape(words.meaning(check))}</p>"
        yield f'<p class="dim">{escape(words.instances(check))}</p>'
        for witness in check.witnesses[:WITNESSES_OPEN]:
            yield from _witness(witness, result, run_dir, stories)
        more = check.witnesses[WITNESSES_OPEN:WITNESSES_MAX]
        if more:
            yield f"<details><summary>{len(more)} more</summary>"
            for witness in more:
                yield from _witness(witness, result, run_dir, stories)
            yield "</details>"
        left = check.instances - min(len(check.witnesses), WITNESSES_MAX)
        if left > 0:
            yield f'<p class="dim">and {words.counted(left, "more instance")}; see result.json</p>'
        yield "</section>"
    if others:
        yield f"<p>Also failed: {escape(words.also_failed(others))}</p>"
    if check is None and result.verdict.status is not Status.PASS:
        yield from _unproven(result)


def _witness(
    witness: Witness, result: Result, run_dir: str, stories: Mapping[str, Story]
) -> Iterator[str]:
    yield f"<h3>{escape(witness.summary)}</h3>"
    story = stories.get(witness.message)
    if story is not None and story.events:
        diagram = of_story(story)
    else:
        diagram = of_records(witness.records, result.senders)
    if diagram:
        yield f'<div class="scroll">{diagram}</div>'
    if witness.records:
        yield f"<details><summary>records {escape(witness.history_ref)}</summary><pre>"
        yield escape("\n".join(words.record(record, result.senders) for record in witness.records))
        yield "</pre></details>"
    if witness.message:
        name = words.named(witness.message, result.senders)
        yield f"<pre>{escape(words.history_command(run_dir, name))}</pre>"


def _unproven(result: Result) -> Iterator[str]:
    unsure = (CheckStatus.UNKNOWN, CheckStatus.ERROR)
    lines = [
        (check.status.value, f"{check.id} {check.name}: {check.reason}")
        for check in result.checks
        # Of a run that broke before anything was sent no check has anything to say.
        if check.status in unsure and not words.nothing_happened(result)
    ]
    lines += [(trouble.status.value, trouble.reason) for trouble in result.findings]
    for status, text in lines:
        # The reason of the verdict stands above already.
        if text != result.verdict.reason:
            yield f'<p class="box">{status_word(status)} {escape(text)}</p>'


def counts_tiles(result: Result) -> Iterator[str]:
    """Yield what became of the messages, then latency and rates in words."""
    if words.nothing_happened(result):
        yield '<p class="dim">It broke before anything was sent: there are no figures.</p>'
        return
    counts = result.counts
    tiles = [
        ("acknowledged", counts.sends.ok, False),
        ("delivered", counts.delivered, False),
        ("lost", counts.lost.total, True),
        ("gone from the log", counts.vanished, True),
        ("passed by", counts.passed_by, True),
        ("duplicated", counts.duplicated, True),
        ("reordered", counts.reordered, True),
        ("refused", counts.sends.fail, False),
        ("unknown", counts.sends.info, False),
        ("redelivered", counts.redelivered, False),
        ("reconnects", counts.reconnects.sender + counts.reconnects.receiver, False),
    ]
    yield '<div class="tiles">'
    for name, value, is_bad in tiles:
        bad = " bad" if is_bad and value else ""
        yield f'<div class="tile{bad}"><b>{value:,}</b>{name}</div>'
    yield "</div>"
    if result.bound is not None:
        yield f"<p>{escape(in_words(result.bound))}</p>"
    lines = [
        words.latency("ack", result.latency_ms.ack),
        words.latency("delivery", result.latency_ms.delivery),
        f"per second: {words.throughput(result.throughput_per_s)}",
    ]
    yield from lines_of(line for line in lines if line is not None)


def lines_of(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines that belong together."""
    yield f'<p class="lines">{"<br>".join(escape(line) for line in lines)}</p>'


def limits_table(limits: Sequence[Limit]) -> Iterator[str]:
    """Yield the thresholds, if there are any."""
    if limits:
        rows = [
            [one.metric, f"{one.op} {words.amount(one.metric, one.limit)}",
             "-" if one.measured is None else words.amount(one.metric, one.measured),
             status_word("MET" if one.met else "MISSED")]
            for one in limits
        ]  # fmt: skip
        yield "<h2>Limits</h2>"
        yield from table(["metric", "limit", "measured", ""], rows)


def faults_table(faults: Sequence[Fault]) -> Iterator[str]:
    """Yield the journal of the faults."""
    if not faults:
        return
    yield f"<h2>Faults</h2><details{' open' if len(faults) <= 8 else ''}>"
    yield f"<summary>{words.counted(len(faults), 'fault')}</summary>"
    yield from table(
        ["", "fault", "on", "time", "effect"],
        [
            [
                escape(one.id),
                escape(one.kind),
                escape(one.target),
                words.held(one, digits=2),
                escape(_plain(one.effect))
                if one.effective
                else status_word("UNKNOWN", "no effect"),
            ]
            for one in words.in_request_order(faults)
        ],
    )
    yield "</details>"


def client_errors_table(errors: Sequence[ClientError]) -> Iterator[str]:
    """Yield what clients were told by the system when something did not work, if anything was."""
    if not errors:
        return
    yield "<h2>What clients were told</h2>"
    yield from table(
        ["", "count", "first s", "last s", "in the last words"],
        [
            [
                escape(f"{one.who}: {one.occasion}"),
                f"{one.count:,}",
                f"{one.first_ns / 1e9:.1f}",
                f"{one.last_ns / 1e9:.1f}",
                escape(one.last),
            ]
            for one in errors
        ],
        numbers=(1, 2, 3),
    )


def _span(one: Fault) -> str:
    if one.confirmed_ns is None:
        return f"asked for at {one.requested_ns / 1e9:.2f} s, never confirmed"
    end = "…" if one.healed_ns is None else f"{one.healed_ns / 1e9:.2f}"
    return f"{one.confirmed_ns / 1e9:.2f} to {end} s"


def checks_table(checks: Sequence[Check]) -> Iterator[str]:
    """Yield all checks, those that did not pass first."""
    if not checks:
        yield "<p>No check was made.</p>"
        return
    rank = {CheckStatus.FAIL: 0, CheckStatus.ERROR: 1, CheckStatus.UNKNOWN: 2}
    ordered = sorted(
        in_trust_order(checks),
        key=lambda one: (one.status is CheckStatus.NOT_APPLICABLE, rank.get(one.status, 3)),
    )
    yield "<h2>Checks</h2>"
    yield from table(
        ["check", "status", "examined", "found", "reason"],
        [
            [
                f"{escape(one.id)} {escape(one.name)}",
                status_word(one.status.value),
                f"{one.examined:,}",
                f"{one.instances:,}",
                escape(one.reason),
            ]
            for one in ordered
        ],
        numbers=(2, 3),
    )


def facts_lists(result: Result) -> Iterator[str]:
    """Yield the parameters, the settings and the machine."""
    environment = msgspec.to_builtins(result.environment)
    groups = {
        "Parameters": result.run.parameters,
        "System": {
            "name": result.system.name,
            "version": result.system.version,
            "place": result.system.place,
            "promises": ", ".join(result.system.promises),
            **result.system.config,
        },
        "Machine": environment,
    }
    for title, facts in groups.items():
        if facts:
            yield f"<details><summary>{title}</summary>"
            rows = [[escape(name), escape(_plain(value))] for name, value in facts.items()]
            yield from table(["", ""], rows)
            yield "</details>"
    for note in [*result.environment.flags, *result.notes]:
        yield f'<p class="dim">{escape(note)}</p>'


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()
) -> Iterator[str]:
    """Yield a table of cells that are HTML already; columns in `numbers` stand to the right."""
    kinds = [' class="n"' if index in numbers else "" for index in range(len(heads))]
    # On a phone a row is a paragraph, in which these cells need no name.
    plain = ("", heads[0], "status", "verdict", "reason")
    labels = ["" if head in plain else f' data-head="{head}"' for head in heads]
    yield '<div class="scroll"><table>'
    if any(heads):
        cells = zip(kinds, heads, strict=True)
        yield f"<thead><tr>{''.join(f'<th{kind}>{head}</th>' for kind, head in cells)}</tr></thead>"
    for row in rows:
        fields = zip(kinds, labels, row, strict=True)
        yield f"<tr>{''.join(f'<td{kind}{label}>{cell}</td>' for kind, label, cell in fields)}</tr>"
    yield "</table></div>"


def status_word(word: str, text: str = "") -> str:
    """Return a status in its colour."""
    return f'<b class="{word}">{text or word.replace("_", " ")}</b>'


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, float):
        return f"{value:,.6g}"
    return msgspec.json.encode(value).decode()
