"""A link stands still for a time: bytes are held, connections stay open, none is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.faults import silence
from harness.faults.fault import LINK, Effect, Target
from harness.faults.registry import fault
from harness.faults.targets import as_link
from harness.links.directions import BOTH, ways

_NAME = "fault-pause"


@fault("link_pause")
@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPause:
    """Hold the bytes of a link (bandwidth 0, the only pause of Toxiproxy's that loses nothing).

    A pause beyond a node's heartbeat deadline makes that node close the connection.

    Observed: pings on a connection that is open are not answered while it holds, and are when it
    heals, unless the node gave that connection up.

    Attributes:
        direction: "upstream", "downstream" or "both".
        duration_s: How long it holds.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = LINK
    takes_link: ClassVar[bool] = True

    direction: str = BOTH
    duration_s: float = 1.0

    def __post_init__(self) -> None:
        ways(self.direction)

    async def inject(self, target: Target) -> Effect:
        """Hold it; observe that pings get no reply and their connection does not end."""
        link = as_link(target)
        probe = await silence.begin(link, self.kind)
        await link.impose(_NAME, "bandwidth", {"rate": 0}, ways(self.direction))
        return await silence.listen(probe)

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """Pings were not answered while it held, and healing gave them all back.

        A node that gave the connection up meanwhile has nothing to give back to.
        """
        if not silence.is_silent(dict(effect)):
            return False
        held_bytes = effect["sent_bytes"] - effect["replied_bytes"]
        given_back = effect.get("read_after_bytes", held_bytes) >= held_bytes
        return given_back or effect["ended_after"] == 1

    async def heal(self, target: Target) -> Effect:
        """Let the held bytes through; observe how many of the pings are answered after all."""
        link = as_link(target)
        await link.lift(_NAME)
        return await silence.end(link, self.kind, answered=True)
