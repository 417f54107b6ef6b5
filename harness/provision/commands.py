"""Runs the tools of the set-up (pip, go) so that ending the set-up ends them too."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from harness.errors import SetupError
from harness.processes.environment import plain_environment

STOP_WAIT_S: Final = 5.0
"""How long a tool may take to end after SIGTERM before it is killed."""

OUTPUT_LINES_MAX: Final = 12
"""How much of a failed tool's output an error quotes, from its end."""


def run_tool(
    arguments: Sequence[str | Path],
    *,
    what: str,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> str:
    """Run a tool to its end and return what it printed on stdout.

    Any way out of this call, an interrupt included, leaves no tool running.

    Raises:
        SetupError: It could not be started, failed, or took longer than `timeout_s`. The message
            begins with `what` and quotes the end of the tool's output.
    """
    try:
        process = subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=plain_environment() if env is None else env,
            cwd=cwd,
            pass_fds=tuple(pass_fds),
        )
    except OSError as error:
        raise SetupError(f"{what}: cannot start {arguments[0]}: {error.strerror}") from error
    with process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise SetupError(f"{what}: not finished after {timeout_s:.0f} s") from None
        finally:
            if process.poll() is None:
                _stop(process)
    if process.returncode != 0:
        lines = (err.strip() or out.strip()).splitlines()[-OUTPUT_LINES_MAX:]
        quoted = "".join(f"\n    {line}" for line in lines)
        raise SetupError(f"{what}: {arguments[0]} ended with {process.returncode}{quoted}")
    return out


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
