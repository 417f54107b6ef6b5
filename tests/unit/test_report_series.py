"""A history in columns: nothing is lost in the bins, and percentiles are nearly exact."""

from __future__ import annotations

import random

import pytest

from harness.history import records as h
from harness.report import series
from harness.report.series import SeriesFold, bin_ms_for, series_of
from harness.testing.stored_runs import simulated_records

MS = 1_000_000


def send(n: int, count: int, at_ms: float, due_ms: float = -1) -> h.Invoked:
    due = int(due_ms * MS) if due_ms >= 0 else -1
    return h.Invoked(int(at_ms * MS), 1, 9, "box", n, count, due)


def ok(n: int, count: int, at_ms: float, outcome: str = "ok") -> h.Completed:
    return h.Completed(int(at_ms * MS), 1, 9, "box", n, count, outcome, -1, 0, 1, "")


def deliver(pos: int, n: int, count: int, at_ms: float, reader: str = "r") -> h.Delivered:
    run = h.DeliveredRun(9, n, count, 0, 1, 0)
    return h.Delivered(int(at_ms * MS), reader, "box", 1, pos, False, (run,))


def test_counts_rates_and_messages_in_flight() -> None:
    found = series_of(
        [
            send(0, 10, 20), send(10, 10, 120), ok(0, 10, 130), deliver(0, 0, 10, 140),
            ok(10, 4, 250), ok(14, 6, 260, "info"), deliver(10, 10, 4, 299),
            deliver(5, 5, 9, 310, "again"),
        ],
        1.0,
    )  # fmt: skip
    assert found.bin_ms == 100
    assert found.offered_per_s == [100, 100, 0, 0]
    assert found.acknowledged_per_s == [0, 100, 40, 0]
    assert found.delivered_per_s == [0, 100, 40, 0]
    assert found.again_per_s == [0, 0, 0, 90]
    assert found.in_flight == [10, 10, 0, 0]


def test_latency_counts_from_when_a_message_was_due() -> None:
    found = series_of(
        [send(0, 1, 50, due_ms=10), send(1, 1, 60), ok(0, 2, 110), deliver(0, 0, 2, 210)], 1.0
    )
    assert found.ack.p99[1] == pytest.approx(100, rel=0.03)
    assert found.ack.p50[1] == pytest.approx(50, rel=0.03)
    assert found.delivery.p99 == [None, None, pytest.approx(200, rel=0.03)]
    assert found.ack.p50[0] is None


@pytest.mark.parametrize("seed", range(3))
def test_percentiles_are_near_those_of_all_values(seed: int) -> None:
    rng = random.Random(seed)
    waits = sorted((rng.lognormvariate(3, 2) for _ in range(500)), reverse=True)
    # All answers fall into one late bin.
    end_ms = 1_000_000
    records: list[h.Record] = [
        send(n, 1, end_ms - wait, due_ms=end_ms - wait) for n, wait in enumerate(waits)
    ]
    records += [ok(n, 1, end_ms) for n in range(len(waits))]
    found = series_of(records, end_ms / 1000)
    assert found.ack.p50[-1] == pytest.approx(waits[250], rel=0.04)
    assert found.ack.p99[-1] == pytest.approx(waits[5], rel=0.04)


def test_sums_agree_with_the_history_and_memory_follows_open_work() -> None:
    records, _ = simulated_records(20)
    found = series_of(records, 5.0)
    seconds = found.bin_ms / 1000
    sent = sum(record.count for record in records if isinstance(record, h.Invoked))
    delivered = sum(
        run.count for r in records if isinstance(r, h.Delivered) for run in r.runs
    )  # fmt: skip
    assert sum(found.offered_per_s) * seconds == pytest.approx(sent)
    both = sum(found.delivered_per_s) + sum(found.again_per_s)
    assert both * seconds == pytest.approx(delivered)
    assert found.in_flight[-1] == 0
    folding = SeriesFold(100)
    for n in range(20_000):
        for record in (send(n, 1, n), ok(n, 1, n + 0.5), deliver(n, n, 1, n + 0.7)):
            folding.take(record)
    (stream,) = folding._streams.values()
    assert len(stream.firsts) < 200


def test_cpu_and_memory_of_nodes_over_a_restart() -> None:
    def seen(t_ms: float, name: str, value: int) -> h.GaugeSeen:
        return h.GaugeSeen(int(t_ms * MS), "core", 0, name, value, -1)

    found = series_of(
        [
            seen(1000, "cpu_us", 500_000), seen(1000, "rss_bytes", 30_000_000),
            seen(2000, "cpu_us", 1_000_000), seen(3000, "cpu_us", 100_000),
            seen(4000, "cpu_us", 300_000), send(0, 1, 4000),
        ],
        5.0,
    )  # fmt: skip
    (line,) = found.processes
    assert line.name == "core 0"
    assert line.cpu_percent == [None, 50.0, None, 20.0]
    assert line.rss_mb[0] == 30.0


@pytest.mark.parametrize(
    ("duration_s", "bin_ms"), [(1, 100), (60, 250), (200, 500), (900, 500), (36_000, 18_000)]
)
def test_a_long_run_gets_longer_bins(duration_s: float, bin_ms: int) -> None:
    assert bin_ms_for(duration_s) == bin_ms
    assert duration_s * 1000 / bin_ms <= series.BINS_MAX
