"""Starting a module of ours in a Python of its own, so that no folder of the user's hides it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import harness

_ROOT = str(Path(harness.__file__).parent.parent)
"""Where our own packages lie: in a checkout its folder, else where they were installed."""

_START = (
    "import os, runpy, sys; "
    "root, module = sys.argv[1:3]; "
    "del sys.argv[1:3]; "
    "sys.path += [path for path in (root, os.getcwd()) if path not in sys.path]; "
    "runpy.run_module(module, run_name='__main__', alter_sys=True)"
)


def find_users_modules() -> None:
    """Let this process import what lies in the current folder, behind everything of ours.

    Our own place is put on the path before it. An editable installation may be found by an import
    hook alone, which Python asks only when no folder of the path has the package.
    """
    sys.path += [path for path in (_ROOT, os.getcwd()) if path not in sys.path]


def python_argv(module: str, *arguments: str) -> list[str]:
    """Return the words that run a module like ``python -m``, with these arguments.

    The current folder stands last on the path, not first: its modules are found, but a user's own
    ``harness/`` or ``reference/`` does not take the place of ours.
    """
    return [sys.executable, "-P", "-c", _START, _ROOT, module, *arguments]
