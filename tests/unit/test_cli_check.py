"""`check`: the stored history decides; what was tampered with is never a pass."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from harness.cli.check import RECOMPUTED
from harness.cli.main import EXIT_ERROR, run_cli
from harness.history.reader import read_folder
from harness.history.records import Completed, Delivered, Invoked
from harness.report.codec import decode_result
from harness.report.result import InboxBuckets, Latencies, LoadLatency, Result, Status
from harness.report.writer import write_result
from harness.testing.stored_runs import seal, simulated_records, store_run, write_history

SEED = 20


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    run_dir = tmp_path_factory.mktemp("stored") / "run"
    run_dir.mkdir()
    records, trims = simulated_records(SEED)
    result = store_run(run_dir, records, seed=SEED, trims=trims)
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
        "bound": None,
        "latency_ms": Latencies(),
        "load_latency_ms": [LoadLatency(label="quiet")],
        "throughput_per_s": msgspec.structs.replace(result.throughput_per_s, acknowledged=9e9),
        "buckets": [*result.buckets, InboxBuckets(inbox="nobody", epochs=[])],
    }
    return msgspec.structs.replace(result, **{name: changes[name]})


@pytest.mark.parametrize("name", RECOMPUTED)
def test_a_better_figure_than_the_history_gives_is_noticed(
    name: str, run_dir: Path, capsys
) -> None:
    result = decode_result((run_dir / "result.json").read_bytes())
    write_result(run_dir, altered(result, name))
    assert run_cli(["check", str(run_dir)]) == EXIT_ERROR
    assert f"{name}: stored" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [Invoked, Completed, Delivered])
def test_a_removed_record_is_noticed(kind: type, run_dir: Path, capsys) -> None:
    def remove(records: list) -> list:
        del records[of(records, kind)[-1]]
        return records

    rewrite(run_dir, remove)
    assert run_cli(["check", str(run_dir)]) == 70
    assert "the history says something else" in capsys.readouterr().err


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
    assert "the history says something else" in capsys.readouterr().err


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
    assert "verdict: stored FAIL" in capsys.readouterr().err
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
