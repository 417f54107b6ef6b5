"""The HTML report in a real browser: on a phone and a desk, in light and dark, of all its kinds.

Needs Chromium on PATH, which no Python package brings; without it `test_report_html` still reads
the pages' structure.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harness.cli.report import write_report
from harness.history import records as h
from harness.report.html import Page, run_report
from harness.report.result import EpochLoads, InboxBuckets, Result, SuiteScenario, Witness
from harness.report.writer import write_result, write_suite
from harness.testing import chromium
from harness.testing import example_results as examples
from harness.testing.stored_runs import simulated_records, store_run

pytestmark = pytest.mark.integration

PHONE_PX, DESK_PX = 390, 1280

DRAWN = """new Promise((done, fail) => {
  const from = Date.now();
  const look = () => {
    const left = [...document.querySelectorAll(".chart")].filter(
      (one) => one.checkVisibility() && !one.querySelector(".main-svg"));
    if (!left.length) return done(true);
    if (Date.now() - from > 30000) return fail(`not drawn: ${left[0].outerHTML}`);
    requestAnimationFrame(look);
  };
  look();
})"""
"""Waits until every chart that is in view is drawn."""

CUT_OFF = """[...document.querySelectorAll("svg.space-time text")].filter((text) => {
  const svg = text.ownerSVGElement;
  if (!svg.checkVisibility()) return false;
  const [box, room] = [text.getBBox(), svg.viewBox.baseVal];
  return box.x < 0 || box.x + box.width > room.width || box.y + box.height > room.height;
}).map((text) => text.textContent)"""

ACROSS = """[...document.querySelectorAll(".lane-name")].some((one, index, all) => {
  const next = all[index + 1];
  if (!one.checkVisibility() || !next || next.ownerSVGElement !== one.ownerSVGElement) return false;
  return one.getBBox().x + one.getBBox().width > next.getBBox().x;
})"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    if chromium.find() is None:
        pytest.skip("no Chromium on PATH")
    with chromium.opened(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run that passed, one that lost a message, and a suite of both."""
    suite_dir = tmp_path_factory.mktemp("suite")
    records, trims = simulated_records(20)
    gone = next(r for r in records if isinstance(r, h.Delivered)).runs[0]
    lossy = [
        record
        for record in records
        if not isinstance(record, h.Delivered)
        or all((run.producer, run.n_first) != (gone.producer, gone.n_first) for run in record.runs)
    ]
    entries = []
    for name, kept in (("passed", records), ("failed", lossy)):
        (suite_dir / name).mkdir()
        result = store_run(suite_dir / name, kept, seed=20, trims=trims)
        write_result(suite_dir / name, _with_buckets(result))
        entries.append(
            SuiteScenario(
                name=name, status=result.verdict.status, limits="NONE",
                reason=result.verdict.reason, duration_s=1.0, result=f"{name}/result.json",
            )
        )  # fmt: skip
    statuses = [str(one.status) for one in entries]
    assert statuses[1] == "FAIL" != statuses[0]
    write_suite(suite_dir, msgspec.structs.replace(examples.suite(), scenarios=entries))
    return {
        "passed": write_report(suite_dir / "passed"),
        "failed": write_report(suite_dir / "failed"),
        "suite": write_report(suite_dir),
    }


def _with_buckets(result: Result) -> Result:
    """Return the result with everything that a page can draw: long names included."""
    loads = EpochLoads(epoch=1, bucket_count=100, messages=10_000, loads=[100] * 100)
    inbox = InboxBuckets(inbox="a_rather_long_name_of_a_very_busy_user", epochs=[loads])
    return msgspec.structs.replace(
        result,
        buckets=[inbox],
        processes=examples.passed().processes,
        faults=examples.passed().faults,
    )


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [PHONE_PX, DESK_PX], ids=["phone", "desk"])
@pytest.mark.parametrize("kind", ["passed", "failed", "suite"])
def test_a_page_is_drawn_whole_and_complains_of_nothing(
    kind: str, width: int, dark: bool, browser: chromium.Browser, pages, tmp_path: Path
) -> None:
    address = pages[kind].as_uri()
    browser.show(address, width=width, height=900, dark=dark)
    browser.ask("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    browser.grow(width)
    assert browser.ask(DRAWN)
    assert browser.ask("document.querySelectorAll('.main-svg').length") >= 5
    assert browser.ask("innerWidth") == width
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask(CUT_OFF) == []
    assert browser.ask(ACROSS) is False
    background = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(15, 19, 24)" if dark else "rgb(255, 255, 255)")
    told = browser.told()
    assert told.complaints == []
    assert told.addresses == [address]
    picture = tmp_path / "picture.png"
    browser.picture(picture)
    assert picture.stat().st_size > 10_000


def test_a_desk_shows_a_diagram_of_six_lanes_without_scrolling_it(browser, tmp_path: Path) -> None:
    said = "a word and another " * 4
    lanes = [
        {"record": "fault_marked"}, {"record": "invoked"}, {"record": "stored"},
        *({"record": "closed", "reader": f"reader-{one}", "cause": said} for one in "abc"),
    ]  # fmt: skip
    failed = examples.failed()
    checks = [
        msgspec.structs.replace(one, witnesses=[Witness(summary="six", records=lanes)])
        if one.id == "A1"
        else one
        for one in failed.checks
    ]
    result = msgspec.structs.replace(failed, checks=checks)
    page = tmp_path / "wide.html"
    page.write_text(run_report(Page(label="wide", result=result, series=None, run_dir="x")))
    browser.show(page.as_uri(), width=DESK_PX, height=900, dark=False)
    assert browser.ask("document.querySelectorAll('.broken svg .lane').length") == 6
    assert browser.ask(CUT_OFF) == []
    room = "document.querySelector('.broken .scroll')"
    assert browser.ask(f"{room}.scrollWidth") <= browser.ask(f"{room}.clientWidth")


def test_the_verdict_is_in_view_at_once_and_so_is_the_claim(browser, pages) -> None:
    browser.show(pages["failed"].as_uri(), width=PHONE_PX, height=700, dark=True)
    for selector in (".verdict.FAIL", ".claim"):
        bottom = browser.ask(f"document.querySelector({selector!r}).getBoundingClientRect().bottom")
        assert 0 < bottom < 700
    assert browser.ask("!!document.querySelector('.broken .space-time-list').checkVisibility()")


def test_a_page_that_complains_or_fetches_is_noticed(browser, pages, tmp_path: Path) -> None:
    """What the test above rests on: the same page, with one mistake more."""
    text = pages["passed"].read_text()
    wrong = tmp_path / "wrong.html"
    mistake = "<script>console.error('x')</script><img src='picture.png'>"
    wide = "<div style='width:2000px'>x</div>"
    wrong.write_text(text.replace("</body>", f"{mistake}{wide}</body>"))
    told = browser.show(wrong.as_uri(), width=PHONE_PX, height=700, dark=False)
    assert any("picture.png" in line for line in told.complaints)
    assert any('"error"' in line and '"x"' in line for line in told.complaints)
    assert browser.ask("document.documentElement.scrollWidth") > PHONE_PX
