"""`check`: the stored history decides; what was tampered with is never a pass."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.cli.main import EXIT_ERROR, run_cli
from harness.faults.journal import JOURNAL_NAME, write_journal
from harness.history.index import read_index, write_index
from harness.history.reader import read_folder
from harness.history.recorder import Recorder
from harness.history.records import Completed, Delivered, FaultMarked, Invoked, PhaseMarked
from harness.report.codec import decode_result
from harness.report.result import (
    RESULT_SCHEMA,
    Diagnosis,
    Fault,
    InboxBuckets,
    Latencies,
    LinkCoverage,
    LoadLatency,
    Process,
    Result,
    Status,
)
from harness.report.writer import write_result
from harness.run.aftermath import Aftermath
from harness.run.bound import zero_of_n
from harness.run.recheck import RECOMPUTED
from harness.testing.oracle import in_order
from harness.testing.stored_runs import (
    RUN_ID,
    seal,
    simulated_records,
    store_run,
    write_history,
)

SEED = 20

FAULT = Fault(
    id="f1", kind="process_kill", target="core", effective=True, effect={"gone": 1, "back": 1},
    requested_ns=1, confirmed_ns=2, healed_ns=3,
)  # fmt: skip
COVERAGE = LinkCoverage(
    link="edge-core:near", connections=3, forwarded=2, connections_counted=2, bytes=90,
    bytes_up=50, bytes_down=40, bytes_counted=40, covered=True,
)  # fmt: skip
MARKS = [
    FaultMarked(1, "f1", "process_kill", "core", "requested", False, {}),
    FaultMarked(2, "f1", "process_kill", "core", "confirmed", True, {"gone": 1}),
    FaultMarked(3, "f1", "process_kill", "core", "healed", True, {"gone": 1, "back": 1}),
]


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    run_dir = tmp_path_factory.mktemp("stored") / "run"
    run_dir.mkdir()
    records, trims = simulated_records(SEED)
    result = store_run(
        run_dir,
        in_order([*MARKS, *records]),
        seed=SEED,
        trims=trims,
        aftermath=Aftermath(faults=[FAULT], coverage=[COVERAGE]),
    )
    assert result.counts.delivered > 20
    assert not [check.id for check in result.checks if check.status == "FAIL"]
    return run_dir


@pytest.fixture
def run_dir(stored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stored, tmp_path / "run"))


def rewrite(run_dir: Path, change) -> None:
    """Change the records of a history, with every digest and sum around them made anew."""
    result = decode_result((run_dir / "result.json").read_bytes())
    records = change(list(read_folder(run_dir / "history")))
    shutil.rmtree(run_dir / "history")
    write_history(run_dir / "history", records)
    seal(run_dir, result)


def of(records: list, kind: type) -> list[int]:
    return [place for place, record in enumerate(records) if isinstance(record, kind)]


def test_an_untouched_run_gets_its_verdict_again(run_dir: Path, capsys) -> None:
    code = decode_result((run_dir / "result.json").read_bytes()).verdict.exit_code
    assert code in (0, 3)
    for place in (run_dir, run_dir / "result.json"):
        assert run_cli(["check", str(place)]) == code
    assert "the stored history says the same" in capsys.readouterr().out


def altered(result: Result, name: str) -> Result:
    """Return the result with one recomputed part made better than it was."""
    changes = {
        "counts": msgspec.structs.replace(result.counts, delivered=result.counts.delivered + 1),
        "limits": [msgspec.structs.replace(result.limits[0], measured=9e9)],
        "bound": zero_of_n(messages=9, commits=0, kills=0),
        "diagnosis": Diagnosis(text="All is well.", check="A1", messages=1),
        "latency_ms": Latencies(),
        "load_latency_ms": [LoadLatency(label="quiet")],
        "throughput_per_s": msgspec.structs.replace(result.throughput_per_s, acknowledged=9e9),
        "processes": [
            Process(role="core", index=0, cpu_s=0.1, cpu_us_per_message=None, rss_max_bytes=1)
        ],
        "buckets": [*result.buckets, InboxBuckets(inbox="nobody", epochs=[])],
        "reached": {**result.reached, "core.gap": 7},
    }
    return msgspec.structs.replace(result, **{name: changes[name]})


@pytest.mark.parametrize("name", RECOMPUTED)
def test_a_better_figure_than_the_history_gives_is_noticed(
    name: str, run_dir: Path, capsys
) -> None:
    result = decode_result((run_dir / "result.json").read_bytes())
    write_result(run_dir, altered(result, name))
    assert run_cli(["check", str(run_dir)]) == EXIT_ERROR
    assert re.search(rf"^  {name}\b.*: stored ", capsys.readouterr().err, re.MULTILINE)


@pytest.mark.parametrize(
    ("part", "change", "told"),
    [
        ("run", {"seed": 1}, "run.seed: stored 1, from the schedule 20"),
        ("run", {"scenario": "x"}, "run.scenario: stored x"),
        ("run", {"parameters": {"users": 9}}, "run.parameters.users: stored 9"),
        ("system", {"promises": []}, "system.promises: stored 0 of them"),
        ("system", {"place": "x"}, "system.place: stored x"),
        ("faults", [], "faults: stored 0 of them, from the journal 1"),
        ("faults", {"effective": False}, "faults[0].effective: stored False"),
        ("faults", {"effect": {"gone": 1}}, "faults[0].effect.back: stored None"),
        ("coverage", {"covered": False}, "coverage of edge-core:near: covered: stored False"),
        ("coverage", {"bytes_down": 39}, "covered: stored True, from its own counts False"),
        ("coverage", {"forwarded": 1}, "covered: stored True, from its own counts False"),
        ("coverage", {"counted": False, "forwarded": 0}, "covered: stored True"),
        ("coverage", [], "coverage: stored 0 of them, from the runner's history 1"),
        ("coverage", {"bytes_counted": 0}, "coverage[0].bytes_counted: stored 0"),
        ("run", {"id": "another"}, "run.id: stored another"),
        ("run", {"profile": "nightly"}, "run.profile: stored nightly"),
        ("run", {"claim": "All is well."}, "run.claim: stored All is well."),
        ("run", {"command": "tallystick run x"}, "run.command: stored"),
        ("system", {"name": "kafka"}, "system.name: stored kafka"),
        ("system", {"version": "9"}, "system.version: stored 9"),
        ("system", {"abilities": []}, "system.abilities: stored 0 of them"),
        ("environment", {"python": "CPython 4"}, "environment.python: stored CPython 4"),
        ("environment", {"flags": ["odd"]}, "environment.flags: stored 1 of them"),
        ("verdict", {"reason": "fine"}, "verdict.reason: stored fine"),
        ("verdict", {"reason_code": "fine"}, "verdict.reason_code: stored fine"),
        ("notes", ["all is well"], "notes: stored 1 of them, from the schedule 0"),
    ],
)
def test_what_another_file_says_otherwise_is_noticed(
    part: str, change: Any, told: str, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = decode_result((run_dir / "result.json").read_bytes())
    assert run_cli(["check", str(run_dir)]) == sound.verdict.exit_code, capsys.readouterr().err
    old = getattr(sound, part)
    if isinstance(change, list):
        new: Any = change
    elif isinstance(old, list):
        new = [msgspec.structs.replace(old[0], **change)]
    else:
        new = msgspec.structs.replace(old, **change)
    seal(run_dir, msgspec.structs.replace(sound, **{part: new}))
    assert run_cli(["check", str(run_dir)]) == EXIT_ERROR
    assert told in capsys.readouterr().err


def test_a_journal_that_is_gone_is_missed(run_dir: Path, capsys) -> None:
    sound = decode_result((run_dir / "result.json").read_bytes())
    (run_dir / JOURNAL_NAME).unlink()
    seal(run_dir, sound)
    assert run_cli(["check", str(run_dir)]) == EXIT_ERROR
    assert f"{run_dir / JOURNAL_NAME} is missing" in capsys.readouterr().err


def test_a_newer_result_and_one_that_cannot_be_read_are_no_damage(run_dir: Path, capsys) -> None:
    path = run_dir / "result.json"
    path.write_text(path.read_text().replace(RESULT_SCHEMA, "tallystick.result/9.0"))
    assert run_cli(["check", str(run_dir)]) == 2
    assert f"{path}: written by a newer Tallystick" in capsys.readouterr().err
    path.unlink()
    path.mkdir()
    assert run_cli(["compare", str(path), str(path)]) == 2


@pytest.mark.parametrize("kind", [Invoked, Completed, Delivered])
def test_a_removed_record_is_noticed(kind: type, run_dir: Path, capsys) -> None:
    def remove(records: list) -> list:
        del records[of(records, kind)[-1]]
        return records

    rewrite(run_dir, remove)
    assert run_cli(["check", str(run_dir)]) == 70
    assert "the other files of its run say something else" in capsys.readouterr().err


def test_a_doubled_delivery_is_noticed(run_dir: Path, capsys) -> None:
    def double(records: list) -> list:
        place = of(records, Delivered)[0]
        return [*records[: place + 1], records[place], *records[place + 1 :]]

    rewrite(run_dir, double)
    assert run_cli(["check", str(run_dir)]) == 70
    assert "check A8: stored ('PASS'" in capsys.readouterr().err


def test_swapped_deliveries_are_noticed(run_dir: Path, capsys) -> None:
    def swap(records: list) -> list:
        by_session: dict[tuple, list[int]] = {}
        for place in of(records, Delivered):
            one = records[place]
            by_session.setdefault((one.reader, one.session), []).append(place)
        first, second = next(places for places in by_session.values() if len(places) > 1)[:2]
        one, two = records[first], records[second]
        records[first] = msgspec.structs.replace(two, t_ns=one.t_ns)
        records[second] = msgspec.structs.replace(one, t_ns=two.t_ns)
        return records

    rewrite(run_dir, swap)
    assert run_cli(["check", str(run_dir)]) == 70
    assert "the other files of its run say something else" in capsys.readouterr().err


def test_an_altered_content_is_noticed(run_dir: Path, capsys) -> None:
    def alter(records: list) -> list:
        place = of(records, Delivered)[0]
        one = records[place]
        run = msgspec.structs.replace(one.runs[0], digest=one.runs[0].digest ^ 1)
        records[place] = msgspec.structs.replace(one, runs=(run, *one.runs[1:]))
        return records

    rewrite(run_dir, alter)
    assert run_cli(["check", str(run_dir)]) == 70
    assert "check A5: stored ('PASS'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["history/0000.msgpack", "history/index.json", "schedule.json"])
def test_a_damaged_file_is_named(name: str, run_dir: Path, capsys) -> None:
    path = run_dir / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    assert run_cli(["check", str(run_dir)]) == 70
    assert f"{path} is damaged" in capsys.readouterr().err
    path.unlink()
    assert run_cli(["check", str(run_dir)]) == 70
    assert f"{path} is missing" in capsys.readouterr().err


def test_a_segment_added_later_is_named(run_dir: Path, capsys) -> None:
    shutil.copy(run_dir / "history/0000.msgpack", run_dir / "history/0001.msgpack")
    assert run_cli(["check", str(run_dir)]) == 70
    assert "history/0001.msgpack was added after the run" in capsys.readouterr().err


def test_a_verdict_that_was_made_nicer_is_not_believed(run_dir: Path, capsys) -> None:
    result = decode_result((run_dir / "result.json").read_bytes())
    verdict = msgspec.structs.replace(result.verdict, status=Status.FAIL, exit_code=1)
    write_result(run_dir, msgspec.structs.replace(result, verdict=verdict))
    assert run_cli(["check", str(run_dir)]) == 70
    assert "verdict.status: stored FAIL" in capsys.readouterr().err
    counts = msgspec.structs.replace(result.counts, delivered=result.counts.delivered + 1)
    write_result(run_dir, msgspec.structs.replace(result, counts=counts))
    assert run_cli(["check", str(run_dir)]) == 70
    assert "counts.delivered: stored" in capsys.readouterr().err


def test_what_cannot_be_judged_again_says_why(run_dir: Path, capsys) -> None:
    result = decode_result((run_dir / "result.json").read_bytes())
    write_result(run_dir, msgspec.structs.replace(result, complete=False))
    assert run_cli(["check", str(run_dir)]) == 70
    assert "the run was cut off" in capsys.readouterr().err
    shutil.rmtree(run_dir / "history")
    seal(run_dir, result)
    assert run_cli(["check", str(run_dir)]) == 70
    assert "its history was not kept" in capsys.readouterr().err
    (run_dir / "result.json").write_text("{")
    assert run_cli(["check", str(run_dir)]) == 70
    assert "result.json is damaged" in capsys.readouterr().err


def test_a_fault_journal_that_contradicts_the_history_is_noticed(run_dir: Path, capsys) -> None:
    sound = decode_result((run_dir / "result.json").read_bytes())
    later = msgspec.structs.replace(FAULT, requested_ns=2, confirmed_ns=3, healed_ns=4)
    for faults in ([], [later], [msgspec.structs.replace(FAULT, target="edge:near")]):
        write_journal(run_dir / JOURNAL_NAME, faults)
        seal(run_dir, msgspec.structs.replace(sound, faults=faults))
        assert run_cli(["check", str(run_dir)]) == EXIT_ERROR
        assert "fault f1 process_kill" in capsys.readouterr().err


def test_a_reason_or_witness_of_a_check_that_was_rewritten_is_noticed(run_dir, capsys) -> None:
    sound = decode_result((run_dir / "result.json").read_bytes())
    place = next(i for i, check in enumerate(sound.checks) if check.reason)
    checks = list(sound.checks)
    checks[place] = msgspec.structs.replace(checks[place], reason="nothing to see")
    seal(run_dir, msgspec.structs.replace(sound, checks=checks))
    assert run_cli(["check", str(run_dir)]) == EXIT_ERROR
    assert f"check {checks[place].id}.reason: stored nothing to see" in capsys.readouterr().err


def test_a_history_of_another_run_is_refused(run_dir: Path, capsys) -> None:
    sound = decode_result((run_dir / "result.json").read_bytes())
    records = list(read_folder(run_dir / "history"))
    shutil.rmtree(run_dir / "history")
    write_history(run_dir / "history", records, run_id="another")
    seal(run_dir, sound)
    assert run_cli(["check", str(run_dir)]) == EXIT_ERROR
    assert "of run 'another'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"closed": "killed"}, "closed is 'orderly', and 'killed' in the index"),
        ({"recorder": "load-1"}, "recorder is 'runner', and 'load-1' in the index"),
        ({"records": 3}, "and 3 in the index"),
    ],
)
def test_an_index_that_says_otherwise_is_refused(change, told, run_dir: Path, capsys) -> None:
    sound = decode_result((run_dir / "result.json").read_bytes())
    index = read_index(run_dir / "history")
    altered = msgspec.structs.replace(
        index, segments=[msgspec.structs.replace(index.segments[0], **change)]
    )
    (run_dir / "history" / "index.json").write_bytes(msgspec.json.encode(altered))
    seal(run_dir, sound)
    assert run_cli(["check", str(run_dir)]) == EXIT_ERROR
    assert told in capsys.readouterr().err


def test_a_recorder_that_nobody_killed_and_that_lacks_its_end_is_refused(
    run_dir: Path, capsys
) -> None:
    sound = decode_result((run_dir / "result.json").read_bytes())
    recorder = Recorder(run_dir / "history" / "0001.msgpack", RUN_ID, "load-1")
    recorder.write_now([PhaseMarked(1, "load", True)])
    write_index(run_dir / "history", killed=["load-1"])
    seal(run_dir, sound)
    assert run_cli(["check", str(run_dir)]) == EXIT_ERROR
    assert "load-1: the runner has not heard its books" in capsys.readouterr().err
    recorder.close()
