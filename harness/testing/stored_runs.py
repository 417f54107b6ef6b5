"""A complete run folder from a simulated run: history, brief, result, without any process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from harness.faults.journal import JOURNAL_NAME, write_journal
from harness.history.audit import RUNNER
from harness.history.books import Ledger
from harness.history.index import write_index
from harness.history.recorder import Recorder
from harness.history.records import Kept, Record, Watermark
from harness.load.payloads import Bodies
from harness.report.junit import write_junit
from harness.report.result import Drawn, NotTried, Result
from harness.report.summary import write_summary
from harness.report.writer import describe_artifacts, write_result
from harness.run.aftermath import Aftermath, closing_records
from harness.run.brief import BegunBrief, Brief, RequiresBrief, write_brief
from harness.run.judge import judge
from harness.systems.reference.adapter import ReferenceSystem
from harness.testing import example_results as examples
from harness.testing.simulator.plan import draw_plan
from harness.testing.simulator.world import PAYLOAD_BYTES_MAX, PRESENCE_WAIT_NS, World

RUN_ID = "simulated"
ENDED_AT = "2026-11-23T23:15:42Z"

Writes: TypeAlias = Callable[[Path, Sequence[Record]], None]
"""Writes records as the finished history in a folder."""


def simulated_records(seed: int) -> tuple[Sequence[Record], bool]:
    """Return the records of a simulated run and whether its store trims."""
    plan = draw_plan(seed)
    return World(plan).run().records, plan.trims


def store_run(
    run_dir: Path,
    records: Sequence[Record],
    *,
    seed: int,
    trims: bool,
    aftermath: Aftermath | None = None,
    not_tried: Sequence[NotTried] = (),
    notes: Sequence[str] = (),
    flags: Sequence[str] = (),
    drawn: Sequence[Drawn] = (),
    write: Writes | None = None,
) -> Result:
    """Write a complete run folder that holds these records, and return its result.

    Args:
        run_dir: The folder.
        records: The history, in the order of time.
        seed: What the simulation was drawn from.
        trims: Whether its store drops what was acknowledged.
        aftermath: What happened besides; its faults have to have their marks among the records.
        not_tried: What the plan had and the system could not have.
        notes: What people should know of it.
        flags: What is odd about the machine.
        drawn: What the seed drew beside the plan.
        write: Writes the records as a history; None: as that of the runner alone.
    """
    left = aftermath or Aftermath()
    brief = Brief(
        run_id=RUN_ID,
        scenario="simulated",
        seed=seed,
        system="reference",
        promises=sorted(ReferenceSystem.promises),
        payload=Bodies(kind="random", size_bytes_min=1, size_bytes_max=PAYLOAD_BYTES_MAX),
        requires=RequiresBrief(),
        limits=["acknowledged_messages >= 1"],
        faults=[],
        phases=[],
        route="splitmix64-xxh3",
        presence_bound_s=PRESENCE_WAIT_NS / 1e9,
        trims=trims,
        parameters={"users": 3},
        not_tried=list(not_tried),
        drawn=list(drawn),
    )
    begun = begun_result(brief)
    begun = msgspec.structs.replace(
        begun,
        notes=list(notes),
        drawn=list(drawn),
        not_tried=list(not_tried),
        environment=msgspec.structs.replace(begun.environment, flags=list(flags)),
        client_errors=left.client_errors,
    )
    told = BegunBrief(
        run=begun.run,
        system=begun.system,
        environment=begun.environment,
        notes=begun.notes,
    )
    write_brief(run_dir, msgspec.structs.replace(brief, begun=told))
    end_ns = max(record.t_ns for record in records)
    (write or write_history)(run_dir / "history", [*records, *closing_records(left, end_ns)])
    write_journal(run_dir / JOURNAL_NAME, left.faults)
    begun = ended_result(begun, end_ns / 1e9)
    system = msgspec.structs.replace(begun.system, config=left.config)
    begun = msgspec.structs.replace(begun, system=system)
    result = judge(run_dir, begun, left)
    write_summary(run_dir, result)
    write_junit(run_dir, result)
    return seal(run_dir, result)


def begun_result(brief: Brief) -> Result:
    """Return the result of a run that has just begun as its brief says."""
    begun = examples.started()
    return msgspec.structs.replace(
        begun,
        run=msgspec.structs.replace(
            begun.run,
            id=brief.run_id,
            scenario=brief.scenario,
            seed=brief.seed,
            parameters=brief.parameters or begun.run.parameters,
        ),
        system=msgspec.structs.replace(
            begun.system, place=brief.system, promises=brief.promises, config={}
        ),
    )


def ended_result(begun: Result, duration_s: float) -> Result:
    """Return the same at the end of the run, before it is judged."""
    run = msgspec.structs.replace(
        begun.run, ended_at=ENDED_AT, duration_s=round(duration_s + 0.001, 3)
    )
    return msgspec.structs.replace(begun, run=run)


def write_history(folder: Path, records: Sequence[Record], run_id: str = RUN_ID) -> None:
    """Write the records as the only segment of a finished history."""
    folder.mkdir(exist_ok=True)
    runner = Ledger(Recorder(folder / "0000.msgpack", run_id, RUNNER))
    runner.write_now([one for one in records if not isinstance(one, Watermark | Kept)])
    runner.close()
    write_index(folder)


def seal(run_dir: Path, result: Result) -> Result:
    """Write the result as complete, with the digests of the files that are there now."""
    sealed = msgspec.structs.replace(result, complete=True, artifacts=describe_artifacts(run_dir))
    write_result(run_dir, sealed)
    return sealed
