"""An auditor keeps its inbox, whatever happens to the reader that it supersedes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from harness.load.payloads import Bodies
from harness.load.roster import ReaderSeat
from harness.load.worker import Job, Worker
from harness.systems.port import Login

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Inbox:
    """Receivers of one inbox: the last login wins, and a login takes until it is let through."""

    def __init__(self) -> None:
        self.sessions = 0
        self.active: Client | None = None
        self.doors: dict[str, anyio.Event] = {}
        self.clients: dict[str, Client] = {}

    def receiver(self, *, group: str, lost: Callable[[int, str], None], **_: Any) -> Client:
        self.clients[group] = Client(self, group, lost)
        return self.clients[group]


class Client:
    """A receiver of that inbox."""

    def __init__(self, inbox: Inbox, name: str, lost: Callable[[int, str], None]) -> None:
        self.inbox, self.name, self.lost = inbox, name, lost
        self.session = -1

    async def login(self, _edge: str, _from_pos: int) -> Login:
        if door := self.inbox.doors.get(self.name):
            await door.wait()
        before, self.inbox.active = self.inbox.active, self
        if before is not None and before is not self:
            before.lost(before.session, "superseded")
        self.inbox.sessions += 1
        self.session = self.inbox.sessions
        return Login(session=self.session, next_pos=0)

    def lose(self) -> None:
        self.lost(self.session, "lost")


def seat(name: str, *, audit: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(
        ReaderSeat(reader=name, inbox="x", edge="a", group=name, audit=audit)
    )
    return found


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[tuple[Worker, Inbox]]:
    inbox = Inbox()
    job = Job(
        system="", connect={}, run_id="r", seed=1, t0_ns=0, process=1,
        history_path=str(tmp_path / "0001.msgpack"),
        bodies=Bodies(size_bytes_min=1, size_bytes_max=1),
        bodies_to={}, edges=("a",),
    )  # fmt: skip
    connector: Any = inbox
    async with anyio.create_task_group() as tasks:
        worker = Worker(job, connector, tasks)
        tasks.start_soon(worker.pace)
        yield worker, inbox
        worker.stopping.set()
        tasks.cancel_scope.cancel()


async def login(worker: Worker, name: str, *, audit: bool = False) -> bool:
    reply = await worker.do_login(
        {"seats": [seat(name, audit=audit)], "from_cursor": False, "within_s": 1.0}
    )
    return bool(reply["up"])


async def test_a_reader_that_is_lost_beside_its_auditor_stays_away(
    stage: tuple[Worker, Inbox],
) -> None:
    worker, inbox = stage
    assert await login(worker, "reader-x")
    inbox.doors["audit-x"] = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(login, worker, "audit-x", audit=True))
        with anyio.fail_after(2):
            while "audit-x" not in inbox.clients:
                await anyio.sleep(0.01)
        inbox.clients["reader-x"].lose()
        # Longer than a lost receiver waits before it comes back.
        await anyio.sleep(0.15)
        assert inbox.sessions == 1
        inbox.doors["audit-x"].set()
    assert inbox.active is inbox.clients["audit-x"]


async def test_an_auditor_that_a_late_login_pushed_out_comes_back(
    stage: tuple[Worker, Inbox],
) -> None:
    worker, inbox = stage
    assert await login(worker, "reader-x")
    inbox.doors["reader-x"] = anyio.Event()
    inbox.clients["reader-x"].lose()
    await anyio.sleep(0.1)
    # The reader is on its way back when the auditor comes.
    assert await login(worker, "audit-x", audit=True)
    inbox.doors["reader-x"].set()
    with anyio.fail_after(2):
        while inbox.sessions < 4:
            await anyio.sleep(0.01)
    assert inbox.active is inbox.clients["audit-x"]
