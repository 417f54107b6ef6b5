"""A link swallows what goes in one direction, as a network does that drops one way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.errors import UsageError
from harness.faults import silence
from harness.faults.fault import LINK, Effect, Target
from harness.faults.registry import fault
from harness.faults.targets import as_link
from harness.links.directions import BOTH, ways
from harness.links.proxies import UPSTREAM

_NAME = "fault-swallow"


@fault("link_cut_one_way")
@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCutOneWay:
    """Swallow all bytes of a link in one direction (timeout 0).

    Connections look open to both ends, and new ones are accepted. Healing closes those that were
    open meanwhile, since bytes of theirs are lost.

    Observed: pings on a connection that is open are not answered, and healing ends it.

    Attributes:
        direction: "upstream" (client → server) or "downstream".
        duration_s: How long it holds.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = LINK

    direction: str = UPSTREAM
    duration_s: float = 3.0

    def __post_init__(self) -> None:
        ways(self.direction)
        if self.direction == BOTH:
            raise UsageError("direction 'both': link_cut does that")

    async def inject(self, target: Target) -> Effect:
        """Swallow; observe that pings get no reply and their connection does not end."""
        link = as_link(target)
        probe = await silence.begin(link, self.kind)
        await link.impose(_NAME, "timeout", {"timeout": 0}, ways(self.direction))
        return await silence.listen(probe)

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """Pings were not answered on a connection that stayed open, and ended at the healing."""
        return silence.is_silent(dict(effect)) and effect.get("ended_after", 1) == 1

    async def heal(self, target: Target) -> Effect:
        """Swallow no more; observe that the connection that lost bytes is closed."""
        link = as_link(target)
        await link.lift(_NAME)
        return await silence.end(link, self.kind, answered=False)
