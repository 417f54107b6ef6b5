"""Simulated nodes: the core with its disk, and edges."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

from harness.testing.simulator.agenda import MS_NS, Agenda
from harness.testing.simulator.disk import SimulatedDisk
from harness.testing.simulator.network import Host, Network
from reference.events import (
    Close,
    Commit,
    CommitRefused,
    Committed,
    Connect,
    Effect,
    Event,
    LogRead,
    ReadLog,
    ReadRows,
    RowsRead,
    Tick,
    Transmit,
)
from reference.store.port import StoreFull

TICK_NS = 50 * MS_NS
"""As a real driver ticks (`reference.events.TICK_INTERVAL_MS`)."""


class Machine(Protocol):
    """What every machine of a node has, as a real driver wants it."""

    extra_gauges: dict[str, int]

    def handle(self, event: Event, now_ns: int) -> list[Effect]:
        """Take an event, return effects."""
        ...


class Stage(IntEnum):
    """Where in a commit a crash comes."""

    BEFORE_WRITE = 0
    BEFORE_SYNC = 1
    BEFORE_COMMITTED = 2
    AFTER_COMMITTED = 3


class EdgeNode:
    """One life of an edge's process."""

    def __init__(
        self,
        *,
        name: str,
        machine: Machine,
        agenda: Agenda,
        network: Network,
        core: Callable[[], Host | None],
        trace: Callable[[str], None],
    ) -> None:
        self.name = name
        self.alive = True
        self._machine = machine
        self._agenda = agenda
        self._network = network
        self._core = core
        self._trace = trace
        self._tick()

    def _tick(self) -> None:
        if self.alive:
            self.take(Tick())
            self._agenda.after(TICK_NS, self._tick)

    def take(self, event: Event) -> None:
        """Hand an event to the machine and carry its effects out."""
        for effect in self._machine.handle(event, self._agenda.now_ns):
            match effect:
                case Transmit(conn=conn, messages=messages):
                    self._network.transmit(conn, messages)
                case Close(conn=conn):
                    self._network.close(conn)
                case Connect(link=link):
                    self._network.connect(self, link, self._core())
                case _:
                    raise ValueError(f"an edge has no such effect: {effect}")

    def crash(self, *, silent: bool) -> None:
        """Stop at once."""
        self.alive = False
        self._network.host_gone(self, silent=silent)


class CoreNode:
    """One life of the core's process; the disk outlives it.

    A commit is written, synced and reported at three drawn times, one commit after the other.
    `crash_at` makes the next commit that reaches the stage the last of this life; the power fails
    with it if `power_fails`, else only the process ends. `loses_power_at` does so whatever comes.
    """

    name = "core"

    def __init__(
        self,
        *,
        machine: Machine,
        disk: SimulatedDisk,
        agenda: Agenda,
        network: Network,
        rng: random.Random,
        died: Callable[[], None],
        trace: Callable[[str], None],
    ) -> None:
        self.alive = True
        self.crash_at: Stage | None = None
        self.power_fails = False
        self.loses_power_at: Stage | None = None
        self._machine = machine
        self._disk = disk
        self._agenda = agenda
        self._network = network
        self._rng = rng
        self._died = died
        self._trace = trace
        self._commits: deque[Commit] = deque()
        self._tick()

    def _tick(self) -> None:
        if self.alive:
            self.take(Tick())
            self._agenda.after(TICK_NS, self._tick)

    def take(self, event: Event) -> None:
        """Hand an event to the machine and carry its effects out."""
        for effect in self._machine.handle(event, self._agenda.now_ns):
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Transmit(conn=conn, messages=messages):
                self._network.transmit(conn, messages)
            case Close(conn=conn):
                self._network.close(conn)
            case Commit():
                self._commits.append(effect)
                if len(self._commits) == 1:
                    self._soon(self._write, self._disk.slow_ns)
            case ReadLog():
                self._soon(lambda: self._read_log(effect))
            case ReadRows():
                self._soon(lambda: self._read_rows(effect))
            case _:
                raise ValueError(f"a core has no such effect: {effect}")

    def _soon(self, call: Callable[[], None], slow_ns: int = 0) -> None:
        """Call it a little later, unless this life is over by then."""
        delay_ns = self._rng.randrange(1, 8 * MS_NS + slow_ns)
        self._agenda.after(delay_ns, lambda: call() if self.alive else None)

    def _crashes(self, stage: Stage) -> bool:
        power_fails = self.loses_power_at is stage or self.power_fails
        if stage not in (self.crash_at, self.loses_power_at):
            return False
        self._trace(f"core: crash in commit {self._commits[0].commit_no} at {stage.name}")
        self.crash(silent=self._rng.random() < 0.3, power_fails=power_fails)
        return True

    def _write(self) -> None:
        if self._crashes(Stage.BEFORE_WRITE):
            return
        try:
            self._disk.write(self._commits[0].writes)
        except StoreFull:
            commit = self._commits.popleft()
            self._trace(f"core: commit {commit.commit_no} refused, the store is full")
            self._next()
            self.take(CommitRefused(commit_no=commit.commit_no))
            return
        self._soon(self._sync, self._disk.slow_ns)

    def _sync(self) -> None:
        if self._crashes(Stage.BEFORE_SYNC):
            return
        self._disk.sync()
        self._soon(self._committed, self._disk.slow_ns)

    def _committed(self) -> None:
        if self._crashes(Stage.BEFORE_COMMITTED):
            return
        commit = self._commits[0]
        self.take(Committed(commit_no=commit.commit_no))
        if self._crashes(Stage.AFTER_COMMITTED):
            return
        self._commits.popleft()
        self._next()

    def _next(self) -> None:
        if self._commits:
            self._soon(self._write, self._disk.slow_ns)

    def _read_log(self, read: ReadLog) -> None:
        log = self._disk.read(read.inbox, read.pos_first, read.pos_upto, read.bytes_max)
        self.take(LogRead(read_no=read.read_no, inbox=read.inbox, log=log))

    def _read_rows(self, read: ReadRows) -> None:
        rows, more = self._disk.rows(read.inbox, read.after_pos, read.after_bucket)
        self.take(RowsRead(read_no=read.read_no, rows=rows, more=more))

    def crash(self, *, silent: bool, power_fails: bool) -> None:
        """Stop at once; if the power fails, what the disk had not synced is gone."""
        self.alive = False
        unsynced = self._disk.unsynced
        if power_fails:
            self._disk.lose_power()
        how = "without power" if power_fails else "killed"
        self._trace(f"core: {how}, {unsynced} commits were written and not synced")
        self._network.host_gone(self, silent=silent)
        self._died()
