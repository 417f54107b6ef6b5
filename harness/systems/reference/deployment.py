"""A running reference system: one core, an edge per region, every link behind its proxy."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from secrets import token_hex
from typing import Any

import anyio
import apsw
import msgspec
import numpy as np

from harness.errors import HarnessError
from harness.faults.switches import Switches
from harness.faults.targets import ProcessTarget
from harness.history.records import Record, Stored, StoredEnd
from harness.links.links import Links, LinkWanted
from harness.processes.environment import child_environment
from harness.processes.process import Process
from harness.processes.python import python_argv
from harness.processes.table import ProcessTable
from harness.systems.port import NodeUsage, PresenceView, Resized
from harness.systems.reference.certificates import (
    CORE_NAME,
    EDGE_NAME,
    Certificates,
    make_certificates,
)
from harness.systems.reference.probe import Speech
from harness.systems.topology import Topology, client_links
from reference.core.buckets import BucketRow
from reference.core.settings import CoreSettings, Retention
from reference.edge.settings import EdgeSettings
from reference.identity import ADMIN, CLIENT, EDGE, Claims, sign
from reference.node.admin import AdminClient, Refusal
from reference.node.settings import FROM_ENVIRONMENT, CoreNodeSettings, EdgeNodeSettings
from reference.node.tls import trust
from reference.pulse import PulseSettings
from reference.store.audit import Audit
from reference.store.schema import SCHEMA_VERSION
from reference.wire.errors import ERROR_RULES
from reference.wire.limits import PROTOCOL_VERSION

HOST = "127.0.0.1"
HEARTBEAT_INTERVAL_MS = 500
HEARTBEAT_DEADLINE_MS = 1_500
"""Shorter than a node's own defaults, so that presence settles often enough to be checked."""

WINDOW_BYTES = 4 * 1024 * 1024
"""What a receiver takes before it acknowledges."""

SETTINGS_VARIABLE = "TALLYSTICK_NODE"
"""Environment variable that brings a node its settings."""

READY = r"^ready \{"

PLAIN_LAUNCHER = "reference.node"
SWITCHED_LAUNCHER = "harness.testing.launch"
"""Modules that start a node: as it is, and with switches or a planted bug."""

PROBE = "probe"
"""The name under which the harness measures links."""

LIMIT_SUFFIX = "_limit"
"""A node's gauge `X_limit` is the named limit of its gauge `X`."""


class ReferenceDeployment:
    """Made by `deploy`; see `harness.systems.port.Deployment` for what each method guarantees."""

    def __init__(
        self,
        topology: Topology,
        run_dir: Path,
        core: Process,
        edges: Mapping[str, Process],
        admins: Mapping[tuple[str, int], AdminClient],
        connect: Mapping[str, Any],
        config: Mapping[str, Any],
        switches: Mapping[str, Switches],
        certificates: Certificates | None = None,
    ) -> None:
        self._topology = topology
        self._database = run_dir / "core.sqlite"
        self._core = core
        self._edges = edges
        self._admins = admins
        self._admin = admins["core", 0]
        self._switches = switches
        self._certificates = certificates
        self._expected_down: set[str] = set()
        self._torn_down = False
        self.connect = connect
        self.config = config
        core_settings = CoreSettings(**config["core"])
        self.rule_counts: tuple[int, ...] = (
            (1, core_settings.hot_bucket_count) if core_settings.hot_writes_per_s else ()
        )

    def _node(self, role: str, index: int) -> Process:
        if role == "core" and index == 0:
            return self._core
        if role == "edge" and 0 <= index < len(self._topology.edges):
            return self._edges[self._topology.edges[index]]
        raise HarnessError(f"there is no {role} number {index}")

    def targets(self) -> list[ProcessTarget]:
        """Return the core and every edge."""
        return [
            self._target("core", "core", 0),
            *(
                self._target(f"edge:{name}", "edge", index)
                for index, name in enumerate(self._topology.edges)
            ),
        ]

    def _target(self, name: str, role: str, index: int) -> ProcessTarget:
        node = self._node(role, index)
        admin = self._admins[role, index]

        async def gauges() -> Mapping[str, int]:
            try:
                return await admin.gauges()
            except Refusal as refusal:
                raise ConnectionError(str(refusal)) from refusal

        def expect_end(expected: bool) -> None:
            (self._expected_down.add if expected else self._expected_down.discard)(node.name)

        return ProcessTarget(
            name=name,
            pid=lambda: node.pid,
            kill=lambda: self.kill(role, index),
            start=lambda: self.start(role, index),
            terminate=lambda: self.stop(role, index),
            gauges=gauges,
            expect_end=expect_end,
            switches=self._switches.get(name),
        )

    async def kill(self, role: str, index: int) -> None:
        """SIGKILL a node."""
        node = self._node(role, index)
        self._expected_down.add(node.name)
        await node.kill()

    async def stop(self, role: str, index: int) -> None:
        """SIGTERM a node."""
        node = self._node(role, index)
        self._expected_down.add(node.name)
        if not await node.stop():
            raise HarnessError(f"{node.name} did not stop by itself after SIGTERM\n{node.tail()}")

    async def start(self, role: str, index: int) -> None:
        """Start a node again."""
        node = self._node(role, index)
        match = await node.start()
        self._expected_down.discard(node.name)
        if self.config["older_first"]:
            now = check_version(node.name, match, older=False)
            self.config["versions"][node.name].append(now)

    def find_dead(self) -> list[str]:
        """Return nodes that ended without our doing."""
        if self._torn_down:
            return []
        return [
            node.name
            for node in (self._core, *self._edges.values())
            if not node.running and node.name not in self._expected_down
        ]

    async def resize(self, inbox: str, expected_epoch: int, bucket_count: int) -> Resized:
        """Promote or demote an inbox."""
        try:
            reply = await self._admin.promote(inbox, expected_epoch, bucket_count)
        except Refusal as refusal:
            definite = ERROR_RULES[refusal.code].definite
            return Resized(outcome="fail" if definite else "info", error=str(refusal))
        except ConnectionError as error:
            return Resized(outcome="info", error=str(error))
        return Resized(outcome="ok", epoch=reply.epoch, pos_first=reply.pos_first)

    async def epochs(self, inbox: str) -> Sequence[tuple[int, int, int]]:
        """Return the durable epochs of an inbox, whoever began them."""
        try:
            entries = await self._admin.epochs(inbox)
        except Refusal as refusal:
            raise ConnectionError(str(refusal)) from refusal
        return [(entry.epoch, entry.bucket_count, entry.pos_first) for entry in entries]

    async def presence(self, users: Sequence[str]) -> list[PresenceView]:
        """Ask the core who is online."""
        try:
            entries = await self._admin.presence(users)
        except Refusal as refusal:
            if not ERROR_RULES[refusal.code].retry:
                raise
            # A core that is stopping answers so; it is as if there were none.
            raise ConnectionError(str(refusal)) from refusal
        return [
            PresenceView(
                user=entry.user, online=entry.online, edge=entry.edge, session=entry.session
            )
            for entry in entries
        ]

    async def audit(
        self, inboxes: Sequence[str], now_ns: Callable[[], int]
    ) -> AsyncIterator[Record]:
        """Read the file beside the running core; every row of every inbox asked for.

        Raises:
            HarnessError: The file cannot be read.
        """
        with Audit(self._database) as audit:
            for inbox in inboxes:
                begun_ns, first, last = now_ns(), -1, -1
                for row in _readable(audit.rows(inbox)):
                    first = row.pos_first if first < 0 else first
                    last = row.pos_last
                    offsets = np.frombuffer(row.offsets, dtype="<u4").astype("<u8")
                    half = 8 * row.count
                    yield Stored(
                        t_ns=now_ns(),
                        inbox=inbox,
                        epoch=row.epoch,
                        bucket=row.bucket,
                        bucket_count=row.bucket_count,
                        count=row.count,
                        bpos_first=row.bpos_first,
                        positions=(offsets + np.uint64(row.pos_first)).tobytes(),
                        producers=row.ids[:half],
                        ns=row.ids[half:],
                    )
                yield StoredEnd(
                    t_ns=now_ns(),
                    inbox=inbox,
                    pos_first=first,
                    pos_last=last,
                    t_invoked_ns=begun_ns,
                )

    async def gauges(self) -> list[tuple[str, int, str, int, int]]:
        """Ask every node for its gauges; none from a node that is down."""
        found: list[tuple[str, int, str, int, int]] = []
        for (role, index), admin in self._admins.items():
            try:
                values = await admin.gauges()
            except (ConnectionError, Refusal):
                continue
            for name, value in sorted(values.items()):
                if not name.endswith(LIMIT_SUFFIX):
                    found.append((role, index, name, value, values.get(name + LIMIT_SUFFIX, -1)))
        return found

    def usage(self) -> list[NodeUsage]:
        """Return what each node used."""
        nodes = [("core", 0, self._core)]
        nodes += [("edge", index, node) for index, node in enumerate(self._edges.values())]
        return [
            NodeUsage(
                role=role,
                index=index,
                cpu_s=used.cpu_s,
                rss_max_bytes=used.rss_max_bytes,
                restarts=used.restarts,
            )
            for role, index, node in nodes
            for used in [node.usage()]
        ]

    async def teardown(self) -> None:
        """Stop the edges, then the core. Idempotent."""
        self._torn_down = True
        for admin in self._admins.values():
            await admin.close()
        for node in (*self._edges.values(), self._core):
            await node.stop()
        if self._certificates is not None:
            self._certificates.remove()


KEY_BYTES = 32
"""Of each key of a run, drawn anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of one run, a key for each role, none derived from another.

    They are in no file: nodes get theirs in the environment, load processes over a pipe.
    """

    client: str = field(default_factory=lambda: token_hex(KEY_BYTES), repr=False)
    edge: str = field(default_factory=lambda: token_hex(KEY_BYTES), repr=False)
    core_admin: str = field(default_factory=lambda: token_hex(KEY_BYTES), repr=False)
    edge_admin: str = field(default_factory=lambda: token_hex(KEY_BYTES), repr=False)


async def deploy(
    topology: Topology, links: Links, run_dir: Path, *, tls: bool = False
) -> ReferenceDeployment:
    """Start a core and its edges, with a proxy per (edge, core) and per (client group, edge).

    Options of the topology: ``core_links`` per edge, ``core`` and ``edge`` (settings of the
    machines by name, such as smaller limits), ``launcher`` (a module that is run instead of
    ``reference.node``, with its arguments, for disks and planted bugs), ``older_first`` (each node
    begins as one of the version before, and is of this version when it is started again).

    Args:
        topology: What is wanted.
        links: Where proxies are opened.
        run_dir: Where logs, the store and, with TLS, certificates go.
        tls: Encrypt every hop.

    Raises:
        HarnessError: A node did not come up.
    """
    options = dict(topology.options)
    launcher = [str(word) for word in options.pop("launcher", [PLAIN_LAUNCHER])]
    older_first = bool(options.pop("older_first", False))
    retention = Retention(topology.retention)
    core_links = int(options.pop("core_links", 1))
    window_bytes = topology.window_bytes or WINDOW_BYTES
    cache = {"tail_cache_bytes_max": topology.cache_bytes} if topology.cache_bytes else {}
    core_options = _settings_of("core", cache | options.pop("core", {}), CoreSettings)
    edge_options = _settings_of("edge", options.pop("edge", {}), EdgeSettings)
    if options:
        raise HarnessError(f"unknown options of the reference system: {', '.join(options)}")
    table = links.table
    keys = Keys()
    certificates = make_certificates(run_dir) if tls else None
    core_port = links.ports.take()
    core_settings = CoreNodeSettings(
        core=CoreSettings(
            edge_key=keys.edge,
            admin_key=keys.core_admin,
            retention=retention,
            heartbeat_interval_ms=HEARTBEAT_INTERVAL_MS,
            heartbeat_deadline_ms=HEARTBEAT_DEADLINE_MS,
            **core_options,
        ),
        database=str(run_dir / "core.sqlite"),
        tls=None if certificates is None else certificates.core,
        port=core_port,
        lifeline=True,
    )
    switches = _switches(topology, run_dir)
    launchers = {
        name: _launcher(name, launcher, switches, run_dir if older_first else None)
        for name in ("core", *(f"edge:{edge}" for edge in topology.edges))
    }
    argv = [*launchers["core"], "core"]
    core = _process("core", argv, core_settings, run_dir, table)
    pulse = PulseSettings(silence_ms=HEARTBEAT_INTERVAL_MS, deadline_ms=HEARTBEAT_DEADLINE_MS)
    edges: dict[str, Process] = {}
    client_ports: dict[str, int] = {}
    edge_ports = [links.ports.take() for _ in topology.edges]
    core_trust = edge_trust = None
    if certificates is not None:
        core_trust = trust(certificates.authority, CORE_NAME)
        edge_trust = trust(certificates.authority, EDGE_NAME)
    to_core = Speech(role=EDGE, key=keys.edge, trusted=core_trust)
    to_edge = Speech(role=CLIENT, key=keys.client, trusted=edge_trust)
    opened = await links.open_all([*_links(topology, core_port, edge_ports, to_core, to_edge)])
    listening = {link.name: link.listen_port for link in opened}
    for name, port in zip(topology.edges, edge_ports, strict=True):
        client_ports |= {link: listening[link] for link in client_links(topology, name)}
        settings = EdgeNodeSettings(
            edge=EdgeSettings(
                name=name,
                token=sign(keys.edge, Claims(role=EDGE, name=name)),
                client_key=keys.client,
                admin_key=keys.edge_admin,
                core_links=core_links,
                pulse=pulse,
                **edge_options,
            ),
            core_port=listening[f"edge-core:{name}"],
            tls=None if certificates is None else certificates.edge,
            port=port,
            lifeline=True,
        )
        argv = [*launchers[f"edge:{name}"], "edge"]
        edges[name] = _process(f"edge-{name}", argv, settings, run_dir, table)
    ready_lines: list[str] = []
    versions_of: dict[str, list[str]] = {}

    async def start(node: Process) -> None:
        match = await node.start()
        ready_lines.append(match.string if match is not None else "")
        if older_first:
            versions_of[node.name] = [check_version(node.name, match, older=True)]

    async with anyio.create_task_group() as tasks:
        for node in (core, *edges.values()):
            tasks.start_soon(start, node)
    connect = {
        "client_secret": keys.client,
        "authority": "" if certificates is None else certificates.authority,
        "client_ports": client_ports,
        "heartbeat_interval_ms": HEARTBEAT_INTERVAL_MS,
        "heartbeat_deadline_ms": HEARTBEAT_DEADLINE_MS,
        "window_bytes": window_bytes,
    }
    config = {
        "protocol_version": PROTOCOL_VERSION,
        "retention": retention.value,
        "edges": list(topology.edges),
        "latency_ms": dict(topology.latency_ms),
        "tls": "off" if certificates is None else "on",
        "core_links": core_links,
        "window_bytes": window_bytes,
        "core": core_options,
        "edge": edge_options,
        "heartbeat_deadline_ms": HEARTBEAT_DEADLINE_MS,
        "launcher": launcher,
        "older_first": older_first,
        "versions": versions_of,
        "switches": sorted(switches),
        "planted_bug": planted_bug(ready_lines),
    }
    who = Claims(role=ADMIN, name="harness")
    to = sign(keys.core_admin, who)
    admins = {("core", 0): AdminClient(HOST, core_port, to, trusted=core_trust)}
    to = sign(keys.edge_admin, who)
    for index, port in enumerate(edge_ports):
        admins["edge", index] = AdminClient(HOST, port, to, trusted=edge_trust)
    return ReferenceDeployment(
        topology, run_dir, core, edges, admins, connect, config, switches, certificates
    )


def _links(
    topology: Topology, core_port: int, edge_ports: Sequence[int], to_core: Speech, to_edge: Speech
) -> Iterator[LinkWanted]:
    """Yield the links of every edge: one to the core, one from each client group."""
    numbers = itertools.count(1)
    for name, port in zip(topology.edges, edge_ports, strict=True):
        yield LinkWanted(
            name=f"edge-core:{name}",
            upstream_port=core_port,
            latency_ms=topology.latency_ms.get(name, 0),
            **to_core.words(PROBE),
        )
        for link in client_links(topology, name):
            # A user for each: what one user may have open is bounded.
            words = to_edge.words(f"{PROBE}-{next(numbers)}")
            yield LinkWanted(name=link, upstream_port=port, **words)


def _readable(rows: Iterator[BucketRow]) -> Iterator[BucketRow]:
    """Yield stored rows; what is wrong with the file is trouble of the run, not of the program."""
    try:
        yield from rows
    except apsw.Error as error:
        raise HarnessError(f"the store cannot be read: {error}") from error


def _settings_of(role: str, wanted: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Return settings of a machine that a topology asks for.

    Raises:
        HarnessError: One is not a plain number of it; names those that are.
    """
    known = {field.name for field in fields(kind) if field.type in ("int", int)}
    unknown = sorted(set(wanted) - known)
    if unknown:
        raise HarnessError(f"{role} has no setting {unknown[0]!r}; {', '.join(sorted(known))}")
    return dict(wanted)


def planted_bug(ready_lines: Iterable[str]) -> str | None:
    """Return the bug that one of the nodes says is planted in it, None for honest nodes."""
    for line in ready_lines:
        about = json.loads(line[line.index("{") :]) if "{" in line else {}
        if bug := about.get("planted_bug"):
            return str(bug)
    return None


def _switches(topology: Topology, run_dir: Path) -> dict[str, Switches]:
    """Make the switches of every process that the topology wants some in, by its name."""
    names = ["core", *(f"edge:{edge}" for edge in topology.edges)]
    return {
        name: Switches.create(run_dir / "switches" / f"{name.replace(':', '-')}.bin")
        for name in names
        if any(fnmatchcase(name, pattern) for pattern in topology.switched)
    }


def _launcher(
    name: str, launcher: list[str], switches: Mapping[str, Switches], older_in: Path | None
) -> list[str]:
    """Return what is run for a node: with its switches, if it has some.

    Args:
        name: The node's.
        launcher: What the topology wants to be run.
        switches: Those of all nodes.
        older_in: The folder of the run, if the node is to begin as one of the version before.

    Raises:
        HarnessError: The launcher that the topology names knows no switches, or no versions.
    """
    if name not in switches and older_in is None:
        return launcher
    module, *arguments = launcher
    if module not in (PLAIN_LAUNCHER, SWITCHED_LAUNCHER):
        raise HarnessError(f"{module} cannot start {name} with switches for faults inside it")
    if name in switches:
        arguments = ["--switches", str(switches[name].path), *arguments]
    if older_in is not None:
        started = older_in / "logs" / f"{name.replace(':', '-')}.started"
        arguments = ["--older-first", str(started), *arguments]
    return [SWITCHED_LAUNCHER, *arguments]


def check_version(name: str, ready: re.Match[str] | None, *, older: bool) -> str:
    """See that a node is of the version that it was started as; return that in words.

    Raises:
        HarnessError: It is not, so that the restart would have changed nothing.
    """
    line = ready.string if ready is not None else ""
    about = json.loads(line[line.index("{") :])
    wire, store = about["wire"][-1], about["store"]
    if older == (wire == PROTOCOL_VERSION or store == SCHEMA_VERSION):
        wanted = "the version before" if older else "this version"
        raise HarnessError(f"{name} is no node of {wanted}: wire {wire}, store {store}")
    return f"wire {wire}, store {store}" if name == "core" else f"wire {wire}"


def _process(
    name: str,
    argv: list[str],
    settings: CoreNodeSettings | EdgeNodeSettings,
    run_dir: Path,
    table: ProcessTable | None,
) -> Process:
    return Process(
        name=name,
        argv=python_argv(*argv, f"{FROM_ENVIRONMENT}{SETTINGS_VARIABLE}"),
        log=run_dir / "logs" / f"{name}.log",
        env={**child_environment(), SETTINGS_VARIABLE: msgspec.json.encode(settings).decode()},
        ready=READY,
        table=table,
    )
