"""The live connections of a link are reset: both ends see ECONNRESET, bytes on the way are lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.faults.fault import LINK, Effect, Target
from harness.faults.registry import fault
from harness.faults.targets import as_link
from harness.faults.waiting import strike_connected
from harness.links.link import Link


@fault("link_reset")
@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReset:
    """Reset a link once. The link must have been opened for resets (`Links.start`).

    All that was sent before an orderly close arrives all the same, on Linux where the harness may
    borrow the proxy's sockets. Elsewhere every close of such a link is a reset, an orderly one too:
    a reader that is slow loses what it has not taken, and has to get it again. So the runner opens
    only those links so that a schedule resets.

    Observed: the open connections that were closed, and those of them that ended by a TCP reset:
    the kernel keeps nothing of them, as it does of every connection that ends in order.

    Attributes:
        wait_s: How long to wait for a connection to be open before resetting anyway.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = LINK
    takes_link: ClassVar[bool] = True
    duration_s: ClassVar[float] = 0.0

    wait_s: float = 2.0

    async def inject(self, target: Target) -> Effect:
        """Reset; observe the connections that closed and those that ended by a reset."""
        cut = await strike_connected(as_link(target), Link.reset, within_s=self.wait_s)
        effect = {"connections": float(cut.connections)}
        if cut.resets >= 0:
            effect["resets"] = cut.resets
        return effect

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """A connection was cut, and each by a reset as far as the kernel tells."""
        cut = effect["connections"]
        return cut >= 1 and effect.get("resets", cut) >= cut

    async def heal(self, target: Target) -> Effect:
        """Open the link, should the reset have been interrupted half-way."""
        await as_link(target).restore()
        return {}
