"""What a run shows while it goes on, on stderr: a live view on a terminal, else dated lines."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from harness.run.observer import Observer, Progress

LINE_EVERY_S = 5.0
"""Off a terminal a progress line at most this often; changes of phase and faults come at once."""

EVENTS_SHOWN_MAX = 6
"""The newest notes and faults kept below the live figures."""

REFRESHES_PER_S = 4
"""How often the live view is drawn anew."""

BEHIND_TOLD_S = 5.0
"""Checks that speak of an earlier time than this long ago say how far they are behind."""

RATE_OVER_S = 1.0
"""Rates are taken over at least this long, so that they do not flicker."""


@contextmanager
def watching(file: IO[str], title: str) -> Iterator[Observer]:
    """Yield an observer that shows a run on `file`, live if that is a terminal."""
    console = Console(file=file, highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        yield PlainLines(file)
        return
    view = LiveView(title)
    with Live(
        console=console,
        refresh_per_second=REFRESHES_PER_S,
        transient=True,
        get_renderable=view.render,
        # Output of the run's own goes to its log files; stdout is for the final report alone.
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield view


class PlainLines:
    """One time-stamped line at each change of phase, fault and note, and every few seconds."""

    wants_checks = False

    def __init__(self, file: IO[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._begun = clock()
        self._last_line: float | None = None
        # Rates count from line to line, so that a short burst between two lines shows.
        self._rates = _Rates()

    def phase(self, name: str) -> None:
        """Print the phase that begins."""
        self._print(f"phase {name}")

    def progress(self, progress: Progress) -> None:
        """Print the figures, unless the last were printed moments ago."""
        now = self._clock()
        if self._last_line is not None and now - self._last_line < LINE_EVERY_S:
            return
        self._last_line = now
        self._rates.take(progress)
        self._print(_figures(progress, self._rates))

    def fault(self, text: str) -> None:
        """Print a fault that was confirmed or healed."""
        self._print(f"fault {text}")

    def note(self, text: str) -> None:
        """Print a note."""
        self._print(text)

    def _print(self, text: str) -> None:
        wall = time.strftime("%H:%M:%S", time.gmtime())
        line = f"{wall}Z +{self._clock() - self._begun:5.1f}s {text}\n"
        encoding = getattr(self._file, "encoding", None) or "utf-8"
        self._file.write(line.encode(encoding, "replace").decode(encoding))
        self._file.flush()


class LiveView:
    """The same on a terminal, drawn in place, and the states of the checks."""

    wants_checks = True

    def __init__(self, title: str) -> None:
        self._title = title
        self._phase = "starting"
        self._latest = Progress(t_s=0.0)
        self._events: deque[str] = deque(maxlen=EVENTS_SHOWN_MAX)
        self._rates = _Rates()

    def phase(self, name: str) -> None:
        """Show the phase that begins."""
        self._phase = name

    def progress(self, progress: Progress) -> None:
        """Show the figures."""
        self._rates.take(progress)
        self._latest = progress

    def fault(self, text: str) -> None:
        """Show a fault that was confirmed or healed."""
        self._events.append(f"{self._latest.t_s:6.1f} s  {text}")

    def note(self, text: str) -> None:
        """Show a note."""
        self._events.append(f"{self._latest.t_s:6.1f} s  {text}")

    def render(self) -> Group:
        """Return what is to be drawn now."""
        latest = self._latest
        offered, acknowledged, delivered = self._rates.per_s
        head = Text.assemble(
            (self._title, "bold"), f"  {latest.t_s:.1f} s  ", (self._phase, "bold cyan")
        )
        lines = [
            head,
            Text(f"  offered      {latest.offered:>12,}  {offered:>10,.0f}/s"),
            Text(f"  acknowledged {latest.acknowledged:>12,}  {acknowledged:>10,.0f}/s"),
            Text(f"  delivered    {latest.delivered:>12,}  {delivered:>10,.0f}/s"),
            Text(
                f"  in flight {latest.in_flight:,}, lag {latest.lag:,}, "
                f"reconnects {latest.reconnects:,}"
            ),
            Text("  faults: ").append(", ".join(latest.active_faults) or "none active", "yellow"),
        ]
        if latest.checks:
            checks = Text("  checks: ")
            for check_id, status in latest.checks.items():
                checks.append(f"{check_id} ", _CHECK_STYLES.get(status, "dim"))
            behind_s = latest.t_s - latest.checks_upto_s
            if behind_s > BEHIND_TOLD_S:
                checks.append(f"({behind_s:.0f} s behind)", "yellow")
            lines.append(checks)
        lines += [Text(f"  {event}", "dim") for event in self._events]
        return Group(*lines)


_CHECK_STYLES = {"PASS": "green", "FAIL": "bold red", "ERROR": "bold magenta", "UNKNOWN": "yellow"}


class _Rates:
    """Messages per second from the totals of successive progress."""

    def __init__(self) -> None:
        self.per_s = (0.0, 0.0, 0.0)
        self._since: Progress | None = None

    def take(self, progress: Progress) -> None:
        since = self._since
        if since is None:
            self._since = progress
            return
        elapsed_s = progress.t_s - since.t_s
        if elapsed_s < RATE_OVER_S:
            return
        self.per_s = (
            (progress.offered - since.offered) / elapsed_s,
            (progress.acknowledged - since.acknowledged) / elapsed_s,
            (progress.delivered - since.delivered) / elapsed_s,
        )
        self._since = progress


_BAD = ("FAIL", "ERROR")


def _figures(progress: Progress, rates: _Rates) -> str:
    offered, acknowledged, delivered = rates.per_s
    told = (
        f"offered {progress.offered:,} ({offered:,.0f}/s), "
        f"acknowledged {progress.acknowledged:,} ({acknowledged:,.0f}/s), "
        f"delivered {progress.delivered:,} ({delivered:,.0f}/s), "
        f"in flight {progress.in_flight:,}, lag {progress.lag:,}, "
        f"reconnects {progress.reconnects:,}"
    )
    if progress.active_faults:
        told += f", faults: {', '.join(progress.active_faults)}"
    # Most checks cannot be decided before the drain; a log line tells only of what was found.
    found = [f"{i} {status}" for i, status in progress.checks.items() if status in _BAD]
    if progress.checks:
        holds = sum(status == "PASS" for status in progress.checks.values())
        told += f", checks: {', '.join(found) if found else f'{holds} hold so far'}"
    return told
