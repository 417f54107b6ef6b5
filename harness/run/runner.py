"""One run from its request to its result: deploy, load, drain, judge, write.

Whatever happens, what was started is stopped, and the folder says how far the run came: the result
is written first as incomplete and replaced at the end.
"""

from __future__ import annotations

import contextlib
import resource
import shutil
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import anyio
import msgspec

from harness.errors import DamagedHistory, HarnessError, SetupError, first_line
from harness.faults.journal import JOURNAL_NAME, write_journal
from harness.faults.schedule import Planned, to_json
from harness.history.index import write_index
from harness.history.reader import read_folder
from harness.provision.environment import environment
from harness.provision.toxiproxy import Toxiproxy, ensure
from harness.report.junit import write_junit
from harness.report.result import Process, Result, RunInfo, Status, SystemInfo
from harness.report.series import series_of, write_series
from harness.report.summary import write_summary
from harness.report.writer import describe_artifacts, write_result
from harness.run import limits
from harness.run.aftermath import HARNESS_ROLE, Aftermath
from harness.run.brief import BegunBrief, Brief, RequiresBrief, bodies_of, write_brief
from harness.run.fitting import Fitted, claimed, fit_scenario
from harness.run.judge import judge, judge_cut_off
from harness.run.observer import Observer
from harness.run.perform import perform
from harness.run.remarks import remarks
from harness.run.request import RunOutcome, RunRequest
from harness.run.staging import on_stage
from harness.run.unsound import targets_of
from harness.run.verdict import Finding, started
from harness.scenario.performed import churns_in, promotions_in, schedules_in
from harness.scenario.phases import Drain, Phase
from harness.scenario.scenario import Plan
from harness.systems.port import System, delivery_within_s, promises_in
from harness.systems.registry import load_system


async def run(request: RunRequest, observer: Observer) -> RunOutcome:
    """Carry out a run and return its result, as written to the run folder.

    Raises:
        UsageError: The request cannot be carried out on this system; says why.

    Trouble of the harness itself does not raise: it is an ERROR verdict with its reason. When the
    run is cancelled (a signal), everything is stopped and what was recorded stays, incomplete.
    """
    system = load_system(request.system)
    fitted = fit_scenario(
        request.loaded.scenario,
        request.parameters,
        system,
        request.planted_bug,
        place=request.system,
        schedules=request.faults,
        limits=request.limits,
    )
    plan, not_tried = fitted.plan, fitted.not_tried
    for one in not_tried:
        observer.note(f"not tried: {one.what}: {one.why}")
    for text in plan.limits:
        limits.parse(text)
    phases = _with_drain(plan)
    cpu_begun_s = time.process_time()
    try:
        toxiproxy = await anyio.to_thread.run_sync(ensure, observer.note)
    except SetupError:
        with contextlib.suppress(OSError):
            request.run_dir.rmdir()
        raise
    begun = _first_result(request, system, plan, toxiproxy, fitted)
    write_result(request.run_dir, begun)
    _write_brief(request, begun, system, plan, phases)
    for folder in ("logs", "history"):
        (request.run_dir / folder).mkdir()
    t0_ns = time.monotonic_ns()
    aftermath = Aftermath()
    planned = [item for faults in schedules_in(phases) for item in faults]
    try:
        async with on_stage(
            request, system, plan, planned, toxiproxy.path, t0_ns, aftermath, observer
        ) as stage:
            with stage.performing:
                for phase in phases:
                    await perform(stage, phase)
    except* (HarnessError, TimeoutError, OSError) as group:
        aftermath.findings.append(
            Finding(status=Status.ERROR, reason_code="harness", reason=first_line(group))
        )
    duration_s = (time.monotonic_ns() - t0_ns) / 1e9
    observer.phase("judge")
    result = await anyio.to_thread.run_sync(
        _finish, request, begun, aftermath, duration_s, cpu_begun_s
    )
    return RunOutcome(run_dir=request.run_dir, result=result)


def _finish(
    request: RunRequest,
    begun: Result,
    aftermath: Aftermath,
    duration_s: float,
    cpu_begun_s: float,
) -> Result:
    """Judge what was recorded and write everything that a run leaves behind."""
    write_journal(request.run_dir / JOURNAL_NAME, aftermath.faults)
    ended = msgspec.structs.replace(
        begun,
        run=msgspec.structs.replace(
            begun.run,
            ended_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            duration_s=round(duration_s, 3),
        ),
        system=msgspec.structs.replace(
            begun.system,
            config=aftermath.config,
            planted_bug=aftermath.config.get("planted_bug"),
        ),
        client_errors=aftermath.client_errors,
        notes=[*begun.notes, *aftermath.config.get("notes", ())],
    )
    result = _judge(request, ended, aftermath)
    result = msgspec.structs.replace(
        result, complete=True, processes=[*result.processes, _own_process(result, cpu_begun_s)]
    )
    write_summary(request.run_dir, result)
    write_junit(request.run_dir, result)
    _apply_retention(request, result)
    result = msgspec.structs.replace(result, artifacts=describe_artifacts(request.run_dir))
    write_result(request.run_dir, result)
    return result


def _own_process(result: Result, cpu_begun_s: float) -> Process:
    """Return what the harness itself used, the checks included."""
    cpu_s = round(time.process_time() - cpu_begun_s, 3)
    delivered = result.counts.delivered
    rss_max = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Process(
        role=HARNESS_ROLE,
        index=0,
        cpu_s=cpu_s,
        cpu_us_per_message=round(cpu_s * 1e6 / delivered, 4) if delivered else None,
        rss_max_bytes=rss_max * (1 if sys.platform == "darwin" else 1024),
    )


def _judge(request: RunRequest, ended: Result, aftermath: Aftermath) -> Result:
    try:
        write_index(request.run_dir / "history", killed=aftermath.killed_segments)
        return judge(request.run_dir, ended, aftermath)
    except DamagedHistory:
        if not any(one.status is Status.ERROR for one in aftermath.findings):
            raise
        # The trouble of the harness ended recorders in mid-sentence; that trouble is the reason
        # to give, and what they wrote may still convict.
        return judge_cut_off(request.run_dir, ended, aftermath)


def _apply_retention(request: RunRequest, result: Result) -> None:
    passed = result.verdict.status is Status.PASS
    if request.keep_history == "never" or (request.keep_history == "on-failure" and passed):
        if request.charts:
            history = read_folder(request.run_dir / "history")
            write_series(request.run_dir, series_of(history, result.run.duration_s))
        shutil.rmtree(request.run_dir / "history")


def _with_drain(plan: Plan) -> tuple[Phase, ...]:
    if plan.phases and isinstance(plan.phases[-1], Drain):
        return plan.phases
    return (*plan.phases, Drain())


def _first_result(
    request: RunRequest,
    system: System,
    plan: Plan,
    toxiproxy: Toxiproxy,
    fitted: Fitted,
) -> Result:
    scenario = request.loaded.scenario
    return Result(
        complete=False,
        verdict=started(),
        run=RunInfo(
            id=request.run_id,
            scenario=scenario.name,
            scenario_source=request.loaded.source,
            claim=scenario.claim,
            profile=request.profile,
            seed=request.seed,
            parameters=request.parameters.as_dict(),
            started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            command=request.command,
            repeat_command=request.repeat_command,
        ),
        system=SystemInfo(
            name=system.name,
            version=system.version,
            place=request.system,
            promises=sorted(promises_in(system, plan.topology)),
            abilities=sorted(system.abilities),
        ),
        environment=environment(request.run_dir, toxiproxy),
        not_tried=list(fitted.not_tried),
        drawn=list(fitted.drawn),
        notes=[*request.notes, *remarks(plan)],
    )


def _told(planned: tuple[Planned, ...], plan: Plan, system: System) -> list[dict[str, Any]]:
    """Return a schedule as JSON, with the targets of each fault as far as they are known."""
    return [
        {**told, "targets": targets_of(one, plan, system)}
        for one, told in zip(planned, to_json(planned), strict=True)
    ]


def _write_brief(
    request: RunRequest, begun: Result, system: System, plan: Plan, phases: tuple[Phase, ...]
) -> None:
    scenario = request.loaded.scenario
    write_brief(
        request.run_dir,
        Brief(
            run_id=request.run_id,
            scenario=scenario.name,
            seed=request.seed,
            system=request.system,
            promises=sorted(promises_in(system, plan.topology)),
            payload=bodies_of(plan.payload),
            payloads={inbox: bodies_of(one) for inbox, one in plan.payloads.items()},
            drawn=begun.drawn,
            extra_actors=list(plan.extra_actors),
            requires=RequiresBrief(**asdict(plan.requires)),
            limits=limits.combine(plan.limits, request.limits),
            parameters=request.parameters.as_dict(),
            faults=[_told(planned, plan, system) for planned in schedules_in(phases)],
            phases=[repr(phase) for phase in phases],
            promotions=promotions_in(phases),
            churns=churns_in(phases),
            checks=claimed(scenario, system, plan.topology),
            not_tried=begun.not_tried,
            route=system.route,
            presence_bound_s=system.presence_bound_s,
            delivery_within_s=delivery_within_s(system, plan.topology),
            trims=plan.topology.retention == "ack",
            planted_bug=request.planted_bug,
            place=request.place,
            files=list(request.files),
            source_sha256=request.loaded.source_sha256,
            begun=BegunBrief(
                run=begun.run,
                system=begun.system,
                environment=begun.environment,
                notes=begun.notes,
            ),
        ),
    )
