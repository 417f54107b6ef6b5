"""The wall clock of a node jumps, and jumps back when this heals."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import anyio

from harness.errors import HarnessError, UsageError
from harness.faults.fault import SWITCHED, Effect, Target
from harness.faults.registry import fault
from harness.faults.switches import Switch
from harness.faults.targets import ProcessTarget, as_switched
from harness.faults.waiting import wait_for_process

GAUGE = "wall_clock_us"
"""The gauge in which a node tells its own wall clock, as microseconds since 1970."""

JUMP_S_MIN = 10.0
"""A smaller jump cannot be told from the age of the gauge."""

JUMP_S_MAX = 10 * 365 * 86_400.0
"""Ten years; what a gauge can tell ends some 200 years from now."""

SLACK_S = 5.0
"""How far a node's gauge may be off: its age, and the way of the answer."""

SEEN_WITHIN_S = 15.0
"""Deadline for a node's gauge to show the jump; one that is recovering answers when it is ready."""

POLL_S = 0.05


@fault("clock_jump")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClockJump:
    """Shift a node's wall clock: forward and back, or back and forth where jump_s is negative.

    Without root no process can change the machine's clock, so the offset is put into the node when
    it is started with switches: it reaches `time.time` and `time.time_ns` of its Python code, and
    so its store's and its log's time stamps. It does not reach `datetime.now`, SQLite's own date
    functions, the kernel's time stamps or other processes; nor does it jump the monotonic clock,
    which no change of the wall clock moves.

    Observed: the node's own wall clock as its gauge tells it, against the harness's.

    Attributes:
        jump_s: How far; negative is backwards; from 10 s to ten years either way.
        duration_s: How long until it jumps back.
        wait_s: How long to wait for it to run, should an earlier fault still hold.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = SWITCHED

    jump_s: float = 3600.0
    duration_s: float = 2.0
    wait_s: float = 10.0

    def __post_init__(self) -> None:
        # The comparison is written so that NaN is refused.
        if not JUMP_S_MIN <= abs(self.jump_s) <= JUMP_S_MAX:
            allowed = f"from {JUMP_S_MIN:g} up to {JUMP_S_MAX:g} either way"
            raise UsageError(f"jump_s={self.jump_s!r}: {allowed}")

    async def inject(self, target: Target) -> Effect:
        """Jump; observe how far the node's own clock is off before and after."""
        node, switches = as_switched(target)
        await wait_for_process(node.process, within_s=self.wait_s)
        before_s = await _wait_off(node.process, 0.0)
        switches.set(Switch.CLOCK_OFFSET_US, int(self.jump_s * 1e6))
        after_s = await _wait_off(node.process, self.jump_s)
        return {**_known("off_before_s", before_s), **_known("off_after_s", after_s)}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """The node's clock went as far as it was told."""
        if "off_before_s" not in effect or "off_after_s" not in effect:
            return False
        return abs(effect["off_after_s"] - effect["off_before_s"] - self.jump_s) <= SLACK_S

    async def heal(self, target: Target) -> Effect:
        """Jump back; observe that, if this is what set it off.

        Raises:
            HarnessError: The node tells a clock that is still off.
        """
        node, switches = as_switched(target)
        if switches.get(Switch.CLOCK_OFFSET_US) == 0:
            return {}
        switches.set(Switch.CLOCK_OFFSET_US, 0)
        off_s = await _wait_off(node.process, 0.0)
        if off_s is not None and abs(off_s) > SLACK_S:
            raise HarnessError(f"{target.name}: its clock is still off by {off_s:.0f} s")
        return _known("off_healed_s", off_s)


def _known(name: str, value_s: float | None) -> Effect:
    return {} if value_s is None else {name: value_s}


async def _wait_off(process: ProcessTarget, expected_s: float) -> float | None:
    """Return how far the node's clock is off, once that is about as expected or time is over.

    None when it could not be asked at the end.
    """
    deadline = time.monotonic() + SEEN_WITHIN_S
    while True:
        off_s = await _ask(process)
        seen = off_s is not None and abs(off_s - expected_s) <= SLACK_S
        if seen or time.monotonic() > deadline:
            return off_s
        await anyio.sleep(POLL_S)


async def _ask(process: ProcessTarget) -> float | None:
    if process.gauges is None:
        return None
    try:
        gauges = await process.gauges()
    except ConnectionError:
        return None
    return gauges[GAUGE] / 1e6 - time.time() if GAUGE in gauges else None
