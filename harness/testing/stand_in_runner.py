"""A runner that deploys nothing: what the command line does around a run can be tried with it.

Installed in place of `harness.run.runner` before the command line is called. What it does is said
by the environment variable `TALLYSTICK_STAND_IN`: the name of an example result, "wait" (until it
is cancelled), "crash", "group" (the same from within tasks), "trouble", "usage" or "setup".
"""

from __future__ import annotations

import os
import sys
import types

import anyio
import msgspec

from harness.errors import HarnessError, SetupError, UsageError
from harness.report.result import Result
from harness.report.writer import write_result
from harness.run.observer import Observer
from harness.run.request import RunOutcome, RunRequest
from harness.testing import example_results as examples

VARIABLE = "TALLYSTICK_STAND_IN"


def install() -> None:
    """Put this runner in place of the real one, for this process."""
    module = types.ModuleType("harness.run.runner")
    module.run = run  # type: ignore[attr-defined]
    sys.modules["harness.run.runner"] = module


async def run(request: RunRequest, observer: Observer) -> RunOutcome:
    """Do what `VARIABLE` says, with the names and seed of the request."""
    wanted = os.environ.get(VARIABLE, "passed").split(",")
    done = sum(1 for path in request.run_dir.parent.iterdir() if (path / "result.json").exists())
    step = wanted[min(done, len(wanted) - 1)]
    write_result(request.run_dir, _named(examples.started(), request))
    observer.phase("load")
    match step:
        case "wait":
            sys.stderr.write("waiting\n")
            sys.stderr.flush()
            await anyio.sleep_forever()
        case "crash":
            raise ZeroDivisionError("deep inside")
        case "group":
            raise ExceptionGroup("tasks", [ZeroDivisionError("deep inside")])
        case "trouble":
            raise HarnessError("the proxy did not come up")
        case "usage":
            raise UsageError("no target 'there'")
        case "setup":
            raise SetupError("there is no Toxiproxy")
    result = _named(getattr(examples, step)(), request)
    write_result(request.run_dir, result)
    return RunOutcome(run_dir=request.run_dir, result=result)


def _named(result: Result, request: RunRequest) -> Result:
    run_info = msgspec.structs.replace(
        result.run,
        id=request.run_id,
        scenario=request.loaded.scenario.name,
        seed=request.seed,
        profile=request.profile,
        parameters=request.parameters.as_dict(),
        command=request.command,
        repeat_command=request.repeat_command,
    )
    return msgspec.structs.replace(result, run=run_info)


if __name__ == "__main__":
    from harness.cli.main import main

    install()
    main()
