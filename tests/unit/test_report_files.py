"""junit.xml and summary.md beside a result."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from harness.report.junit import junit, write_junit
from harness.report.result import CheckStatus, Result, Witness
from harness.report.summary import result_markdown, suite_markdown, write_summary
from harness.testing import example_results as examples


def suite_of(result: Result) -> ET.Element:
    suite = ET.fromstring(junit(result)).find("testsuite")
    assert suite is not None
    return suite


def case(suite: ET.Element, name: str) -> ET.Element:
    (found,) = [one for one in suite.iter("testcase") if one.get("name") == name]
    return found


@pytest.mark.parametrize("example", [examples.passed, examples.failed, examples.unknown])
def test_junit_has_one_case_per_check_and_counts_that_fit(example) -> None:
    result = example()
    suite = suite_of(result)
    cases = list(suite.iter("testcase"))
    assert len(cases) == 1 + len(result.checks) + len(result.limits) == int(suite.get("tests"))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(attribute)) == len(list(suite.iter(tag)))


def test_junit_tells_each_status_apart() -> None:
    failed = suite_of(examples.failed())
    assert case(failed, "A1 LOST").find("failure").get("type") == "LOST"
    assert "n 500..502" in case(failed, "A1 LOST").find("failure").text
    assert case(failed, "A5 CORRUPT").find("*") is None
    assert case(failed, "B6 ORDER-DISAGREE").find("skipped") is not None
    assert case(failed, "verdict").find("failure") is not None
    unknown = suite_of(examples.unknown())
    assert case(unknown, "D5 VACUOUS").find("error").get("type") == "UNKNOWN"
    assert case(unknown, "verdict").find("error") is not None
    assert list(suite_of(examples.passed()).iter("failure")) == []


def test_junit_survives_letters_that_xml_cannot_hold() -> None:
    failed = examples.failed()
    bad = Witness(summary="body \x00\x1b\ud800 & <b>", history_ref="h")
    checks = [
        msgspec.structs.replace(c, witnesses=[bad]) if c.status is CheckStatus.FAIL else c
        for c in failed.checks
    ]
    suite = suite_of(msgspec.structs.replace(failed, checks=checks))
    assert "body ??? & <b>" in case(suite, "A1 LOST").find("failure").text


def test_the_summary_tells_verdict_anomaly_figures_and_command() -> None:
    text = result_markdown(examples.failed())
    assert text.startswith("# FAIL: global_fan_in, standard, seed 4711\n")
    assert "## A1 LOST, 3 in 517,000 examined: A message was acknowledged and never came" in text
    assert "`history/0003.msgpack#17`" in text
    assert "| A1 LOST | FAIL | 517,000 | 3 |" in text
    assert "    tallystick run global_fan_in --seed 4711" in text
    assert "Incomplete" in result_markdown(examples.interrupted())
    assert "fewer than 1 in 172,579 messages" in result_markdown(examples.passed())


def test_a_reason_cannot_break_out_of_its_table_cell() -> None:
    passed = examples.passed()
    checks = [msgspec.structs.replace(passed.checks[0], reason="a | b\n| c <script>")]
    text = result_markdown(msgspec.structs.replace(passed, checks=checks))
    row = next(line for line in text.splitlines() if line.startswith("| A1"))
    assert row.endswith("| a \\| b \\| c &lt;script&gt; |")


def test_the_summary_of_a_suite_links_each_result() -> None:
    text = suite_markdown(examples.suite())
    assert "| [fan](fan/result.json) | FAIL | MET | 42.3 |" in text
    assert "| hotkey_bucketing | not applicable |" in text


def test_files_are_written_into_the_run_folder(tmp_path: Path) -> None:
    write_junit(tmp_path, examples.passed())
    write_summary(tmp_path, examples.passed())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["junit.xml", "summary.md"]
