"""What faults are done to, and how their names are resolved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol, TypeAlias

import anyio

from harness.errors import HarnessError, UsageError
from harness.faults.fault import LINK, NODE, PROCESS, SERVER, SWITCHED, TOXIPROXY, Fault, Target
from harness.faults.switches import Switches
from harness.links.link import Link
from harness.links.links import Links
from harness.processes.identity import look
from harness.processes.signals import let_run, stop_running

AnyTarget: TypeAlias = "Link | ProcessTarget"


CLIENT_LINKS = "client-edge:"
"""How the names of the links of clients begin; each client has one to every edge, most idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTarget:
    """A process of the run, as its deployment offers it. What is None cannot be done to it.

    Attributes:
        name: "core", "edge:us-east", "toxiproxy", …
        pid: Its id, None while there is no such process.
        kill: Kills it (SIGKILL) and returns when it is gone.
        start: Starts it again and returns when it is ready.
        terminate: Asks it to end (SIGTERM) and returns when it is gone.
        gauges: Asks it for its own gauges; raises ConnectionError when it does not answer.
        expect_end: Called with True before it is made to end by itself, so that nobody takes that
            for a crash of its own, and with False when it did not.
        switches: What can be switched inside it.
        turn: Held while it is being ended or started, so that two faults do not do so at once.
    """

    name: str
    pid: Callable[[], int | None]
    kill: Callable[[], Awaitable[object]] | None = None
    start: Callable[[], Awaitable[object]] | None = None
    terminate: Callable[[], Awaitable[object]] | None = None
    gauges: Callable[[], Awaitable[Mapping[str, int]]] | None = None
    expect_end: Callable[[bool], object] = lambda _expected: None
    switches: Switches | None = None
    turn: anyio.Lock = field(default_factory=anyio.Lock, compare=False)

    def is_stopped(self) -> bool:
        """Say whether it is seen stopped by SIGSTOP."""
        pid = self.pid()
        seen = None if pid is None else look(pid)
        return seen is not None and seen.state == "T"

    async def pause(self) -> None:
        """Stop it from running; its connections stay open.

        Raises:
            HarnessError: There is no such process now, or it is not seen stopped.
        """
        pid = self.pid()
        if pid is None:
            raise HarnessError(f"{self.name} does not run and cannot be paused")
        await stop_running(self.name, [pid])

    async def resume(self) -> None:
        """Let it run on. Idempotent; a process that is gone is left alone."""
        pid = self.pid()
        if pid is not None:
            await let_run(self.name, [pid])


def as_link(target: Target) -> Link:
    """Return a target that has to be a link.

    Raises:
        UsageError: It is something else.
    """
    if isinstance(target, Link):
        return target
    raise UsageError(f"{target.name} is no link")


def as_process(target: Target) -> ProcessTarget:
    """Return a target that has to be a process, whatever can be done to it.

    Raises:
        UsageError: It is something else.
    """
    if isinstance(target, ProcessTarget):
        return target
    raise UsageError(f"{target.name} is no process")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A process that can be ended and started again."""

    process: ProcessTarget
    kill: Callable[[], Awaitable[object]]
    start: Callable[[], Awaitable[object]]


def as_node(target: Target) -> Node:
    """Return a target that has to be a process that can be killed and started again.

    Raises:
        UsageError: It is something else.
    """
    process = as_process(target)
    if process.kill is None or process.start is None:
        raise UsageError(f"{target.name} is no process that can be killed and started again")
    return Node(process=process, kill=process.kill, start=process.start)


def as_server(target: Target) -> tuple[Node, Callable[[], Awaitable[object]]]:
    """Return a target that has to be a node that ends in order, and what asks it to.

    Raises:
        UsageError: It is something else.
    """
    node = as_node(target)
    if node.process.terminate is None:
        raise UsageError(f"{target.name} is no process that ends in order")
    return node, node.process.terminate


def as_switched(target: Target) -> tuple[Node, Switches]:
    """Return a target that has to be a process with switches inside.

    Raises:
        UsageError: It is something else.
    """
    node = as_node(target)
    if node.process.switches is None:
        raise UsageError(f"{target.name} is no process that was started with switches inside")
    return node, node.process.switches


AIMS = {
    LINK: as_link,
    PROCESS: as_process,
    NODE: as_node,
    SERVER: as_server,
    SWITCHED: as_switched,
}
"""What a fault may aim at, and what sees to it that a target is of that sort."""


def check_target(fault: Fault, target: Target) -> None:
    """See that a fault can be done to a target.

    Raises:
        UsageError: It cannot; says why.
    """
    aim = AIMS.get(fault.aims_at)
    if aim is None:
        raise UsageError(f"fault {fault.kind} aims at {fault.aims_at!r}: one of {', '.join(AIMS)}")
    try:
        aim(target)
    except UsageError as error:
        raise UsageError(f"{fault.kind}: {error}") from None


class Targets(Protocol):
    """Where the nemesis finds what it breaks."""

    def resolve(self, on: str) -> Sequence[Target]:
        """Return every target that a name or pattern fits.

        Raises:
            UsageError: None does; says which there are.
        """

    def in_use(self, targets: Sequence[Target]) -> Sequence[Target]:
        """Return those of several client links that hold a connection now, and all else."""

    async def heal(self) -> None:
        """Bring everything back to rest, whatever was done to it, and verify that.

        Raises:
            HarnessError: Something is not at rest.
        """


class RunTargets:
    """The links and processes of one run, by name."""

    def __init__(self, links: Links, processes: Sequence[ProcessTarget] = ()) -> None:
        self._links = links
        proxy = links.server.process
        carrier = ProcessTarget(name=TOXIPROXY, pid=lambda: proxy.command_pid)
        self._processes = {process.name: process for process in (*processes, carrier)}

    def _all(self) -> Mapping[str, AnyTarget]:
        return {**self._links.by_name, **self._processes}

    def resolve(self, on: str) -> Sequence[Target]:
        """Return every link and process that a name or pattern fits."""
        found = [target for name, target in self._all().items() if fnmatchcase(name, on)]
        if not found:
            raise UsageError(f"no target {on!r}; there are: {', '.join(self._all())}")
        return found

    def in_use(self, targets: Sequence[Target]) -> Sequence[Target]:
        """Leave out client links without a connection, unless one link alone was asked for."""
        clients = [
            target
            for target in targets
            if isinstance(target, Link) and target.name.startswith(CLIENT_LINKS)
        ]
        if len(clients) < 2:
            return targets
        idle = {link.name for link in clients} - {link.name for link in self._links.in_use(clients)}
        return [target for target in targets if target.name not in idle]

    async def heal(self) -> None:
        """Wake stopped processes, start those that are gone, bring links to rest, verify."""
        for process in self._processes.values():
            if process.switches is not None:
                process.switches.rest()
                if not process.switches.at_rest:
                    raise HarnessError(f"{process.name}: a switch is not at rest after healing")
            await process.resume()
            async with process.turn:
                if process.pid() is None and process.start is not None:
                    await process.start()
            if process.pid() is None or process.is_stopped():
                raise HarnessError(f"{process.name} does not run after healing")
        await self._links.heal()
