"""Telling what a file is before anything in it is changed: new, a store, or something else."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

import apsw

from reference.store.migrations import APPLICATION_ID, STEPS
from reference.store.port import StoreDamaged, StoreRefused

SCHEMA_VERSION: Final = 4

_TABLES_2: Final = {"offline_msg", "inbox", "epoch", "bucket_next", "producer"}
"""By these a store of version 2 is known, which has no id of the program in its header."""

_SCHEMA = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"


def text() -> str:
    """Return the statements that make the tables."""
    return resources.files("reference.store").joinpath("schema.sql").read_text("utf-8")


def version_of(db: apsw.Connection, name: str) -> int:
    """Return the version of a store, 0 for an empty file.

    Raises:
        StoreRefused: It is a file of another program, or a store that this core cannot read.
        StoreDamaged: It says that it is a store of this version, and has other tables.
    """
    program: int = db.pragma("application_id")
    version: int = db.pragma("user_version")
    tables = [
        table for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    ]
    if program == version == 0 and not tables:
        return 0
    if program != APPLICATION_ID and not (
        version == 2 and program == 0 and set(tables) == _TABLES_2
    ):
        raise StoreRefused(
            f"{name} is no store of this program; it was left as it is. Name another file"
        )
    if version > SCHEMA_VERSION:
        raise StoreRefused(
            f"{name} is a store of version {version}, and this core reads up to {SCHEMA_VERSION}; "
            "it was left as it is. Start a core that is as new as the one that wrote it"
        )
    if version != SCHEMA_VERSION and version not in STEPS:
        raise StoreRefused(
            f"{name} is a store of version {version}, and this core reads {min(STEPS)} to "
            f"{SCHEMA_VERSION}; it was left as it is. First let a core between them open it"
        )
    if version == SCHEMA_VERSION and list(db.execute(_SCHEMA)) != _expected():
        raise StoreDamaged(f"{name} has other tables than a store of version {version}")
    return version


@cache
def _expected() -> list[tuple[str, str]]:
    db = apsw.Connection(":memory:")
    db.execute(text())
    found = list(db.execute(_SCHEMA))
    db.close()
    return found
