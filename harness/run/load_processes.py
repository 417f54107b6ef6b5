"""The load processes as targets of faults: killed, asked to end, started again, paused.

A load process that a fault kills leaves a history without its end, which is legal for it alone:
what it had sent without an outcome is unknown, and what it had delivered without acknowledging
comes again. One that is asked to end (SIGTERM) tells what it has no outcome of, logs its receivers
out and closes its history. The process that is started in its place goes on with another history.
It has no senders until the next phase that asks for some; receivers that were logged in log in
again behind the system's durable cursor, or from the start where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import anyio
import anyio.abc
import msgspec

from harness.errors import HarnessError
from harness.faults.targets import ProcessTarget
from harness.history.records import Kept
from harness.load.worker import Job
from harness.processes.table import ProcessTable
from harness.run.crew import START_WITHIN_S, Crew, Hand, start_hand
from harness.systems.broker.secrets import load_environment

READER_TARGET = "load:reader"
"""Name of the process with the receivers; those with senders are "load:sender-1", …"""

LOGIN_WITHIN_S = 20.0
"""Deadline for the receivers of a process that was started again to log in."""


class LoadProcesses:
    """Starts the crew and what takes the place of its killed members.

    Args:
        crew: Filled by `start_all`.
        job: What each process needs to know; its number and history are set here.
        from_cursor: Receivers that come back leave their place to the system's durable cursor.

    Attributes:
        killed: The recorders of the processes that were killed.
    """

    def __init__(
        self, crew: Crew, job: Job, *, run_dir: Path, table: ProcessTable, from_cursor: bool
    ) -> None:
        self._crew = crew
        self._job = job
        self._run_dir = run_dir
        self._table = table
        self._from_cursor = from_cursor
        self._started = 0
        self._seats: list[tuple[str, Hand]] = []
        self._tasks: anyio.abc.TaskGroup | None = None
        self.killed: list[str] = []

    async def start_all(self, tasks: anyio.abc.TaskGroup, count: int) -> None:
        """Start so many processes, the last of which carries the receivers.

        Raises:
            HarnessError: One ended before it was ready.
        """
        self._tasks = tasks
        for name in _names(count):
            self._crew.hands.append(await self._start(name))
        with anyio.fail_after(START_WITHIN_S):
            for hand in self._crew.hands:
                await hand.reply_to(0)

    async def _start(self, name: str) -> Hand:
        assert self._tasks is not None  # Faults begin when all have been started.
        self._started += 1
        job = msgspec.structs.replace(
            self._job,
            process=self._started,
            history_path=str(self._run_dir / "history" / f"{self._started:04d}.msgpack"),
        )
        hand = await start_hand(self._tasks, job, self._run_dir, load_environment(job.connect))
        self._table.add(f"load-{job.process}", hand.pid)
        self._seats.append((name, hand))
        return hand

    def targets(self, count: int) -> list[ProcessTarget]:
        """Return all of so many processes as targets; they need not have been started."""
        return [self._target(name, place) for place, name in enumerate(_names(count))]

    def heard(self, t_ns: int) -> list[Kept]:
        """Return the books of each process that there was, as it told them last."""
        return [
            Kept(t_ns=t_ns, recorder=f"load-{hand.index}", target=name, lines=hand.books)
            for name, hand in self._seats
        ]

    def _target(self, name: str, place: int) -> ProcessTarget:
        def pid() -> int | None:
            hand = self._crew.hands[place]
            return None if hand.killed else hand.pid

        async def kill() -> None:
            hand = self._crew.hands[place]
            self.killed.append(f"load-{hand.index}")
            await hand.kill()
            self._table.remove(hand.pid)

        async def terminate() -> None:
            hand = self._crew.hands[place]
            try:
                await hand.terminate()
            except HarnessError:
                self.killed.append(f"load-{hand.index}")
                raise
            finally:
                self._table.remove(hand.pid)

        async def start() -> None:
            await self._replace(name, place)

        return ProcessTarget(name=name, pid=pid, kill=kill, start=start, terminate=terminate)

    async def _replace(self, name: str, place: int) -> None:
        before = self._crew.hands[place]
        hand = await self._start(name)
        with anyio.fail_after(START_WITHIN_S):
            await hand.reply_to(0)
        seats: Mapping[str, object] = before.seated
        if seats:
            await hand.command(
                "login",
                seats=list(seats.values()),
                from_cursor=self._from_cursor,
                within_s=LOGIN_WITHIN_S,
            )
        self._crew.replace(place, hand)


def _names(count: int) -> list[str]:
    """Return what faults call so many load processes, in the order of their places."""
    return [*(f"load:sender-{index + 1}" for index in range(count - 1)), READER_TARGET]
