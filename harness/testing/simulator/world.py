"""A simulated run: build, load with faults, heal, drain, read all again, look at the disk."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.history import records as h
from harness.load.payloads import Payloads
from harness.testing.keys import (
    ADMIN_KEY,
    CLIENT_KEY,
    EDGE_KEY,
    admin_token,
    client_token,
    edge_token,
)
from harness.testing.simulator.actors import (
    SenderLike,
    SimulatedReceiver,
    SimulatedSender,
    Surroundings,
)
from harness.testing.simulator.admin import SimulatedAdmin
from harness.testing.simulator.agenda import MS_NS, Agenda
from harness.testing.simulator.disk import SimulatedDisk
from harness.testing.simulator.network import Host, Network
from harness.testing.simulator.nodes import CoreNode, EdgeNode, Machine, Stage
from harness.testing.simulator.plan import Action, Plan, Step
from reference.client.receiver import ReceiverMachine, ReceiverSettings
from reference.client.sender import SenderMachine, SenderSettings
from reference.core.machine import CoreMachine
from reference.core.settings import CoreSettings, Retention
from reference.edge.machine import EdgeMachine
from reference.edge.settings import EdgeSettings
from reference.events import Recovered
from reference.identity import account_of
from reference.pulse import PulseSettings
from reference.store.port import take_over
from reference.wire.messages import StoredRow

PULSE = PulseSettings(silence_ms=300, deadline_ms=900)
"""Shorter than in a real run, so that fewer ticks pass until a cut is noticed."""

DRAIN_LIMIT_NS = 120_000 * MS_NS
"""How long healing, draining and reading again may take in all, in virtual time."""

PRESENCE_WAIT_NS = 2_500 * MS_NS
"""The promised bound of presence (heartbeat deadline + 1 s) and a little more."""

PAYLOAD_BYTES_MAX = 80
"""The largest body; the smallest is one byte."""

DOWN_MS_MAX = 800
"""How long a crashed node or a sender that left stays away at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factories:
    """What makes the machines; a planted bug replaces one of them."""

    core: Callable[[CoreSettings, Recovered], Machine] = CoreMachine
    edge: Callable[[EdgeSettings], Machine] = EdgeMachine
    sender: Callable[[SenderSettings], SenderLike] = SenderMachine
    disk: Callable[[], SimulatedDisk] = SimulatedDisk


@dataclass(slots=True, kw_only=True)
class Simulated:
    """What a simulation leaves behind.

    `stuck` says what was not reached in time ("" when everything drained); `counts` tells how much
    of what happened; `deafened` are the links between nodes that were lost on purpose, as faults of
    a run, and stand not in `records`.
    """

    records: list[h.Record] = field(default_factory=list)
    deafened: list[h.FaultMarked] = field(default_factory=list)
    stuck: str = ""
    counts: dict[str, int] = field(default_factory=dict)


class World:
    """One simulation. `run` does all of it."""

    def __init__(
        self,
        plan: Plan,
        factories: Factories | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self.plan = plan
        self.result = Simulated()
        self._factories = factories or Factories()
        self._print = trace
        self._rng = random.Random(f"world {plan.seed}")
        self._agenda = Agenda()
        self._network = Network(self._agenda, self._rng)
        self._edge_names = tuple(f"edge-{i}" for i in range(plan.edges))
        self._inboxes = tuple(f"inbox-{i}" for i in range(plan.inboxes))
        self._nodes: dict[str, EdgeNode] = {}
        self._disk = self._factories.disk()
        self._core: CoreNode | None = None
        self._core_wanted_ns = 0
        self._around = Surroundings(
            agenda=self._agenda,
            network=self._network,
            rng=self._rng,
            payloads=Payloads(plan.seed, size_bytes_min=1, size_bytes_max=PAYLOAD_BYTES_MAX),
            edges=self._edge_names,
            ack_delay_ns=plan.ack_delay_ms * MS_NS,
            write=self.result.records.append,
            edge=self._find_node,
            trace=self._trace,
        )
        self._producers = 0
        self._healed = False
        self._senders: list[SimulatedSender] = []
        self._zombies: list[SimulatedReceiver] = []
        self._readers: dict[str, SimulatedReceiver] = {}
        self._admins: list[SimulatedAdmin] = []

    def run(self) -> Simulated:
        """Carry the plan out, heal, drain, and return the history."""
        self._build()
        self._phase("load", True)
        for step in self.plan.steps:
            self._run_for(step.wait_ms)
            self._count(step.action)
            self._do(step)
        self._run_for(200)
        self._phase("load", False)
        self._heal()
        self.result.stuck = self._drain()
        self._audit()
        return self.result

    # Helpers.

    def _trace(self, line: str) -> None:
        if self._print is not None:
            self._print(f"{self._agenda.now_ns / MS_NS:10.3f}  {line}")

    def _count(self, name: str) -> None:
        self.result.counts[name] = self.result.counts.get(name, 0) + 1

    def _phase(self, name: str, begins: bool) -> None:
        self._trace(f"-- {name} {'begins' if begins else 'ends'}")
        record = h.PhaseMarked(t_ns=self._agenda.now_ns, name=name, begins=begins)
        self.result.records.append(record)

    def _run_for(self, duration_ms: int) -> None:
        self._agenda.run(lambda: False, duration_ms * MS_NS)

    def _find_node(self, name: str) -> Host | None:
        return self._core if name == "core" else self._nodes.get(name)

    # Building.

    def _build(self) -> None:
        self._start_core()
        for name in self._edge_names:
            self._start_edge(name)
        self._senders = [self._new_sender(i) for i in range(self.plan.senders)]
        for inbox in self._inboxes:
            self._readers[inbox] = self._new_reader(inbox, f"reader-{inbox}", -1)
        self._admins = [
            SimulatedAdmin(name=f"admin-{i}", token=admin_token(), around=self._around)
            for i in range(2)
        ]

    def _start_core(self) -> None:
        settings = CoreSettings(
            edge_key=EDGE_KEY,
            admin_key=ADMIN_KEY,
            retention=Retention.ACK if self.plan.trims else Retention.RUN,
            tail_cache_bytes_max=4_096,
            heartbeat_interval_ms=PULSE.silence_ms,
            heartbeat_deadline_ms=PULSE.deadline_ms,
        )
        unsynced = self._disk.unsynced
        self._trace(f"core: starts, {unsynced} commits are in the page cache alone")
        self._core = CoreNode(
            machine=self._factories.core(settings, take_over(self._disk)),
            disk=self._disk,
            agenda=self._agenda,
            network=self._network,
            rng=self._rng,
            died=self._core_died,
            trace=self._trace,
        )
        if unsynced and not self._healed:
            # What this process shows before it syncs anything itself must be durable already.
            self._count("power lost soon after a kill")
            self._core.loses_power_at = self._rng.choice((Stage.BEFORE_WRITE, Stage.BEFORE_SYNC))

    def _core_died(self) -> None:
        self._count("core deaths")
        self._core = None
        self._agenda.after(self._rng.randrange(DOWN_MS_MAX) * MS_NS, self._start_core)

    def _start_edge(self, name: str) -> None:
        settings = EdgeSettings(
            name=name,
            token=edge_token(name),
            client_key=CLIENT_KEY,
            core_links=self.plan.core_links,
            hold_ms=500,
            pulse=PULSE,
        )
        self._trace(f"{name}: starts")
        self._nodes[name] = EdgeNode(
            name=name,
            machine=self._factories.edge(settings),
            agenda=self._agenda,
            network=self._network,
            core=lambda: self._core,
            trace=self._trace,
        )

    def _new_sender(self, index: int) -> SimulatedSender:
        self._producers += 1
        producer = self._rng.getrandbits(63) << 1 | self._producers & 1
        settings = SenderSettings(
            producer=producer,
            token=client_token(f"sender-{index}", account_of(producer)),
            name=f"sender-{index}",
            timeout_ms=self.plan.timeout_ms,
            timeout_max_ms=4 * self.plan.timeout_ms,
            pulse=PULSE,
        )
        return SimulatedSender(
            name=f"sender-{index}",
            process=index,
            producer=producer,
            machine=self._factories.sender(settings),
            around=self._around,
        )

    def _new_reader(
        self, inbox: str, reader: str, from_pos: int, *, acks: bool = True
    ) -> SimulatedReceiver:
        settings = ReceiverSettings(
            inbox=inbox,
            token=client_token(inbox),
            name=reader,
            # Who does not acknowledge needs a window for everything.
            window_bytes=self.plan.window_bytes if acks else 4 * 1024 * 1024,
            pulse=PULSE,
        )
        return SimulatedReceiver(
            reader=reader,
            inbox=inbox,
            machine=ReceiverMachine(settings),
            around=self._around,
            from_pos=from_pos,
            acks=acks,
        )

    # Steps.

    def _do(self, step: Step) -> None:
        inbox = self._inboxes[step.how % len(self._inboxes)]
        sender_at = step.who % len(self._senders)
        sender = self._senders[sender_at]
        reader = self._readers[self._inboxes[step.who % len(self._inboxes)]]
        away_ms = step.how * 7 % DOWN_MS_MAX
        self._trace(f"== {step.action} who={step.who} how={step.how}")
        match step.action:
            case Action.SEND:
                sender.send(inbox, 1 + step.how % 3)
            case Action.SEND_MANY:
                sender.send(inbox, 5 + step.how % 60)
            case Action.SENDER_LEAVES:
                sender.leave(away_ms * MS_NS)
            case Action.SENDER_CRASHES:
                sender.crash()
                self._senders[sender_at] = self._new_sender(sender_at)
            case Action.RECEIVER_ABORTS:
                reader.abort(away_ms * MS_NS)
            case Action.RECEIVER_LOGS_OUT:
                reader.logout(away_ms * MS_NS)
            case Action.RECEIVER_CRASHES:
                self._renew_reader(reader.inbox)
            case Action.OTHER_DEVICE:
                self._take_over(reader.inbox)
            case Action.ZOMBIE:
                sender.send(reader.inbox, 1 + step.how % 8)
                self._later(200, lambda: self._make_zombie(reader.inbox))
                self._later(500 + 2 * step.how, lambda: self._renew_reader(reader.inbox))
            case Action.ASK_END:
                reader.ask_end()
            case Action.RESET | Action.CUT:
                self._hurt(step)
            case Action.EDGE_CRASHES:
                self._crash_edge(self._edge_names[step.who % len(self._edge_names)], step.how)
            case Action.CORE_CRASHES:
                if self._core is not None:
                    self._core.crash(silent=step.how % 3 == 0, power_fails=step.how % 2 == 0)
            case Action.CORE_CRASHES_IN_COMMIT:
                if self._core is not None:
                    self._core.crash_at = Stage(step.how % len(Stage))
                    self._core.power_fails = step.how // len(Stage) % 4 == 0
            case Action.PROMOTE | Action.PROMOTE_AND_LOSE_ANSWER:
                self._promote(step, inbox)
            case Action.STORE_FULL:
                self._disk.full = True
                self._agenda.after((1 + away_ms // 4) * MS_NS, self._make_room)

            case Action.DISK_SLOW:
                self._slow_down(step.how, 200 + away_ms)

    def _later(self, delay_ms: int, call: Callable[[], None]) -> None:
        """Call it later, unless the load is over by then."""
        self._agenda.after(delay_ms * MS_NS, lambda: None if self._healed else call())

    def _slow_down(self, how: int, duration_ms: int) -> None:
        """Slow the disk, so that resends and crashes meet commits that are under way."""
        self._disk.slow_ns = (50 + 8 * how) * MS_NS
        if how & 2:
            for sender in self._senders:
                sender.send(self._inboxes[how % len(self._inboxes)], 1 + how % 5)
            self._later(60, self._leave_all)
        self._later(1 + duration_ms, lambda: self._quicken(crash=bool(how & 1)))

    def _leave_all(self) -> None:
        for sender in self._senders:
            sender.leave(MS_NS)

    def _take_over(self, inbox: str, *, acks: bool = True) -> None:
        """Let another device log in; the first one goes on until the core ends its session."""
        reader = self._readers[inbox]
        self._zombies.append(reader)
        self._readers[inbox] = self._new_reader(inbox, reader.reader, -2, acks=acks)

    def _make_zombie(self, inbox: str) -> None:
        """Let another device log in, and the first one's edge hear late that it is superseded.

        The other device reads and acknowledges nothing, so whatever moves the cursor is not its.
        """
        self._deafen(self._readers[inbox].edge)
        self._take_over(inbox, acks=False)

    def _quicken(self, crash: bool) -> None:
        """End the slowness, maybe with a crash, for which it left a lot under way."""
        self._disk.slow_ns = 0
        if crash and self._core is not None:
            self._core.crash(silent=False, power_fails=self._rng.random() < 0.5)

    def _renew_reader(self, inbox: str) -> None:
        """Crash a consumer; its next life goes on at the durable cursor."""
        reader = self._readers[inbox]
        reader.crash()
        self._readers[inbox] = self._new_reader(inbox, reader.reader, -2)

    def _deafen(self, edge: str) -> None:
        """Lose what the core sends to an edge, so that it hears late that a session is over."""
        for connection in self._network.connections():
            if connection.alive and connection.ends[0].host is self._nodes.get(edge):
                self._network.cut(connection, 2)
        self.result.deafened.append(
            h.FaultMarked(
                t_ns=self._agenda.now_ns, fault=f"{h.BY_PHASE}1", kind="link_reset",
                target=f"edge-core:{edge}", state="confirmed", effective=True, effect={},
            )
        )  # fmt: skip

    def _make_room(self) -> None:
        self._disk.full = False

    def _hurt(self, step: Step) -> None:
        living = [c for c in self._network.connections() if c.alive]
        if not living:
            return
        connection = living[step.who % len(living)]
        self._trace(f"{step.action}: {connection}")
        if step.action is Action.RESET:
            self._network.reset(connection)
        else:
            self._network.cut(connection, 1 + step.how % 3)

    def _crash_edge(self, name: str, how: int) -> None:
        node = self._nodes.pop(name, None)
        if node is None:
            return
        self._trace(f"{name}: crashes")
        node.crash(silent=how % 3 == 0)
        self._agenda.after(how * 3 % DOWN_MS_MAX * MS_NS, lambda: self._start_edge(name))

    def _promote(self, step: Step, inbox: str) -> None:
        admin = self._admins[step.who % len(self._admins)]
        epochs = [e for e in self._disk.synced.epochs if e.inbox == inbox]
        in_force = max((e.epoch for e in epochs), default=0)
        admin.promote(inbox, in_force, (1, 2, 3, 5, 8, 50)[step.how // 2 % 6])
        if step.action is Action.PROMOTE_AND_LOSE_ANSWER:
            for connection in self._network.connections():
                if connection.alive and connection.ends[0].host is admin:
                    self._network.cut(connection, 2)

    # The end.

    def _heal(self) -> None:
        self._healed = True
        self._trace("-- heal")
        self._make_room()
        self._quicken(crash=False)
        if self._core is not None:
            self._core.crash_at = None
        # What was cut stays so until heartbeats find it, as nobody repairs a connection.

    def _drain(self) -> str:
        agenda, readers = self._agenda, self._readers
        limit_ns = DRAIN_LIMIT_NS

        def settled() -> bool:
            nodes_up = self._core is not None and len(self._nodes) == len(self._edge_names)
            calm = not any(admin.busy for admin in self._admins)
            return nodes_up and calm and all(s.open_count == 0 for s in self._senders)

        if not agenda.run(settled, limit_ns):
            left = {s.name: s.open_count for s in self._senders if s.open_count}
            return f"senders without an outcome: {left}"
        self._phase("quiet", True)
        for zombie in self._zombies:
            if zombie.alive:
                zombie.crash()
        if stuck := self._read_to_end(list(readers.values())):
            return stuck
        self._phase("drained", True)
        self._run_for(PRESENCE_WAIT_NS // MS_NS)
        for _ in range(20):
            self._admins[0].watch(self._inboxes)
            if agenda.run(lambda: len(self._admins[0].presence) == len(self._inboxes), 10**9):
                break
        if not self.plan.trims:
            auditors = [self._new_reader(x, f"audit-{x}", -1, acks=False) for x in self._inboxes]
            if stuck := self._read_to_end(auditors):
                return stuck
        return ""

    def _read_to_end(self, readers: list[SimulatedReceiver]) -> str:
        """Let readers read until an end that was asked for from now on is reached."""
        begun_ns = self._agenda.now_ns

        def done() -> bool:
            for reader in readers:
                if not reader.wanted:
                    # It rests, or a device that is gone by now ended its session.
                    reader.come_back()
                if reader.end[0] <= begun_ns:
                    reader.ask_end()
            return all(r.end[0] > begun_ns and r.last_pos >= r.end[1] for r in readers)

        if self._agenda.run(done, DRAIN_LIMIT_NS):
            return ""
        left = {r.reader: (r.last_pos, r.end[1]) for r in readers}
        return f"readers that did not reach the end (position, end): {left}"

    def _audit(self) -> None:
        self._phase("audit", True)
        for inbox in self._inboxes:
            after, rows = (-1, -1), list[StoredRow]()
            more = True
            while more:
                found, more = self._disk.synced.rows(inbox, *after)
                rows += found
                after = (found[-1].pos_first, found[-1].bucket) if found else after
            for row in rows:
                self.result.records.append(_stored(self._agenda.now_ns, inbox, row))
            self.result.records.append(
                h.StoredEnd(
                    t_ns=self._agenda.now_ns,
                    inbox=inbox,
                    pos_first=rows[0].pos_first if rows else 0,
                    pos_last=max((row.pos_last for row in rows), default=-1),
                    t_invoked_ns=self._agenda.now_ns,
                )
            )
        self._phase("audit", False)


def _stored(t_ns: int, inbox: str, row: StoredRow) -> h.Stored:
    offsets = memoryview(row.offsets).cast("I")
    positions = b"".join((row.pos_first + offset).to_bytes(8, "little") for offset in offsets)
    return h.Stored(
        t_ns=t_ns,
        inbox=inbox,
        epoch=row.epoch,
        bucket=row.bucket,
        bucket_count=row.bucket_count,
        count=row.count,
        bpos_first=row.bpos_first,
        positions=positions,
        producers=row.ids[: 8 * row.count],
        ns=row.ids[8 * row.count :],
    )
