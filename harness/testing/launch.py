"""Start a node with a planted bug: `python -m harness.testing.launch --bug NAME core|edge JSON`.

It takes the place of `python -m reference.node` and behaves like it, but for the bug. The ready
line says so (`"planted_bug": NAME`), and every result of such a run must repeat it.
"""

from __future__ import annotations

import json
import sys
from typing import TextIO

from harness.testing.bugs.registry import find_bug
from reference.node.serve import run_core, run_edge
from reference.node.settings import (
    CoreNodeSettings,
    EdgeNodeSettings,
    SettingsError,
    decode_settings,
)

EXIT_USAGE = 2
"""The arguments, the name of the bug or the settings are wrong."""

USAGE = "usage: python -m harness.testing.launch --bug NAME core|edge '<json settings>'"


class SayingSo:
    """Standard output of the node; adds the bug's name to the ready line."""

    def __init__(self, out: TextIO, bug: str) -> None:
        self._out = out
        self._bug = bug

    def write(self, text: str) -> int:
        """Write, and say that a bug is planted where the node says that it is ready."""
        if text.startswith("ready "):
            about = {**json.loads(text.removeprefix("ready ")), "planted_bug": self._bug}
            text = f"ready {json.dumps(about)}\n"
        return self._out.write(text)

    def flush(self) -> None:
        """Pass what was written on."""
        self._out.flush()


def main(arguments: list[str]) -> int:
    """Run the node that the arguments ask for; return the exit code."""
    try:
        match arguments:
            case ["--bug", name, ("core" | "edge") as role, text]:
                bug = find_bug(name)
            case _:
                raise SettingsError(USAGE)
        sys.stdout = SayingSo(sys.stdout, bug.name)
        with bug.planted():
            if role == "core":
                return run_core(decode_settings(text, CoreNodeSettings), machine_factory=bug.core)
            return run_edge(decode_settings(text, EdgeNodeSettings), machine_factory=bug.edge)
    except (SettingsError, KeyError) as error:
        sys.stderr.write(f"harness.testing.launch: {error.args[0]}\n")
        return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
