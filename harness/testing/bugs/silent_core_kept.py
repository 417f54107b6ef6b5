"""An edge asks a silent core for signs of life, and believes in it for ever."""

from __future__ import annotations

from dataclasses import replace

from harness.testing.bugs.registry import Category, Patch, Place, PlantedBug, Trial
from reference import dialer
from reference.pulse import Pulse, PulseSettings

FOR_EVER_MS = 86_400_000


class PatientPulse(Pulse):
    """Asks as often as ever, and waits a day for the answer."""

    __slots__ = ()

    def __init__(self, settings: PulseSettings, now_ns: int) -> None:
        super().__init__(replace(settings, deadline_ms=FOR_EVER_MS), now_ns)


BUG = PlantedBug(
    name="silent-core-kept",
    summary="An edge never gives up its link to a core that it hears nothing of.",
    category=Category.PRESENCE,
    place=Place.EDGE,
    replaces="the pulse of who opens a connection",
    named_by=("D6",),
    trial=Trial(scenario="silent_edge", settings={"direction": "downstream"}),
    patches=(Patch(owner=dialer, name="Pulse", replacement=PatientPulse),),
)
