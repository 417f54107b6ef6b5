"""A load process: carries senders and receivers, obeys commands, records its history.

``python -m harness.load.worker JOB`` with a `Job` as JSON. Commands come as JSON lines on stdin,
each answered by one line on stdout with the same id; progress lines come unasked. The end of stdin
ends the process at once, so that nothing outlives the harness.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import msgspec

from harness.checkers.gauges import LOAD_LAG_GAUGE
from harness.checkers.rare import GAUGE_PREFIX
from harness.history.books import Ledger
from harness.history.recorder import Recorder
from harness.history.records import GaugeSeen, Offered
from harness.load.churn import ChurnPlan, churn_receivers, churn_senders
from harness.load.client_errors import ClientErrors, secrets_of
from harness.load.payloads import Bodies, Payloads
from harness.load.receiver_actor import ReceiverActor
from harness.load.roster import ReaderSeat, SenderSeat
from harness.load.sender_actor import SenderActor
from harness.systems.port import Connector, Reaching
from harness.systems.registry import load_system

PACE_S = 0.005
"""How often due batches are handed over, acks are flushed and connections are looked after."""

PROGRESS_EVERY_S = 0.5
"""How often a progress line is printed."""

LENGTH_BYTES_MAX = 20
"""Longest line that says how long the job is."""

COMMAND_BYTES_MAX = 16 << 20
"""Longest command line: some 50,000 senders."""

UNASKED = -1
"""The id of an answer to no command: what a process says that was asked to end by SIGTERM."""

OFFERED_EVERY_S = 1.0
"""How often the history is told how much was due and how much of it was handed over."""

LOGGING_OUT_MAX = 128
"""Receivers that one process logs out at the same time."""

CONNECTING_MAX = 32
"""Connections that one process opens at the same time."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a load process needs to know: places and plain data, never a pickled object."""

    system: str
    connect: dict[str, Any]
    run_id: str
    seed: int
    t0_ns: int
    process: int
    history_path: str
    bodies: Bodies
    bodies_to: dict[str, Bodies]
    edges: tuple[str, ...]


class Worker:
    """The state of one load process and its commands, one method each."""

    def __init__(self, job: Job, connector: Connector, tasks: anyio.abc.TaskGroup) -> None:
        self._job = job
        self._tasks = tasks
        self._rng = random.Random(f"{job.seed}/worker/{job.process}")
        self._recorder = Ledger(
            Recorder(Path(job.history_path), run_id=job.run_id, name=f"load-{job.process}")
        )
        self._payloads = Payloads(job.seed, bodies=job.bodies, to=job.bodies_to)
        self._connector = connector
        self._errors = ClientErrors(secrets_of(job.connect))
        self._errors_told = 0
        self._senders: list[SenderActor] = []
        self._done_senders: list[SenderActor] = []
        self._receivers: dict[str, ReceiverActor] = {}
        self._sender_churn: ChurnPlan | None = None
        self._receiver_churn: ChurnPlan | None = None
        self._receivers_move = True
        self._connecting = 0
        self._told = (0, 0)
        self._reach: Counter[str] = Counter()
        """The rare states of what is sent."""
        self._reach_told: Counter[str] = Counter()
        self._late_ns_max = 0
        self._lag_ns = 0
        self._lag_told_ns = 0
        self.stopping = anyio.Event()

    def clock(self) -> int:
        """Nanoseconds since the start of the run; the same monotonic clock on the whole host."""
        return time.monotonic_ns() - self._job.t0_ns

    async def pace(self) -> None:
        """Hand over due batches, flush acks, keep connections up, until told to stop."""
        while not self.stopping.is_set():
            now_ns = self.clock()
            if self._sender_churn is not None:
                churned = [actor for actor in self._senders if actor.seat.churns]
                churn_senders(churned, self._sender_churn, now_ns, self._rng, self._cut)
            if self._receiver_churn is not None:
                actors = list(self._receivers.values())
                churn_receivers(actors, self._receiver_churn, now_ns, self._rng, self._cut)
            self._move(now_ns)
            for sender in self._senders:
                self._keep_up(sender, now_ns)
                sender.pump()
                if sender.seat.leaves and sender.up and sender.finished and not sender.connecting:
                    self._tasks.start_soon(sender.leave)
            for receiver in self._receivers.values():
                self._keep_up(receiver, now_ns)
                receiver.flush_acks()
            self._recorder.flush()
            await anyio.sleep(PACE_S)
            # Whatever came meanwhile waited as long to be read: it comes over the same loop.
            self._lag_ns = max(self._lag_ns, self.clock() - now_ns - int(PACE_S * 1e9))

    def _move(self, now_ns: int) -> None:
        """Cut those whose time it is to go elsewhere; they come back at once."""
        for sender in self._senders:
            if not sender.finished and sender.mover.is_due(now_ns, up=sender.up):
                self._cut(sender, now_ns)
        for receiver in self._receivers.values() if self._receivers_move else ():
            if receiver.mover.is_due(now_ns, up=receiver.up):
                self._tasks.start_soon(partial(receiver.cut, now_ns, abrupt=True))

    def _keep_up(self, actor: SenderActor | ReceiverActor, now_ns: int) -> None:
        if not actor.wanted_up or actor.up or actor.connecting or now_ns < actor.retry_at_ns:
            return
        if self._connecting >= CONNECTING_MAX:
            return
        self._connecting += 1
        actor.connecting = True
        self._tasks.start_soon(self._connect, actor)

    async def _connect(self, actor: SenderActor | ReceiverActor) -> None:
        try:
            await actor.connect()
        finally:
            self._connecting -= 1

    def _cut(self, actor: SenderActor | ReceiverActor, back_at_ns: int) -> None:
        self._tasks.start_soon(actor.cut, back_at_ns)

    async def report(self) -> None:
        """Print progress lines until told to stop."""
        while not self.stopping.is_set():
            self._recorder.beat(self.clock())
            # On file first: a process that is killed has all that it has told of.
            told = {"progress": self._progress(), "books": self._recorder.told()}
            _say({**told, **self._news_of_errors()})
            await anyio.sleep(PROGRESS_EVERY_S)

    async def tell_offered(self) -> None:
        """Record what the schedules offered, until told to stop."""
        while not self.stopping.is_set():
            await anyio.sleep(OFFERED_EVERY_S)
            self._tell_offered()
            self._tell_reached()
            self._tell_lag()

    def _tell_lag(self) -> None:
        """Record how late this process was at the worst, where that is later than ever."""
        if self._lag_ns <= self._lag_told_ns:
            return
        self._lag_told_ns = self._lag_ns
        self._recorder.write(
            GaugeSeen(
                t_ns=self.clock(),
                role="load",
                index=self._job.process,
                name=LOAD_LAG_GAUGE,
                value=self._lag_ns // 1_000,
                limit=-1,
            )
        )

    def _tell_offered(self) -> None:
        now_ns = self.clock()
        told = [actor.offered(now_ns) for actor in self._senders + self._done_senders]
        due, handed = sum(one[0] for one in told), sum(one[1] for one in told)
        late_ns = max((one[2] for one in told), default=0)
        if (due, handed) == self._told and late_ns <= self._late_ns_max:
            return
        self._late_ns_max = max(self._late_ns_max, late_ns)
        self._recorder.write(
            Offered(
                t_ns=now_ns,
                process=self._job.process,
                due=due - self._told[0],
                handed=handed - self._told[1],
                late_ns_max=max(0, late_ns),
            )
        )
        self._told = due, handed

    def _tell_reached(self) -> None:
        """Record how often rare states were reached, where that is news."""
        counts = Counter(self._reach)
        if isinstance(self._connector, Reaching):
            counts.update(self._connector.reached())
        now_ns = self.clock()
        for name in sorted(counts):
            if counts[name] != self._reach_told[name]:
                self._recorder.write(
                    GaugeSeen(
                        t_ns=now_ns,
                        role="load",
                        index=self._job.process,
                        name=GAUGE_PREFIX + name,
                        value=counts[name],
                        limit=-1,
                    )
                )
        self._reach_told = counts

    def _news_of_errors(self) -> dict[str, Any]:
        """Return all that clients were told, unless that was said before."""
        if self._errors.count == self._errors_told:
            return {}
        self._errors_told = self._errors.count
        return {"client_errors": msgspec.to_builtins(self._errors.told())}

    def _progress(self) -> dict[str, int]:
        senders = self._senders + self._done_senders
        receivers = list(self._receivers.values())
        return {
            "handed": sum(a.handed_count for a in senders),
            "ok": sum(a.ok_count for a in senders),
            "fail": sum(a.fail_count for a in senders),
            "info": sum(a.info_count for a in senders),
            "open": sum(a.open_count for a in senders),
            "unfinished": sum(not a.finished for a in self._senders),
            "sender_reconnects": sum(max(0, a.connects - 1) for a in senders),
            "receiver_reconnects": sum(max(0, a.connects - 1) for a in receivers),
            "delivered": sum(a.delivered_count for a in receivers if not a.seat.audit),
            "wrong": sum(a.wrong_count for a in receivers),
            "late_ns_max": self._late_ns_max,
            "errors": self._errors.count,
            "down": sum(a.wanted_up and not a.up for a in self._senders)
            + sum(a.wanted_up and not a.up for a in receivers),
        }

    # Commands

    async def do_senders(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Start senders with their schedules."""
        seats = msgspec.convert(command["seats"], list[SenderSeat])
        fresh = [
            SenderActor(
                seat=seat,
                process=self._job.process,
                edges=self._job.edges,
                connector=self._connector,
                recorder=self._recorder,
                payloads=self._payloads,
                clock=self.clock,
                rng=random.Random(f"{self._job.seed}/{seat.name}"),
                errors=self._errors,
                reach=self._reach,
            )
            for seat in seats
        ]
        for actor in fresh:
            actor.begin(command["begin_ns"], command["end_ns"])
        self._senders.extend(fresh)
        if command.get("churn"):
            self._sender_churn = msgspec.convert(command["churn"], ChurnPlan)
        return {}

    async def do_senders_up(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Wait until every sender is connected; one that soon leaves comes meanwhile."""
        up = await self._until(
            lambda: all(actor.up for actor in self._senders if not actor.seat.leaves),
            command["within_s"],
        )
        return {"up": up}

    async def do_end_schedules(self, _command: Mapping[str, Any]) -> dict[str, Any]:
        """Stop churn and schedules; what is due by now will still be sent."""
        self._sender_churn = None
        for actor in self._senders:
            actor.end_schedule(self.clock())
        return {}

    async def do_sender_state(self, _command: Mapping[str, Any]) -> dict[str, Any]:
        """Tell how many senders are unfinished, and how much they have open."""
        return {
            "unfinished": sum(not actor.finished for actor in self._senders),
            "open": sum(actor.open_count for actor in self._senders),
        }

    async def do_close_senders(self, _command: Mapping[str, Any]) -> dict[str, Any]:
        """End all senders; what has no outcome yet becomes "info"."""
        self._sender_churn = None
        self._tell_offered()
        for actor in self._senders:
            await actor.close()
        open_count = sum(actor.open_count for actor in self._senders)
        self._done_senders.extend(self._senders)
        self._senders = []
        self._recorder.flush()
        return {"open": open_count}

    async def do_login(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Log readers in and wait until they are."""
        seats = msgspec.convert(command["seats"], list[ReaderSeat])
        for seat in seats:
            actor = self._receivers.get(seat.reader)
            if actor is None:
                actor = ReceiverActor(
                    seat=seat,
                    process=self._job.process,
                    edges=self._job.edges,
                    connector=self._connector,
                    recorder=self._recorder,
                    payloads=self._payloads,
                    clock=self.clock,
                    rng=random.Random(f"{self._job.seed}/{seat.reader}"),
                    errors=self._errors,
                )
                self._receivers[seat.reader] = actor
            actor.edge = seat.edge
            actor.from_cursor = command["from_cursor"]
            actor.reads = command.get("reads", True)
            actor.wanted_up = True
        wanted = [self._receivers[seat.reader] for seat in seats]
        # A user's other device must not come back either: its session is ended by this login.
        inboxes = {seat.inbox for seat in seats}
        for actor in self._receivers.values():
            if actor.seat.inbox in inboxes and actor not in wanted:
                actor.wanted_up = False
        up = await self._until(lambda: all(a.up for a in wanted), command["within_s"])
        return {"up": up, "session": {a.seat.inbox: a.session for a in wanted}}

    async def do_read(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Let readers that held back begin to read."""
        for name in command["readers"]:
            self._receivers[name].reads = True
        return {}

    async def do_storm(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Cut everybody who is connected and say how many were; all come back at one moment."""
        back_at_ns = self.clock() + int(command["down_s"] * 1e9)
        cut = 0

        async def cut_one(actor_cut: Callable[[], Awaitable[None]]) -> None:
            nonlocal cut
            await actor_cut()
            cut += 1

        async with anyio.create_task_group() as tasks:
            for sender in self._senders:
                if sender.up and not sender.connecting:
                    tasks.start_soon(cut_one, partial(sender.cut, back_at_ns))
            for receiver in self._receivers.values():
                if receiver.up and not receiver.connecting:
                    tasks.start_soon(cut_one, partial(receiver.cut, back_at_ns, abrupt=True))
        return {"cut": cut}

    async def do_receiver_churn(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Begin (or, without a plan, end) the churn of the receivers; that ends moves too."""
        plan = command.get("churn")
        self._receivers_move = self._receivers_move and bool(plan)
        self._receiver_churn = msgspec.convert(plan, ChurnPlan) if plan else None
        return {}

    async def do_end(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Ask where the inboxes of these readers end."""
        return {"pos": {name: await self._receivers[name].end() for name in command["readers"]}}

    async def do_positions(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Tell the last position that each reader has, if it is logged in and what it waits for."""
        actors = {name: self._receivers[name] for name in command["readers"]}
        return {
            "pos": {name: actor.last_pos for name, actor in actors.items()},
            "up": all(actor.up for actor in actors.values()),
            "acks_open": any(actor.waits_for_ack for actor in actors.values()),
        }

    async def do_receiver_state(self, _command: Mapping[str, Any]) -> dict[str, Any]:
        """Tell whether some receiver is on its way in or out."""
        actors = self._receivers.values()
        return {"moving": any(a.connecting or a.wanted_up != a.up for a in actors)}

    async def do_logout(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Log readers out in order."""
        await self._log_out([self._receivers[name] for name in command["readers"]])
        return {}

    async def _log_out(self, actors: Sequence[ReceiverActor]) -> None:
        """Log receivers out side by side: where nobody answers, each waits for its time-out."""
        turns = anyio.Semaphore(LOGGING_OUT_MAX)

        async def log_out(actor: ReceiverActor) -> None:
            async with turns:
                await actor.logout()

        async with anyio.create_task_group() as tasks:
            for actor in actors:
                tasks.start_soon(log_out, actor)

    async def do_finish(self, _command: Mapping[str, Any]) -> dict[str, Any]:
        """Log everybody out, close the history, stop."""
        self._receiver_churn = None
        self._tell_lag()
        await self.do_close_senders({})
        await self._log_out(list(self._receivers.values()))
        self._tell_reached()
        progress = self._progress()
        self.stopping.set()
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "progress": progress,
            "client_errors": msgspec.to_builtins(self._errors.told()),
            "traffic": self._connector.traffic(),
            "cpu_s": used.ru_utime + used.ru_stime,
            "rss_max_bytes": used.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        }

    async def _until(self, condition: Callable[[], bool], within_s: float) -> bool:
        with anyio.move_on_after(within_s):
            while not condition():
                await anyio.sleep(PACE_S)
        return condition()

    async def obey(self) -> None:
        """Read commands until stdin ends; the end without a `finish` ends everything at once."""
        # No thread reads it: one that blocks there would keep a worker that broke from ending, and
        # the harness would wait for its answer for ever.
        lines = asyncio.StreamReader(limit=COMMAND_BYTES_MAX)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
        )
        async for line in lines:
            self._tasks.start_soon(self._carry_out, json.loads(line))
        self._tasks.cancel_scope.cancel()

    async def end_when_asked(self) -> None:
        """End in order on SIGTERM, as on the command `finish`: outcomes told, everybody out."""
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            async for _ in signals:
                await self._carry_out({"do": "finish", "id": UNASKED})
                return

    async def _carry_out(self, command: dict[str, Any]) -> None:
        method = getattr(self, f"do_{command['do']}")
        try:
            reply = await method(command)
        except (ConnectionError, KeyError) as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        if self.stopping.is_set():
            self._recorder.close()
            reply["books"] = self._recorder.told()
        _say({"id": command["id"], **reply})
        if self.stopping.is_set():
            self._tasks.cancel_scope.cancel()


def _say(message: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def _main(job: Job) -> None:
    connector = load_system(job.system).connector(job.connect)
    async with connector, anyio.create_task_group() as tasks:
        worker = Worker(job, connector, tasks)
        tasks.start_soon(worker.pace)
        tasks.start_soon(worker.report)
        tasks.start_soon(worker.tell_offered)
        tasks.start_soon(worker.obey)
        tasks.start_soon(worker.end_when_asked)
        _say({"ready": True})


def _read_job() -> Job:
    """Return the job, which comes before the commands; nothing behind it is read."""
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as stdin:
        size = int(stdin.readline(LENGTH_BYTES_MAX))
        told = b""
        while len(told) < size:
            piece = stdin.read(size - len(told))
            if not piece:
                raise EOFError("the harness ended before it had told what to do")
            told += piece
    return msgspec.json.decode(told, type=Job)


def main() -> None:
    """Run the load process described by what stands first on the standard input."""
    job = _read_job()
    anyio.run(_main, job, backend_options={"use_uvloop": True})


if __name__ == "__main__":
    main()
