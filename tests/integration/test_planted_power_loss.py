"""Over a disk that loses power: what the core acknowledged is there, unless a bug is planted."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from harness.testing.bugs.registry import Medium, find_bug
from harness.testing.core_script import TOKEN, batch, oks
from harness.testing.keys import EDGE_KEY
from harness.testing.memory_store import CoreLoop
from harness.testing.simulator.nodes import Machine
from harness.testing.vfs import Loss, PowerVfs
from reference.core.machine import CoreMachine
from reference.core.settings import CoreSettings
from reference.events import Commit, Opened, Received, Recovered
from reference.store.port import StoreBroken, take_over
from reference.store.sqlite import SqliteStore
from reference.wire import messages as m
from reference.wire.limits import PROTOCOL_VERSION

pytestmark = pytest.mark.integration

CoreFactory = Callable[[CoreSettings, Recovered], Machine]


def lost_acknowledged(path: Path, make_core: CoreFactory, lose_at_write: int) -> int:
    """Return how many acknowledged messages are gone after the power failed at that write."""
    vfs = PowerVfs(f"planted-{path.name}-{lose_at_write}")
    settings = CoreSettings(edge_key=EDGE_KEY)
    try:
        store = SqliteStore(path, vfs=vfs.name)
        core = make_core(settings, take_over(store))
        loop = CoreLoop(core, store, lambda: 0)  # type: ignore[arg-type]
        loop.event(Opened(conn=1))
        loop.send(1, m.Hello(PROTOCOL_VERSION, "edge", "eu", TOKEN))
        # The commit runs beside the event loop, as in a node: what may leave leaves before it.
        loop.hold = (Commit,)
        vfs.lose_at_write = vfs.writes + lose_at_write
        with contextlib.suppress(StoreBroken):
            for n in range(0, 100, 5):
                loop.event(Received(conn=1, message=m.BatchSend(segments=(batch(n, 5),))))
                while loop.held:
                    loop.release()
        assert vfs.off, "the power did not fail while messages came"
        acknowledged = max((n + count for n, count, _ in oks(loop.take(1))), default=0)
        with contextlib.suppress(apsw.IOError):
            store.close()
        vfs.power_on(random.Random(lose_at_write), Loss.ALL)
        store = SqliteStore(path, vfs=vfs.name)
        durable = {mark.producer: mark.n_next for mark in store.recover().producers}
        store.close()
    finally:
        vfs.unregister()
    return acknowledged - durable.get(7, 0)


LOSSES = range(1, 40, 3)


def test_what_the_core_acknowledged_survives_a_power_loss(tmp_path: Path) -> None:
    lost = {at: lost_acknowledged(tmp_path / f"{at}.db", CoreMachine, at) for at in LOSSES}
    assert {at: count for at, count in lost.items() if count > 0} == {}


@pytest.mark.parametrize("name", ["acknowledge-before-commit"])
def test_a_core_that_acknowledges_before_the_commit_is_caught(tmp_path: Path, name: str) -> None:
    bug = find_bug(name)
    assert bug.medium is Medium.POWER_LOSS
    lost = [lost_acknowledged(tmp_path / f"{at}.db", bug.core, at) for at in LOSSES]
    assert all(count > 0 for count in lost)
