"""A client asks a silent edge for signs of life, and believes in it for ever."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, Place, PlantedBug, Trial
from harness.testing.bugs.silent_core_kept import PatientPulse
from reference import dialer

BUG = PlantedBug(
    name="silent-edge-unnoticed",
    summary="A client never gives up a connection on which it hears nothing, and waits for ever.",
    category=Category.PRESENCE,
    place=Place.CLIENT,
    replaces="the pulse of who opens a connection",
    named_by=("D9",),
    trial=Trial(scenario="silent_client", settings={"direction": "downstream"}),
    patches=(Patch(owner=dialer, name="Pulse", replacement=PatientPulse),),
)
