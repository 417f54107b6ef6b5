"""Runs with every part of a result filled, and what someone who wants to deceive does to them.

A forger changes records, files or single values of `result.json`, and makes chains, trailers, the
index and all digests anew. What he does not make anew are the books of the history: whoever writes
these too is judged by what he says (`harness.testing.fuzz`).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.history.audit import RUNNER
from harness.history.books import Ledger
from harness.history.index import write_index
from harness.history.recorder import Recorder
from harness.history.records import (
    AckCompleted,
    AckInvoked,
    Closed,
    Completed,
    Connected,
    Delivered,
    EndRead,
    FaultMarked,
    GaugeSeen,
    Invoked,
    Kept,
    Offered,
    Opened,
    PhaseMarked,
    Record,
    Watermark,
)
from harness.report.codec import decode_result
from harness.report.junit import JUNIT_NAME, Case, junit_document
from harness.report.reach import together
from harness.report.result import (
    ClientError,
    Drawn,
    Fault,
    LinkCoverage,
    NotApplicable,
    NotTried,
    Process,
    Result,
    Status,
    Suite,
)
from harness.report.summary import write_suite_summary
from harness.report.writer import RESULT_NAME, write_suite
from harness.run.aftermath import HARNESS_ROLE, Aftermath
from harness.run.recheck_suite import row_of
from harness.run.verdict import Finding, merge_runs
from harness.testing.oracle import in_order
from harness.testing.stored_runs import RUN_ID, seal, simulated_records, store_run

FORGED_SEED = 41
"""A simulated run that passes, promotes, inspects and settles; `make_run` says if it does not."""

SENDER, READER = "load-1", "load-2"
FILES = {RUNNER: "0000.msgpack", SENDER: "0001.msgpack", READER: "0002.msgpack"}
TARGETS = {SENDER: "load:sender-1", READER: "load:reader"}
OF_READER = (Opened, Delivered, AckInvoked, AckCompleted, EndRead, Closed)


def aftermath_of(status: Status, records: Sequence[Record]) -> Aftermath:
    """Return what a run may leave behind besides its history, one of each."""
    producers = sorted({one.producer for one in records if isinstance(one, Invoked)})
    found = []
    if status is Status.UNKNOWN:
        reason = "edge-near ended by itself"
        found.append(Finding(status=Status.UNKNOWN, reason_code="node_died", reason=reason))
    return Aftermath(
        findings=found,
        faults=[
            Fault(
                id="f1", kind="process_kill", target="core", parameters={"duration_s": 0.1},
                requested_ns=1, confirmed_ns=2, healed_ns=3, effect={"gone": 1.0}, effective=True,
            )
        ],
        processes=[
            Process(role="core", index=0, cpu_s=1.2, cpu_us_per_message=None, rss_max_bytes=9 << 20)
        ],
        coverage=[
            LinkCoverage(
                link="edge-core:near", connections=3, forwarded=3, connections_counted=2, bytes=90,
                bytes_up=50, bytes_down=40, bytes_counted=40, covered=True,
            )
        ],
        config={"edges": ["near"], "window": 9},
        commits=7,
        client_errors=[
            ClientError(
                who="sender", occasion="lost", kind="cut", last="cut", count=1, first_ns=1,
                last_ns=2,
            )
        ],
        senders={str(producer): f"sender-{at}" for at, producer in enumerate(producers)},
    )  # fmt: skip


def whole_records(status: Status) -> tuple[list[Record], bool]:
    """Return a simulated history with labelled loads, a kill and offers, and whether it trims."""
    plain, trims = simulated_records(FORGED_SEED)
    last_ns = max(one.t_ns for one in plain)
    half_ns = last_ns // 2
    records: list[Record] = [
        msgspec.structs.replace(one, t_due_ns=one.t_ns) if isinstance(one, Invoked) else one
        for one in plain
        if not isinstance(one, Watermark)
    ]
    if status is Status.FAIL:
        place = next(at for at, one in enumerate(records) if isinstance(one, Delivered))
        records[place] = _spoiled(records[place])
        records.insert(place, records[place])
    records += [
        *(
            FaultMarked(
                at, "f1", "process_kill", "core", state, at > 1, {"gone": 1.0} if at > 1 else {}
            )
            for at, state in enumerate(("requested", "confirmed", "healed"), start=1)
        ),
        GaugeSeen(half_ns, "core", 0, "wal_bytes", 1, 9),
        Connected(1, 1, "sender", "sender-0", "near", True, "open"),
        Offered(half_ns, 1, 10, 9, 1_000_000),
    ]
    if status is not Status.PASS:
        # Too few messages for E2 to tell, so a run with them is none that passes.
        records += [
            PhaseMarked(0, "load:baseline", True),
            PhaseMarked(half_ns, "load:baseline", False),
            PhaseMarked(half_ns, "load:loud", True),
            PhaseMarked(last_ns, "load:loud", False),
        ]
    return in_order(records), trims


def _spoiled(record: Any) -> Delivered:
    run = msgspec.structs.replace(record.runs[0], digest=record.runs[0].digest ^ 1)
    spoiled: Delivered = msgspec.structs.replace(record, runs=(run, *record.runs[1:]))
    return spoiled


def write_segments(folder: Path, records: Sequence[Record]) -> None:
    """Write the records as a sender's, a reader's and the runner's history, with their books."""
    folder.mkdir()
    ledgers = {name: Ledger(Recorder(folder / FILES[name], RUN_ID, name)) for name in FILES}
    half = len(records) // 2
    for at, record in enumerate(records):
        if at == half:
            for ledger in ledgers.values():
                ledger.beat(record.t_ns)
        ledgers[_who_saw(record)].write(record)
    for name, target in TARGETS.items():
        ledgers[name].close()
        ledgers[RUNNER].write(Kept(records[-1].t_ns, name, target, ledgers[name].told()))
    ledgers[RUNNER].close()
    write_index(folder)


def _who_saw(record: Record) -> str:
    if isinstance(record, Invoked | Completed | Offered | Connected):
        return SENDER
    return READER if isinstance(record, OF_READER) else RUNNER


def make_run(run_dir: Path, status: Status) -> Result:
    """Write a run that ends so, with every part of its result filled that such a run has.

    Raises:
        LookupError: It ends otherwise.
    """
    run_dir.mkdir(parents=True)
    records, trims = whole_records(status)
    result = store_run(
        run_dir,
        records,
        seed=FORGED_SEED,
        trims=trims,
        aftermath=aftermath_of(status, records),
        not_tried=[NotTried(what="promotion", why="it cannot", times=2)],
        notes=["a replay"],
        flags=["a slow disk"],
        drawn=[Drawn(what="sizes", values=[0, 9], unit="bytes")],
        write=write_segments,
    )
    if result.verdict.status is not status:
        raise LookupError(f"the run ends with {result.verdict}")
    own = Process(
        role=HARNESS_ROLE, index=0, cpu_s=1.0, rss_max_bytes=1 << 20,
        cpu_us_per_message=round(1e6 / result.counts.delivered, 4),
    )  # fmt: skip
    result = msgspec.structs.replace(result, processes=[*result.processes, own])
    return seal(run_dir, result)


def make_suite(suite_dir: Path, run_dirs: Sequence[Path]) -> Suite:
    """Write a suite of copies of these runs, as `verify` leaves it, and return it."""
    suite_dir.mkdir()
    results = {}
    for run_dir in run_dirs:
        shutil.copytree(run_dir, suite_dir / run_dir.name)
        results[run_dir.name] = decode_result((run_dir / RESULT_NAME).read_bytes())
    first, *_, last = [*results.values(), *results.values()]
    reached, missed = together(results.values())
    suite = Suite(
        complete=True,
        verdict=merge_runs([(name, one.verdict) for name, one in results.items()]),
        profile=first.run.profile,
        seed=first.run.seed,
        environment=last.environment,
        scenarios=[row_of(f"{name}/{RESULT_NAME}", one) for name, one in results.items()],
        not_applicable=[NotApplicable(name="other", reason="it needs more")],
        not_run=[NotApplicable(name="later", reason="not run: an earlier one failed")],
        reached=reached,
        never_reached=missed,
    )
    cases = [Case(label=name, result=one) for name, one in results.items()]
    (suite_dir / JUNIT_NAME).write_bytes(junit_document(cases))
    write_suite_summary(suite_dir, suite)
    write_suite(suite_dir, suite)
    return suite
