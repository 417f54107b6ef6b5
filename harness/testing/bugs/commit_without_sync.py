"""The store returns from a commit whose bytes were written and not synced."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Medium, Patch, PlantedBug, Trial
from reference.store import sqlite

BUG = PlantedBug(
    name="commit-without-sync",
    summary="A commit returns when it is written, before it is synced.",
    category=Category.LOSS,
    replaces="reference.store.sqlite.SYNCHRONOUS",
    named_by=("A1", "A6"),
    trial=Trial(scenario="power_loss"),
    medium=Medium.POWER_LOSS,
    patches=(Patch(owner=sqlite, name="SYNCHRONOUS", replacement="NORMAL"),),
)
