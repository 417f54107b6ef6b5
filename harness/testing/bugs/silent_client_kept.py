"""An edge asks a silent client for signs of life, and believes in it for ever."""

from __future__ import annotations

from dataclasses import replace

from harness.testing.bugs.registry import Category, Patch, Place, PlantedBug, Trial
from reference.edge.machine import EdgeMachine
from reference.edge.settings import EdgeSettings

FOR_EVER_MS = 86_400_000

_init = EdgeMachine.__init__


def init_patiently(self: EdgeMachine, settings: EdgeSettings) -> None:
    """Take the settings, and a day for the deadline of clients."""
    _init(self, settings)
    self._patience = replace(self._patience, deadline_ms=FOR_EVER_MS)


BUG = PlantedBug(
    name="silent-client-kept",
    summary="An edge never gives up a client that it hears nothing of; deliveries go on to it.",
    category=Category.PRESENCE,
    place=Place.EDGE,
    replaces="the edge's deadline for a client that says nothing",
    named_by=("D9",),
    trial=Trial(scenario="silent_client"),
    patches=(Patch(owner=EdgeMachine, name="__init__", replacement=init_patiently),),
)
