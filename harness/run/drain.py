"""The drain: heal, let the senders finish, read every inbox to its confirmed end.

Without a drain that reached the end, the absence of a message proves nothing; so whatever stops it
short leaves safety UNKNOWN and says why (`stuck`: no progress at all; `drain_slow`: it moved, and
the deadline passed).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import msgspec

from harness.history.records import PhaseMarked
from harness.load.groups import process_group, reader_name
from harness.load.roster import ReaderSeat, seat_readers
from harness.run.crew import Hand
from harness.run.outage import last_words
from harness.run.stage import Stage
from harness.scenario.phases import Drain
from harness.systems.port import as_inspectable
from harness.systems.promises import Ability

POLL_S = 0.05
"""How often progress is asked for."""

ACKS_WITHIN_S = 1.0
"""How long the answers to the last cursors are waited for, behind the end of an inbox."""

END_WITHIN_S = 20.0
"""Deadline for the readers of the drain to log in and to learn where their inboxes end."""


async def drain(stage: Stage, phase: Drain) -> None:
    """Bring the run to rest and read everything.

    What could not be reached is noted in `stage.trouble`.
    """
    deadline_ns = stage.now_ns() + int(phase.within_s * 1e9)

    def left_s() -> float:
        return max(0.0, (deadline_ns - stage.now_ns()) / 1e9)

    with stage.phase("heal"):
        await stage.nemesis.heal_all()
        await stage.crew.readers.command("receiver_churn", churn=None)
        await stage.crew.all_senders("end_schedules")
    with stage.phase("finish_senders"):
        await finish_senders(stage, within_s=left_s(), stuck_after_s=phase.stuck_after_s)
        await close_senders(stage)
    stage.recorder.write_now((PhaseMarked(t_ns=stage.now_ns(), name="quiet", begins=True),))
    edges = stage.plan.topology.edges
    with stage.phase("read_to_end"):
        seats = seat_readers(tuple(stage.inboxes), edges, "", stage.groups)
        reached = await _read_to_end(stage, seats, left_s, phase.stuck_after_s)
    if reached:
        stage.recorder.write_now((PhaseMarked(t_ns=stage.now_ns(), name="drained", begins=True),))
        if phase.reread:
            with stage.phase("audit"):
                seats = [
                    ReaderSeat(
                        reader=f"audit-{inbox}",
                        inbox=inbox,
                        edge=edges[index % len(edges)],
                        group=process_group(stage.groups.processes),
                        audit=True,
                    )
                    for index, inbox in enumerate(stage.inboxes)
                ]
                await _read_to_end(stage, seats, left_s, phase.stuck_after_s)
    readers = [reader_name(inbox) for inbox in stage.inboxes]
    await stage.crew.readers.command("logout", readers=readers)
    if phase.inspect is not False and Ability.INSPECT in stage.system.abilities:
        with stage.phase("inspect"):
            audit = as_inspectable(stage.deployment).audit(tuple(stage.inboxes), stage.now_ns)
            async for record in audit:
                stage.recorder.write(record)
            stage.recorder.flush()


async def finish_senders(stage: Stage, *, within_s: float, stuck_after_s: float) -> None:
    """Wait until every message handed over has an outcome."""

    async def state() -> tuple[bool, object]:
        replies = await stage.crew.all_senders("sender_state")
        done = all(reply["unfinished"] == 0 for reply in replies)
        return done, tuple((reply["unfinished"], reply["open"]) for reply in replies)

    await _until_done(stage, state, lambda: within_s, stuck_after_s, "senders without an outcome")


async def close_senders(stage: Stage) -> None:
    """End the senders; what has no outcome becomes "info"."""
    await stage.crew.all_senders("close_senders")


async def _read_to_end(
    stage: Stage,
    seats: list[ReaderSeat],
    left_s: Callable[[], float],
    stuck_after_s: float,
) -> bool:
    """Log readers in and wait until each has everything up to the confirmed end of its inbox."""
    hand = stage.crew.readers
    names = [seat.reader for seat in seats]
    begun_ns = stage.now_ns()
    login = {"seats": msgspec.to_builtins(seats), "from_cursor": False}
    ends = await _ends(hand, names, login, min(END_WITHIN_S, left_s()))
    if "error" in ends:
        told = told_since(stage, begun_ns)
        stage.trouble.append(("stuck", f"after healing: {ends['error']}{told}"))
        return False

    async def state() -> tuple[bool, object]:
        now = await hand.command("positions", readers=names)
        done = all(now["pos"][name] >= ends["pos"][name] for name in names)
        return done, tuple(now["pos"].values())

    reached = await _until_done(stage, state, left_s, stuck_after_s, "readers short of the end")
    await _let_acks_settle(stage, names)
    return reached


async def _ends(
    hand: Hand, names: list[str], login: Mapping[str, Any], within_s: float
) -> dict[str, Any]:
    """Log readers in and ask where their inboxes end; the reply of the worker, or its "error".

    A connection that ends between the login and the answer is no verdict on anything: the reader
    logs in again and asks again, until the deadline.
    """
    ends: dict[str, Any] = {"error": "not every reader could log in"}
    deadline_s = anyio.current_time() + within_s
    while (left_s := deadline_s - anyio.current_time()) > 0:
        reply = await hand.command("login", **login, within_s=left_s)
        if not reply.get("up"):
            break
        ends = await hand.command("end", readers=names)
        if "error" not in ends:
            break
        ends = {"error": f"the end of an inbox could not be read: {ends['error']}"}
        await anyio.sleep(POLL_S)
    return ends


async def _let_acks_settle(stage: Stage, names: list[str]) -> None:
    """Wait a moment for the last cursors to be answered; in a short run they are the only ones.

    A system that answers none is not stuck: what is promised of cursors is judged by its checks.
    """
    with anyio.move_on_after(ACKS_WITHIN_S):
        while (await stage.crew.readers.command("positions", readers=names))["acks_open"]:
            await anyio.sleep(POLL_S)


def told_since(stage: Stage, since_ns: int) -> str:
    """Return what clients were told last since then, to stand behind what did not happen."""
    words = last_words(stage.crew.client_errors(), since_ns)
    return f"; {words}" if words else ""


async def _until_done(
    stage: Stage,
    state: Callable[[], Awaitable[tuple[bool, object]]],
    left_s: Callable[[], float],
    stuck_after_s: float,
    what: str,
) -> bool:
    """Poll (done, progress) until done, until no progress for too long, or until the deadline."""
    begin_ns = stage.now_ns()
    within_s = left_s()
    moved_ns = begin_ns
    last: object = None
    while True:
        done, progress = await state()
        now_ns = stage.now_ns()
        if done:
            return True
        if progress != last:
            last, moved_ns = progress, now_ns
        if now_ns - moved_ns > stuck_after_s * 1e9:
            text = f"{what}: no progress for {stuck_after_s:g} s{told_since(stage, moved_ns)}"
            stage.trouble.append(("stuck", text))
            return False
        if now_ns - begin_ns > within_s * 1e9:
            text = f"{what}: not done within {within_s:g} s{told_since(stage, moved_ns)}"
            stage.trouble.append(("drain_slow", text))
            return False
        await anyio.sleep(POLL_S)
