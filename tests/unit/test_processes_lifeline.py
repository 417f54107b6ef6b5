"""The lifeline supervisor: it hides nothing of the command and never outlives or deserts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from harness.processes import lifeline
from harness.processes.identity import look

WITHIN_S = 5.0


@contextmanager
def start(code: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", lifeline.__file__, sys.executable, "-I", "-S", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as supervisor:
        try:
            yield supervisor
        finally:
            supervisor.kill()


def is_gone(pid: int) -> bool:
    seen = look(pid)
    return seen is None or seen.state == "Z"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "the condition does not come true"
        time.sleep(0.005)


@pytest.mark.parametrize("code", [0, 3, 70])
def test_the_exit_code_is_the_commands(code: int) -> None:
    with start(f"raise SystemExit({code})") as supervisor:
        assert supervisor.wait(WITHIN_S) == code


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_the_signal_that_killed_the_command_is_shown(number: signal.Signals) -> None:
    code = (
        "import os, resource\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        f"os.kill(os.getpid(), {int(number)})"
    )
    with start(code) as supervisor:
        assert supervisor.wait(WITHIN_S) == -number


def test_signals_reach_the_command() -> None:
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(11))\n"
        "print('up', flush=True)\n"
        "signal.pause()"
    )
    with start(code) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "up\n"
        supervisor.send_signal(signal.SIGUSR1)
        assert supervisor.wait(WITHIN_S) == 11


def test_end_of_file_kills_the_command_even_if_it_ignores_everything() -> None:
    code = (
        "import os, signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(os.getpid(), flush=True)\n"
        "while True: signal.pause()"
    )
    with start(code) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdin is not None
        command = int(supervisor.stdout.readline())
        supervisor.stdin.close()
        assert supervisor.wait(WITHIN_S) == -signal.SIGKILL
        assert is_gone(command)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs the parent-death signal")
def test_the_command_dies_with_a_killed_supervisor() -> None:
    code = "import os, signal\nprint(os.getpid(), flush=True)\nsignal.pause()"
    with start(code) as supervisor:
        assert supervisor.stdout is not None
        command = int(supervisor.stdout.readline())
        os.kill(supervisor.pid, signal.SIGKILL)
        until(lambda: is_gone(command))


def test_the_command_has_an_empty_standard_input() -> None:
    with start("import sys\nprint(repr(sys.stdin.read()))") as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "''\n"


def test_a_command_that_is_absent_is_named() -> None:
    with subprocess.Popen(
        [sys.executable, lifeline.__file__, "/absent/command"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as supervisor:
        assert supervisor.wait(WITHIN_S) == lifeline.COULD_NOT_EXECUTE
        assert supervisor.stderr is not None
        assert "/absent/command: No such file" in supervisor.stderr.read()
