"""What a run did over time: a history binned into columns, for charts.

One walk, as a stream. What is kept is a row of numbers per bin, and per stream of messages the
sends that are not yet acknowledged and delivered; so memory follows the length of the run and the
open work, not the number of messages. Nothing here decides anything: verdicts are folded from the
records themselves (`harness.checkers`), and percentiles here are read off a histogram.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from harness.errors import DamagedHistory
from harness.history import records as h
from harness.report.writer import write_atomically

SERIES_NAME = "series.json"
"""In a run folder whose history was removed, where a report is still wanted."""

BIN_MS_MIN = 100
BIN_MS_MAX = 500
BINS_WANTED = 240
"""A run is cut into about so many bins, each of BIN_MS_MIN to BIN_MS_MAX."""

BINS_MAX = 2_000
"""Beyond this many, as in a nightly run, the bins become longer than BIN_MS_MAX."""

STEPS_PER_DECADE = 40
"""Of the latency histogram; a percentile is right to within 3 %."""

_DECADES = 9
_BUCKETS = _DECADES * STEPS_PER_DECADE

Counts = npt.NDArray[np.int64]


def bin_ms_for(duration_s: float) -> int:
    """Return the length of the bins of a run."""
    wanted = duration_s * 1000 / BINS_WANTED
    if duration_s * 1000 / BIN_MS_MAX > BINS_MAX:
        return math.ceil(duration_s * 1000 / BINS_MAX)
    return int(min(BIN_MS_MAX, max(BIN_MS_MIN, math.ceil(wanted / 50) * 50)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """Percentiles per bin, in milliseconds; None where nothing completed."""

    p50: list[float | None]
    p99: list[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A phase, or the part of it that fits the chart."""

    name: str
    begin_s: float
    end_s: float


@dataclass(slots=True, kw_only=True)
class ProcessLine:
    """Samples of one node: seconds, share of one CPU since the sample before (%), memory."""

    name: str
    t_s: list[float] = field(default_factory=list)
    cpu_percent: list[float | None] = field(default_factory=list)
    rss_mb: list[float | None] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A run in columns, a value per bin.

    Attributes:
        bin_ms: Length of a bin.
        offered_per_s: Messages handed to senders, by when they were invoked.
        acknowledged_per_s: Messages acknowledged.
        delivered_per_s: Messages delivered for the first time.
        again_per_s: Messages delivered again: redelivered, or read once more by the audit.
        in_flight: Messages with no outcome at the end of the bin.
        ack: From when a message was due to its acknowledgement, by the time of the latter.
        delivery: The same to its first delivery.
        phases: The phases, in order.
        processes: What the nodes told of themselves.
    """

    bin_ms: int
    offered_per_s: list[float]
    acknowledged_per_s: list[float]
    delivered_per_s: list[float]
    again_per_s: list[float]
    in_flight: list[int]
    ack: Latencies
    delivery: Latencies
    phases: list[Span]
    processes: list[ProcessLine]


class _Column:
    """Counts per bin, made longer as time goes on."""

    def __init__(self, width: int = 0) -> None:
        self._shape = (width,) if width else ()
        self.values: Counts = np.zeros((64, *self._shape), dtype=np.int64)

    def row(self, index: int) -> int:
        """Return the index, with room made for it."""
        while index >= len(self.values):
            more = np.zeros_like(self.values)
            self.values = np.concatenate([self.values, more])
        return index


@dataclass(slots=True)
class _Stream:
    """The sends of one producer to one inbox that may still get an answer, by n."""

    firsts: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    due_ns: list[int] = field(default_factory=list)
    acknowledged: int = -1
    delivered: int = -1

    def drop_done(self) -> None:
        done = min(self.acknowledged, self.delivered)
        keep = 0
        while keep < len(self.firsts) and self.firsts[keep] + self.counts[keep] - 1 <= done:
            keep += 1
        if keep > 64:
            del self.firsts[:keep], self.counts[:keep], self.due_ns[:keep]


class SeriesFold:
    """Takes records in the order of time."""

    def __init__(self, bin_ms: int) -> None:
        self._bin_ns = bin_ms * 1_000_000
        self._bin_ms = bin_ms
        self._sent, self._acked, self._first, self._again = (_Column() for _ in range(4))
        self._ended = _Column()
        self._ack_histogram, self._delivery_histogram = _Column(_BUCKETS), _Column(_BUCKETS)
        self._streams: defaultdict[tuple[int, str], _Stream] = defaultdict(_Stream)
        self._highest: dict[str, int] = {}
        self._phases: list[Span] = []
        self._begun: dict[str, float] = {}
        self._lines: dict[tuple[str, int], ProcessLine] = {}
        self._cpu: dict[tuple[str, int], tuple[float, int]] = {}
        self._last_ns = 0

    def take(self, record: h.Record) -> None:
        """Take the next record."""
        match record:
            case h.Invoked():
                self._invoked(record)
            case h.Completed():
                self._completed(record)
            case h.Delivered():
                self._delivered(record)
            case h.PhaseMarked():
                self._phase(record)
            case h.GaugeSeen():
                self._gauge(record)
            case _:
                return
        self._last_ns = max(self._last_ns, record.t_ns)

    def _bin(self, column: _Column, t_ns: int) -> int:
        return column.row(max(0, t_ns) // self._bin_ns)

    def _add(self, column: _Column, t_ns: int, count: int) -> None:
        # The row comes first: making room for it replaces the array.
        row = self._bin(column, t_ns)
        column.values[row] += count

    def _invoked(self, record: h.Invoked) -> None:
        self._add(self._sent, record.t_ns, record.count)
        stream = self._streams[record.producer, record.inbox]
        stream.firsts.append(record.n_first)
        stream.counts.append(record.count)
        stream.due_ns.append(record.t_due_ns if record.t_due_ns >= 0 else record.t_ns)

    def _completed(self, record: h.Completed) -> None:
        self._add(self._ended, record.t_ns, record.count)
        if record.outcome != h.OK:
            return
        self._add(self._acked, record.t_ns, record.count)
        stream = self._streams[record.producer, record.inbox]
        self._wait(stream, record.n_first, record.count, record.t_ns, self._ack_histogram)
        stream.acknowledged = max(stream.acknowledged, record.n_first + record.count - 1)
        stream.drop_done()

    def _delivered(self, record: h.Delivered) -> None:
        pos = record.pos_first
        highest = self._highest.get(record.inbox, -1)
        for run in record.runs:
            new = min(run.count, max(0, pos + run.count - 1 - highest))
            self._add(self._again, record.t_ns, run.count - new)
            if new:
                self._add(self._first, record.t_ns, new)
                stream = self._streams[run.producer, record.inbox]
                n_first = run.n_first + run.count - new
                self._wait(stream, n_first, new, record.t_ns, self._delivery_histogram)
                stream.delivered = max(stream.delivered, run.n_first + run.count - 1)
            pos += run.count
        self._highest[record.inbox] = max(highest, pos - 1)

    def _wait(
        self, stream: _Stream, n_first: int, count: int, t_ns: int, histogram: _Column
    ) -> None:
        """Put the waits of a range into a histogram; it may cover several sends, or parts."""
        row = self._bin(histogram, t_ns)
        index = max(0, bisect_right(stream.firsts, n_first) - 1)
        while index < len(stream.firsts) and stream.firsts[index] < n_first + count:
            first = max(n_first, stream.firsts[index])
            last = min(n_first + count, stream.firsts[index] + stream.counts[index])
            if last > first:
                histogram.values[row, _bucket(t_ns - stream.due_ns[index])] += last - first
            index += 1

    def _phase(self, record: h.PhaseMarked) -> None:
        if record.begins:
            self._begun[record.name] = record.t_ns / 1e9
        elif record.name in self._begun:
            begin_s = self._begun.pop(record.name)
            self._phases.append(Span(name=record.name, begin_s=begin_s, end_s=record.t_ns / 1e9))

    def _gauge(self, record: h.GaugeSeen) -> None:
        if record.name not in ("cpu_us", "rss_bytes"):
            return
        key = (record.role, record.index)
        line = self._lines.setdefault(key, ProcessLine(name=f"{record.role} {record.index}"))
        t_s = record.t_ns / 1e9
        if not line.t_s or line.t_s[-1] != t_s:
            line.t_s.append(t_s)
            line.cpu_percent.append(None)
            line.rss_mb.append(None)
        if record.name == "rss_bytes":
            line.rss_mb[-1] = round(record.value / 1e6, 2)
            return
        before_s, before_us = self._cpu.get(key, (0.0, 0))
        if record.value >= before_us and t_s > before_s and before_s:
            share = (record.value - before_us) / 1e4 / (t_s - before_s)
            line.cpu_percent[-1] = round(share, 1)
        # A node that was started again counts from 0.
        self._cpu[key] = (t_s, record.value)

    def finish(self) -> Series:
        """Return the columns."""
        bins = self._last_ns // self._bin_ns + 1

        def column(counts: _Column) -> Counts:
            counts.row(bins - 1)
            return counts.values[:bins]

        def rate(counts: _Column) -> list[float]:
            per_s: list[float] = (column(counts) * 1000 / self._bin_ms).round(1).tolist()
            return per_s

        sent, ended = column(self._sent), column(self._ended)
        in_flight: list[int] = np.cumsum(sent - ended).tolist()
        return Series(
            bin_ms=self._bin_ms,
            offered_per_s=rate(self._sent),
            acknowledged_per_s=rate(self._acked),
            delivered_per_s=rate(self._first),
            again_per_s=rate(self._again),
            in_flight=in_flight,
            ack=_percentiles(column(self._ack_histogram)),
            delivery=_percentiles(column(self._delivery_histogram)),
            phases=self._phases,
            processes=list(self._lines.values()),
        )


def write_series(run_dir: Path, series: Series) -> Path:
    """Keep the columns of a run whose history is about to be removed; return the file."""
    return write_atomically(run_dir / SERIES_NAME, msgspec.json.encode(series))


def read_series(run_dir: Path) -> Series | None:
    """Return the columns that `write_series` kept; None if there are none.

    Raises:
        DamagedHistory: The file is not what was written.
    """
    path = run_dir / SERIES_NAME
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Series)
    except msgspec.DecodeError as error:
        raise DamagedHistory(f"{path}: {error}") from error


def series_of(records: Iterable[h.Record], duration_s: float) -> Series:
    """Return the columns of a history, given in the order of time."""
    folding = SeriesFold(bin_ms_for(duration_s))
    for record in records:
        folding.take(record)
    return folding.finish()


def _bucket(wait_ns: int) -> int:
    """Return the bucket of a wait; the first ends at a microsecond, the last has no end."""
    if wait_ns <= 1_000:
        return 0
    return min(_BUCKETS - 1, int(STEPS_PER_DECADE * math.log10(wait_ns / 1_000)))


def _percentiles(histograms: Counts) -> Latencies:
    reach = np.cumsum(histograms, axis=1)
    total = reach[:, -1]

    def at(share: float) -> list[float | None]:
        buckets = (reach < np.maximum(1, np.ceil(share * total))[:, None]).sum(axis=1)
        values = 10 ** ((buckets + 0.5) / STEPS_PER_DECADE) / 1_000
        return [
            float(f"{value:.4g}") if many else None
            for value, many in zip(values.tolist(), total.tolist(), strict=True)
        ]

    return Latencies(p50=at(0.5), p99=at(0.99))
