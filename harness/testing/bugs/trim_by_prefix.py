"""Trimming takes all inboxes whose names begin like the one that was acknowledged in."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.store import sqlite

BUG = PlantedBug(
    name="trim-by-prefix",
    summary="An acknowledgement in vip_1 deletes messages of vip_10 too.",
    category=Category.LOSS,
    replaces="the store's trimming",
    named_by=("C8", "A1", "A12"),
    trial=Trial(scenario="names", settings={"retention": "ack"}),
    patches=(
        Patch(
            owner=sqlite,
            name="_TRIM",
            replacement="DELETE FROM offline_msg WHERE substr(inbox, 1, length(?1)) = ?1"
            " AND pos_first <= ?2 AND pos_last <= ?2",
        ),
    ),
)
