"""What a run shows while it goes on."""

from __future__ import annotations

import io
import re

from rich.console import Console

from harness.report.live import LINE_EVERY_S, LiveView, PlainLines, watching
from harness.run.observer import Progress


def progress(t_s: float, total: int = 0, **more) -> Progress:
    return Progress(t_s=t_s, offered=total, acknowledged=total, delivered=total // 2, **more)


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_plain_lines_are_dated_and_progress_comes_every_few_seconds() -> None:
    out, clock = io.StringIO(), Clock()
    lines = PlainLines(out, clock)
    lines.phase("load")
    for step in range(21):
        clock.now = 100.0 + step * LINE_EVERY_S / 10
        lines.progress(progress(step * LINE_EVERY_S / 10, step * 1_000))
    lines.fault("link_reset on edge-core:us-east confirmed")
    printed = out.getvalue().splitlines()
    assert len(printed) == 1 + 3 + 1
    assert all(re.match(r"\d\d:\d\d:\d\dZ \+ *\d+\.\ds ", line) for line in printed)
    assert printed[0].endswith("phase load")
    assert "acknowledged 20,000 (2,000/s), delivered 10,000 (1,000/s)" in printed[3]
    assert printed[4].endswith("fault link_reset on edge-core:us-east confirmed")


def test_plain_lines_name_what_does_not_hold() -> None:
    out = io.StringIO()
    lines = PlainLines(out, Clock())
    lines.progress(progress(1.0, checks={"A1": "PASS", "A7": "FAIL"}, active_faults=("cut x",)))
    assert "faults: cut x, checks: A7 FAIL" in out.getvalue()
    assert "A1" not in out.getvalue()


def test_the_live_view_shows_rates_faults_checks_and_the_newest_events() -> None:
    view = LiveView("fan, seed 7")
    view.phase("load")
    view.progress(progress(10.0, 1_000))
    view.progress(
        progress(
            12.0, 5_000, in_flight=70, lag=3, reconnects=9, active_faults=("cut apac",),
            checks={"A1": "PASS"}, checks_upto_s=3.9,
        )
    )  # fmt: skip
    for number in range(30):
        view.note(f"note {number}")
    out = io.StringIO()
    Console(file=out, width=80).print(view.render())
    text = out.getvalue()
    assert "fan, seed 7  12.0 s  load" in text
    assert re.search(r"acknowledged +5,000 +2,000/s", text)
    assert "in flight 70, lag 3, reconnects 9" in text
    assert "faults: cut apac" in text
    assert "A1 (8 s behind)" in text
    assert "note 29" in text
    assert "note 3\n" not in text


def test_off_a_terminal_there_are_lines_and_on_one_a_view(monkeypatch) -> None:
    with watching(io.StringIO(), "x") as observer:
        assert isinstance(observer, PlainLines)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    with watching(Terminal(), "x") as observer:
        assert isinstance(observer, LiveView)
    monkeypatch.setenv("TERM", "dumb")
    with watching(Terminal(), "x") as observer:
        assert isinstance(observer, PlainLines)
