"""The HTML report: one page that fetches nothing, says it all, and cannot be broken by a name."""

from __future__ import annotations

import json
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from harness.cli.main import run_cli
from harness.history import records as h
from harness.history.reader import read_folder
from harness.report import html, space_time
from harness.report.html import Page, run_report
from harness.report.result import SuiteScenario
from harness.report.series import series_of, write_series
from harness.report.writer import write_suite
from harness.testing import example_results as examples
from harness.testing import stand_in_runner
from harness.testing.stored_runs import simulated_records, store_run

VOID = {"meta", "link", "br", "img", "hr", "input", "line", "circle"}


class Reader(HTMLParser):
    """Takes a page apart; a tag that is not closed, or closed wrongly, is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs) -> None:
        self.attributes += attrs
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open and self.open[-1] != "style":
            self.text += data


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stored run in which every delivery of one message is missing."""
    run_dir = tmp_path_factory.mktemp("lossy") / "run"
    run_dir.mkdir()
    records, trims = simulated_records(20)
    gone = next(r for r in records if isinstance(r, h.Delivered)).runs[0]
    kept = [
        record
        for record in records
        if not isinstance(record, h.Delivered)
        or all((run.producer, run.n_first) != (gone.producer, gone.n_first) for run in record.runs)
    ]
    assert store_run(run_dir, kept, seed=20, trims=trims).verdict.status == "FAIL"
    return run_dir


def test_a_failing_run_is_told_with_its_witness_and_its_columns(lossy: Path, capsys) -> None:
    assert run_cli(["report", str(lossy)]) == 0
    assert capsys.readouterr().out.strip() == str(lossy / "report.html")
    page = (lossy / "report.html").read_text()
    read = Reader(page)
    for part in ("FAIL", "A1 LOST", "sends n", "tallystick history", "Checks", "Machine"):
        assert part in read.text
    # The lost message's whole way: sent, acknowledged, and an end read without it.
    drawn = page[page.index('<svg class="space-time"') :]
    drawn = drawn[: drawn.index("</svg>")]
    for part in ("sender ", "reader ", "send invoked", "acknowledged", "end read by"):
        assert part in drawn
    data = json.loads(read.scripts[0])
    (run,) = data["runs"]
    assert len(run["t"]) == len(run["series"]["in_flight"]) > 0
    assert sum(run["series"]["offered_per_s"]) > 0


def test_nothing_is_fetched(lossy: Path) -> None:
    run_cli(["report", str(lossy)])
    page = (lossy / "report.html").read_text()
    read = Reader(page)
    fetching = {"src", "href", "srcset", "action", "data", "xlink:href"}
    assert all(value.startswith("#") for name, value in read.attributes if name in fetching)
    assert "default-src 'none'" in page
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert 'name="viewport"' in page


@pytest.fixture
def suite_dir(lossy: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "suite"
    entries = []
    for name in ("one", "two", "three"):
        shutil.copytree(lossy, folder / name, ignore=shutil.ignore_patterns("report.html"))
        entries.append(
            SuiteScenario(
                name=name, status="FAIL", limits="NONE", reason="lost", duration_s=1.0,
                result=f"{name}/result.json",
            )
        )  # fmt: skip
    shutil.rmtree(folder / "two" / "history")
    (folder / "three" / "result.json").unlink()
    write_suite(folder, msgspec.structs.replace(examples.suite(), scenarios=entries))
    return folder


def test_a_suite_has_a_part_for_each_run_and_the_library_once(suite_dir: Path) -> None:
    assert (
        run_cli(["report", str(suite_dir / "suite.json"), "--out", str(suite_dir / "x.html")]) == 0
    )
    read = Reader((suite_dir / "x.html").read_text())
    runs = json.loads(read.scripts[0])["runs"]
    # One run has its history, one has not, and one broke before it had a result.
    assert [run["series"] is not None for run in runs] == [True, False]
    assert "The history was not kept" in read.text
    assert sum(len(script) > 1_000_000 for script in read.scripts) == 1
    links = [value for name, value in read.attributes if name == "href"]
    assert links == ["#run-0", "#run-1"]
    assert {"run-0", "run-1"} <= {value for name, value in read.attributes if name == "id"}


def test_columns_kept_in_place_of_a_history_are_drawn(lossy: Path, tmp_path: Path) -> None:
    run_dir = Path(shutil.copytree(lossy, tmp_path / "run"))
    write_series(run_dir, series_of(read_folder(run_dir / "history"), 5.0))
    run_cli(["report", str(run_dir)])
    whole = (run_dir / "report.html").read_text()
    shutil.rmtree(run_dir / "history")
    run_cli(["report", str(run_dir)])
    left = json.loads(Reader((run_dir / "report.html").read_text()).scripts[0])
    assert left["runs"][0]["series"]["in_flight"]
    assert (
        left["runs"][0]["series"]["phases"]
        == json.loads(Reader(whole).scripts[0])["runs"][0]["series"]["phases"]
    )
    (run_dir / "series.json").write_text("[]")
    assert run_cli(["report", str(run_dir)]) == 70


def test_names_from_outside_cannot_end_an_element() -> None:
    evil = "</script><script>alert(1)</script><b onclick=x>\"'&"
    base = examples.failed()
    lost = next(check for check in base.checks if check.id == "A1")
    witness = msgspec.structs.replace(
        lost.witnesses[0],
        summary=evil,
        message=evil,
        records=[
            {"record": "completed", "t_ns": 1, "producer": evil, "inbox": evil, "n_first": 1,
             "count": 1, "outcome": evil, "error": evil},
            {"record": "opened", "t_ns": 2, "reader": evil, "session": evil},
            {"record": evil, "t_ns": 3, evil: evil},
        ],
    )  # fmt: skip
    checks = [
        msgspec.structs.replace(lost, name=evil, witnesses=[witness]) if c is lost else c
        for c in base.checks
    ]
    result = msgspec.structs.replace(
        base,
        checks=checks,
        run=msgspec.structs.replace(
            base.run, scenario=evil, claim=evil, repeat_command=evil, parameters={evil: evil}
        ),
        system=msgspec.structs.replace(base.system, name=evil, config={evil: [evil]}),
        buckets=[msgspec.structs.replace(base.buckets[0], inbox=evil)],
        faults=[msgspec.structs.replace(base.faults[0], kind=evil, target=evil, id=evil)],
    )
    page = run_report(Page(label=evil, result=result, series=None, run_dir=evil))
    read = Reader(page)
    assert len(read.scripts) == 3
    assert json.loads(read.scripts[0])["runs"][0]["faults"][0]["id"] == evil
    assert "onclick" not in dict(read.attributes)
    assert "alert(1)" not in "".join(read.scripts[2:])


@pytest.mark.parametrize(
    "example", [examples.passed, examples.unknown, examples.started, examples.interrupted]
)
def test_every_shape_of_a_result_makes_a_page(example) -> None:
    result = example()
    read = Reader(run_report(Page(label="x", result=result, series=None, run_dir="x")))
    assert result.verdict.status.value in read.text
    assert result.run.claim in read.text
    if result.verdict.reason_code == "vacuous":
        assert "fault f1 (reset_peer on edge-core eu-west) had no observed effect" in read.text
        assert "no effect" in read.text


def test_a_diagram_joins_a_send_with_what_came_of_it() -> None:
    def run(n: int) -> dict[str, object]:
        return {"producer": "7", "n_first": n, "count": 2}

    drawn = space_time.of_records(
        [
            {"record": "delivered", "t_ns": 30, "reader": "ann", "inbox": "box", "pos_first": 4,
             "runs": [run(4)]},
            {"record": "invoked", "t_ns": 10, "producer": "7", "inbox": "box", "n_first": 5,
             "count": 1},
            {"record": "delivered", "t_ns": 20, "reader": "ann", "inbox": "box", "pos_first": 2,
             "runs": [run(2)]},
        ]
    )  # fmt: skip
    assert drawn.count('class="arrow"') == 1
    assert re.findall(r">([^<]+) s</text>", drawn) == ["0.000000"] * 3
    texts = re.findall(r'class="what"[^>]*>([^<]+)<', drawn)
    assert texts[0] == "sends n 5 to box"
    assert texts[2] == "delivered: positions 4 to 5"
    assert space_time.of_records([]) == ""


def test_words_too_long_for_a_diagram_go_on_in_a_second_line() -> None:
    said = "one two three " * 8
    drawn = space_time.of_records([{"record": "closed", "t_ns": 1, "session": 1, "cause": said}])
    texts = re.findall(r'class="what"[^>]*>([^<]+)<', drawn)
    assert len(texts) == 2
    assert " ".join(texts) == f"session 1 ended: {said}".strip()
    width = int(re.search(r'viewBox="0 0 (\d+) ', drawn)[1])
    assert width <= space_time.PAGE_PX


def test_without_plotly_it_is_said_before_a_run(monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(html, "find_spec", lambda name: None)
    assert run_cli(["run", "offline_messaging", "--html", "--out", "x"]) == 2
    assert "pip install 'tallystick[report]'" in capsys.readouterr().err
    assert not Path("x").exists()


def test_run_and_verify_make_it_when_asked(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "harness.run.runner", None)
    stand_in_runner.install()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(stand_in_runner.VARIABLE, "passed")
    assert run_cli(["run", "offline_messaging", "--html", "--out", "x"]) == 0
    assert "PASS" in Reader(Path("x/report.html").read_text()).text
    assert run_cli(["verify", "--only", "offline_messaging", "--html", "--out", "y"]) == 0
    assert "suite" in Reader(Path("y/report.html").read_text()).text
    assert run_cli(["run", "offline_messaging", "--out", "z"]) == 0
    assert not Path("z/report.html").exists()
