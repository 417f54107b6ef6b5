"""The Python interface: from a script, under an event loop, cancelled, and with bad words."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import threading
import types
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec
import pytest

import tallystick
from harness.report.result import Status
from harness.testing import example_results, stand_in_runner
from tallystick import Result, UsageError


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Return a function that says what runs of this test end with."""
    module = types.ModuleType("harness.run.runner")
    module.run = stand_in_runner.run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "harness.run.runner", module)
    monkeypatch.chdir(tmp_path)

    def ends_with(example: str) -> None:
        monkeypatch.setenv(stand_in_runner.VARIABLE, example)

    return ends_with


def _begun(folder: Path) -> None:
    """Block until a run has written its first result there."""
    while not (folder / "result.json").is_file():
        threading.Event().wait(0.01)


def test_a_run_returns_what_stands_in_its_folder(stand_in, tmp_path: Path) -> None:
    stand_in("passed")
    result = tallystick.run("offline_messaging", seed=7, users=2, out=tmp_path / "here")
    assert (result.verdict.status, result.run.seed) == (Status.PASS, 7)
    assert tallystick.load_result(tmp_path / "here") == result
    assert tallystick.load_result(str(tmp_path / "here" / "result.json")) == result


def test_a_run_without_a_folder_lies_below_results(stand_in) -> None:
    stand_in("passed")
    result = tallystick.run("offline_messaging")
    assert tallystick.load_result(Path("results") / result.run.id) == result


def test_a_fail_is_returned_as_any_other(stand_in, tmp_path: Path) -> None:
    stand_in("failed")
    assert tallystick.run("offline_messaging", out=tmp_path / "r").verdict.status is Status.FAIL


def test_nothing_is_shown_unless_asked_for(
    stand_in, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stand_in("passed")
    tallystick.run("offline_messaging", out=tmp_path / "quiet")
    assert capfd.readouterr() == ("", "")
    shown = io.StringIO()
    tallystick.run("offline_messaging", out=tmp_path / "loud", progress=shown)
    assert "phase load" in shown.getvalue()


def test_in_a_notebook_an_event_loop_runs_already(stand_in, tmp_path: Path) -> None:
    stand_in("passed")

    async def cell() -> Result:
        return tallystick.run("offline_messaging", out=tmp_path / "r")

    assert asyncio.run(cell()).verdict.status is Status.PASS


def test_an_async_program_waits_without_blocking(stand_in, tmp_path: Path) -> None:
    stand_in("passed")
    ticks = 0

    async def program() -> Result:
        nonlocal ticks
        async with anyio.create_task_group() as tasks:

            async def tick() -> None:
                nonlocal ticks
                while True:
                    await anyio.lowlevel.checkpoint()
                    ticks += 1

            tasks.start_soon(tick)
            result = await tallystick.run_async("offline_messaging", out=tmp_path / "r")
            tasks.cancel_scope.cancel()
        return result

    assert anyio.run(program).verdict.status is Status.PASS
    assert ticks > 0


def test_cancelling_ends_the_run_and_marks_it(stand_in, tmp_path: Path) -> None:
    stand_in("wait")

    async def program() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: tallystick.run_async("offline_messaging", out=tmp_path / "r"))
            await anyio.to_thread.run_sync(_begun, tmp_path / "r")
            tasks.cancel_scope.cancel()

    anyio.run(program)
    assert tallystick.load_result(tmp_path / "r").verdict.reason_code == "interrupted"
    assert not [one for one in threading.enumerate() if one.name.startswith("tallystick-run")]


@pytest.mark.parametrize("in_a_loop", [False, True])
def test_ctrl_c_ends_the_run_and_marks_it(stand_in, tmp_path: Path, in_a_loop: bool) -> None:
    stand_in("wait")
    folder = tmp_path / "r"

    def interrupt() -> None:
        _begun(folder)
        os.kill(os.getpid(), signal.SIGINT)

    async def cell() -> None:
        # A kernel handles the signal itself, as Python does outside asyncio.run.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        tallystick.run("offline_messaging", out=folder)

    presser = threading.Thread(target=interrupt)
    presser.start()
    run = partial(tallystick.run, "offline_messaging", out=folder)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(cell()) if in_a_loop else run()
    presser.join()
    assert tallystick.load_result(folder).verdict.reason_code == "interrupted"


def test_mistakes_are_told_before_a_folder_is_made(stand_in, tmp_path: Path) -> None:
    stand_in("passed")
    wrong = [
        ({"scenario": "offline_mesaging"}, "did you mean 'offline_messaging'"),
        ({"userz": 3}, "userz"),
        ({"endpoint": "127.0.0.1:1"}, "part of the system"),
        ({"system": "redis"}, "valkey"),
        ({"seed": -1}, "-1"),
        ({"limits": ["ack_p99 < 3"]}, "ack_p99"),
        ({"keep_history": "sometimes"}, "always"),
        ({"profile": "big"}, "profile"),
    ]
    for words, told in wrong:
        with pytest.raises(UsageError, match=told):
            tallystick.run(**{"scenario": "offline_messaging", **words})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_empty_is_refused(stand_in, tmp_path: Path) -> None:
    stand_in("passed")
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(UsageError, match="new or empty"):
        tallystick.run("offline_messaging", out=tmp_path)
    with pytest.raises(UsageError, match=r"no result\.json"):
        tallystick.load_result(tmp_path)


def test_a_result_is_short_on_a_console_and_escaped_in_a_notebook() -> None:
    failed = example_results.failed()
    assert len(repr(failed)) < 300
    assert "FAIL" in repr(failed)
    assert failed.run.scenario in repr(failed)
    page = failed._repr_html_()
    assert "FAIL" in page
    assert "<script" not in page
    hostile = msgspec.structs.replace(
        failed, run=msgspec.structs.replace(failed.run, scenario="<script>alert(1)</script>")
    )
    assert "<script>" not in hostile._repr_html_()
