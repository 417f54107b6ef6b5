"""A window gives back half of what it was charged, so twice as much is sent."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.window import Window

_sent = Window.sent


def send_half(self: Window, pos_first: int, lengths: bytes, size_bytes: int) -> None:
    """Count half of a piece against the window, and tell no gauge more."""
    _sent(self, pos_first, lengths, size_bytes // 2)


BUG = PlantedBug(
    name="window-counted-half",
    summary="The core counts half of what it sends, so a session gets twice its window.",
    category=Category.BACKPRESSURE,
    replaces="what the core's window counts",
    named_by=("D7",),
    trial=Trial(scenario="held_back"),
    patches=(Patch(owner=Window, name="sent", replacement=send_half),),
)
