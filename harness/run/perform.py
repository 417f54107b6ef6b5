"""Carrying out the phases of a plan. Each ends by a condition or a deadline, never by a sleep."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import msgspec

from harness.errors import HarnessError
from harness.faults.fault import Target
from harness.faults.process_kill import ProcessKill
from harness.faults.process_terminate import ProcessTerminate
from harness.faults.targets import ProcessTarget
from harness.history.records import (
    FAIL,
    INFO,
    OK,
    PRESENCE_UNANSWERED,
    PhaseMarked,
    PresenceSeen,
    ResizeCompleted,
    ResizeInvoked,
)
from harness.load.churn import ChurnPlan
from harness.load.groups import reader_name
from harness.load.roster import seat_extras, seat_readers, seat_senders
from harness.run.drain import close_senders, drain, finish_senders, told_since
from harness.run.lacks import Lacks
from harness.run.rule import look_at_epochs
from harness.run.stage import Stage
from harness.run.storm import Clients, ClientStorm
from harness.scenario.extras import Extra
from harness.scenario.performed import Performed, must_be_declared
from harness.scenario.phases import (
    AskPresence,
    CatchUp,
    Churn,
    Drain,
    Inspect,
    Kill,
    Load,
    Login,
    Logout,
    OwnPhase,
    Phase,
    Promote,
    Read,
    Restart,
    Send,
    SendExtras,
    Start,
    Storm,
    Stream,
)
from harness.systems.port import (
    Deployment,
    Resized,
    as_inspectable,
    as_presence_aware,
    as_resizable,
    as_restartable,
)
from harness.user_code import told, where

LOAD = "load"
"""The phase mark of a load; one with a label is "load:" and the label."""

ADMINISTRATOR = "administrator"
"""Who promotes and asks for presence, in `client_errors`."""

POLL_S = 0.05
"""How often a condition in a load process is asked for."""

SENDERS_UP_WITHIN_S = 20.0
"""Deadline for the senders of a phase to be connected before its schedule begins."""

BEGIN_AFTER_NS = 50_000_000
"""A schedule begins this much later than now, so that every load process has got it."""

ADMIN_WITHIN_S = 15.0
"""Deadline of a promotion, a presence question and of one inspected inbox's first row."""

RECEIVERS_REST_WITHIN_S = 15.0
"""How long receivers that are on their way in or out are waited for, before presence is asked."""

PROMOTE_AGAIN_S = 0.2
"""Pause before a promotion with an unknown outcome is asked for again."""

PRESENCE_ASKED_MAX = 3
"""How often one phase asks for presence, while nodes are woken later and later."""

PRESENCE_MARGIN_S = 0.3
"""Waited beyond the bound, so that the gauges of the last second are in."""

RECEIVER_UP_S_MIN = 0.5
"""Share of a receiver's mean time up that is granted before chance may cut it, so that presence
has time to settle between two cuts."""


async def perform(stage: Stage, phase: Phase) -> None:
    """Carry out one phase.

    Raises:
        HarnessError: The harness or the deployment could not do its part.
    """
    match phase:
        case Promote():
            with stage.phase("promote"):
                await promote(stage, phase)
        case Send() | SendExtras():
            with stage.phase("send"):
                await _send(stage, phase)
        case Load():
            with stage.phase(f"{LOAD}:{phase.label}" if phase.label else LOAD):
                await _load(stage, phase)
        case Login():
            with stage.phase("login"):
                await _login(stage, phase)
        case Read():
            with stage.phase("read"):
                readers = [reader_name(inbox, phase.device) for inbox in phase.inboxes]
                await stage.crew.readers.command("read", readers=readers)
        case CatchUp():
            with stage.phase("catch_up"):
                await _catch_up(stage, phase)
        case Logout():
            with stage.phase("logout"):
                readers = [reader_name(inbox) for inbox in phase.inboxes]
                await stage.crew.readers.command("logout", readers=readers)
        case Restart():
            with stage.phase("restart"):
                await _restart(stage, phase)
        case Kill():
            with stage.phase("kill"):
                await _kill(stage, phase)
        case Start():
            with stage.phase("start"):
                await _start(stage, phase)
        case AskPresence():
            with stage.phase("ask_presence"):
                await _ask_presence(stage, phase)
        case Inspect():
            with stage.phase("inspect"):
                await inspect(stage, phase.inboxes)
        case Drain():
            await drain(stage, phase)
        case _:
            with stage.phase(phase.name):
                await _carry_out(stage, phase)


async def _carry_out(stage: Stage, phase: OwnPhase) -> None:
    """Carry out a phase of the author's own, and see that it performs what it declares."""
    hands = _Hands(stage, phase)
    try:
        await phase.carry_out(hands)
    except HarnessError:
        raise
    except Exception as error:
        # Whoever wrote the phase looks for the mistake in a file of his own.
        own = phase.own if isinstance(phase, Performed) else phase
        trouble = told(error, where(own.carry_out))
        raise HarnessError(f"phase {phase.name}: {trouble}") from error
    for declared in phase.declared if isinstance(phase, Performed) else ():
        if declared not in hands.performed:
            kind = type(declared).__name__
            stage.trouble.append(
                ("not_performed", f"the own phase {phase.name} declares a {kind} and never did it")
            )


@dataclass(frozen=True, slots=True)
class _Hands:
    """What a phase of a scenario's author gets hold of; the rest of the stage may move."""

    stage: Stage
    own: OwnPhase
    performed: list[Phase] = field(default_factory=list)

    @property
    def deployment(self) -> Deployment:
        return self.stage.deployment

    def now_ns(self) -> int:
        return self.stage.now_ns()

    def note(self, text: str) -> None:
        self.stage.observer.note(text)

    async def perform(self, phase: Phase) -> None:
        fitted: Phase | None = phase
        declared = False
        if isinstance(self.own, Performed):
            declared, fitted = self.own.as_it_applies(phase)
        if not declared:
            self._refuse_undeclared(phase)
            fitted = phase
        self.performed.append(phase)
        if fitted is not None:
            await perform(self.stage, fitted)

    def _refuse_undeclared(self, phase: Phase) -> None:
        """Refuse what the plan has to know of, and what the system cannot do."""
        why = must_be_declared(phase)
        if lack := Lacks(self.stage.system).of_phase(phase):
            why = f"what cannot be, {lack.what}: {lack.why}"
        if why:
            raise HarnessError(
                f"the own phase {self.own.name} performs {why} ({type(phase).__name__}) that it"
                " does not declare, so the plan does not have it: give the phase an attribute"
                " performs, a tuple that holds the very phases which it performs"
            )


async def promote(stage: Stage, phase: Promote) -> None:
    """Ask for a bucket count, expecting the epoch that the runner knows to be in force.

    An unknown outcome is asked for again, which is safe since the request names its epoch: if it
    is refused then, the one before it has taken effect. One of an inbox whose last promotion is not
    through, since the core is away, waits for it: otherwise it would name an epoch that is over.
    """
    stage.note_inboxes((phase.inbox,))
    async with stage.turns.setdefault(phase.inbox, anyio.Lock()):
        await _promote_in_turn(stage, phase)


async def _promote_in_turn(stage: Stage, phase: Promote) -> None:
    expected = stage.epochs.get(phase.inbox, 0)
    deadline_ns = stage.now_ns() + int(ADMIN_WITHIN_S * 1e9)
    unknown = False
    while True:
        resized = await _promote_once(stage, phase, expected)
        if resized.outcome == OK or (unknown and resized.outcome == FAIL):
            stage.epochs[phase.inbox] = expected + 1
        if resized.outcome != INFO or stage.now_ns() > deadline_ns:
            return
        unknown = True
        await anyio.sleep(PROMOTE_AGAIN_S)


async def _promote_once(stage: Stage, phase: Promote, expected: int) -> Resized:
    stage.recorder.write_now(
        (
            ResizeInvoked(
                t_ns=stage.now_ns(),
                inbox=phase.inbox,
                expected_epoch=expected,
                bucket_count=phase.bucket_count,
            ),
        )
    )
    with anyio.fail_after(ADMIN_WITHIN_S):
        resized = await as_resizable(stage.deployment).resize(
            phase.inbox, expected, phase.bucket_count
        )
    if resized.outcome != OK:
        stage.errors.hear(ADMINISTRATOR, "outcome", resized.error, stage.now_ns())
    stage.recorder.write_now(
        (
            ResizeCompleted(
                t_ns=stage.now_ns(),
                inbox=phase.inbox,
                expected_epoch=expected,
                bucket_count=phase.bucket_count,
                outcome=resized.outcome,
                epoch=resized.epoch,
                pos_first=resized.pos_first,
                error=resized.error,
            ),
        )
    )
    return resized


def _senders_of(
    phase: Send | SendExtras | Load,
) -> tuple[tuple[Stream, ...], tuple[Extra, ...]]:
    match phase:
        case Send():
            return (phase.stream,), ()
        case SendExtras():
            return (), phase.extras
        case Load():
            return phase.streams, phase.extras


async def _begin_senders(
    stage: Stage, phase: Send | SendExtras | Load, duration_s: float, churn: Churn | None
) -> int:
    """Give out the schedules, wait until the senders are up, return when the schedules end."""
    streams, extras = _senders_of(phase)
    for to in (*(stream.to for stream in streams), *(extra.to for extra in extras)):
        stage.note_inboxes(to)
    hands = stage.crew.senders
    seats = seat_senders(
        streams,
        stage.plan.topology.edges,
        len(hands),
        stage.rng,
        stage.groups,
        stage.sender_serial,
        stage.plan.recut_count,
    )
    stage.sender_serial += sum(map(len, seats))
    more = seat_extras(
        extras,
        stage.plan.topology.edges,
        len(hands),
        stage.rng,
        stage.groups,
        duration_s if isinstance(phase, Load) else 0.0,
        stage.extra_serial,
        stage.plan.recut_count,
    )
    stage.extra_serial += sum(map(len, more))
    seats = [[*own, *drawn] for own, drawn in zip(seats, more, strict=True)]
    stage.senders.update((str(seat.producer), seat.name) for mine in seats for seat in mine)
    plan = None
    if churn is not None and churn.sender_up_s:
        plan = msgspec.to_builtins(ChurnPlan(up_s=churn.sender_up_s, down_s=churn.down_s))
    # The senders connect first: a schedule that begins before they are up would measure start-up.
    begin_ns = stage.now_ns() + BEGIN_AFTER_NS
    end_ns = begin_ns + int(duration_s * 1e9)
    for hand, mine in zip(hands, seats, strict=True):
        await hand.command(
            "senders",
            seats=msgspec.to_builtins(mine),
            begin_ns=begin_ns,
            end_ns=end_ns,
            churn=plan,
        )
    for reply in await stage.crew.all_senders("senders_up", within_s=SENDERS_UP_WITHIN_S):
        if not reply["up"]:
            stage.observer.note("some senders did not connect in time; they go on trying")
    return end_ns


async def _send(stage: Stage, phase: Send | SendExtras) -> None:
    await _begin_senders(stage, phase, phase.within_s, None)
    await finish_senders(stage, within_s=phase.within_s, stuck_after_s=phase.within_s)
    await close_senders(stage)


async def _load(stage: Stage, phase: Load) -> None:
    if phase.churn.receiver_up_s:
        plan = ChurnPlan(
            up_s=phase.churn.receiver_up_s,
            down_s=phase.churn.down_s,
            up_s_min=RECEIVER_UP_S_MIN * phase.churn.receiver_up_s,
            from_cursor_share=phase.churn.from_cursor_share,
        )
        await stage.crew.readers.command("receiver_churn", churn=msgspec.to_builtins(plan))
    end_ns = await _begin_senders(stage, phase, phase.duration_s, phase.churn)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stage.nemesis.run, phase.faults)
        for after_s, event in phase.during:
            tasks.start_soon(_after, after_s, stage, event)
        if phase.presence_every_s:
            tasks.start_soon(_poll_presence, stage, phase)
        # Times of faults count from here. The schedules began a moment ago or begin in a moment;
        # what they promised to send is all sent before they are ended.
        await anyio.sleep(max(phase.duration_s, (end_ns - stage.now_ns()) / 1e9))
        await stage.crew.all_senders("end_schedules")
    await stage.crew.readers.command("receiver_churn", churn=None)


async def _after(after_s: float, stage: Stage, event: Promote | Storm | Inspect) -> None:
    await anyio.sleep(after_s)
    match event:
        case Promote():
            await promote(stage, event)
        case Storm():
            storm = ClientStorm(down_s=event.down_s)
            await stage.nemesis.strike_now(storm, Clients(crew=stage.crew))
        case Inspect():
            await inspect(stage, event.inboxes)


async def _poll_presence(stage: Stage, phase: Load) -> None:
    end_ns = stage.now_ns() + int(phase.duration_s * 1e9)
    while stage.now_ns() < end_ns:
        await ask_presence(stage, tuple(stage.seated))
        await anyio.sleep(phase.presence_every_s)


async def ask_presence(stage: Stage, users: tuple[str, ...]) -> None:
    """Ask once and record the answers, or that a question that found no core had none."""
    t_invoked_ns = stage.now_ns()
    try:
        with anyio.fail_after(ADMIN_WITHIN_S):
            views = await as_presence_aware(stage.deployment).presence(users)
    except (ConnectionError, TimeoutError) as error:
        stage.errors.hear(ADMINISTRATOR, "ask", str(error) or "no answer", stage.now_ns())
        mark = PhaseMarked(t_ns=stage.now_ns(), name=PRESENCE_UNANSWERED, begins=True)
        stage.recorder.write_now((mark,))
        return
    stage.recorder.write_now(
        tuple(
            PresenceSeen(
                t_ns=stage.now_ns(),
                t_invoked_ns=t_invoked_ns,
                user=view.user,
                online=view.online,
                edge=view.edge,
                session=view.session,
            )
            for view in views
        )
    )


async def _login(stage: Stage, phase: Login) -> None:
    stage.note_inboxes(phase.inboxes)
    stage.seated.update(dict.fromkeys(phase.inboxes))
    edges = stage.plan.topology.edges
    seats = seat_readers(phase.inboxes, edges, phase.edge, stage.groups, phase.device, phase.moves)
    begun_ns = stage.now_ns()
    reply = await stage.crew.readers.command(
        "login",
        seats=msgspec.to_builtins(seats),
        from_cursor=phase.from_cursor,
        reads=phase.reads,
        within_s=phase.within_s,
    )
    if not reply.get("up"):
        text = f"not every receiver logged in within {phase.within_s} s"
        stage.trouble.append(("stuck", text + told_since(stage, begun_ns)))


async def _catch_up(stage: Stage, phase: CatchUp) -> None:
    readers = [reader_name(inbox, phase.device) for inbox in phase.inboxes]
    hand = stage.crew.readers
    ends: dict[str, int] = {}

    async def reached() -> bool:
        if not ends:
            reply = await hand.command("end", readers=readers)
            # A session that was just lost cannot ask; its receiver logs in again.
            ends.update(reply.get("pos", {}))
        now = await hand.command("positions", readers=readers)
        return bool(ends) and all(now["pos"][name] >= ends[name] for name in readers)

    if not await wait_until(reached, within_s=phase.within_s):
        stage.trouble.append(("stuck", f"receivers did not catch up within {phase.within_s} s"))


async def wait_until(condition: Callable[[], Awaitable[bool]], *, within_s: float) -> bool:
    """Ask for a condition until it holds or the deadline has passed; return whether it holds."""
    with anyio.move_on_after(within_s):
        while not await condition():
            await anyio.sleep(POLL_S)
        return True
    return False


def _node_of(stage: Stage, phase: Restart | Kill | Start) -> Target | None:
    """Return the target that a phase names; None where a system does not offer all of it as one."""
    edges = stage.plan.topology.edges
    name = f"edge:{edges[phase.index]}" if phase.role == "edge" else phase.role
    found = stage.nemesis.find(name)
    whole = isinstance(found, ProcessTarget) and found.kill and found.terminate and found.start
    return found if whole else None


async def _restart(stage: Stage, phase: Restart) -> None:
    node = _node_of(stage, phase)
    if node is not None:
        fault = ProcessKill(duration_s=0) if phase.kill else ProcessTerminate(duration_s=0)
        await stage.nemesis.strike_now(fault, node)
        return
    nodes = as_restartable(stage.deployment)
    if phase.kill:
        await nodes.kill(phase.role, phase.index)
    else:
        await nodes.stop(phase.role, phase.index)
    await nodes.start(phase.role, phase.index)


async def _kill(stage: Stage, phase: Kill) -> None:
    node = _node_of(stage, phase)
    if node is None:
        await as_restartable(stage.deployment).kill(phase.role, phase.index)
    else:
        await stage.nemesis.begin(ProcessKill(duration_s=0), node)


async def _start(stage: Stage, phase: Start) -> None:
    node = _node_of(stage, phase)
    if node is None or not await stage.nemesis.end(node):
        await as_restartable(stage.deployment).start(phase.role, phase.index)


async def _ask_presence(stage: Stage, phase: AskPresence) -> None:
    async def at_rest() -> bool:
        return not (await stage.crew.readers.command("receiver_state"))["moving"]

    await wait_until(at_rest, within_s=RECEIVERS_REST_WITHIN_S)
    # Nobody may judge presence before the promised bound has passed since the last change, and a
    # node that was not woken in time gets that time on top, as the check will give it. If one was
    # later than any before while we waited, that was not long enough.
    for _ in range(PRESENCE_ASKED_MAX):
        lag_ns = stage.lag_ns_max
        await anyio.sleep(stage.system.presence_bound_s + 2 * lag_ns / 1e9 + PRESENCE_MARGIN_S)
        await ask_presence(stage, phase.users)
        if stage.lag_ns_max == lag_ns:
            return


async def inspect(stage: Stage, inboxes: tuple[str, ...]) -> None:
    """Record where every message of the inboxes is stored; one inspection after the other."""
    async with stage.inspecting:
        await look_at_epochs(stage)
        async for record in as_inspectable(stage.deployment).audit(inboxes, stage.now_ns):
            stage.recorder.write(record)
        stage.recorder.flush()
