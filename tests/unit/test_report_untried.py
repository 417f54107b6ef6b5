"""What was optional and left out stands beside the verdict, in every report."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from harness.report.ci import suite_page
from harness.report.compare import Allowed, compare
from harness.report.html import Page, run_report, suite_report
from harness.report.junit import Case, junit
from harness.report.result import Result, Status, Suite
from harness.report.side_by_side import HEAD, Ran, rows
from harness.report.summary import result_markdown, suite_markdown
from harness.report.terminal import make_console, print_result, print_suite
from harness.report.untried import beside, count_of, lines, of_suite
from harness.testing import example_results as examples

BESIDE = "3 planned things not tried"
KILL = "process_kill on core 2 times: nats: not ours"


@pytest.fixture
def result() -> Result:
    return examples.partly_tried()


@pytest.fixture
def suite(result: Result) -> Suite:
    first, second = examples.suite().scenarios
    entry = msgspec.structs.replace(first, not_tried=count_of(result.not_tried))
    return msgspec.structs.replace(examples.suite(), scenarios=[entry, second])


def test_it_is_counted_and_told_by_its_reason(result: Result, suite: Suite) -> None:
    assert beside(count_of(result.not_tried)) == BESIDE
    assert (beside(1), beside(0)) == ("1 planned thing not tried", "")
    assert lines(result.not_tried) == [KILL, "promotion: nats has no ability 'resize'"]
    same = [msgspec.structs.replace(one, why="no") for one in result.not_tried]
    assert lines(same) == ["process_kill on core 2 times, promotion: no"]
    assert of_suite(suite) == f"1 scenario not applicable, {BESIDE}"
    assert of_suite(msgspec.structs.replace(suite, not_applicable=[], scenarios=[])) == ""


def test_the_reason_of_a_pass_says_it_and_that_of_a_fail_does_not(result: Result) -> None:
    assert result.verdict.reason.endswith(f"applicable checks passed; {BESIDE}")
    assert "not tried" not in examples.passed().verdict.reason


def test_the_terminal_has_it_in_the_line_of_the_verdict_and_near_it(result: Result) -> None:
    for status in Status:
        one = msgspec.structs.replace(
            result, verdict=msgspec.structs.replace(result.verdict, status=status)
        )
        out = io.StringIO()
        print_result(make_console(out), one, Path("results/x"))
        head = out.getvalue().splitlines()[:12]
        assert head[0].startswith(status.value)
        assert BESIDE in head[0]
        assert any(KILL in line for line in head)
        rows = [line[2:11].strip() for line in head[1:] if line[2:11].strip()]
        assert rows.count("not tried") == 1
        # It limits a pass; of everything else what happened comes first.
        first = {Status.PASS: ["not tried"], Status.FAIL: ["what", "broken", "not tried"]}
        expected = first.get(status, ["reason", "claim", "not tried"])
        assert rows[: len(expected)] == expected


def test_a_page_of_a_failure_begins_with_what_happened(result: Result) -> None:
    failed = msgspec.structs.replace(examples.failed(), not_tried=result.not_tried)
    for one, pages_begin_with_it in ((result, True), (failed, False)):
        for text in (
            result_markdown(one),
            run_report(Page(label="x", result=one, series=None, run_dir="results/x")),
        ):
            what = text.index(one.verdict.reason[:20])
            assert (text.index("Not tried, though planned") < what) is pages_begin_with_it


def test_the_last_lines_of_a_suite_have_it(suite: Suite) -> None:
    out = io.StringIO()
    print_suite(make_console(out), suite, Path("results/x"))
    shown = out.getvalue().splitlines()
    assert BESIDE in shown[0]
    (last,) = [line for line in shown if "suite" in line and "exit" in line]
    assert "suite, 1 scenario not applicable, 3 planned things" in last


def test_markdown_has_it_in_its_heading_and_first_lines(result: Result, suite: Suite) -> None:
    page = result_markdown(result).splitlines()
    assert page[0].startswith(f"# PASS, {BESIDE}: global_fan_in")
    assert f"- {KILL}".replace("_", "\\_") in page[:8]
    table = suite_markdown(suite)
    assert table.startswith(f"# FAIL, 1 scenario not applicable, {BESIDE}: Tallystick suite")
    assert f"| PASS, {BESIDE} |" in table
    folded = suite_page(suite, [Case(label="offline_messaging", result=result)])
    assert f"<summary>PASS, {BESIDE}: offline_messaging</summary>" in folded


def test_junit_skips_each_of_them_by_name(result: Result) -> None:
    (run,) = ET.fromstring(junit(result))
    skipped = {
        case.get("name"): case.find("skipped").get("message")  # type: ignore[union-attr]
        for case in run.findall("testcase")
        if str(case.get("name")).startswith("not tried: ")
    }
    assert skipped == {
        "not tried: process_kill on core": "nats: not ours",
        "not tried: promotion": "nats has no ability 'resize'",
    }
    (case,) = [one for one in run.findall("testcase") if one.get("name") == "verdict"]
    assert KILL in str(case.findtext("system-out"))
    assert int(str(run.get("skipped"))) == len(run.findall("testcase/skipped"))


def test_the_page_has_it_before_anything_else(result: Result, suite: Suite) -> None:
    page = Page(label="offline_messaging", result=result, series=None, run_dir="x")
    body = run_report(page).split("<body>")[1]
    heading, rest = body.split("</h1>", 1)
    assert BESIDE in heading
    assert rest.lstrip().startswith('<p class="box marked">Not tried, though planned: process_kill')
    whole = suite_report(suite, [page]).split("<body>")[1]
    assert f"1 scenario not applicable, {BESIDE}" in whole.split("<table")[0]
    assert f"</span> offline_messaging, {BESIDE}</summary>" in whole.replace("\n", "")
    assert "not applicable</td>" in whole


def test_comparisons_have_it_beside_the_verdict(result: Result) -> None:
    (pair,) = compare([result], [examples.passed()], Allowed(by_metric={})).pairs
    assert pair.verdicts.a == {f"PASS, {BESIDE}": 1}
    assert pair.verdicts.b == {"PASS": 1}
    row = rows({"nats": Ran(statuses=[Status.PASS], results=[result])})[0]
    assert row[HEAD.index("not tried")] == "3 things"
