"""Books of a history: what was lost on its way to a file, or taken out of it, shows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.history.audit import Audit
from harness.history.books import Ledger
from harness.history.index import read_index, write_index
from harness.history.reader import read_folder, read_segment
from harness.history.recorder import Recorder
from harness.history.records import (
    AckCompleted,
    AckInvoked,
    Closed,
    Completed,
    Connected,
    Delivered,
    DeliveredRun,
    EndRead,
    FaultMarked,
    GaugeSeen,
    Invoked,
    Kept,
    Offered,
    Opened,
    PhaseMarked,
    PresenceSeen,
    Record,
    ResizeCompleted,
    ResizeInvoked,
    Stored,
    StoredEnd,
    Watermark,
)
from harness.history.segment import SCHEMA_WITHOUT_BOOKS

MS = 1_000_000
RUN = (DeliveredRun(7, 0, 2, 0, 1, 9),)


def of_sender(t_ns: int) -> list[Record]:
    return [
        Invoked(t_ns, 1, 7, "bob", 0, 2, t_ns),
        Completed(t_ns + 1, 1, 7, "bob", 0, 2, "ok", 0, 0, 1, ""),
        Connected(t_ns + 2, 1, "sender", "s", "e", True, "open"),
        Offered(t_ns + 3, 1, 2, 2, 0),
    ]


def of_reader(t_ns: int) -> list[Record]:
    return [
        Opened(t_ns, t_ns, "r", "bob", 1, -1, 0, "e"),
        Delivered(t_ns + 1, "r", "bob", 1, 0, False, RUN),
        AckInvoked(t_ns + 2, "r", "bob", 1, 1),
        AckCompleted(t_ns + 3, "r", "bob", 1, 1, "ok"),
        EndRead(t_ns + 4, t_ns, "r", "bob", 1),
        Closed(t_ns + 5, "r", "bob", 1, "logout", t_ns),
    ]


def of_runner(t_ns: int) -> list[Record]:
    return [
        PhaseMarked(t_ns, "load", True),
        FaultMarked(t_ns, "f1", "link_cut", "edge-core:e", "confirmed", True, {"gone": 1}),
        ResizeInvoked(t_ns, "bob", 0, 5),
        ResizeCompleted(t_ns, "bob", 0, 5, "ok", 1, 0, ""),
        PresenceSeen(t_ns, t_ns, "bob", True, "e", 1),
        GaugeSeen(t_ns, "core", 0, "commits", 1, -1),
        Stored(t_ns, "bob", 0, 0, 1, 1, 0, bytes(8), bytes(8), bytes(8)),
        StoredEnd(t_ns, "bob", 0, 0, t_ns),
    ]


OF = {"load-1": of_sender, "load-2": of_reader, "runner": of_runner}
FILES = {"load-1": "0001.msgpack", "load-2": "0002.msgpack", "runner": "0000.msgpack"}
TARGETS = {"load-1": "load:sender-1", "load-2": "load:reader"}
KILL = FaultMarked(900 * MS, "f9", "process_kill", "load:reader", "confirmed", True, {})
KINDS = [(name, kind) for name, of in OF.items() for kind in dict.fromkeys(map(type, of(0)))]


def write_run(folder: Path, *, killed: str = "", blow: FaultMarked | None = None) -> None:
    """Write three segments with books in their middle; a killed one ends behind its last."""
    ledgers = {name: Ledger(Recorder(folder / FILES[name], "run", name)) for name in FILES}
    told = {}
    for name, of in OF.items():
        ledgers[name].write_now(of(100 * MS))
        ledgers[name].beat(400 * MS)
        told[name] = ledgers[name].told()
        ledgers[name].write_now(of(500 * MS))
    if blow is not None:
        ledgers["runner"].write(blow)
    for name, target in TARGETS.items():
        if name != killed:
            ledgers[name].close()
            told[name] = ledgers[name].told()
        ledgers["runner"].write(Kept(950 * MS, name, target, told[name]))
    ledgers["runner"].close()
    write_index(folder, killed=[killed])


def audited(folder: Path) -> list[str]:
    audit = Audit(read_index(folder))
    assert list(read_folder(folder, audit.see))
    return audit.complaints()


def rewritten(folder: Path, name: str, change: Callable[[list[Any]], Sequence[Any]]) -> list[str]:
    """Change the records of a segment, make chain, trailer and index anew; return what is odd."""
    index = read_index(folder)
    killed = [one.recorder for one in index.segments if one.closed == "killed"]
    records = list(read_segment(folder / FILES[name], name in killed))
    (folder / FILES[name]).unlink()
    recorder = Recorder(folder / FILES[name], "run", name)
    recorder.write_now(change(records))
    if name not in killed:
        recorder.close()
    write_index(folder, killed=killed)
    return audited(folder)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    write_run(folder)
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "history"))


def test_a_sound_history_has_nothing_odd(folder: Path) -> None:
    assert audited(folder) == []


def without_one(kind: type) -> Callable[[list[Any]], list[Any]]:
    def change(records: list[Any]) -> list[Any]:
        place = next(i for i, record in enumerate(records) if isinstance(record, kind))
        return records[:place] + records[place + 1 :]

    return change


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_a_record_of_any_kind_that_is_gone_is_missed(name: str, kind: type, folder: Path) -> None:
    (said,) = rewritten(folder, name, without_one(kind))
    assert said == f"{name}: up to 0.40 s its books have 1 {kind.__name__}, its segment 0"


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_a_record_that_the_recorder_never_got_to_write_is_missed(
    name: str, kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Recorder.write_now

    def losing(recorder: Recorder, records: Sequence[Record]) -> None:
        mine = recorder.name == name
        write(recorder, [one for one in records if not (mine and isinstance(one, kind))])

    monkeypatch.setattr(Recorder, "write_now", losing)
    write_run(tmp_path)
    (said,) = audited(tmp_path)
    assert f"{kind.__name__}, its segment 0" in said


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("load-2", lambda r: [*r[:4], *r[3:]], "1 AckCompleted, its segment 2"),
        (
            "load-2",
            lambda r: [msgspec.structs.replace(one, upto=0) if isinstance(one, AckCompleted)
                       else one for one in r],
            "1 AckCompleted, its segment as many, but others",
        ),
        ("load-2", lambda r: [one for one in r if not isinstance(one, Kept)],
         "its segment does not end with its books"),
        ("load-1", lambda r: r[:-1], "its segment does not end with its books"),
        ("load-1", lambda r: r[: len(r) // 2], "the runner heard at its end"),
        ("runner", lambda r: [one for one in r if getattr(one, "recorder", "") != "load-1"],
         "runner: "),
    ],
)  # fmt: skip
def test_what_was_changed_is_told(
    name: str, change: Callable[[list[Any]], list[Any]], told: str, folder: Path
) -> None:
    said = rewritten(folder, name, change)
    assert told in " ".join(said), said


def test_a_segment_that_is_gone_is_missed(folder: Path) -> None:
    (folder / FILES["load-1"]).unlink()
    write_index(folder)
    assert audited(folder) == ["load-1: the runner heard its books, and it has no segment"]


def test_a_segment_that_is_there_twice_is_told(folder: Path) -> None:
    shutil.copy(folder / FILES["load-1"], folder / "0007.msgpack")
    write_index(folder)
    assert audited(folder) == ["load-1 has 2 segments"]


def test_a_killed_recorder_may_lack_what_lies_behind_its_last_books(tmp_path: Path) -> None:
    write_run(tmp_path, killed="load-2", blow=KILL)
    assert audited(tmp_path) == []
    keep_all_heard = 9  # What was recorded up to the books that were heard, and these.
    assert rewritten(tmp_path, "load-2", lambda records: records[:keep_all_heard]) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: r[:5], "as the runner heard before it was killed its books have 1 Closed"),
        (without_one(AckCompleted), "up to 0.40 s its books have 1 AckCompleted, its segment 0"),
        (lambda r: [], "as the runner heard before it was killed"),
    ],
)
def test_a_killed_recorder_lacks_nothing_before_its_last_books(
    change: Callable[[list[Any]], list[Any]], told: str, tmp_path: Path
) -> None:
    write_run(tmp_path, killed="load-2", blow=KILL)
    (said,) = rewritten(tmp_path, "load-2", change)
    assert told in said


@pytest.mark.parametrize(
    "blow",
    [
        None,
        msgspec.structs.replace(KILL, target="load:sender-1"),
        msgspec.structs.replace(KILL, kind="process_pause"),
        msgspec.structs.replace(KILL, state="requested"),
        msgspec.structs.replace(KILL, t_ns=480 * MS),
    ],
)
def test_a_segment_without_its_end_needs_the_kill_of_that_very_process(
    blow: FaultMarked | None, tmp_path: Path
) -> None:
    write_run(tmp_path, killed="load-2", blow=blow)
    (said,) = audited(tmp_path)
    assert said == (
        "load-2: its segment has no end, and no fault killed load:reader behind its last record"
    )


def test_a_history_from_before_there_were_books_is_read_as_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.history.recorder.SCHEMA", SCHEMA_WITHOUT_BOOKS)
    monkeypatch.setattr("harness.history.index.SCHEMA", SCHEMA_WITHOUT_BOOKS)
    for name, of in OF.items():
        (folder / FILES[name]).unlink()
        recorder = Recorder(folder / FILES[name], "run", name)
        recorder.write_now(of(1))
        recorder.close()
    write_index(folder)
    assert audited(folder) == []


def test_watermarks_are_in_no_books(tmp_path: Path) -> None:
    ledger = Ledger(Recorder(tmp_path / FILES["runner"], "run", "runner"))
    ledger.write(Watermark(1))
    assert ledger.told() == {}
