"""Template title: a fault of one's own, and a small scenario to try it with.

Try it with ``tallystick run ./template_name.py``. Other scenarios import it from here; so that
stored schedules are read back too, name it as an entry point of your package::

    [project.entry-points."tallystick.faults"]
    template_name = "your_package.template_name"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import anyio

from tallystick import (
    Ability,
    Drain,
    Effect,
    Load,
    Login,
    Plan,
    Requires,
    Scenario,
    Stream,
    Target,
    Topology,
    as_process,
    at,
    fault,
)


@fault("template_name")
@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateName:
    """A process stands still several times in a row, for a moment each.

    Observed: how often it was seen stopped.

    Attributes:
        times: How often.
        pause_s: How long each time; the same time passes between two of them.
        duration_s: How long the fault holds behind `inject`; this one is over by then.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = "process"

    times: int = 3
    pause_s: float = 0.1
    duration_s: float = 0.0

    async def inject(self, target: Target) -> Effect:
        """Do it, and return what was observed: numbers, the unit last in their names."""
        process = as_process(target)
        seen = 0
        for _ in range(self.times):
            await process.pause()
            seen += process.is_stopped()
            await anyio.sleep(self.pause_s)
            await process.resume()
            await anyio.sleep(self.pause_s)
        return {"pauses_seen": seen}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """Say whether what was observed proves the fault; if it does not, the run is UNKNOWN."""
        return effect.get("pauses_seen", 0) == self.times

    async def heal(self, target: Target) -> Effect:
        """Undo it, whatever `inject` came to; may be called twice."""
        await as_process(target).resume()
        return {}


SCENARIO = Scenario(
    name="template_name",
    claim="A core that stutters loses nothing.",
    needs=frozenset({Ability.PAUSE}),
    plan=Plan(
        topology=Topology(edges=("here",)),
        phases=(
            Login(inboxes=("bob",)),
            Load(
                duration_s=2.0,
                streams=(Stream(to=("bob",), rate_per_s=500),),
                faults=(at(0.5, TemplateName(), on="core"),),
            ),
            Drain(),
        ),
        requires=Requires(fault_effects=1),
    ),
)
