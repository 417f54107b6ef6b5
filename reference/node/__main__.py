"""`python -m reference.node core|edge '<json settings>'`."""

from __future__ import annotations

import sys

from reference.node.serve import run_core, run_edge
from reference.node.settings import (
    CoreNodeSettings,
    EdgeNodeSettings,
    SettingsError,
    decode_settings,
)

EXIT_USAGE = 2
"""The arguments or the settings are wrong."""


def main(arguments: list[str]) -> int:
    """Run the node that the arguments ask for; return the exit code."""
    try:
        match arguments:
            case ["core", text]:
                return run_core(decode_settings(text, CoreNodeSettings))
            case ["edge", text]:
                return run_edge(decode_settings(text, EdgeNodeSettings))
            case _:
                raise SettingsError("usage: python -m reference.node core|edge '<json settings>'")
    except SettingsError as error:
        sys.stderr.write(f"reference.node: {error}\n")
        return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
