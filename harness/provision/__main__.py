"""The set-up as the scripts call it: `python -m harness.provision [venv|toxiproxy]`.

Lines go to stderr, so that stdout stays free for the program that follows. Exit codes: 0 done, 70
failed (never 1, which means that a system lost something), 130 and 143 interrupted.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from harness.errors import SetupError
from harness.provision.places import checkout_root
from harness.provision.toxiproxy import ensure
from harness.provision.venv import ensure_venv


def say(line: str) -> None:
    """Print one line of progress."""
    sys.stderr.write(f"[set-up] {line}\n")
    sys.stderr.flush()


def _all(root: Path) -> int:
    python = ensure_venv(root, say)
    # Toxiproxy is found by the environment's own Python: the way over Docker needs its package.
    child = subprocess.Popen([python, "-m", "harness.provision", "toxiproxy"], cwd=root)
    try:
        code = child.wait()
        # A traceback would end it with 1, which is kept for a system that lost something.
        return code if code == 0 else 70
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()


def _toxiproxy() -> int:
    found = ensure(say)
    say(f"Toxiproxy {found.version} ({found.source})")
    for warning in found.warnings:
        say(f"warning: {warning}")
    return 0


def _main(arguments: list[str]) -> int:
    # A plain SIGTERM would end this process at once and leave pip or go running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    root = checkout_root()
    try:
        if arguments == ["toxiproxy"]:
            return _toxiproxy()
        if root is None:
            raise SetupError("this is an installed package; only a checkout has a .venv to make")
        return _all(root)
    except SetupError as error:
        say(f"failed: {error}")
        return 70


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
