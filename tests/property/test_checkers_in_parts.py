"""What is found depends neither on how a history is cut nor on how its files are."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from harness.checkers.check import all_checks
from harness.checkers.fold import Judgement, fold
from harness.checkers.ranges import Ranges
from harness.history.index import write_index
from harness.history.reader import read_folder
from harness.history.recorder import Recorder
from harness.history.records import Record
from harness.report.result import CheckStatus
from harness.run.aftermath import Aftermath
from harness.run.brief import read_brief
from harness.run.judge import facts_of
from harness.systems.promises import Promise
from harness.testing.histories import Scribbler
from harness.testing.long_histories import Shape, write_run
from harness.testing.oracle_campaign import AT_LEAST, run_facts

HISTORIES = 150
FILINGS = 40


def said(judgement: Judgement) -> dict[str, tuple]:
    return {c.id: (c.status, c.instances, c.examined) for c in judgement.checks}


def promises_of(rng: random.Random) -> frozenset[Promise]:
    drawn = (Promise.DENSE_POSITIONS, Promise.FIFO_PIPELINED, Promise.TOTAL_ORDER)
    return frozenset(p for p in Promise if p not in drawn or rng.random() < 0.5)


def test_where_a_history_is_cut_does_not_change_what_is_found() -> None:
    specs = all_checks()
    several = 0
    for seed in range(HISTORIES):
        rng = random.Random(seed)
        records = Scribbler(seed).write()
        run = run_facts(promises_of(rng))
        ranges = Ranges(rng.choice((2, 5, 20)), rng.choice((1, 2, 4, 8)), rng.choice((1, 2, 5)))
        whole = fold(records, run, specs)
        cut = fold(records, run, specs, ranges)
        several += len(ranges.parts()) > 1
        # What AT_LEAST counts too low is among what `reordered` is the most of.
        reordered = cut.counts.reordered
        assert bool(reordered) == bool(whole.counts.reordered)
        assert reordered <= whole.counts.reordered
        counts = msgspec.structs.replace(cut.counts, reordered=whole.counts.reordered)
        assert counts == whole.counts
        assert cut.buckets == whole.buckets
        assert cut.latency_ms == whole.latency_ms
        assert cut.throughput_per_s == whole.throughput_per_s
        one, other = said(whole), said(cut)
        for check_id in AT_LEAST:
            assert bool(one[check_id][1]) == bool(other[check_id][1])
            other[check_id] = one[check_id]
        assert other == one
    assert several > HISTORIES // 4


def test_what_hangs_together_and_is_too_large_neither_alarms_nor_passes(monkeypatch) -> None:
    specs = all_checks()
    apart = unknown = 0
    for seed in range(2 * HISTORIES):
        rng = random.Random(seed)
        records = Scribbler(seed).write()
        run = run_facts(promises_of(rng))
        whole = said(fold(records, run, specs))
        ranges = Ranges(rng.choice((2, 5)), rng.choice((1, 2, 4)), 1)
        with monkeypatch.context() as patch:
            patch.setattr("harness.checkers.ranges.PART_ROWS_MAX", rng.choice((1, 4, 12)))
            cut = said(fold(records, run, specs, ranges))
            apart += any(part.loose for part in ranges.parts())
        for check_id, (status, _, _) in cut.items():
            if status is not CheckStatus.UNKNOWN:
                assert status is whole[check_id][0], (seed, check_id)
            unknown += status is CheckStatus.UNKNOWN is not whole[check_id][0]
    assert apart > HISTORIES // 4
    assert unknown > HISTORIES // 4


@pytest.fixture(scope="module")
def long_run(tmp_path_factory) -> Path:
    run_dir = tmp_path_factory.mktemp("long") / "run"
    write_run(run_dir, Shape(messages=6_000, single_share=0.7, commit_count=200, plain_inboxes=3))
    return run_dir


def test_a_long_history_stays_small_in_memory(long_run: Path) -> None:
    run = facts_of(read_brief(long_run), Aftermath(), torn=False)
    whole = fold(read_folder(long_run / "history"), run)
    ranges = Ranges(rows_max=1_500, era_messages=2_000, look_records=8)
    most = 0

    def watched():
        nonlocal most
        for record in read_folder(long_run / "history"):
            most = max(most, ranges.at_hand)
            yield record

    cut = fold(watched(), run, None, ranges)
    assert len(ranges.parts()) >= 5
    assert most < 4 * 1_500
    assert said(cut) == said(whole)
    assert cut.counts == whole.counts
    assert cut.latency_ms == whole.latency_ms


def with_times_apart(records: list[Record]) -> list[Record]:
    """Return the records in the same order, no two at one time."""
    found = []
    for number, record in enumerate(records):
        times = {"t_ns": record.t_ns * 1_000 + number}
        for name in ("t_invoked_ns", "t_due_ns"):
            before = getattr(record, name, -1)
            if before >= 0:
                times[name] = before * 1_000
        found.append(msgspec.structs.replace(record, **times))
    return found


def test_neither_chunks_nor_the_order_of_files_change_what_is_found(tmp_path: Path) -> None:
    for seed in range(FILINGS):
        rng = random.Random(seed)
        records = with_times_apart(Scribbler(seed).write())
        run = run_facts(promises_of(rng))
        folder = tmp_path / str(seed)
        folder.mkdir()
        numbers = rng.sample(range(10), rng.randint(1, 5))
        recorders = [Recorder(folder / f"{n:04}.msgpack", "run", f"r{n}") for n in numbers]
        for record in records:
            recorder = rng.choice(recorders)
            recorder.write(record)
            if rng.random() < 0.3:
                recorder.flush()
        for recorder in recorders:
            recorder.close()
        write_index(folder)
        filed = list(read_folder(folder))
        assert filed == records
        assert said(fold(filed, run)) == said(fold(records, run))
