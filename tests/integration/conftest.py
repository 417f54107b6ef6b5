"""What integration tests share: the Toxiproxy server of the set-up, and links through it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from harness.links.links import Links
from harness.processes.table import ProcessTable
from harness.provision.toxiproxy import locate


@pytest.fixture(scope="session")
def toxiproxy_binary() -> Path:
    """The Toxiproxy server; its absence is an error of the set-up, never a skipped test."""
    return locate().path


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def links(toxiproxy_binary: Path, tmp_path: Path) -> AsyncIterator[Links]:
    """Links of a run of the test's own; those whose names begin with "reset" are made for it."""
    running = await Links.start(
        toxiproxy_binary, run_dir=tmp_path, table=ProcessTable(tmp_path), resets=["reset*"]
    )
    yield running
    await running.close()
