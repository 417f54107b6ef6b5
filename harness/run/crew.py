"""The load processes of a run, seen from the runner: start, command, progress, end."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import msgspec

from harness.errors import HarnessError
from harness.history.books import lines_from
from harness.history.records import Line
from harness.load.client_errors import together
from harness.load.worker import Job
from harness.processes.python import python_argv
from harness.report.result import ClientError

READ_OUT_WITHIN_S = 2.0
"""How long the last lines of a load process that is gone are waited for."""

END_WITHIN_S = 15.0
"""Deadline for a load process that is asked to end; it logs everybody out before."""

START_WITHIN_S = 30.0
"""Deadline for a load process to say that it is ready."""

LINE_BYTES_MAX = 1 << 20
"""Longest reply line that is read; a longer one is a fault of the harness."""


REPLY_OF_KILLED: Mapping[str, Any] = {
    "up": True, "unfinished": 0, "open": 0, "cut": 0, "moving": False, "progress": {},
    "traffic": {},
}  # fmt: skip
"""What a killed process counts as having said: it carries nobody who could be waited for."""


class Hand:
    """One load process. Its end without our doing makes every command to it raise.

    Attributes:
        index: Its number, that of its history file.
        progress: What it counted last.
        client_errors: What its clients had been told by the system when it last said so.
        books: What it said last that it had recorded (`harness.history.books`).
        seated: The receivers that are to be logged in there, by name, as their seats.
        killed: A fault has killed it, or asked it to end; commands to it are answered with
            `REPLY_OF_KILLED`.
    """

    def __init__(self, index: int, process: anyio.abc.Process) -> None:
        self.index = index
        self.progress: dict[str, int] = {}
        self.client_errors: list[ClientError] = []
        self.books: dict[str, Line] = {}
        self.cpu_s = 0.0
        self.rss_max_bytes = 0
        self.seated: dict[str, Any] = {}
        self.killed = False
        self._process = process
        self._replies: dict[int, dict[str, Any]] = {}
        self._changed = anyio.Event()
        self._serial = 0
        self._gone = False
        self._writing = anyio.Lock()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def read(self) -> None:
        """Take in replies and progress until the process ends."""
        stdout = self._process.stdout
        assert stdout is not None  # The process is opened with a pipe.
        held = b""
        async for chunk in stdout:
            *lines, held = (held + chunk).split(b"\n")
            if len(held) > LINE_BYTES_MAX:
                raise HarnessError(f"load process {self.index} printed an endless line")
            for line in lines:
                self._take(json.loads(line))
        self._gone = True
        self._wake()

    def _take(self, message: dict[str, Any]) -> None:
        if "progress" in message:
            self.progress = message["progress"]
        if "client_errors" in message:
            self.client_errors = msgspec.convert(message["client_errors"], list[ClientError])
        if "books" in message:
            self.books = lines_from(message["books"])
        self.cpu_s = message.get("cpu_s", self.cpu_s)
        self.rss_max_bytes = message.get("rss_max_bytes", self.rss_max_bytes)
        if "ready" in message or "id" in message:
            self._replies[message.get("id", 0)] = message
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def reply_to(self, serial: int) -> dict[str, Any]:
        """Wait for the reply to command `serial` (0: ready)."""
        while serial not in self._replies:
            if self.killed:
                return {**REPLY_OF_KILLED, "progress": self.progress}
            if self._gone:
                raise HarnessError(
                    f"load process {self.index} ended by itself; see logs/load-{self.index}.log"
                )
            await self._changed.wait()
        return self._replies.pop(serial)

    async def command(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send a command and return its reply.

        Raises:
            HarnessError: The process is gone or could not carry it out.
        """
        if do == "login":
            self.seated |= {seat["reader"]: seat for seat in arguments["seats"]}
        elif do == "logout":
            for reader in arguments["readers"]:
                self.seated.pop(reader, None)
        self._serial += 1
        serial = self._serial
        stdin = self._process.stdin
        assert stdin is not None  # The process is opened with a pipe.
        line = json.dumps({"id": serial, "do": do, **arguments}) + "\n"
        try:
            async with self._writing:
                await stdin.send(line.encode())
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._gone = True
        return await self.reply_to(serial)

    async def kill(self) -> None:
        """Kill it (SIGKILL), because a fault wants it so, and wait until it is gone."""
        self.killed = True
        self._process.kill()
        await self._process.wait()
        await self._read_out()
        self._wake()

    async def terminate(self) -> None:
        """Ask it to end in order (SIGTERM), because a fault wants it so, and wait until it has.

        Raises:
            HarnessError: It did not end, or not in order; it is gone all the same.
        """
        self.killed = True
        self._wake()
        self._process.terminate()
        with anyio.move_on_after(END_WITHIN_S):
            await self._process.wait()
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
            raise HarnessError(f"load process {self.index} had to be killed")
        await self._read_out()
        if self._process.returncode != 0:
            code = self._process.returncode
            raise HarnessError(f"load process {self.index} did not end in order: code {code}")

    async def _read_out(self) -> None:
        """Wait until all that a process which is gone has told was read."""
        with anyio.move_on_after(READ_OUT_WITHIN_S):
            while not self._gone:
                await self._changed.wait()

    async def end(self) -> None:
        """Close its stdin, which ends it, and wait; kill it when it does not go."""
        stdin = self._process.stdin
        if stdin is not None:
            await stdin.aclose()
        with anyio.move_on_after(5.0):
            await self._process.wait()
            return
        self._process.kill()
        await self._process.wait()


_PRESENT_ONLY = ("open", "unfinished", "down")


class Crew:
    """All load processes. The last hand carries the receivers, the others the senders."""

    def __init__(self, hands: Sequence[Hand]) -> None:
        self.hands = list(hands)
        self._past: list[dict[str, int]] = []
        self._past_errors: list[list[ClientError]] = []

    @property
    def senders(self) -> list[Hand]:
        """The hands that carry senders."""
        return self.hands[:-1]

    @property
    def readers(self) -> Hand:
        """The hand that carries the receivers."""
        return self.hands[-1]

    def replace(self, place: int, hand: Hand) -> None:
        """Put a hand in the place of one that was killed, whose counts stay in the sums."""
        counted = self.hands[place].progress
        self._past.append({key: n for key, n in counted.items() if key not in _PRESENT_ONLY})
        self._past_errors.append(self.hands[place].client_errors)
        self.hands[place] = hand

    def client_errors(self) -> list[ClientError]:
        """Return what all clients that there were have been told by the system, by kind."""
        return together([*self._past_errors, *(hand.client_errors for hand in self.hands)])

    def progress(self) -> dict[str, int]:
        """Return the sums over all hands that there were (the maximum for `…_max`)."""
        total: dict[str, int] = {}
        for counted in (*self._past, *(hand.progress for hand in self.hands)):
            for key, value in counted.items():
                if key.endswith("_max"):
                    total[key] = max(total.get(key, 0), value)
                else:
                    total[key] = total.get(key, 0) + value
        return total

    async def all_senders(self, do: str, **arguments: Any) -> list[dict[str, Any]]:
        """Send the same command to every hand that carries senders, at the same time."""
        return await self._each(self.senders, do, arguments)

    async def everybody(self, do: str, **arguments: Any) -> list[dict[str, Any]]:
        """Send the same command to every hand, at the same time."""
        return await self._each(self.hands, do, arguments)

    async def _each(
        self, hands: Sequence[Hand], do: str, arguments: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        replies: list[dict[str, Any]] = [{} for _ in hands]

        async def one(index: int, hand: Hand) -> None:
            replies[index] = await hand.command(do, **arguments)

        async with anyio.create_task_group() as tasks:
            for index, hand in enumerate(hands):
                tasks.start_soon(one, index, hand)
        return replies

    async def end(self) -> None:
        """End every load process. Idempotent."""
        for hand in self.hands:
            await hand.end()


async def hand_over(process: anyio.abc.Process, job: Job) -> None:
    """Write the job to a load process as it reads it: its length in a line, and the job.

    One that is gone already is noticed by whoever waits for its first reply.
    """
    assert process.stdin is not None  # The process is opened with a pipe.
    told = msgspec.json.encode(job)
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.send(f"{len(told)}\n".encode() + told)


async def start_hand(
    tasks: anyio.abc.TaskGroup, job: Job, run_dir: Path, env: Mapping[str, str]
) -> Hand:
    """Start a load process; `Hand.reply_to(0)` says when it is ready."""
    log = (run_dir / "logs" / f"load-{job.process}.log").open("ab")
    with log:
        process = await anyio.open_process(
            python_argv("harness.load.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=env,
            # Ctrl-C goes to the harness alone, which ends its processes in order.
            start_new_session=True,
        )
    # Not among its arguments, which anybody may read: it holds what logs in at our own servers.
    await hand_over(process, job)
    hand = Hand(job.process, process)
    tasks.start_soon(hand.read)
    return hand
