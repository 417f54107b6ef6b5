"""`report.html`: a run or a suite on one page that fetches nothing.

What can be read stands in the page as text, tables and SVG, so that it survives a viewer that runs
no scripts; only the charts over time need one. Plotly is embedded once, whatever the number of
runs, and so is the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.report import drawn, untried, words
from harness.report.html_parts import (
    checks_table,
    client_errors_table,
    counts_tiles,
    facts_lists,
    failures,
    faults_table,
    limits_table,
    lines_of,
    status_word,
    table,
)
from harness.report.result import Fault, Result, Status, Suite
from harness.report.series import Series
from harness.report.story import Story

REPORT_NAME = "report.html"

BUCKET_CHARTS_MAX = 12
"""Bar charts of buckets per run; the tables of `result.json` have all."""

FAULT_NAMES_MAX = 12
"""More bands than this are not named in the charts (`page.js`), nor below them."""

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)
"""Even a mistake of ours fetches nothing: the browser refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One run on the page.

    Attributes:
        label: Its name among the runs of a suite.
        result: What it came to.
        series: Its history in columns; None where that was not kept.
        run_dir: Where it lies, for the commands.
        stories: The ways of its witnesses' messages, by the names that the witnesses give.
    """

    label: str
    result: Result
    series: Series | None
    run_dir: str
    stories: Mapping[str, Story] = field(default_factory=dict)


def require_plotly() -> None:
    """See that the charts can be embedded.

    Raises:
        UsageError: Plotly is not installed; says how to get it.
    """
    if find_spec("plotly") is None:
        raise UsageError("an HTML report needs Plotly: pip install 'tallystick[report]'")


def run_report(page: Page) -> str:
    """Return the report of one run."""
    result = page.result
    body = [*_head(result), *_run(page, 0)]
    return _document(f"{result.verdict.status.value} {result.run.scenario}", body, [page])


def suite_report(suite: Suite, pages: Sequence[Page]) -> str:
    """Return the report of a suite; runs without a result stand in its table alone."""
    word = suite.verdict.status.value
    body = [*_suite_head(suite, [page.label for page in pages])]
    for number, page in enumerate(pages):
        status = page.result.verdict.status.value
        state = "" if status == "PASS" else " open"
        body.append(f'<details class="run" id="run-{number}"{state}>')
        left = _beside(untried.beside(untried.count_of(page.result.not_tried)))
        body.append(f'<summary><span class="{status}">{status}</span> {escape(page.label)}{left}')
        body.append("</summary>")
        body += _head(page.result, heading="h2")
        body += _run(page, number)
        body.append("</details>")
    return _document(f"{word} suite", body, pages)


def _suite_head(suite: Suite, labels: Sequence[str]) -> Iterator[str]:
    """Yield the verdict and the table of runs; one that has a part of its own is a link to it."""
    word = suite.verdict.status.value
    yield f'<h1><span class="verdict {word}">{word}</span> Tallystick suite</h1>'
    yield f"<p>{escape(suite.verdict.reason)}</p>"
    if left := untried.of_suite(suite):
        yield f'<p class="box marked">{escape(left)}</p>'
    cut = "" if suite.complete else ", not complete"
    yield (
        f'<p class="dim">{escape(suite.profile)}, seed {suite.seed}, '
        f"exit code {suite.verdict.exit_code}{cut}</p>"
    )
    rows = []
    for one in suite.scenarios:
        name = one.result.partition("/")[0]
        shown = escape(name)
        if name in labels:
            shown = f'<a href="#run-{labels.index(name)}">{shown}</a>'
        left = _beside(untried.beside(one.not_tried))
        words_of = [status_word(one.status.value) + left, status_word(one.limits.value)]
        rows.append([shown, *words_of, f"{one.duration_s:.1f}", escape(one.reason)])
    skipped = [
        *((one, "not applicable") for one in suite.not_applicable),
        *((one, "not run") for one in suite.not_run),
    ]
    rows += [[escape(one.name), word, "", "", escape(one.reason)] for one, word in skipped]
    yield from table(["run", "verdict", "limits", "seconds", "reason"], rows, numbers=(3,))


def _beside(told: str) -> str:
    """Return what stands behind a verdict or a name; nothing if there is nothing to say."""
    return f", {escape(told)}" if told else ""


def _head(result: Result, heading: str = "h1") -> Iterator[str]:
    run, word = result.run, result.verdict.status.value
    badge = f'<span class="verdict {word}">{word}</span>'
    left = _beside(untried.beside(untried.count_of(result.not_tried)))
    yield f"<{heading}>{badge} {escape(run.scenario)}{left}</{heading}>"
    lines = "; ".join(untried.lines(result.not_tried))
    box = f'<p class="box marked">Not tried, though planned: {escape(lines)}</p>' if lines else ""
    passed = result.verdict.status is Status.PASS
    if passed:
        yield box
    if result.system.planted_bug is not None:
        yield f'<p class="box marked">Planted bug: {escape(result.system.planted_bug)}</p>'
    if not result.complete:
        yield '<p class="box marked">The run was cut off; this covers a part of it.</p>'
    yield f'<p class="claim">{escape(run.claim)}</p>'
    yield f"<p>{escape(result.verdict.reason)}</p>"
    if not passed:
        yield box
    yield (
        f'<p class="dim">{escape(result.system.name)} {escape(result.system.version)}, '
        f"{escape(run.profile)}, seed {run.seed}, {run.duration_s:.1f} s, "
        f"{escape(run.started_at)}</p>"
    )


def _run(page: Page, number: int) -> Iterator[str]:
    result = page.result
    yield from failures(result, page.run_dir, page.stories)
    yield from counts_tiles(result)
    if not words.nothing_happened(result):
        yield from _figures(page, number)
    if result.drawn:
        yield "<h2>Drawn by the seed beside the plan</h2>"
        yield from lines_of(drawn.lines(result.drawn))
    yield "<h2>Repeat and look</h2>"
    yield f"<pre>{escape(result.run.repeat_command)}</pre>"
    yield f"<pre>tallystick check {escape(page.run_dir)}</pre>"
    yield from facts_lists(result)


def _figures(page: Page, number: int) -> Iterator[str]:
    """Yield what was measured, and the checks."""
    result = page.result
    yield from limits_table(result.limits)
    yield "<h2>Over time</h2>"
    if page.series is None:
        yield '<p class="dim">The history was not kept whole: nothing is drawn over time.</p>'
    else:
        for chart in ("throughput", "latency", "in_flight"):
            yield _chart(number, chart)
        yield (
            f'<p class="legend-note">In bins of {page.series.bin_ms} ms. Latency counts from when '
            "a message was due, to within 3 %. Shaded: from when a fault was "
            "asked for until it was undone; dotted: a single blow. "
            f"{escape(_fault_names(result.faults))}</p>"
            "<noscript>The charts need scripts; all other figures stand in the tables.</noscript>"
        )
    yield from faults_table(result.faults)
    yield from client_errors_table(result.client_errors)
    yield "<h2>Processes</h2>"
    yield from lines_of(words.processes(result.processes))
    if result.processes:
        yield _chart(number, "processes")
    if page.series is not None and page.series.processes:
        yield _chart(number, "node_cpu") + _chart(number, "node_memory")
    buckets = _buckets(result)
    if buckets:
        yield "<h2>Buckets</h2>"
        for index, bucket in enumerate(buckets):
            yield f'<p class="chart-name">{escape(bucket["title"])}</p>'
            yield _chart(number, "bucket", small=True, index=index)
    yield from checks_table(result.checks)


def _chart(number: int, kind: str, *, small: bool = False, index: int = -1) -> str:
    more = f' data-index="{index}"' if index >= 0 else ""
    return (
        f'<div class="chart{" small" if small else ""}" data-run="{number}" '
        f'data-chart="{kind}"{more}></div>'
    )


def _fault_names(faults: Sequence[Fault]) -> str:
    names = dict.fromkeys(f"{one.id} {one.kind}" for one in faults)
    return f"{', '.join(names)}." if names and len(names) <= FAULT_NAMES_MAX else ""


def _buckets(result: Result) -> list[dict[str, Any]]:
    found = [
        {
            "title": f"{inbox.inbox}, epoch {epoch.epoch}: {epoch.messages:,} messages in "
            f"{epoch.bucket_count} buckets",
            "loads": epoch.loads,
            "messages": epoch.messages,
            "bucket_count": epoch.bucket_count,
        }
        for inbox in result.buckets
        for epoch in inbox.epochs
        if epoch.bucket_count > 1
    ]
    return found[:BUCKET_CHARTS_MAX]


def _data(page: Page) -> dict[str, Any]:
    result, series = page.result, page.series
    bins = len(series.in_flight) if series else 0
    step_s = series.bin_ms / 1000 if series else 0.0
    end_s = max(result.run.duration_s, bins * step_s)
    return {
        "duration_s": end_s,
        "t": [round((index + 0.5) * step_s, 3) for index in range(bins)],
        "series": series,
        "phases": series.phases if series else [],
        "faults": _bands(result.faults, end_s),
        "processes": [
            {
                "name": f"{one.role} {one.index}",
                "cpu_s": one.cpu_s,
                "rss_mb": round(one.rss_max_bytes / 1e6, 1),
            }
            for one in result.processes
        ],
        "buckets": _buckets(result),
    }


def _bands(faults: Sequence[Fault], end_s: float) -> list[dict[str, Any]]:
    """Return from when each fault was asked for until it was undone.

    What one did to several links at a time is one band. It may have bitten before it was confirmed.
    """
    begins: dict[str, float] = {}
    ends: dict[str, float] = {}
    for one in words.in_request_order(faults):
        begin_s = one.requested_ns / 1e9
        healed_s = end_s if one.healed_ns is None else one.healed_ns / 1e9
        begins[one.id] = min(begin_s, begins.get(one.id, begin_s))
        ends[one.id] = max(healed_s, ends.get(one.id, healed_s))
    return [{"id": name, "begin_s": begins[name], "end_s": ends[name]} for name in begins]


def _document(title: str, body: Sequence[str], pages: Sequence[Page]) -> str:
    require_plotly()
    own = files("harness.report") / "page"
    style, script = ((own / f"page.{kind}").read_text("utf-8") for kind in ("css", "js"))
    library = (files("plotly") / "package_data" / "plotly.min.js").read_text("utf-8")
    # A "</" inside JSON could end the script element; "\/" means the same.
    data = msgspec.json.encode({"runs": [_data(page) for page in pages]}).decode()
    data = data.replace("</", "<\\/")
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{style}</style>\n</head>\n<body>",
            *body,
            f'<script id="data" type="application/json">{data}</script>',
            f"<script>{library}</script>",
            f"<script>\n{script}</script>\n</body>\n</html>\n",
        ]
    )
