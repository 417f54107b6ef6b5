"""`junit.xml`: the checks of a run as test cases, for the test views of CI systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from harness.report import untried, words
from harness.report.result import Check, CheckStatus, Limit, NotTried, Result, Status, Verdict
from harness.report.writer import write_atomically
from harness.run.verdict import failed_in_order

JUNIT_NAME = "junit.xml"

ENDINGS = ("failure", "error", "skipped")
"""How a case can end other than well."""

COUNTED = ("tests", "failures", "errors", "skipped")
"""What a suite counts of its cases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run as a suite of test cases; without a result it broke (`verdict`) or did not run.

    Attributes:
        label: Names it among the runs of a suite.
        result: What it came to.
        run_dir: Where it lies, for commands.
        scenario: Its scenario, where there is no result.
        verdict: Why there is no result.
        skipped: Why it did not run.
        duration_s: How long it took, where there is no result.
    """

    label: str
    result: Result | None = None
    run_dir: str = ""
    scenario: str = ""
    verdict: Verdict | None = None
    skipped: str = ""
    duration_s: float = 0.0


def write_junit(run_dir: Path, result: Result) -> Path:
    """Write `junit.xml` into the run folder and return its path."""
    return write_atomically(run_dir / JUNIT_NAME, junit(result))


def junit(result: Result) -> bytes:
    """Return the XML of one run."""
    return junit_document([Case(label=result.run.scenario, result=result)])


def junit_document(cases: Sequence[Case]) -> bytes:
    """Return the XML: per run one case per check and limit, and one for the verdict itself.

    FAIL is a failure, ERROR and UNKNOWN are errors (a promise that was not judged is no success),
    NOT_APPLICABLE is skipped, as is a run that did not take place, and whatever of the plan was
    optional and not tried; a missed limit is a failure of its own case. Of a run that broke before
    anything was sent there is the verdict alone.
    """
    root = ET.Element("testsuites")
    for case in cases:
        root.append(_suite(case) if case.result is None else _result_suite(case, case.result))
    ET.indent(root)
    body: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return body + b"\n"


def outcomes(data: bytes) -> dict[str, str]:
    """Return how each case of a JUnit document ended, and what its suites count.

    Raises:
        ValueError: It is no such document, or has two cases of one name.
    """
    try:
        root = ET.fromstring(data)
    except ET.ParseError as error:
        raise ValueError(str(error)) from error
    found: dict[str, str] = {}
    for suite in root.iter("testsuite"):
        name = suite.get("name", "")
        told = {name: " ".join(f"{suite.get(key)} {key}" for key in COUNTED)}
        for case in suite.iter("testcase"):
            ended = next((kind for kind in ENDINGS if case.find(kind) is not None), "passed")
            told[f"{name} {case.get('name')}"] = ended
        if found.keys() & told.keys() or len(told) != 1 + len(list(suite.iter("testcase"))):
            raise ValueError(f"{name} names a case twice")
        found |= told
    return found


def _result_suite(case: Case, result: Result) -> ET.Element:
    tests = [_verdict_case(result)]
    if not words.nothing_happened(result):
        tests += [_check_case(result, check, case.run_dir) for check in result.checks]
        tests += [_limit_case(result, limit) for limit in result.limits]
        tests += [_untried_case(result, one) for one in result.not_tried]
    suite = _counted(case.label, tests, result.run.duration_s)
    suite.set("timestamp", result.run.started_at)
    properties = ET.Element("properties")
    for name, value in (
        ("seed", result.run.seed),
        ("profile", result.run.profile),
        ("system", result.system.name),
        ("repeat", result.run.repeat_command),
        *(("not tried", line) for line in untried.lines(result.not_tried)),
    ):
        ET.SubElement(properties, "property", name=name, value=_clean(str(value)))
    suite.insert(0, properties)
    return suite


def _suite(case: Case) -> ET.Element:
    only = ET.Element("testcase", classname=f"tallystick.{case.scenario}", name="verdict", time="0")
    if case.verdict is not None:
        ET.SubElement(
            only,
            "error",
            type=case.verdict.reason_code,
            message=_clean(case.verdict.reason),
        )
    else:
        ET.SubElement(only, "skipped", message=_clean(case.skipped))
    return _counted(case.label, [only], case.duration_s)


def _counted(label: str, tests: Sequence[ET.Element], duration_s: float) -> ET.Element:
    suite = ET.Element(
        "testsuite",
        name=_clean(f"tallystick.{label}"),
        tests=str(len(tests)),
        failures=str(sum(test.find("failure") is not None for test in tests)),
        errors=str(sum(test.find("error") is not None for test in tests)),
        skipped=str(sum(test.find("skipped") is not None for test in tests)),
        time=f"{duration_s:.3f}",
    )
    suite.extend(tests)
    return suite


def _case(result: Result, name: str) -> ET.Element:
    return ET.Element(
        "testcase", classname=f"tallystick.{result.run.scenario}", name=_clean(name), time="0"
    )


def _verdict_case(result: Result) -> ET.Element:
    case = _case(result, "verdict")
    verdict = result.verdict
    if left := untried.lines(result.not_tried):
        told = ET.SubElement(case, "system-out")
        told.text = _clean("\n".join(["not tried, though planned:", *left]))
    kind = {Status.PASS: None, Status.FAIL: "failure"}.get(verdict.status, "error")
    if kind is not None:
        told = ET.SubElement(case, kind, type=verdict.reason_code, message=_clean(verdict.reason))
        told.text = _clean(
            f"{result.run.claim}\n{_others(result)}repeat: {result.run.repeat_command}"
        )
    return case


def _others(result: Result) -> str:
    _, others = failed_in_order(result.checks, result.diagnosis)
    return f"also failed: {words.also_failed(others)}\n" if others else ""


def _check_case(result: Result, check: Check, run_dir: str) -> ET.Element:
    case = _case(result, f"{check.id} {check.name}")
    match check.status:
        case CheckStatus.PASS:
            pass
        case CheckStatus.NOT_APPLICABLE:
            ET.SubElement(case, "skipped", message=_clean(check.reason))
        case CheckStatus.FAIL:
            diagnosis = result.diagnosis
            is_root = diagnosis is not None and diagnosis.check == check.id
            message = diagnosis.text if diagnosis and is_root else words.anomaly(check)
            told = ET.SubElement(case, "failure", type=check.name, message=_clean(message))
            lines = [words.anomaly(check)] if is_root else []
            for witness in check.witnesses:
                lines.append(f"{witness.summary} [{witness.history_ref}]")
                lines += [f"  {words.record(record, result.senders)}" for record in witness.records]
                if witness.message:
                    name = words.named(witness.message, result.senders)
                    lines.append(words.history_command(run_dir or "RESULT", name))
            told.text = _clean("\n".join(lines))
        case CheckStatus.UNKNOWN | CheckStatus.ERROR:
            ET.SubElement(case, "error", type=check.status.value, message=_clean(check.reason))
    return case


def _limit_case(result: Result, limit: Limit) -> ET.Element:
    case = _case(result, f"limit {limit.metric} {limit.op} {limit.limit:g}")
    if not limit.met:
        ET.SubElement(case, "failure", type="MISSED", message=_clean(words.limit(limit)))
    return case


def _untried_case(result: Result, one: NotTried) -> ET.Element:
    case = _case(result, f"not tried: {one.what}")
    ET.SubElement(case, "skipped", message=_clean(one.why))
    return case


def _clean(text: str) -> str:
    """Return the text without the characters that XML 1.0 cannot hold at all."""
    return (
        "".join(
            letter if letter in "\t\n" or (letter >= " " and letter not in "\ufffe\uffff") else "?"
            for letter in text
        )
        .encode("utf-8", "replace")
        .decode()
    )
