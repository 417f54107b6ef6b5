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
    """A process stands still for a while.

    Observed: whether it was seen stopped, and seen running again.

    Attributes:
        duration_s: How long it stands still; the harness waits for so long before it heals.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = "process"

    duration_s: float = 0.5

    async def inject(self, target: Target) -> Effect:
        """Do it, and return what was observed: numbers, the unit last in their names."""
        process = as_process(target)
        await process.pause()
        return {"stopped": float(process.is_stopped())}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """Say whether what was observed proves the fault; if it does not, the run is UNKNOWN."""
        return effect["stopped"] == 1

    async def heal(self, target: Target) -> Effect:
        """Undo it, whatever `inject` came to; may be called twice."""
        process = as_process(target)
        await process.resume()
        return {"running": float(process.pid() is not None and not process.is_stopped())}


SCENARIO = Scenario(
    name="template_name",
    claim="A core that stands still for a moment loses nothing.",
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
