"""The Python interface: runs from a script, a notebook, an async program or a test.

`run` blocks, `run_async` does not; both return the result that `result.json` holds. Neither sets a
signal handler, changes the working directory or keeps anything between two calls.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import IO

import anyio
import anyio.to_thread

from harness.addresses import masked
from harness.errors import HarnessError, UsageError
from harness.report import stored
from harness.report.live import watching
from harness.report.result import Result
from harness.report.writer import RESULT_NAME
from harness.run.carry_out import carry_out, mark_interrupted
from harness.run.fitting import fit_scenario
from harness.run.observer import NullObserver, Observer
from harness.run.request import REFERENCE_SYSTEM, RunRequest, draw_seed, new_folder, stamp
from harness.run.requesting import (
    check_keep_history,
    check_seed,
    checked_limits,
    checked_parameters,
    make_request,
)
from harness.run.verdict import EXIT_SIGINT
from harness.scenario.loader import LoadedScenario, find
from harness.scenario.parameters import Value
from harness.scenario.scenario import Scenario
from harness.systems.places import settle_place
from harness.systems.registry import load_system
from harness.user_code import where

PROFILE = "standard"


def run(
    scenario: str | Path | Scenario,
    system: str = REFERENCE_SYSTEM,
    *,
    seed: int | None = None,
    profile: str = PROFILE,
    limits: Sequence[str] = (),
    keep_history: str = "always",
    out: Path | str | None = None,
    progress: IO[str] | None = None,
    **parameters: Value,
) -> Result:
    """Run a scenario and return its result, whatever the verdict.

    Blocks until the run has been judged, also where an event loop runs already (a notebook); the
    loop stands still meanwhile. Ctrl-C ends the run in order, marks its result as interrupted and
    raises `KeyboardInterrupt`.

    Args:
        scenario: A name, a file, ``package.module:NAME``, or the `Scenario` itself.
        system: A name, or ``module:NAME`` that load processes can import too; its options follow,
            as in ``nats?endpoint=127.0.0.1:4222``.
        seed: Repeats the schedules of load and faults; None draws a fresh one.
        profile: "smoke", "standard" or "nightly".
        limits: Thresholds as of ``--limit``, such as ``"ack_p99_ms < 50"``; the result says which
            were met.
        keep_history: "always", "on-failure" or "never".
        out: A new or empty folder; None makes one below ``results/`` that has the name
            ``result.run.id``.
        progress: Where progress is shown, such as ``sys.stderr``; None shows none.
        parameters: The scenario's own.

    Raises:
        UsageError: Something cannot be had, before anything is started; says what to do.
        HarnessError: The run broke in a way that nobody foresaw.
    """
    request = _request(scenario, system, seed, profile, limits, keep_history, out, parameters)
    return run_request(request, progress)


async def run_async(
    scenario: str | Path | Scenario,
    system: str = REFERENCE_SYSTEM,
    *,
    seed: int | None = None,
    profile: str = PROFILE,
    limits: Sequence[str] = (),
    keep_history: str = "always",
    out: Path | str | None = None,
    progress: IO[str] | None = None,
    **parameters: Value,
) -> Result:
    """Run a scenario as `run` does, from an async program.

    The run has a thread and an event loop of its own, so that neither waits for the other.
    Cancellation ends it in order, marks its result as interrupted, and returns after that.

    Raises:
        UsageError: As `run`.
        HarnessError: As `run`.
    """
    request = await anyio.to_thread.run_sync(
        partial(_request, scenario, system, seed, profile, limits, keep_history, out, parameters)
    )
    apart = _Apart(request, progress)
    try:
        return await anyio.to_thread.run_sync(apart.ended.result, abandon_on_cancel=True)
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(apart.stop)
        raise


def load_result(path: Path | str) -> Result:
    """Return the result of a stored run.

    Args:
        path: The folder of a run, or its ``result.json``.

    Raises:
        UsageError: There is no run, or a newer Tallystick has written it.
        DamagedHistory: The file is no result.
    """
    return stored.load_result(stored.run_folder(Path(path)) / RESULT_NAME)


def run_request(request: RunRequest, progress: IO[str] | None) -> Result:
    """Carry out a request and return its result; blocks as `run` does."""
    if _in_event_loop():
        apart = _Apart(request, progress)
        try:
            return apart.ended.result()
        except KeyboardInterrupt:
            apart.stop()
            raise
    with _shown(request, progress) as observer:
        work = partial(carry_out, request, observer)
        try:
            return anyio.run(work, backend_options={"use_uvloop": True}).result
        except KeyboardInterrupt:
            mark_interrupted(request.run_dir, EXIT_SIGINT)
            raise


class _Apart:
    """A run that goes on in a thread and an event loop of its own.

    Attributes:
        ended: The result, once it has been judged.
    """

    def __init__(self, request: RunRequest, progress: IO[str] | None) -> None:
        self._request = request
        self._progress = progress
        self._begun: Future[tuple[asyncio.AbstractEventLoop, anyio.CancelScope]] = Future()
        threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tallystick-run")
        self.ended = threads.submit(self._run)
        threads.shutdown(wait=False)

    def stop(self) -> None:
        """End the run in order; returns when it has, with its result marked as interrupted."""
        loop, scope = self._begun.result()
        with contextlib.suppress(RuntimeError):  # Its loop is closed: it has ended meanwhile.
            loop.call_soon_threadsafe(scope.cancel)
        wait([self.ended])
        mark_interrupted(self._request.run_dir, EXIT_SIGINT)

    def _run(self) -> Result:
        with _shown(self._request, self._progress) as observer:
            return anyio.run(self._work, observer, backend_options={"use_uvloop": True})

    async def _work(self, observer: Observer) -> Result:
        with anyio.CancelScope() as scope:
            self._begun.set_result((asyncio.get_running_loop(), scope))
            return (await carry_out(self._request, observer)).result
        raise HarnessError("the run was stopped")


def checked_request(
    loaded: LoadedScenario,
    place: str,
    system: str,
    *,
    seed: int,
    profile: str,
    limits: Sequence[str],
    keep_history: str,
    parameters: Mapping[str, Value],
    make_folder: Callable[[], Path],
    command: str,
) -> RunRequest:
    """Return a request in which everything was checked before its folder is made.

    Args:
        loaded: The scenario.
        place: How a load process finds it.
        system: A name or ``module:NAME`` with its options, secrets already set aside.
        seed: What the plan, the load and the faults are drawn from.
        profile: "smoke", "standard" or "nightly".
        limits: Thresholds as of ``--limit``.
        keep_history: "always", "on-failure" or "never".
        parameters: The scenario's own, by name.
        make_folder: Makes the run's folder, new and empty.
        command: What stands in the result as the command.

    Raises:
        UsageError: Something cannot be had; says what to do.
    """
    own = {one.name for one in loaded.scenario.parameters}
    if "endpoint" in parameters and "endpoint" not in own:
        at = f"{system.partition('?')[0]}?endpoint=HOST:PORT"
        raise UsageError(f"an endpoint is part of the system, as in system={at!r}")
    assignments = {name: _text(value) for name, value in parameters.items()}
    values = checked_parameters(loaded, profile, assignments, check_seed(seed))
    checked = checked_limits(list(limits))
    check_keep_history(keep_history)
    fit_scenario(loaded.scenario, values, load_system(system), place=system, limits=checked)
    return make_request(
        loaded,
        place,
        profile=profile,
        seed=seed,
        assignments=assignments,
        system=system,
        run_dir=make_folder(),
        command=command,
        keep_history=keep_history,
        limits=checked,
    )


def found(scenario: str | Path | Scenario, source: str) -> tuple[LoadedScenario, str]:
    """Return a scenario and the place of it; one that is no file has the `source` that is given.

    Raises:
        UsageError: There is none; says which is nearest.
    """
    if isinstance(scenario, Scenario):
        return LoadedScenario(scenario=scenario, source=source, doc=""), scenario.name
    place = str(scenario)
    return find(place), place


def _request(
    scenario: str | Path | Scenario,
    system: str,
    seed: int | None,
    profile: str,
    limits: Sequence[str],
    keep_history: str,
    out: Path | str | None,
    parameters: Mapping[str, Value],
) -> RunRequest:
    system = settle_place(system)
    source = where(scenario.plan) if isinstance(scenario, Scenario) else ""
    loaded, place = found(scenario, source or "tallystick.run")
    name = loaded.scenario.name
    chosen = draw_seed() if seed is None else seed
    return checked_request(
        loaded,
        place,
        system,
        seed=chosen,
        profile=profile,
        limits=limits,
        keep_history=keep_history,
        parameters=parameters,
        make_folder=partial(_folder, f"{stamp()}-{name}-{chosen}", out),
        command=f"tallystick.run({name!r}, {masked(system)!r})",
    )


def _folder(name: str, out: Path | str | None) -> Path:
    try:
        return new_folder(name, None if out is None else Path(out))
    except OSError as error:
        raise UsageError(f"out: {error}; name a new or empty folder") from error


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextlib.contextmanager
def _shown(request: RunRequest, progress: IO[str] | None) -> Iterator[Observer]:
    if progress is None:
        yield NullObserver()
        return
    with watching(progress, f"{request.loaded.scenario.name}, seed {request.seed}") as observer:
        yield observer


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
