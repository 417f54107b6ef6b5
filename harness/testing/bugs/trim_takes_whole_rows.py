"""Trimming takes a row as soon as its first message was acknowledged."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.store import sqlite

BUG = PlantedBug(
    name="trim-takes-whole-rows",
    summary="With the first message of a row that is acknowledged the whole row is deleted.",
    category=Category.LOSS,
    replaces="the store's trimming",
    named_by=("C8", "A1", "A12"),
    trial=Trial(scenario="narrow", settings={"retention": "ack", "kill": "true"}),
    patches=(
        Patch(
            owner=sqlite,
            name="_TRIM",
            replacement="DELETE FROM offline_msg WHERE inbox = ?1 AND pos_first <= ?2",
        ),
    ),
)
