"""`junit.xml`: the checks of a run as test cases, for the test views of CI systems."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from harness.report import words
from harness.report.result import Check, CheckStatus, Limit, Result, Status
from harness.report.writer import write_atomically

JUNIT_NAME = "junit.xml"


def write_junit(run_dir: Path, result: Result) -> Path:
    """Write `junit.xml` into the run folder and return its path."""
    return write_atomically(run_dir / JUNIT_NAME, junit(result))


def junit(result: Result) -> bytes:
    """Return the XML: one case per check and limit, and one for the verdict itself.

    FAIL is a failure, ERROR and UNKNOWN are errors (a promise that was not judged is no success),
    NOT_APPLICABLE is skipped; a missed limit is a failure of its own case.
    """
    cases = [_verdict_case(result)]
    cases += [_check_case(result, check) for check in result.checks]
    cases += [_limit_case(result, limit) for limit in result.limits]
    suite = ET.Element(
        "testsuite",
        name=f"tallystick.{result.run.scenario}",
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped=str(sum(case.find("skipped") is not None for case in cases)),
        time=f"{result.run.duration_s:.3f}",
        timestamp=result.run.started_at,
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("seed", result.run.seed),
        ("profile", result.run.profile),
        ("repeat", result.run.repeat_command),
    ):
        ET.SubElement(properties, "property", name=name, value=_clean(str(value)))
    suite.extend(cases)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    body: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return body + b"\n"


def _case(result: Result, name: str) -> ET.Element:
    return ET.Element(
        "testcase", classname=f"tallystick.{result.run.scenario}", name=_clean(name), time="0"
    )


def _verdict_case(result: Result) -> ET.Element:
    case = _case(result, "verdict")
    verdict = result.verdict
    kind = {Status.PASS: None, Status.FAIL: "failure"}.get(verdict.status, "error")
    if kind is not None:
        told = ET.SubElement(case, kind, type=verdict.reason_code, message=_clean(verdict.reason))
        told.text = _clean(f"{result.run.claim}\nrepeat: {result.run.repeat_command}")
    return case


def _check_case(result: Result, check: Check) -> ET.Element:
    case = _case(result, f"{check.id} {check.name}")
    match check.status:
        case CheckStatus.PASS:
            pass
        case CheckStatus.NOT_APPLICABLE:
            ET.SubElement(case, "skipped", message=_clean(check.reason))
        case CheckStatus.FAIL:
            told = ET.SubElement(
                case, "failure", type=check.name, message=_clean(words.anomaly(check))
            )
            lines = []
            for witness in check.witnesses:
                lines.append(f"{witness.summary} [{witness.history_ref}]")
                lines += [f"  {words.record(record)}" for record in witness.records]
            told.text = _clean("\n".join(lines))
        case CheckStatus.UNKNOWN | CheckStatus.ERROR:
            ET.SubElement(case, "error", type=check.status.value, message=_clean(check.reason))
    return case


def _limit_case(result: Result, limit: Limit) -> ET.Element:
    case = _case(result, f"limit {limit.metric} {limit.op} {limit.limit:g}")
    if not limit.met:
        ET.SubElement(case, "failure", type="MISSED", message=_clean(words.limit(limit)))
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
