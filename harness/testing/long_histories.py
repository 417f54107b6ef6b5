"""Long sound histories on disk, made without a run: what the checker's memory is measured with.

Everything that grows with a run is in them as a real run has it: sends from many producers to a hot
inbox of 50 buckets and to 15 plain ones, outcomes (a few of them unknown), deliveries in runs,
cursor acks, reconnects of both sides, a second reading of every inbox from its start, and every row
of the store. A message is sent alone or in a batch of 500; `single_share` says how many are alone.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.checkers.route import splitmix64_xxh3
from harness.history.audit import RUNNER
from harness.history.books import Ledger
from harness.history.index import write_index
from harness.history.recorder import Recorder
from harness.history.records import (
    INFO,
    OK,
    AckCompleted,
    AckInvoked,
    Closed,
    Completed,
    Connected,
    Delivered,
    DeliveredRun,
    EndRead,
    GaugeSeen,
    Invoked,
    Kept,
    Opened,
    PhaseMarked,
    Stored,
    StoredEnd,
)
from harness.load.payloads import Bodies, Payloads
from harness.report.result import Result
from harness.run.aftermath import Aftermath, closing_records
from harness.run.brief import Brief, RequiresBrief, read_brief, write_brief
from harness.run.judge import judge
from harness.systems.reference.adapter import ReferenceSystem
from harness.testing.stored_runs import begun_result, ended_result, seal

RUN_ID = "long"
SENDER = "load-sender-0"
READER = "load-reader-0"
SIZE_BYTES = 100

BATCH_COUNT = 500
"""Messages of a batch."""

COMMIT_NS = 20_000_000
"""Time from one commit to the next."""

DURATION_S = 86_400.0
"""How long a run says that it took; longer than any history that is made here."""

HOT_BUCKETS = 50
"""Buckets of the hot inbox, which gets half of all messages; the others have one."""

PRODUCERS = 40
INFO_SHARE = 0.001
REREAD_RUNS = 256

AUDIT_NS = 500
"""What looking at one stored message takes: a second for two million."""

REREAD_NS = 1_000_000
"""Between two deliveries of the second reading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a history is made of.

    Attributes:
        messages: How many.
        single_share: Share of the messages that are sent alone, 0 to 1.
        seed: Of everything that is drawn.
        hot_share: Share of the sends that go to the hot inbox.
        commit_count: Messages that are committed, acknowledged and delivered together, over all
            inboxes.
        reconnect_commits: After each so many commits a sender and a receiver reconnect.
        plain_inboxes: Inboxes of one bucket.
        wrong_content: The first messages to the hot inbox are delivered with another content.
    """

    messages: int
    single_share: float = 0.0
    seed: int = 1
    hot_share: float = 0.5
    commit_count: int = 4_000
    reconnect_commits: int = 50
    plain_inboxes: int = 15
    wrong_content: bool = False


class _Inbox:
    """The log of one inbox: columns of runs."""

    def __init__(self, name: str, buckets: int) -> None:
        self.name = name
        self.buckets = buckets
        self.producers = array("q")
        self.ns = array("q")
        self.counts = array("q")
        self.digests = array("Q")
        self.commit_runs = array("q", [0])
        self.top = 0
        self.session = 1


class LongHistory:
    """Writes one history of three recorders: sender, reader, runner."""

    def __init__(self, folder: Path, run_id: str, shape: Shape, payloads: Payloads) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.shape = shape
        self.rng = random.Random(shape.seed)
        self.sender = Ledger(Recorder(folder / "0000.msgpack", run_id, SENDER))
        self.reader = Ledger(Recorder(folder / "0001.msgpack", run_id, READER))
        self.runner = Ledger(Recorder(folder / "0002.msgpack", run_id, RUNNER))
        self.digest = payloads.expected_digest
        names = [f"user-{i}" for i in range(shape.plain_inboxes)]
        self.inboxes = [_Inbox("hot", HOT_BUCKETS), *(_Inbox(name, 1) for name in names)]
        self.next_n: dict[tuple[int, str], int] = {}
        self.now_ns = 1_000_000

    def write(self) -> None:
        """Write everything and the index."""
        for inbox in self.inboxes:
            self._open("first", inbox, -1)
        left = self.shape.messages
        commits = 0
        while left:
            left -= self._commit(left)
            commits += 1
            if commits % self.shape.reconnect_commits == 0:
                self._reconnect()
        self.now_ns += COMMIT_NS
        self.runner.write(PhaseMarked(self.now_ns, "quiet", True))
        self.runner.write(GaugeSeen(self.now_ns, "core", 0, "buffered_bytes", 1, 1_000))
        self._ends()
        for inbox in self.inboxes:
            self._read_again(inbox)
        self.now_ns += COMMIT_NS
        self.runner.write(PhaseMarked(self.now_ns, "drained", True))
        for inbox in self.inboxes:
            for row in self._rows(inbox):
                self.runner.write(row)
            self.runner.write(StoredEnd(self.now_ns, inbox.name, 0, inbox.top - 1, self.now_ns))
        for name, ledger in ((SENDER, self.sender), (READER, self.reader)):
            ledger.close()
            self.runner.write(Kept(self.now_ns, name, f"load:{name}", ledger.told()))
        for told in closing_records(Aftermath(), self.now_ns):
            self.runner.write(told)
        self.runner.close()
        write_index(self.folder)

    def _commit(self, left: int) -> int:
        """Send, acknowledge and deliver the messages of one commit."""
        begun_ns = self.now_ns
        done_ns = begun_ns + COMMIT_NS // 2
        sent: list[tuple[_Inbox, int, int, int]] = []
        total = 0
        while total < min(self.shape.commit_count, left):
            hot = self.rng.random() < self.shape.hot_share
            inbox = self.inboxes[0] if hot else self.rng.choice(self.inboxes[1:])
            producer = self.rng.randrange(PRODUCERS) + 2**63
            alone = self.rng.random() < _sends_alone(self.shape.single_share)
            count = 1 if alone else min(BATCH_COUNT, left - total)
            n = self.next_n.get((producer, inbox.name), 0)
            self.next_n[producer, inbox.name] = n + count
            t_ns = begun_ns + len(sent)
            self.sender.write(Invoked(t_ns, 0, producer, inbox.name, n, count, t_ns - 1_000))
            sent.append((inbox, producer, n, count))
            total += count
        fresh: dict[str, list[DeliveredRun]] = {}
        for place, (inbox, producer, n, count) in enumerate(sent):
            at_ns = done_ns + place
            outcome = INFO if self.rng.random() < INFO_SHARE else OK
            pos = inbox.top if outcome == OK else -1
            error = "" if outcome == OK else "timeout"
            self.sender.write(
                Completed(at_ns, 0, producer, inbox.name, n, count, outcome, pos, 0, 1, error)
            )
            self._place(inbox, producer, n, count, fresh.setdefault(inbox.name, []))
        read_ns = done_ns + len(sent)
        for inbox in self.inboxes:
            runs = fresh.get(inbox.name)
            if not runs:
                continue
            inbox.commit_runs.append(len(inbox.counts))
            first = inbox.top - sum(run.count for run in runs)
            self.reader.write(
                Delivered(read_ns, "first", inbox.name, inbox.session, first, False, tuple(runs))
            )
            upto = inbox.top - 1
            self.reader.write(AckInvoked(read_ns, "first", inbox.name, inbox.session, upto))
            self.reader.write(
                AckCompleted(read_ns + 100, "first", inbox.name, inbox.session, upto, OK)
            )
        self.now_ns += COMMIT_NS
        return total

    def _place(
        self, inbox: _Inbox, producer: int, n: int, count: int, runs: list[DeliveredRun]
    ) -> None:
        digest = self.digest(producer, inbox.name, n, count)
        digest ^= self.shape.wrong_content and inbox is self.inboxes[0] and not inbox.top
        inbox.producers.append(producer - 2**63)
        inbox.ns.append(n)
        inbox.counts.append(count)
        inbox.digests.append(digest)
        inbox.top += count
        runs.append(DeliveredRun(producer, n, count, 0, inbox.buckets, digest))

    def _reconnect(self) -> None:
        t_ns = self.now_ns
        self.sender.write(Connected(t_ns, 0, "sender", "p", "us-east", False, "churn"))
        self.sender.write(Connected(t_ns + 1, 0, "sender", "p", "eu-west", True, "churn"))
        inbox = self.rng.choice(self.inboxes)
        self.reader.write(Closed(t_ns, "first", inbox.name, inbox.session, "abort", t_ns - 5))
        inbox.session += 1
        self._open("first", inbox, inbox.top - 1)
        self.reader.write(Connected(t_ns + 3, 0, "receiver", "first", "apac", True, "churn"))

    def _open(self, reader: str, inbox: _Inbox, from_pos: int) -> None:
        t_ns = self.now_ns + 2
        self.reader.write(
            Opened(
                t_ns, t_ns - 1, reader, inbox.name, inbox.session, from_pos, from_pos + 1, "apac"
            )
        )

    def _ends(self) -> None:
        for inbox in self.inboxes:
            self.now_ns += 10
            self.reader.write(
                EndRead(self.now_ns, self.now_ns - 5, "first", inbox.name, inbox.top - 1)
            )

    def _read_again(self, inbox: _Inbox) -> None:
        inbox.session += 1
        self._open("again", inbox, -1)
        pos = 0
        for begin in range(0, len(inbox.counts), REREAD_RUNS):
            self.now_ns += REREAD_NS
            runs = tuple(
                DeliveredRun(
                    inbox.producers[i] + 2**63,
                    inbox.ns[i],
                    inbox.counts[i],
                    0,
                    inbox.buckets,
                    inbox.digests[i],
                )
                for i in range(begin, min(begin + REREAD_RUNS, len(inbox.counts)))
            )
            self.reader.write(
                Delivered(self.now_ns + 10, "again", inbox.name, inbox.session, pos, True, runs)
            )
            pos += sum(run.count for run in runs)
        self.now_ns += 10
        self.reader.write(EndRead(self.now_ns, self.now_ns - 5, "again", inbox.name, inbox.top - 1))

    def _rows(self, inbox: _Inbox) -> Iterator[Stored]:
        """Yield the rows of each commit, one per bucket that got a message of it."""
        next_bpos = np.zeros(inbox.buckets, dtype=np.int64)
        pos = 0
        for begin, end in zip(inbox.commit_runs, inbox.commit_runs[1:], strict=False):
            counts = np.frombuffer(inbox.counts, np.int64)[begin:end].copy()
            total = int(counts.sum())
            within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
            ns = (np.repeat(np.array(inbox.ns[begin:end]), counts) + within).astype("<u8")
            producers = np.repeat(np.array(inbox.producers[begin:end]), counts).astype(np.uint64)
            producers += np.uint64(2**63)
            positions = np.arange(pos, pos + total, dtype="<u8")
            buckets = splitmix64_xxh3(inbox.name, producers, ns, inbox.buckets)
            pos += total
            for bucket in np.unique(buckets).tolist():
                mine = buckets == bucket
                count = int(mine.sum())
                self.now_ns += AUDIT_NS * count
                yield Stored(
                    self.now_ns, inbox.name, 0, bucket, inbox.buckets, count,
                    int(next_bpos[bucket]), positions[mine].tobytes(),
                    producers[mine].astype("<u8").tobytes(), ns[mine].tobytes(),
                )  # fmt: skip
                next_bpos[bucket] += count


def write_run(run_dir: Path, shape: Shape) -> None:
    """Write a run folder without a result."""
    run_dir.mkdir(parents=True, exist_ok=True)
    write_brief(
        run_dir,
        Brief(
            run_id=RUN_ID,
            scenario="long",
            seed=shape.seed,
            system="reference",
            promises=sorted(ReferenceSystem.promises),
            payload=Bodies(kind="random", size_bytes_min=SIZE_BYTES, size_bytes_max=SIZE_BYTES),
            requires=RequiresBrief(),
            limits=[],
            faults=[],
            phases=[],
            route="splitmix64-xxh3",
            presence_bound_s=4.0,
            trims=False,
        ),
    )
    payloads = Payloads(shape.seed, "random", SIZE_BYTES, SIZE_BYTES)
    LongHistory(run_dir / "history", RUN_ID, shape, payloads).write()


def judge_run(run_dir: Path) -> Result:
    """Judge the folder as the end of a run does, write its result and return it."""
    begun = begun_result(read_brief(run_dir))
    return seal(run_dir, judge(run_dir, ended_result(begun, DURATION_S), Aftermath()))


def _sends_alone(single_share: float) -> float:
    """Return the share of sends that are single messages, from their share of the messages."""
    batches = (1.0 - single_share) / BATCH_COUNT
    return single_share / (single_share + batches)
