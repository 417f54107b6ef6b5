"""A complete run folder from a simulated run: history, brief, result, without any process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.faults.journal import JOURNAL_NAME, write_journal
from harness.history.index import write_index
from harness.history.recorder import Recorder
from harness.history.records import Record, Watermark
from harness.load.payloads import Bodies
from harness.report.junit import write_junit
from harness.report.result import Result
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
) -> Result:
    """Write a complete run folder that holds these records, and return its result.

    `aftermath` is what happened besides; its faults have to have their marks among the records.
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
    )
    begun = begun_result(brief)
    told = BegunBrief(
        run=begun.run, system=begun.system, environment=begun.environment, notes=begun.notes
    )
    write_brief(run_dir, msgspec.structs.replace(brief, begun=told))
    end_ns = max(record.t_ns for record in records)
    write_history(run_dir / "history", [*records, *closing_records(left, end_ns)])
    write_journal(run_dir / JOURNAL_NAME, left.faults)
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
        system=msgspec.structs.replace(begun.system, place=brief.system, promises=brief.promises),
    )


def write_history(folder: Path, records: Sequence[Record], run_id: str = RUN_ID) -> None:
    """Write the records as the only segment of a finished history."""
    folder.mkdir(exist_ok=True)
    recorder = Recorder(folder / "0000.msgpack", run_id, "runner")
    recorder.write_now([record for record in records if not isinstance(record, Watermark)])
    recorder.close()
    write_index(folder)


def seal(run_dir: Path, result: Result) -> Result:
    """Write the result as complete, with the digests of the files that are there now."""
    sealed = msgspec.structs.replace(result, complete=True, artifacts=describe_artifacts(run_dir))
    write_result(run_dir, sealed)
    return sealed
