"""Run folders that somebody has changed, every digest made anew: `check` never believes one.

Each is made from a run of three recorders: a record of each kind dropped, doubled, moved, its time
and every other value of it changed; segments exchanged, cut, mixed and renamed; journal, schedule,
index, pages and suite rewritten. Only the books of the history are not made anew.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.cli.check import check_run
from harness.cli.main import EXIT_ERROR, run_cli
from harness.errors import DamagedHistory, HarnessError
from harness.faults.journal import JOURNAL_NAME
from harness.history.audit import RUNNER, Audit
from harness.history.index import read_index, write_index
from harness.history.reader import read_folder, read_segment
from harness.history.recorder import Recorder
from harness.history.records import Kept, PartTold, Record, TroubleSeen
from harness.report.codec import decode_result
from harness.report.result import Status
from harness.run.verdict import Finding
from harness.testing.forging import FILES, READER, SENDER, aftermath_of, make_run, make_suite
from harness.testing.leaves import at, leaves, others, plain, put
from harness.testing.stored_runs import RUN_ID, seal

EDITS_AT_LEAST = 120
"""How many values of records are changed, one at a time."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("sound") / "run"
    make_run(run_dir, Status.PASS)
    return run_dir


@pytest.fixture
def run_dir(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "run"))


def segments_of(run_dir: Path) -> dict[str, list[Record]]:
    history = run_dir / "history"
    return {name: list(read_segment(history / file)) for name, file in FILES.items()}


def kinds_in(run_dir: Path) -> list[tuple[str, type]]:
    return [
        (name, kind)
        for name, records in segments_of(run_dir).items()
        for kind in sorted({type(one) for one in records} - {Kept}, key=lambda kind: kind.__name__)
        if kind.__name__ != "Watermark"
    ]


def write_anew(history: Path, name: str, records: Sequence[Record]) -> None:
    """Write a segment with its chain and trailer, and the index, as a forger would."""
    (history / FILES[name]).unlink()
    recorder = Recorder(history / FILES[name], RUN_ID, name)
    recorder.write_now(records)
    recorder.close()
    write_index(history)


def is_believed(run_dir: Path) -> bool:
    """Say whether `check` believes a folder, the digests in its result made anew."""
    seal(run_dir, decode_result((run_dir / "result.json").read_bytes()))
    try:
        check_run(run_dir / "result.json")
    except HarnessError:
        return False
    return True


def place_of(records: Sequence[Record], kind: type) -> int:
    return next(at for at, one in enumerate(records) if isinstance(one, kind))


def dropped(records: list[Record], place: int) -> list[Record]:
    return [*records[:place], *records[place + 1 :]]


def doubled(records: list[Record], place: int) -> list[Record]:
    return [*records[: place + 1], *records[place:]]


def later(records: list[Record], place: int) -> list[Record]:
    one = records[place]
    moved = msgspec.structs.replace(one, t_ns=one.t_ns + 1)
    return [*records[:place], moved, *records[place + 1 :]]


def test_an_untouched_run_is_believed(run_dir: Path) -> None:
    assert is_believed(run_dir)


@pytest.mark.parametrize("change", [dropped, doubled, later])
def test_a_record_of_no_kind_can_be_dropped_doubled_or_moved_in_time(
    change: Callable[[list[Record], int], list[Record]], sound: Path, tmp_path: Path
) -> None:
    segments = segments_of(sound)
    kinds = kinds_in(sound)
    assert len({kind for _, kind in kinds}) >= 18
    for name, kind in kinds:
        run_dir = Path(shutil.copytree(sound, tmp_path / f"{name}-{kind.__name__}"))
        records = segments[name]
        write_anew(run_dir / "history", name, change(records, place_of(records, kind)))
        assert not is_believed(run_dir), f"{kind.__name__} of {name}"
        shutil.rmtree(run_dir)


def test_a_record_of_no_kind_can_be_moved_to_another_recorder(sound: Path, tmp_path: Path) -> None:
    segments = segments_of(sound)
    for name, kind in kinds_in(sound):
        history = Path(shutil.copytree(sound / "history", tmp_path / f"{name}-{kind.__name__}"))
        other = READER if name == SENDER else SENDER
        place = place_of(segments[name], kind)
        moved = segments[name][place]
        write_anew(history, name, dropped(segments[name], place))
        records = sorted([*segments[other], moved], key=lambda one: one.t_ns)
        write_anew(history, other, records)
        assert complaints(history), f"{kind.__name__} of {name}"


def complaints(history: Path) -> list[str]:
    """Return what is odd; a history that cannot be read at all is."""
    try:
        audit = Audit(read_index(history))
        list(read_folder(history, audit.see))
    except DamagedHistory as error:
        return [str(error)]
    return audit.complaints()


def edits(records: list[Record], kind: type) -> Iterator[Record]:
    """Yield a record of this kind with each of its values changed."""
    one = records[place_of(records, kind)]
    names = one.__struct_fields__
    tree = dict(zip(names, plain(one)[1:], strict=True))
    for path in leaves(tree):
        for value in others(at(tree, path)):
            changed = put(tree, path, value)
            try:
                yield msgspec.convert([plain(one)[0], *changed.values()], kind)
            except msgspec.ValidationError:
                continue
            break


def test_no_value_of_any_record_can_be_changed(sound: Path, tmp_path: Path) -> None:
    history = Path(shutil.copytree(sound / "history", tmp_path / "history"))
    edited = 0
    for name, records in segments_of(sound).items():
        for kind in [kind for of, kind in kinds_in(sound) if of == name]:
            place = place_of(records, kind)
            for other in edits(records, kind):
                if abs(other.t_ns - records[place].t_ns) > 1:
                    continue
                write_anew(history, name, [*records[:place], other, *records[place + 1 :]])
                assert complaints(history), other
                edited += 1
        write_anew(history, name, records)
        assert complaints(history) == []
    assert edited >= EDITS_AT_LEAST


# Segments


def swapped(history: Path) -> None:
    one, other = (history / FILES[name] for name in (SENDER, READER))
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def renamed(history: Path) -> None:
    (history / FILES[SENDER]).rename(history / "0009.msgpack")


def gone(history: Path) -> None:
    (history / FILES[READER]).unlink()


def twice(history: Path) -> None:
    shutil.copy(history / FILES[READER], history / "0009.msgpack")


def emptied(history: Path) -> None:
    write_anew(history, READER, [])


def without_books(history: Path) -> None:
    records = list(read_segment(history / FILES[READER]))
    write_anew(history, READER, [one for one in records if not isinstance(one, Kept)])


def of_another_version(history: Path) -> None:
    index = json.loads((history / "index.json").read_bytes())
    (history / "index.json").write_text(json.dumps({**index, "schema": "tallystick.history/1"}))


@pytest.mark.parametrize("change", [gone, twice, emptied, without_books])
def test_segments_are_those_that_were_written(
    change: Callable[[Path], None], run_dir: Path
) -> None:
    change(run_dir / "history")
    write_index(run_dir / "history", killed=[SENDER, READER])
    assert not is_believed(run_dir)


@pytest.mark.parametrize("change", [swapped, renamed, of_another_version])
def test_an_index_that_does_not_fit_is_refused(
    change: Callable[[Path], None], run_dir: Path
) -> None:
    change(run_dir / "history")
    assert not is_believed(run_dir)


@pytest.mark.parametrize("part", [0.2, 0.5, 0.8, 0.99])
def test_a_segment_that_was_cut_and_called_killed_is_refused(part: float, run_dir: Path) -> None:
    path = run_dir / "history" / FILES[SENDER]
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    write_index(run_dir / "history", killed=[SENDER, ""])
    assert not is_believed(run_dir)


def test_a_segment_of_another_run_is_refused(run_dir: Path, tmp_path: Path) -> None:
    make_run(tmp_path / "other", Status.UNKNOWN)
    for name in FILES:
        shutil.copy(tmp_path / "other" / "history" / FILES[name], run_dir / "history" / FILES[name])
        write_index(run_dir / "history")
        assert not is_believed(run_dir), name


def test_outcomes_that_are_gone_from_what_is_called_killed_are_told(run_dir: Path, capsys) -> None:
    history = run_dir / "history"
    records = list(read_segment(history / FILES[SENDER]))
    (history / FILES[SENDER]).unlink()
    recorder = Recorder(history / FILES[SENDER], RUN_ID, SENDER)
    recorder.write_now([one for one in records if type(one).__name__ != "Completed"])
    write_index(history, killed=[SENDER])
    assert not is_believed(run_dir)
    assert "Completed, its segment 0" in capsys.readouterr().err


# Other files


def rewritten(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (JOURNAL_NAME, '"duration_s":0.1', '"duration_s":9'),
        (JOURNAL_NAME, '"process_kill"', '"process_pause"'),
        (JOURNAL_NAME, '"effective":true', '"effective":false'),
        (JOURNAL_NAME, '"requested_ns":1', '"requested_ns":0'),
        ("schedule.json", '"seed": 41', '"seed": 33'),
        ("schedule.json", '"users": 3', '"users": 4'),
        ("schedule.json", '"a slow disk"', '"a fast disk"'),
        ("schedule.json", '"a replay"', '"no replay"'),
        ("schedule.json", '"acknowledged_messages >= 1"', '"acknowledged_messages >= 2"'),
        ("schedule.json", '"it cannot"', '"it will not"'),
        ("history/index.json", RUN_ID, "another"),
        ("history/index.json", '"recorder": "load-1"', '"recorder": "load-3"'),
        ("junit.xml", 'name="A1 LOST"', 'name="A1 FOUND"'),
        ("junit.xml", 'failures="0"', 'failures="1"'),
        ("junit.xml", "<testsuites>", "<testsuites"),
    ],
)
def test_a_file_that_says_otherwise_is_not_believed(
    name: str, old: str, new: str, run_dir: Path
) -> None:
    rewritten(run_dir / name, old, new)
    assert not is_believed(run_dir)


def test_a_page_that_is_worded_otherwise_is_remarked_on(run_dir: Path, capsys) -> None:
    with (run_dir / "summary.md").open("a") as page:
        page.write("All is well.\n")
    assert is_believed(run_dir)
    assert run_cli(["check", str(run_dir)]) == 0
    assert "summary.md is worded otherwise" in capsys.readouterr().out


def test_a_file_that_is_listed_no_more_is_missed_or_remarked_on(run_dir: Path, capsys) -> None:
    (run_dir / "more.txt").write_text("x")
    assert run_cli(["check", str(run_dir)]) == 0
    assert "added after the run: more.txt" in capsys.readouterr().out
    path = run_dir / "result.json"
    tree = json.loads(path.read_bytes())
    tree["artifacts"] = [one for one in tree["artifacts"] if one["path"] != "junit.xml"]
    path.write_text(json.dumps(tree))
    assert run_cli(["check", str(run_dir)]) == EXIT_ERROR
    assert "junit.xml was added after the run" in capsys.readouterr().err


@pytest.mark.parametrize("schema", ["tallystick.result/1.3", "tallystick.result/1.4"])
def test_a_result_cannot_pretend_to_be_older(schema: str, run_dir: Path, capsys) -> None:
    path = run_dir / "result.json"
    rewritten(path, "tallystick.result/1.5", schema)
    assert run_cli(["check", str(run_dir)]) == EXIT_ERROR
    assert f"schema: stored {schema}" in capsys.readouterr().err


def test_what_broke_the_harness_cannot_be_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def broken(status: Status, records: Sequence[Record]) -> Any:
        left = aftermath_of(status, records)
        left.findings.append(Finding(status=Status.ERROR, reason_code="harness", reason="broke"))
        return left

    monkeypatch.setattr("harness.testing.forging.aftermath_of", broken)
    make_run(tmp_path / "run", Status.ERROR)
    path = tmp_path / "run" / "result.json"
    assert run_cli(["check", str(path)]) == EXIT_ERROR
    assert "the stored history says the same" in capsys.readouterr().out
    tree = json.loads(path.read_bytes())
    path.write_text(json.dumps({**tree, "findings": []}))
    assert run_cli(["check", str(path)]) == EXIT_ERROR
    assert "findings: stored none with ERROR, from the runner's history" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [PartTold, TroubleSeen])
def test_what_the_runner_wrote_down_is_no_json_or_status(kind: type, run_dir: Path) -> None:
    history = run_dir / "history"
    records = list(read_segment(history / FILES[RUNNER]))
    if kind is PartTold:
        bad: Record = PartTold(records[-1].t_ns, "config", "{")
    else:
        bad = TroubleSeen(records[-1].t_ns, "FINE", "x", "x")
    write_anew(history, RUNNER, [*records, bad])
    assert not is_believed(run_dir)


# Suites


@pytest.fixture
def suite_dir(sound: Path, tmp_path: Path) -> Path:
    again = Path(shutil.copytree(sound, tmp_path / "again"))
    make_suite(tmp_path / "suite", [sound, again])
    return tmp_path / "suite"


def test_an_untouched_suite_is_believed(suite_dir: Path) -> None:
    assert run_cli(["check", str(suite_dir)]) == 0


def forget_a_run(suite_dir: Path) -> None:
    path = suite_dir / "suite.json"
    tree = json.loads(path.read_bytes())
    path.write_text(json.dumps({**tree, "scenarios": tree["scenarios"][1:]}))


def name_a_run_outside(suite_dir: Path) -> None:
    rewritten(suite_dir / "suite.json", '"run/result.json"', '"../again/result.json"')


def turn_a_case(suite_dir: Path) -> None:
    rewritten(suite_dir / "junit.xml", 'name="A1 LOST"', 'name="A1 FOUND"')


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (forget_a_run, "run/result.json lies there, and the suite does not list it"),
        (name_a_run_outside, "which is none of its folders"),
        (turn_a_case, "A1 LOST: not there, from the result passed"),
    ],
)
def test_a_suite_that_says_otherwise_is_not_believed(
    change: Callable[[Path], None], told: str, suite_dir: Path, capsys
) -> None:
    change(suite_dir)
    assert run_cli(["check", str(suite_dir)]) == EXIT_ERROR
    assert told in capsys.readouterr().err
