"""The port between the harness and a system under test.

An adapter is five small classes, after the openmessaging benchmark's drivers: `System` deploys the
system and returns its `Deployment`; a `Connector` makes its clients, `Sender` and `Receiver`.
Outcomes and deliveries come through plain callbacks, since every broker library has those in one
form or another. The adapter decides nothing about safety: it reports what it was told and says
which exceptions are definite. What a deployment can do beyond that is asked for by the protocols
of its abilities (`Restartable`, `Resizable`, `PresenceAware`, `Inspectable`), all optional.

Load processes make their own clients: the `connect` of the `Deployment` is plain JSON data, and
each load process passes it to the `connector` of the same adapter.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from harness.errors import HarnessError
from harness.faults.targets import ProcessTarget
from harness.history.records import UNTOLD, Record
from harness.links.links import Links
from harness.systems.promises import Ability, Promise
from harness.systems.topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One operation: the contiguous ids n_first … of one producer, to one inbox.

    `lengths` is a little-endian u32 column, `body` all bodies one after the other.
    """

    inbox: str
    producer: int
    n_first: int
    count: int
    lengths: bytes
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a range: "ok", "fail" (definitely never) or "info" (unknown)."""

    inbox: str
    producer: int
    n_first: int
    count: int
    outcome: str
    pos_first: int = -1
    epoch: int = -1
    attempts: int = 1
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOfMessages:
    """Delivered messages of one producer with rising n at consecutive positions."""

    producer: int
    n_first: int
    count: int
    epoch: int = 0
    bucket_count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Delivered messages at the positions pos_first, pos_first + 1, …, as columns."""

    inbox: str
    session: int
    pos_first: int
    redelivered: bool
    runs: Sequence[RunOfMessages]
    lengths: bytes
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A receiver's session as the system opened it.

    Attributes:
        session: Its number.
        next_pos: Where its deliveries begin.
        cursor: The inbox's durable cursor as the system's answer named it: the last position that
            was acknowledged, -1 for none, `UNTOLD` where the answer does not say.
        window_bytes: How much the system promises to send at most before it is acknowledged: bodies
            and 4 bytes per message, one that is larger than all of it alone; 0: no such promise.
    """

    session: int
    next_pos: int
    cursor: int = UNTOLD
    window_bytes: int = 0


CONTRADICTED = "contradicted: "
"""How the cause of a lost session or connection begins whose client was sent what must not come."""


class OutboxFull(Exception):
    """Raised by `Sender.submit` when its bounded outbox has no room; nothing was taken."""


class Sender(Protocol):
    """A producer: it resends under the same ids, over any reconnect, until it knows the outcome."""

    async def connect(self, edge: str) -> None:
        """Connect (again) through the named edge and go on with what is unanswered.

        Raises:
            ConnectionError: It did not come up within the adapter's named time; its text begins
                with `CONTRADICTED` where what came is not what the system had said.
        """

    async def disconnect(self) -> None:
        """Cut the connection abruptly, also in the middle of a batch; the outbox stays."""

    def submit(self, batch: Batch) -> None:
        """Take a batch into the outbox; its outcome comes through the callback, in any pieces.

        Raises:
            OutboxFull: There is no room; try again after an outcome.
        """

    async def close(self) -> None:
        """End in order. What is still unanswered is reported as "info"."""


@runtime_checkable
class Recutting(Protocol):
    """A sender that can send again in other batches than at first (`Takes.recuts`)."""

    def cut_resends(self, count_max: int) -> None:
        """Cut what is sent again on another connection into batches of so many at most.

        Ids and content of the messages stay.
        """


class Receiver(Protocol):
    """A consumer of one inbox."""

    async def login(self, edge: str, from_pos: int) -> Login:
        """Open a session through the named edge, resuming behind `from_pos`.

        -1 stands for the start, -2 leaves the place to the system's durable cursor. Under retention
        "ack" what lies up to the cursor may be gone: `Login.next_pos` then says where there is
        something, or nobody could tell what was dropped from what is still to come.

        Raises:
            ConnectionError: It did not come up within the adapter's named time; its text begins
                with `CONTRADICTED` where what came is not what the system had said.
        """

    def ack(self, upto: int) -> None:
        """Acknowledge everything up to `upto`; the confirmation comes through the callback."""

    async def end(self) -> int:
        """Return the position beyond which nothing lay when this was asked (-1: empty).

        Raises:
            ConnectionError: The connection ended before the answer.
        """

    async def abort(self) -> None:
        """Cut the connection abruptly."""

    async def logout(self) -> None:
        """End the session in order; the connection is closed."""


class Connector(Protocol):
    """Makes clients inside a load process; an async context manager that owns their tasks."""

    async def __aenter__(self) -> Connector:
        """Begin; clients may be made from now on."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        """End whatever is still open."""

    def sender(
        self,
        *,
        producer: int,
        group: str,
        outcomes: Callable[[Outcome], None],
        lost: Callable[[str], None],
    ) -> Sender:
        """Return a sender that is not connected yet.

        It reaches an edge through the proxy `topology.client_link(edge, group)`.

        `lost(cause)` reports that the connection ended without our doing, in the words of the
        system or its client library, which stand in the result; the harness then calls `connect`
        again, maybe with another edge. They begin with `CONTRADICTED` as those of `receiver` do.
        """

    def receiver(
        self,
        *,
        inbox: str,
        group: str,
        deliveries: Callable[[Delivery], None],
        acks: Callable[[int, int, str], None],
        lost: Callable[[int, str], None],
    ) -> Receiver:
        """Return a receiver that is not logged in yet.

        `acks(session, upto, outcome)` reports cursors, `lost(session, cause)` that a session ended
        without our doing: "superseded" where another one has taken its place, else what the system
        or its client library said of it, in words, which stands in the result. They begin with
        `CONTRADICTED` where the client ended the session because what came is not what the system
        had said; no fault excuses that.
        """

    def traffic(self) -> Mapping[str, tuple[int, int]]:
        """Return (connections opened, bytes read) per link, as the clients counted themselves."""


@runtime_checkable
class Reaching(Protocol):
    """A connector that counts the rare states which its clients reach, from 0 with each process.

    It is asked once a second. A node of the system tells the same as gauges: "reach.NAME".
    Names begin with who counts and a dot, as "broker.resent" (`harness.reach.catalogue`); those of
    an adapter of one's own are told beside them.
    """

    def reached(self) -> Mapping[str, int]:
        """Return how often each was reached so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resized:
    """The outcome of a promotion or demotion."""

    outcome: str
    epoch: int = -1
    pos_first: int = -1
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceView:
    """What the system believes of one user."""

    user: str
    online: bool
    edge: str
    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeUsage:
    """What a process of the deployment has used so far, over all its restarts."""

    role: str
    index: int
    cpu_s: float
    rss_max_bytes: int
    restarts: int


class Deployment(Protocol):
    """A running system."""

    @property
    def connect(self) -> Mapping[str, Any]:
        """JSON data from which `System.connector` makes clients in another process."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings in force, for phases of one's own and for the result.

        What `connect` holds under a key with "password", "token" or "secret" in its name is three
        stars in the result; no other secret may stand here.
        What stands in its "notes", a list of lines, is told beside the verdict.
        """

    def targets(self) -> Sequence[ProcessTarget]:
        """Return the processes that faults can be done to: "core", "edge:us-east", …."""

    async def gauges(self) -> list[tuple[str, int, str, int, int]]:
        """Return (role, index, name, value, limit) of each node's own gauges.

        An edge that dials a core through ``edge-core:NAME`` may count that link in the gauges named
        in `harness.run.coverage`; they are compared with what its proxy saw.
        """

    def usage(self) -> list[NodeUsage]:
        """Return what each node has used; also after `teardown`."""

    def find_dead(self) -> list[str]:
        """Return the names of nodes that ended without our doing."""

    async def teardown(self) -> None:
        """Stop everything that was started. Idempotent."""


@runtime_checkable
class Restartable(Protocol):
    """A deployment whose nodes can be ended and started (abilities KILL and RESTART)."""

    async def kill(self, role: str, index: int) -> None:
        """SIGKILL a node and wait until it is gone."""

    async def stop(self, role: str, index: int) -> None:
        """SIGTERM a node and wait until it is gone."""

    async def start(self, role: str, index: int) -> None:
        """Start a node that was killed or stopped and wait until it is ready."""


@runtime_checkable
class Resizable(Protocol):
    """A deployment whose inboxes have bucket counts (ability RESIZE)."""

    async def resize(self, inbox: str, expected_epoch: int, bucket_count: int) -> Resized:
        """Promote or demote an inbox."""


@runtime_checkable
class SelfResizing(Protocol):
    """A deployment that may change bucket counts by itself, by how much an inbox is written to.

    Attributes:
        rule_counts: The counts that its rule gives and takes; none where no rule is on.
    """

    rule_counts: tuple[int, ...]

    async def epochs(self, inbox: str) -> Sequence[tuple[int, int, int]]:
        """Return (epoch, bucket count, first position) of every durable epoch of an inbox.

        Raises:
            ConnectionError: Nobody could answer now.
        """


@runtime_checkable
class PresenceAware(Protocol):
    """A deployment that knows who is online (ability PRESENCE)."""

    async def presence(self, users: Sequence[str]) -> list[PresenceView]:
        """Ask who is online.

        Raises:
            ConnectionError: Nobody could answer now.
        """


@runtime_checkable
class Inspectable(Protocol):
    """A deployment whose store can be read (ability INSPECT)."""

    def audit(self, inboxes: Sequence[str], now_ns: Callable[[], int]) -> AsyncIterator[Record]:
        """Yield `Stored` and `StoredEnd` records of everything that lies in the store."""


def as_restartable(deployment: Deployment) -> Restartable:
    """Return a deployment that can end and start nodes, as its system's abilities say.

    Raises:
        HarnessError: It cannot; so of the other functions below.
    """
    if isinstance(deployment, Restartable):
        return deployment
    raise _lacking(deployment, Ability.RESTART)


def as_resizable(deployment: Deployment) -> Resizable:
    """Return a deployment that can resize."""
    if isinstance(deployment, Resizable):
        return deployment
    raise _lacking(deployment, Ability.RESIZE)


def as_presence_aware(deployment: Deployment) -> PresenceAware:
    """Return a deployment that knows who is online."""
    if isinstance(deployment, PresenceAware):
        return deployment
    raise _lacking(deployment, Ability.PRESENCE)


def as_inspectable(deployment: Deployment) -> Inspectable:
    """Return a deployment whose store can be read."""
    if isinstance(deployment, Inspectable):
        return deployment
    raise _lacking(deployment, Ability.INSPECT)


def _lacking(deployment: Deployment, ability: Ability) -> HarnessError:
    kind = type(deployment).__name__
    return HarnessError(f"{kind} has no methods for {ability.value!r}; see `needs` of a scenario")


class System(Protocol):
    """A system under test. One object, stateless; made once per process by its registration."""

    name: str
    version: str
    promises: frozenset[Promise]
    abilities: frozenset[Ability]
    presence_bound_s: float
    """Within this time after the last change presence is right (promise PRESENCE)."""

    route: str
    """Name of the published bucket route (promise BUCKETS), e.g. "splitmix64-xxh3"; else ""."""

    one_hop: bool
    """Clients talk to the node that stores, as with most brokers: every edge of a topology is a way
    to it, and there are no nodes or links between (see `harness.run.fitting`)."""

    async def deploy(
        self, topology: Topology, links: Links, run_dir: Path, seed: int
    ) -> Deployment:
        """Start the system with every connection behind a proxy of `links`.

        Raises:
            HarnessError: It did not come up.
        """

    def connector(self, connect: Mapping[str, Any]) -> Connector:
        """Return what makes clients from `Deployment.connect`."""


RESTART_WITHIN_S = 5.0
"""How long a system that does not say it itself may take to come back (`RestartBounded`)."""


@runtime_checkable
class RestartBounded(Protocol):
    """A system that says how long its restarts take.

    Attributes:
        restart_within_s: From the moment in which its core is started again, so many seconds at
            most pass until a client that tries all the time has its first acknowledgement. It is
            measured by ``tallystick conform``, and plans keep their distance by it
            (`Load.waits_for_restarts`).
    """

    restart_within_s: float


def restart_within_s(system: System) -> float:
    """Return how long the restarts of a system take at most, in seconds."""
    return system.restart_within_s if isinstance(system, RestartBounded) else RESTART_WITHIN_S


@runtime_checkable
class DeliveryBounded(Protocol):
    """A system that says how soon it delivers (promise DELIVERY_BOUND).

    Attributes:
        delivery_within_s: What was acknowledged while its reader was logged in and had acknowledged
            all before it is delivered within so long, and the latency of the links, while nothing
            is broken and nodes get to run.
    """

    delivery_within_s: float


def delivery_within_s(system: System, topology: Topology) -> float:
    """Return within how long a message is delivered in a topology; 0 where it is not promised."""
    if not isinstance(system, DeliveryBounded):
        return 0.0
    return system.delivery_within_s + 2 * max(topology.latency_ms.values(), default=0) / 1000


@runtime_checkable
class PromisesByTopology(Protocol):
    """A system that promises less in some topologies, such as under retention "ack"."""

    def promises_in(self, topology: Topology) -> frozenset[Promise]:
        """Return what it promises there: `promises`, or less."""


def promises_in(system: System, topology: Topology) -> frozenset[Promise]:
    """Return what a system promises in a topology."""
    if isinstance(system, PromisesByTopology):
        return system.promises_in(topology)
    return system.promises


@runtime_checkable
class Configurable(Protocol):
    """A system that takes options: ``--system 'NAME?key=value&…'``, or ``-o key=value``.

    Attributes:
        options: What each option means, by its name.
    """

    options: Mapping[str, str]

    def configure(self, chosen: Mapping[str, str]) -> System:
        """Return the system with these settings; its promises and abilities may differ.

        Raises:
            UsageError: A value is not one. (An unknown name does not come here.)
        """
