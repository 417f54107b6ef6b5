"""Tallystick: prove, by running it, that a messaging system loses nothing and keeps order.

This is the public face: the names that authors of scenarios, systems, checks and faults use. They
stay stable within a major version; everything else may move. They are listed in
`tallystick.names`, which is imported when the first of them is asked for, so that `python -m
tallystick --help` waits for none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tallystick.names import *  # noqa: F403 - type checkers see every name, with its type.
else:

    def __getattr__(name: str) -> object:
        public = name == "__all__" or not name.startswith("_")
        # What Python itself asks a module for must not be answered by importing everything.
        names = import_module("tallystick.names") if public and name != "names" else None
        if names is None or name not in (*names.__all__, "__all__"):
            raise AttributeError(f"module 'tallystick' has no name {name!r}")
        return getattr(names, name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *import_module("tallystick.names").__all__})
