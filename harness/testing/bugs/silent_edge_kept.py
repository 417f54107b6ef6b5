"""The core asks a silent edge for signs of life, and believes in it for ever."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.machine import CoreMachine
from reference.pulse import Pulse, PulseSettings

_make_pulse = CoreMachine._pulse

FOR_EVER_MS = 86_400_000


def patient_pulse(self: CoreMachine, deadline_ms: int) -> Pulse:
    """Ask as often as ever, and wait a day for the answer."""
    pulse = _make_pulse(self, deadline_ms)
    silence_ms = self._settings.heartbeat_interval_ms
    settings = PulseSettings(silence_ms=silence_ms, deadline_ms=FOR_EVER_MS)
    return Pulse(settings, pulse.heard_ns)


BUG = PlantedBug(
    name="silent-edge-kept",
    summary="The core never gives the link of a silent edge up, and shows its users online.",
    category=Category.PRESENCE,
    replaces="the core's deadline for an edge that says nothing",
    named_by=("D6",),
    trial=Trial(scenario="silent_edge"),
    patches=(Patch(owner=CoreMachine, name="_pulse", replacement=patient_pulse),),
)
