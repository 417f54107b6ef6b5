"""Trimming compares names as LIKE does: large and small letters are the same."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.store import sqlite

BUG = PlantedBug(
    name="trim-folds-case",
    summary="An acknowledgement in vip deletes messages of VIP too.",
    category=Category.LOSS,
    replaces="the store's trimming",
    named_by=("C8", "A1", "A12"),
    trial=Trial(scenario="names", settings={"retention": "ack"}),
    patches=(
        Patch(
            owner=sqlite,
            name="_TRIM",
            replacement="DELETE FROM offline_msg WHERE inbox = ?1 COLLATE NOCASE"
            " AND pos_first <= ?2 AND pos_last <= ?2",
        ),
    ),
)
