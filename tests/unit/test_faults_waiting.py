"""Striking when there is something to strike: a blow at nobody is dealt again, for a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from harness.faults.waiting import hold, strike_connected
from harness.links.link import Cut

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class ScriptedLink:
    """Shows a connection always, or says that it cannot tell; each cut finds what comes next."""

    def __init__(self, found: Sequence[int], *, open_now: int | None = 1) -> None:
        self.found = list(found)
        self.open_now = open_now
        self.log: list[str] = []

    def connections(self) -> int | None:
        return self.open_now

    async def cut(self) -> Cut:
        self.log.append("cut")
        connections = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        return Cut(connections=connections, resets=-1)

    async def restore(self) -> None:
        self.log.append("restore")


async def strike(link: Any, within_s: float) -> int:
    return (await strike_connected(link, ScriptedLink.cut, within_s=within_s)).connections  # type: ignore[arg-type]


async def test_who_was_gone_when_it_was_struck_is_waited_for_again() -> None:
    link = ScriptedLink([0, 0, 2])
    assert await strike(link, 5.0) == 2
    assert link.log == ["cut", "restore", "cut", "restore", "cut"]


async def test_the_last_blow_stays_when_time_is_over() -> None:
    link = ScriptedLink([0], open_now=0)
    assert await strike(link, 0.05) == 0
    assert link.log[-1] == "cut"


async def test_where_the_kernel_does_not_tell_there_is_one_blow() -> None:
    link = ScriptedLink([0, 2], open_now=None)
    assert await strike(link, 5.0) == 0
    assert link.log == ["cut"]


async def test_a_timer_that_wakes_early_shortens_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    sleep = anyio.sleep

    async def early(delay_s: float) -> None:
        await sleep(0.5 * delay_s)

    monkeypatch.setattr(anyio, "sleep", early)
    begun_s = time.monotonic()
    await hold(0.05)
    assert time.monotonic() - begun_s >= 0.05
