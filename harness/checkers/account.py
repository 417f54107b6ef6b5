"""D4: does the harness count itself correctly?

Six counters per inbox and a sum of hashes are kept here, apart from the tables that the other
checks rest on: messages sent, ok, fail and info, and those that the canonical reader delivered, by
positions of its own. At the end they must agree with what the tables say. A difference that no
anomaly explains is a fault of the harness (or of its history), so it is ERROR, never a pass.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import xxhash

from harness.checkers.check import Clue, Found, Reach, check
from harness.checkers.facts import Facts
from harness.checkers.index import Index
from harness.checkers.intervals import NUMBER_LIMIT, GrowingSet, Mask, Spans, depths
from harness.checkers.route import U64Column
from harness.checkers.run_facts import RunFacts
from harness.history.records import FAIL, OK, Completed, Delivered, Invoked
from harness.report.result import CheckStatus

SCALAR_COUNT_MAX = 4
"""Up to so many messages plain integers are faster than numpy's fixed cost per call."""

SHORT_MAX = 16
"""Ranges up to so many messages are hashed together with others."""

WAITING_MAX = 4096
"""So many of them at once."""

RANGES_CACHED_MAX = 4096
"""A range is seen when it is sent, answered and delivered; so many sums are kept meanwhile."""

_MASK = 0xFFFFFFFFFFFFFFFF
_STEP = 0x9FB21C651E98DF25
_MIX = 0xD6E8FEB86659FD93


class Sum:
    """How many messages, and the sum of their hashes modulo 2^64."""

    __slots__ = ("count", "hashes")

    def __init__(self) -> None:
        self.count = 0
        self.hashes = 0

    def add(self, count: int, hashes: int) -> None:
        """Add messages with this sum of hashes."""
        self.count += count
        self.hashes = (self.hashes + hashes) & _MASK


class _Waiting:
    """Short ranges that wait to be hashed together."""

    def __init__(self) -> None:
        self._sums: list[Sum] = []
        self._begins = array("Q")
        self._counts = array("q")

    def add(self, into: Sum, base: int, n_first: int, count: int) -> None:
        """Add a range of a stream to a sum, now or later."""
        if count > SHORT_MAX:
            into.add(count, hash_sum(base, n_first, count))
            return
        self._sums.append(into)
        self._begins.append((base + n_first * _STEP) & _MASK)
        self._counts.append(count)
        if len(self._sums) >= WAITING_MAX:
            self.settle()

    def settle(self) -> None:
        """Bring all sums up to date."""
        if not self._sums:
            return
        counts = np.array(self._counts, dtype=np.int64)
        begins = np.cumsum(counts) - counts
        within = np.arange(int(counts.sum())) - np.repeat(begins, counts)
        values = np.repeat(np.array(self._begins, dtype=np.uint64), counts)
        values += within.astype(np.uint64) * np.uint64(_STEP)
        hashes = np.add.reduceat(_mixed(values), begins).tolist()
        for into, count, total in zip(self._sums, self._counts, hashes, strict=True):
            into.add(count, total)
        self._sums = []
        del self._begins[:], self._counts[:]


@lru_cache(maxsize=RANGES_CACHED_MAX)
def hash_sum(base: int, n_first: int, count: int) -> int:
    """Return the sum of the hashes of the ids n_first … of the stream with this base."""
    if count <= SCALAR_COUNT_MAX:
        total = 0
        for n in range(n_first, n_first + count):
            value = (base + n * _STEP) & _MASK
            value = ((value ^ (value >> 32)) * _MIX) & _MASK
            total += value ^ (value >> 32)
        return total & _MASK
    values = np.arange(count, dtype=np.uint64)
    values *= np.uint64(_STEP)
    values += np.uint64((base + n_first * _STEP) & _MASK)
    return int(_mixed(values).sum(dtype=np.uint64))


def _mixed(values: U64Column) -> U64Column:
    """Mix in place."""
    values ^= values >> np.uint64(32)
    values *= np.uint64(_MIX)
    values ^= values >> np.uint64(32)
    return values


def stream_base(producer: int, inbox: str) -> int:
    """Return where the hashes of a stream begin."""
    return xxhash.xxh3_64_intdigest(producer.to_bytes(8, "little") + inbox.encode())


class _Ledger:
    """The counters of one inbox. `cut_off`: how many were sent by processes that were killed."""

    __slots__ = ("cut_off", "fail", "info", "ok", "readers", "sent")

    def __init__(self) -> None:
        self.sent, self.ok, self.fail, self.info = Sum(), Sum(), Sum(), Sum()
        self.cut_off = 0
        self.readers: dict[str, tuple[GrowingSet, Sum]] = {}


@check(
    "D4",
    "ACCOUNT",
    "the harness's own counts disagree",
    found=CheckStatus.ERROR,
    reach=Reach.KEYS,
)
class Account:
    """Check sends = ok + fail + info, and R = OK - lost + recovered, as counts and as hash sums.

    The second is compared where the inbox was drained, with what the canonical reader delivered;
    failed, never-sent and doubled messages that it delivered are put on the other side, since other
    checks name them. Instances are equations that do not hold, and misnumbered records.
    """

    sees = (Invoked, Completed, Delivered)

    def __init__(self) -> None:
        self._ledgers: dict[str, _Ledger] = {}
        self._bases: dict[tuple[int, str], int] = {}
        self._explained: dict[int, Sum] = {}
        self._waiting = _Waiting()

    def see(self, record: Invoked | Completed | Delivered, index: Index, run: RunFacts) -> None:
        """Count a record."""
        ledger = self._ledgers.get(record.inbox)
        if ledger is None:
            ledger = self._ledgers[record.inbox] = _Ledger()
        if isinstance(record, Delivered):
            self._deliver(ledger, record)
            return
        into = ledger.sent
        if isinstance(record, Completed):
            into = {OK: ledger.ok, FAIL: ledger.fail}.get(record.outcome, ledger.info)
        elif record.process in run.killed:
            ledger.cut_off += record.count
        if record.count > 0:
            base = self._base(record.producer, record.inbox)
            self._waiting.add(into, base, record.n_first, record.count)

    def _base(self, producer: int, inbox: str) -> int:
        base = self._bases.get((producer, inbox))
        if base is None:
            base = self._bases[producer, inbox] = stream_base(producer, inbox)
        return base

    def _deliver(self, ledger: _Ledger, record: Delivered) -> None:
        reader = ledger.readers.get(record.reader)
        if reader is None:
            reader = ledger.readers[record.reader] = (GrowingSet(), Sum())
        positions, received = reader
        pos = record.pos_first
        end = pos + sum(run.count for run in record.runs)
        add, inbox = self._waiting.add, record.inbox
        fresh = positions.add(pos, end)
        if fresh == [(pos, end)]:
            for run in record.runs:
                if run.count > 0:
                    add(received, self._base(run.producer, inbox), run.n_first, run.count)
            return
        for run in record.runs:
            for begin, stop in fresh:
                first, last = max(begin, pos), min(stop, pos + run.count)
                if first < last:
                    base = self._base(run.producer, inbox)
                    add(received, base, run.n_first + first - pos, last - first)
            pos += run.count

    def finish(self, facts: Facts) -> Found:
        """Compare all equations, once all parts are there."""
        if facts.is_first:
            self._explained = {}
            self._waiting.settle()
        self._explain(facts)
        if not facts.is_last:
            return Found(examined=0)
        wrong = [
            Clue(summary=f"ids are not numbered densely at {record}", record=record)
            for record in facts.index.misnumbered.records
        ]
        instances = facts.index.misnumbered.count
        examined = 0
        for inbox, ledger in self._ledgers.items():
            examined += ledger.sent.count
            for said in (self._sends(facts, inbox, ledger), self._receipts(facts, inbox, ledger)):
                if said:
                    instances += 1
                    wrong.append(Clue(summary=said, inbox=inbox))
        return Found(examined=examined, instances=instances, clues=wrong)

    def _explain(self, facts: Facts) -> None:
        """Add what explains the receipts of this part, beside what was acknowledged."""
        lineages = np.zeros(len(facts.index.readers), dtype=np.bool_)
        for reader in facts.canonical.values():
            lineages[reader] = True
        mine = facts.delivered_to(lineages)
        self._add(facts, facts.unknown.both(mine), 1)
        self._add(facts, facts.failed.both(mine), 1)
        self._add(facts, mine.minus(facts.invoked), 1)
        self._add(facts, facts.ok.minus(mine), -1)
        for again in _copies(facts, lineages):
            self._add(facts, again, 1)

    def _sends(self, facts: Facts, inbox: str, ledger: _Ledger) -> str:
        sent = ledger.sent.count
        known = (ledger.ok.count, ledger.fail.count, ledger.info.count)
        count = sum(known)
        hashes = (ledger.ok.hashes + ledger.fail.hashes + ledger.info.hashes) & _MASK
        if count < sent and (facts.run.torn or sent - count <= ledger.cut_off):
            return ""
        if (count, hashes) == (sent, ledger.sent.hashes):
            return ""
        return (
            f"{inbox}: {sent:,} messages sent, but {known[0]:,} ok + {known[1]:,} fail + "
            f"{known[2]:,} info" + (", of other ids" if count == sent else "")
        )

    def _receipts(self, facts: Facts, inbox: str, ledger: _Ledger) -> str:
        number = facts.index.inbox(inbox)
        reader = facts.canonical.get(number)
        if not facts.drained[number] or reader is None:
            return ""
        name = facts.index.readers[reader][0]
        received = ledger.readers[name][1] if name in ledger.readers else Sum()
        explained = Sum()
        more = self._explained.get(number, explained)
        explained.count = ledger.ok.count + more.count
        explained.hashes = (ledger.ok.hashes + more.hashes) & _MASK
        if (received.count, received.hashes) == (explained.count, explained.hashes):
            return ""
        return (
            f"{inbox}: {name} delivered {received.count:,} messages, but {explained.count:,} are "
            "acknowledged and not lost, or recovered"
            + (" (as many, but others)" if received.count == explained.count else "")
        )

    def _add(self, facts: Facts, spans: Spans, sign: int) -> None:
        for begin, end in zip(spans.begins.tolist(), spans.ends.tolist(), strict=True):
            producer, inbox, n = facts.message(begin)
            into = self._explained.setdefault(facts.index.inbox(inbox), Sum())
            part = hash_sum(self._base(producer, inbox), n, end - begin)
            into.count += sign * (end - begin)
            into.hashes = (into.hashes + sign * part) & _MASK


def _copies(facts: Facts, lineages: Mask) -> Iterator[Spans]:
    """Yield what the lineages delivered at a second position, at a third, and so on."""
    key, count, _, pos, lineage, _ = facts.deliveries
    mine = lineages[lineage]
    key, count, pos = key[mine], count[mine], pos[mine]
    lines = facts.merge_lines(key, key + count, pos - (key & (NUMBER_LIMIT - 1)))
    begins, ends, depth = depths(lines.key, lines.end)
    for copy in range(2, int(depth.max(initial=1)) + 1):
        yield Spans(begins[depth >= copy], ends[depth >= copy])
