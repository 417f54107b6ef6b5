"""Starting everything that a run needs, in order, and stopping it again whatever happens."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio

from harness.checkers.gauges import LAG_GAUGE
from harness.checkers.rare import GAUGE_PREFIX as REACH_PREFIX
from harness.errors import HarnessError, first_line
from harness.faults.nemesis import Nemesis
from harness.faults.schedule import Planned, switched_targets, targets_of
from harness.faults.targets import RunTargets
from harness.history.audit import RUNNER
from harness.history.books import Ledger
from harness.history.recorder import Recorder
from harness.history.records import GaugeSeen, TroubleSeen
from harness.links.links import Links
from harness.load.client_errors import ClientErrors, secrets_of, together, without
from harness.load.groups import groups_of
from harness.load.worker import Job
from harness.processes.table import ProcessTable, end_leftovers
from harness.report.result import Process, Status
from harness.run.aftermath import Aftermath, closing_records
from harness.run.brief import bodies_of
from harness.run.coverage import compare_coverage
from harness.run.crew import Crew, Hand
from harness.run.load_processes import LoadProcesses
from harness.run.observer import Observer, Progress
from harness.run.online import follow
from harness.run.outage import Outage, end_of_log, explain
from harness.run.planted import refuse_deployed
from harness.run.request import RunRequest
from harness.run.rule import follow_rule
from harness.run.stage import Stage
from harness.run.verdict import Finding
from harness.scenario.scenario import Plan
from harness.systems.port import Deployment, System, promises_in, restart_within_s
from harness.systems.promises import Promise

WATCH_EVERY_S = 0.5
"""How often those who watch are told how far the run is, and dead nodes are looked for."""

GAUGES_EVERY_S = 1.0
"""How often the nodes are asked for their gauges."""

LAST_GAUGES_WITHIN_S = 2.0
"""How long the nodes are waited for when they are asked for the last time."""

FINISH_WITHIN_S = 30.0
"""Deadline for the load processes to log out and close their histories."""


@asynccontextmanager
async def on_stage(
    request: RunRequest,
    system: System,
    plan: Plan,
    planned: Sequence[Planned],
    toxiproxy: Path,
    t0_ns: int,
    aftermath: Aftermath,
    observer: Observer,
) -> AsyncIterator[Stage]:
    """Yield the stage with everything on it running; what it leaves goes into `aftermath`.

    Raises:
        HarnessError: Something did not start, or ended by itself.
    """
    run_dir = request.run_dir
    observer.phase("deploy")
    for leftover in end_leftovers(run_dir.parent):
        observer.note(f"ended a leftover of a killed run: {leftover}")

    def now_ns() -> int:
        return time.monotonic_ns() - t0_ns

    recorder = Ledger(
        Recorder(run_dir / "history" / "0000.msgpack", run_id=request.run_id, name=RUNNER)
    )
    table = ProcessTable(run_dir)
    links = await Links.start(
        toxiproxy,
        run_dir=run_dir,
        table=table,
        resets=targets_of(planned, "link_reset"),
    )
    deployment: Deployment | None = None
    nemesis: Nemesis | None = None
    load: LoadProcesses | None = None
    broken: list[TroubleSeen] = []
    crew = Crew([])
    administrator = ClientErrors(secrets_of({}))
    try:
        groups = groups_of(plan)
        topology = replace(
            plan.topology, client_groups=groups.names, switched=switched_targets(planned)
        )
        deployment = await system.deploy(topology, links, run_dir, request.seed)
        refuse_deployed(deployment.config, request.planted_bug)
        load_count = plan.load_processes + 1
        load = LoadProcesses(
            crew,
            _job(request, plan, deployment, t0_ns),
            run_dir=run_dir,
            table=table,
            from_cursor=Promise.DURABLE_CURSOR in promises_in(system, topology),
        )
        aftermath.killed_segments = load.killed
        nemesis = Nemesis(
            targets=RunTargets(links, [*deployment.targets(), *load.targets(load_count)]),
            now_ns=now_ns,
            record=lambda record: recorder.write_now((record,)),
            observe=observer.fault,
            in_use_within_s=restart_within_s(system) if system.one_hop else 0.0,
        )
        nemesis.check(planned)
        async with anyio.create_task_group() as tasks:
            await load.start_all(tasks, load_count)
            stage = Stage(
                plan=plan,
                groups=groups,
                seed=request.seed,
                t0_ns=t0_ns,
                system=system,
                deployment=deployment,
                crew=crew,
                nemesis=nemesis,
                recorder=recorder,
                observer=observer,
                rng=random.Random(f"{request.seed}/runner"),
                errors=administrator,
                senders=aftermath.senders,
            )
            tasks.start_soon(_watch, stage, links, run_dir / "logs")
            tasks.start_soon(_sample_gauges, stage)
            tasks.start_soon(follow_rule, stage)
            if observer.wants_checks:
                tasks.start_soon(follow, run_dir, table, partial(setattr, stage, "checks"))
            yield stage
            await _finish_load(stage, aftermath)
            with anyio.move_on_after(LAST_GAUGES_WITHIN_S):
                await _see_gauges(stage)
            await crew.end()
            for hand in crew.hands:
                table.remove(hand.pid)
            tasks.cancel_scope.cancel()
        await _tear_down(stage, aftermath)
        aftermath.coverage, bypassed = compare_coverage(
            await links.finish(), aftermath.traffic | stage.uplinks.traffic()
        )
        if bypassed:
            aftermath.findings.append(
                Finding(
                    status=Status.UNKNOWN,
                    reason_code="link_bypassed",
                    reason=f"somebody went around the proxies: {', '.join(bypassed)}",
                )
            )
    except Exception as error:
        broken = [
            TroubleSeen(
                t_ns=now_ns(),
                status=Status.ERROR.value,
                reason_code="harness",
                reason=first_line(error),
            )
        ]
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await crew.end()
            if deployment is not None:
                await deployment.teardown()
                _keep_usage(deployment, aftermath)
            await links.close()
            _keep_proxy_usage(links, aftermath)
            # Also of a run that broke: what the last progress lines told.
            aftermath.client_errors = together([crew.client_errors(), administrator.told()])
            if nemesis is not None:
                aftermath.faults = nemesis.journal()
            if load is not None:
                recorder.write_now(load.heard(now_ns()))
            recorder.write_now([*broken, *closing_records(aftermath, now_ns())])
            recorder.close()


def _job(request: RunRequest, plan: Plan, deployment: Deployment, t0_ns: int) -> Job:
    return Job(
        system=request.system,
        connect=dict(deployment.connect),
        run_id=request.run_id,
        seed=request.seed,
        t0_ns=t0_ns,
        process=0,
        history_path="",
        bodies=bodies_of(plan.payload),
        bodies_to={inbox: bodies_of(one) for inbox, one in plan.payloads.items()},
        edges=plan.topology.edges,
    )


async def _finish_load(stage: Stage, aftermath: Aftermath) -> None:
    """Close the histories of the load processes and keep what they counted themselves."""
    aftermath.commits = max(0, stage.commits)
    for code, reason in stage.trouble:
        aftermath.findings.append(Finding(status=Status.UNKNOWN, reason_code=code, reason=reason))
    with anyio.fail_after(FINISH_WITHIN_S):
        for hand in stage.crew.hands:
            reply = await hand.command("finish")
            hand.progress = reply["progress"]
            for link, traffic in reply["traffic"].items():
                aftermath.add_traffic(link, *traffic)
            aftermath.processes.append(_process_of(hand, is_reader=hand is stage.crew.readers))


def _process_of(hand: Hand, *, is_reader: bool) -> Process:
    return Process(
        role="load-reader" if is_reader else "load-sender",
        index=hand.index,
        cpu_s=round(hand.cpu_s, 3),
        cpu_us_per_message=None,
        rss_max_bytes=hand.rss_max_bytes,
    )


def _keep_usage(deployment: Deployment, aftermath: Aftermath) -> None:
    aftermath.config = without(secrets_of(deployment.connect), deployment.config)
    for node in deployment.usage():
        aftermath.processes.append(
            Process(
                role=node.role,
                index=node.index,
                cpu_s=round(node.cpu_s, 3),
                cpu_us_per_message=None,
                rss_max_bytes=node.rss_max_bytes,
                restarts=node.restarts,
            )
        )


def _keep_proxy_usage(links: Links, aftermath: Aftermath) -> None:
    used = links.server.process.usage()
    aftermath.processes.append(
        Process(
            role="toxiproxy",
            index=0,
            cpu_s=round(used.cpu_s, 3),
            cpu_us_per_message=None,
            rss_max_bytes=used.rss_max_bytes,
        )
    )


async def _tear_down(stage: Stage, aftermath: Aftermath) -> None:
    """Stop the deployment; one that has gone away for good cannot be tidied up, and that is told.

    Raises:
        HarnessError: It could not be stopped, or something of the run is left at a server.
    """
    try:
        await stage.deployment.teardown()
    except HarnessError as error:
        if not stage.ended_early:
            raise
        aftermath.findings.append(
            Finding(status=Status.UNKNOWN, reason_code="left_behind", reason=str(error))
        )


async def _watch(stage: Stage, links: Links, logs: Path) -> None:
    """Tell those who watch how far the run is; notice nodes that died, and an outage."""
    seen_dead: set[str] = set()
    outage = Outage(back_within_s=restart_within_s(stage.system))
    while True:
        now = stage.crew.progress()
        stage.recorder.beat(stage.now_ns())
        ok, delivered = now.get("ok", 0), now.get("delivered", 0)
        stage.observer.progress(
            Progress(
                t_s=stage.now_ns() / 1e9,
                offered=now.get("handed", 0),
                acknowledged=ok,
                delivered=delivered,
                in_flight=now.get("open", 0),
                lag=max(0, ok - delivered),
                reconnects=now.get("sender_reconnects", 0) + now.get("receiver_reconnects", 0),
                active_faults=stage.nemesis.active,
                checks=stage.checks.states,
                checks_upto_s=stage.checks.upto_s,
            )
        )
        dead = stage.deployment.find_dead()
        for name in dead:
            if name not in seen_dead:
                seen_dead.add(name)
                ends = stage.errors.clean(end_of_log(logs / f"{name}.log"))
                reason = f"{name} ended by itself; its log ends: {ends or 'nothing'}"
                stage.trouble.append(("node_died", reason))
                stage.observer.note(f"{name} ended by itself")
        disturbed = stage.nemesis.under_way or _is_held_down(stage, dead)
        now_ns = stage.now_ns()
        gone = outage.look(
            now_ns, now, disturbed=disturbed, dead=bool(dead), cut_off=_is_cut_off(stage, dead)
        )
        if gone and not stage.ended_early:
            code, reason = await explain(
                stage.system.name, dead, list(links.by_name.values()),
                stage.crew.client_errors(), outage.since_ns, now_ns,
            )  # fmt: skip
            stage.ended_early = code
            stage.trouble.append((code, reason))
            stage.observer.note(f"the run ends early: {reason}")
            stage.performing.cancel()
        await anyio.sleep(WATCH_EVERY_S)


def _is_held_down(stage: Stage, dead: Sequence[str]) -> bool:
    """Say whether a process is away or stopped because somebody wants it so."""
    processes = stage.deployment.targets()
    away = any(process.pid() is None for process in processes) and not dead
    return away or any(process.is_stopped() for process in processes)


def _is_cut_off(stage: Stage, dead: Sequence[str]) -> bool:
    """Say whether every node of a role has ended by itself, so that nobody gets through."""
    processes = [one for one in stage.deployment.targets() if one.name != "toxiproxy"]
    gone = [one.name for one in processes if one.pid() is None]
    if not dead or len(gone) != len(dead):
        return False  # One that somebody wants to be away may come back.
    left = {one.name.partition(":")[0] for one in processes if one.name not in gone}
    return any(name.partition(":")[0] not in left for name in gone)


async def _sample_gauges(stage: Stage) -> None:
    while True:
        await _see_gauges(stage)
        await anyio.sleep(GAUGES_EVERY_S)


async def _see_gauges(stage: Stage) -> None:
    """Ask every node once; counts of rare states are written down only where they changed."""
    seen = await stage.deployment.gauges()
    t_ns = stage.now_ns()
    for number, edge in enumerate(stage.plan.topology.edges):
        own = {
            name: value for role, index, name, value, _ in seen if (role, index) == ("edge", number)
        }
        stage.uplinks.take(f"edge-core:{edge}", own)
    for role, index, name, value, limit in seen:
        if name == LAG_GAUGE:
            stage.lag_ns_max = max(stage.lag_ns_max, value * 1_000)
        if name == "commits":
            stage.commits = max(stage.commits, value)
        if name.startswith(REACH_PREFIX):
            before = stage.reach_told.get((role, index, name))
            stage.reach_told[role, index, name] = value
            if value == before:
                continue
        stage.recorder.write(
            GaugeSeen(t_ns=t_ns, role=role, index=index, name=name, value=value, limit=limit)
        )
    stage.recorder.flush()
