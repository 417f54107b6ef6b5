"""A process that the harness starts, perhaps several times: ready, logs, end, usage.

Output goes straight into the log file, so it is complete however the harness ends, and readiness
is a pattern that appears there. The child's standard input is a pipe that only the harness holds:
its end of file is the lifeline. The child leads a process group of its own in our session, so that
Ctrl-C goes to the harness alone and so that the kernel wakes up a stopped child whose harness died.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from harness.errors import HarnessError
from harness.processes import lifeline
from harness.processes.environment import plain_environment
from harness.processes.identity import children, look
from harness.processes.signals import let_run, send, stop_running
from harness.processes.table import ProcessTable

READY_WITHIN_S = 15.0
"""Default deadline for a process to say that it is ready."""

STOP_WITHIN_S = 5.0
"""Default time that a process has after SIGTERM before it is killed."""

KILL_WITHIN_S = 5.0
"""Deadline for a killed process to be gone; beyond it the machine is in trouble."""

POLL_S = 0.005
"""How often a condition is asked for."""

LAST_LINES = 12
"""Lines of the log that an error message quotes."""

LAST_BYTES = 8_192
"""How far back the log is read for these lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a process has used over all its starts.

    `rss_max_bytes` is the highest peak of one start, sampled when it became ready, at each call of
    `usage` and before it was ended by us. (The kernel's own figure at the end counts what lay in
    memory before exec, which is the harness.)
    """

    cpu_s: float = 0.0
    rss_max_bytes: int = 0
    restarts: int = 0


class Process:
    """One role of a run, started, ended and started again under the same name and log.

    Args:
        name: For messages and the table: "core", "edge-eu-west", "toxiproxy".
        argv: The command.
        log: Where its output goes; appended to by each start.
        env: Its environment; None: the harness's own, without secrets.
        ready: Pattern that one line of its output must match; None: it is ready when it runs.
        table: Where its pid is written down while it lives.
        watches_lifeline: Whether it ends by itself at end of file on its standard input. If not,
            it runs below `harness.processes.lifeline`, which kills it then.
        cwd: Its working directory.
    """

    def __init__(
        self,
        *,
        name: str,
        argv: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        ready: str | re.Pattern[str] | None = None,
        table: ProcessTable | None = None,
        watches_lifeline: bool = True,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._argv = list(argv)
        self._env = env
        self._ready = re.compile(ready) if isinstance(ready, str) else ready
        self._table = table
        self._wrapped = not watches_lifeline
        self._cwd = cwd
        self._popen: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._starts = 0
        self._exit_code: int | None = None
        self._ended = Usage()
        self._cpu_seen_s = 0.0
        self._rss_max_bytes = 0

    @property
    def pid(self) -> int | None:
        """The id of the running process, None when there is none."""
        return None if self._popen is None or self._reap() else self._popen.pid

    @property
    def command_pid(self) -> int | None:
        """The id of the command itself, which is not the wrapper's that watches its lifeline."""
        members = self._members() if self.running else []
        return members[-1] if len(members) == 1 + self._wrapped else None

    @property
    def running(self) -> bool:
        """Whether it runs now; a process that ended by itself is noticed here."""
        return self.pid is not None

    @property
    def exit_code(self) -> int | None:
        """Exit code of the last end, minus the signal's number if one ended it; None before."""
        self._reap()
        return self._exit_code

    async def start(self, *, within_s: float = READY_WITHIN_S) -> re.Match[str] | None:
        """Start it and wait until it is ready; return the match of the ready pattern.

        Raises:
            HarnessError: It runs already, cannot be executed, ended at once or is not ready in
                time; the message quotes its last lines. It does not run then.
        """
        if self.running:
            raise HarnessError(f"{self.name} runs already")
        self._spawn()
        try:
            match = await self._wait_ready(within_s)
        except BaseException:
            await self.kill()
            raise
        self._sample()
        return match

    def _spawn(self) -> None:
        argv = self._argv
        if self._wrapped:
            argv = [sys.executable, "-I", "-S", lifeline.__file__, *argv]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            try:
                self._popen = subprocess.Popen(
                    argv,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=plain_environment() if self._env is None else self._env,
                    cwd=self._cwd,
                    process_group=0,
                )
            except OSError as error:
                raise HarnessError(f"{self.name} cannot be started: {error}") from error
        self._starts += 1
        self._exit_code = None
        self._cpu_seen_s = 0.0
        if self._table is not None:
            self._table.add(self.name, self._popen.pid)

    async def _wait_ready(self, within_s: float) -> re.Match[str] | None:
        if self._ready is None:
            return None
        deadline = time.monotonic() + within_s
        while True:
            # Whether it runs is asked first: what it wrote before its end is then in the log.
            running = self.running
            for line in self._new_output().splitlines():
                if match := self._ready.search(line):
                    return match
            if not running:
                raise HarnessError(
                    f"{self.name} ended with {self._exit_code} before it was ready\n{self.tail()}"
                )
            if time.monotonic() > deadline:
                raise HarnessError(f"{self.name} not ready within {within_s} s\n{self.tail()}")
            await anyio.sleep(POLL_S)

    def _new_output(self) -> str:
        """Return the complete lines that the current start has written."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            written = log.read()
        return written[: written.rfind(b"\n") + 1].decode(errors="replace")

    def tail(self) -> str:
        """Return the last lines of the log, for error messages."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - LAST_BYTES))
                lines = log.read().decode(errors="replace").splitlines()[-LAST_LINES:]
        except FileNotFoundError:
            lines = []
        return "\n".join([f"last lines of {self.log}:", *(f"  {line}" for line in lines)])

    async def kill(self) -> None:
        """Kill it and wait until it is gone. Idempotent; not interrupted by cancellation.

        Raises:
            HarnessError: The system does not let it go.
        """
        with anyio.CancelScope(shield=True):
            if not self.running or self._popen is None:
                return
            self._sample()
            if self._wrapped:
                # The wrapper kills the command and reaps it, so that its usage is not lost.
                self._close_lifeline()
                self._signal(signal.SIGCONT)
                if await self._gone_within(KILL_WITHIN_S / 2):
                    return
            self._signal(signal.SIGKILL)
            if not await self._gone_within(KILL_WITHIN_S):
                raise HarnessError(f"{self.name} ({self._popen.pid}) does not die")

    async def stop(self, *, within_s: float = STOP_WITHIN_S) -> bool:
        """Ask it to end and wait; kill it when the time is over.

        Returns:
            Whether it ended by itself. `exit_code` says how.
        """
        by_itself = True
        with anyio.CancelScope(shield=True):
            if self.running:
                self._sample()
                self._signal(signal.SIGTERM)
                # A paused process takes the signal in only when it runs again.
                for pid in self._members():
                    send(pid, signal.SIGCONT)
                by_itself = await self._gone_within(within_s)
                if not by_itself:
                    await self.kill()
        return by_itself

    async def wait(self, *, within_s: float) -> bool:
        """Wait for it to end by itself; return whether it did."""
        return await self._gone_within(within_s)

    async def pause(self) -> None:
        """Stop it from running (SIGSTOP) and wait until it is seen stopped.

        Raises:
            HarnessError: It does not run, or is not seen stopped in time.
        """
        if not self.running:
            raise HarnessError(f"{self.name} does not run")
        self._sample()
        await stop_running(self.name, self._members())

    async def resume(self) -> None:
        """Let it run on (SIGCONT). A process that is gone or not paused is left as it is."""
        if self.running:
            await let_run(self.name, self._members())

    def usage(self) -> Usage:
        """Return what it has used so far, the running start included."""
        if self.running:
            self._sample()
        return Usage(
            cpu_s=self._ended.cpu_s + (self._cpu_seen_s if self._popen is not None else 0.0),
            rss_max_bytes=self._rss_max_bytes,
            restarts=max(0, self._starts - 1),
        )

    def _sample(self) -> None:
        cpu_s = 0.0
        for pid in self._members():
            seen = look(pid)
            if seen is not None:
                cpu_s += seen.cpu_s
                self._rss_max_bytes = max(self._rss_max_bytes, seen.rss_max_bytes)
        self._cpu_seen_s = max(self._cpu_seen_s, cpu_s)

    def _signal(self, number: signal.Signals) -> None:
        if self._popen is not None:
            send(self._popen.pid, number)

    def _members(self) -> list[int]:
        """Return the ids of the process and, below a wrapper, of the command."""
        if self._popen is None:
            return []
        pid = self._popen.pid
        return [pid, *children(pid)] if self._wrapped else [pid]

    def _close_lifeline(self) -> None:
        if self._popen is not None and self._popen.stdin is not None:
            self._popen.stdin.close()

    async def _gone_within(self, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        while self.running:
            if time.monotonic() > deadline:
                return False
            await anyio.sleep(POLL_S)
        return True

    def _reap(self) -> bool:
        """Take in the end of the process; return whether it has none running."""
        popen = self._popen
        if popen is None:
            return True
        pid, status, usage = os.wait4(popen.pid, os.WNOHANG)
        if pid == 0:
            return False
        self._exit_code = os.waitstatus_to_exitcode(status)
        # Popen must not wait for it a second time: the pid may belong to somebody else by then.
        popen.returncode = self._exit_code
        self._close_lifeline()
        cpu_s = max(self._cpu_seen_s, usage.ru_utime + usage.ru_stime)
        self._ended = Usage(cpu_s=self._ended.cpu_s + cpu_s)
        self._popen = None
        if self._table is not None:
            self._table.remove(pid)
        return True
