"""Starting, ending and measuring real child processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest

from harness.errors import HarnessError
from harness.processes.identity import look
from harness.processes.process import Process
from harness.processes.table import ProcessTable

pytestmark = pytest.mark.anyio

NODE = """
import sys
print("warming up", file=sys.stderr, flush=True)
print("ready 7", flush=True)
sys.stdin.read()
"""

STUBBORN = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready 1", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


Make = Callable[..., Process]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Make processes that run a piece of Python; whatever still runs at the end is killed."""
    made: list[Process] = []

    def process(code: str, **settings: object) -> Process:
        fresh = Process(
            name="node",
            argv=[sys.executable, "-I", "-S", "-c", code],
            log=tmp_path / "logs" / "node-0.log",
            **{"ready": r"^ready (\d+)", **settings},  # type: ignore[arg-type]
        )
        made.append(fresh)
        return fresh

    yield process
    for each in made:
        await each.kill()


async def test_it_is_ready_when_its_line_is_there_and_ends_on_sigterm(make: Make) -> None:
    node = make(NODE)
    match = await node.start()
    assert match is not None
    assert match[1] == "7"
    assert node.running
    assert "warming up" in node.log.read_text()
    assert await node.stop()
    assert not node.running
    assert node.exit_code == -signal.SIGTERM


async def test_one_that_ignores_sigterm_is_killed_and_that_is_said(make: Make) -> None:
    node = make(STUBBORN)
    await node.start()
    assert not await node.stop(within_s=0.1)
    assert node.exit_code == -signal.SIGKILL


async def test_a_restart_is_ready_by_its_own_line_and_usage_is_summed(make: Make) -> None:
    burn = "import time\nend = time.process_time() + 0.1\nwhile time.process_time() < end: pass\n"
    node = make(burn + NODE)
    await node.start()
    first = node.pid
    await node.kill()
    once = node.usage()
    await node.start()
    assert node.pid != first
    assert once.cpu_s >= 0.1
    assert node.usage().cpu_s >= once.cpu_s + 0.05
    assert node.usage().restarts == 1
    await node.kill()
    twice = node.usage()
    assert twice.cpu_s >= 2 * 0.1
    assert 1_000_000 < twice.rss_max_bytes < 100_000_000
    assert node.log.read_text().count("ready") == 2


async def test_its_memory_is_not_the_memory_of_the_harness(make: Make) -> None:
    # Kept until the end: the peak of a forked child would count it until exec.
    ballast = bytearray(os.urandom(1 << 20) * 150)
    node = make(NODE)
    await node.start()
    await node.stop()
    assert node.usage().rss_max_bytes < len(ballast)


async def test_ending_before_ready_quotes_the_last_lines(make: Make) -> None:
    node = make("import sys\nprint('no disk', file=sys.stderr)\nsys.exit(9)")
    with pytest.raises(HarnessError, match=r"ended with 9 before it was ready[\s\S]*no disk"):
        await node.start()
    assert not node.running


async def test_not_ready_in_time_is_an_error_and_leaves_nothing(make: Make) -> None:
    node = make("import time\nprint('busy', flush=True)\ntime.sleep(60)")
    with pytest.raises(HarnessError, match=r"not ready within 0\.3 s[\s\S]*busy"):
        await node.start(within_s=0.3)
    assert not node.running


async def test_a_missing_program_and_a_second_start_are_errors(make: Make, tmp_path: Path) -> None:
    absent = Process(name="absent", argv=[str(tmp_path / "absent")], log=tmp_path / "absent.log")
    with pytest.raises(HarnessError, match="absent cannot be started"):
        await absent.start()
    node = make(NODE)
    await node.start()
    with pytest.raises(HarnessError, match="runs already"):
        await node.start()


async def test_a_cancelled_start_leaves_nothing(make: Make) -> None:
    node = make("import time\ntime.sleep(60)")
    with anyio.move_on_after(0.1):
        await node.start()
    assert node.exit_code == -signal.SIGKILL


async def test_its_end_without_our_doing_is_noticed(make: Make) -> None:
    node = make("print('ready 1', flush=True)\nraise SystemExit(4)")
    await node.start()
    assert await node.wait(within_s=5)
    assert node.exit_code == 4
    assert node.pid is None


@pytest.mark.parametrize("watches_lifeline", [True, False])
async def test_pause_and_resume_are_seen(make: Make, watches_lifeline: bool) -> None:
    idle = "import signal\nprint('ready 1', flush=True)\nwhile True: signal.pause()"
    node = make(idle, watches_lifeline=watches_lifeline)
    await node.start()
    await node.pause()
    assert node.pid is not None
    seen = look(node.pid)
    assert seen is not None
    assert seen.state == "T"
    await node.resume()
    await node.resume()
    seen = look(node.pid)
    assert seen is not None
    assert seen.state != "T"
    await node.pause()
    await node.kill()
    assert not node.running
    await node.resume()


async def test_a_paused_process_still_stops_in_order(make: Make) -> None:
    node = make(NODE)
    await node.start()
    await node.pause()
    assert await node.stop(within_s=2)


async def test_below_the_lifeline_exit_code_usage_and_signals_are_the_commands(make: Make) -> None:
    burn = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"
    told = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
    wait = "print('ready 1', flush=True)\nsignal.pause()"
    node = make(burn + told + wait, watches_lifeline=False)
    await node.start()
    assert await node.stop(within_s=5)
    assert node.exit_code == 5
    assert node.usage().cpu_s >= 0.2
    await node.start()
    begun = time.monotonic()
    await node.kill()
    assert time.monotonic() - begun < 1
    assert node.exit_code == -signal.SIGKILL
    assert node.usage().cpu_s >= 0.4


async def test_its_pid_stands_in_the_table_while_it_lives(make: Make, tmp_path: Path) -> None:
    table = ProcessTable(tmp_path)
    node = make(NODE, table=table)
    await node.start()
    assert [(entry.name, entry.pid) for entry in table.alive()] == [("node", node.pid)]
    await node.kill()
    assert table.alive() == []
