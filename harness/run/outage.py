"""A system that went away and stays away: the run ends soon, and says so in the system's own words.

That nobody gets anything is no verdict on safety, which stays UNKNOWN; waiting for the deadlines of
the drain would only say the same a minute later and in other words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from harness.links.link import Link
from harness.report.result import ClientError

PATIENCE_S = 15.0
"""For so long a system may do nothing for anybody, while clients wait and are told errors and no
planned fault holds, before the run is ended. As long as a drain waits for progress by default."""

CUT_OFF_PATIENCE_S = 3.0
"""The same where every node of a role has ended by itself: nothing can come any more, and only what
is under way is waited for."""

FRESH_S = 11.0
"""An error this old still counts: an adapter may wait for a connection and for an answer first."""

REACH_WITHIN_S = 2.0
"""Deadline for the connection that tells whether anybody listens there at all."""

LOG_BYTES = 4_096
"""What is read of the end of a log to find its last line."""

WAITED_IN_VAIN = "TimeoutError"
"""How texts of errors end that a client made itself, when its own time was up."""

DIED = "system_died"
UNREACHABLE = "system_unreachable"
REFUSES = "system_refuses"

CODES = frozenset({DIED, UNREACHABLE, REFUSES})
"""Reason codes of runs that were ended so: their drain did not reach its end."""


@dataclass(slots=True)
class Outage:
    """Watches what clients counted, and says when the patience is over. Pure.

    Attributes:
        back_within_s: How long a system that a planned fault has struck may take to come back; the
            patience begins behind that, unless somebody gets something before.
        since_ns: Since when nobody has got anything.
    """

    back_within_s: float = 0.0
    since_ns: int = 0
    _comes_back: bool = False
    _done: tuple[int, int] = (-1, -1)
    _errors: int = 0
    _told_ns: int = field(default=-(1 << 62))

    def look(
        self,
        now_ns: int,
        counted: Mapping[str, int],
        *,
        disturbed: bool,
        dead: bool,
        cut_off: bool = False,
    ) -> bool:
        """Take what all clients have counted so far; return whether to give up.

        Args:
            now_ns: Time of the run.
            counted: As `Crew.progress` returns it.
            disturbed: A planned fault is under way, or a node is down because somebody wants it so.
            dead: A node has ended by itself and is not back.
            cut_off: So has every node of a role. Then nobody has to wait for anything, and a fault
                that is under way has nothing to wait for either.
        """
        if counted.get("errors", 0) != self._errors:
            self._errors, self._told_ns = counted.get("errors", 0), now_ns
        done = counted.get("ok", 0), counted.get("delivered", 0)
        waiting = counted.get("open", 0) > 0 or counted.get("down", 0) > 0
        at_rest = (disturbed or not waiting) and not cut_off
        if done != self._done or at_rest:
            self._comes_back = disturbed or (self._comes_back and done == self._done)
            self._done, self.since_ns = done, now_ns
            return False
        told = now_ns - self._told_ns <= FRESH_S * 1e9
        patience_s = CUT_OFF_PATIENCE_S if cut_off else PATIENCE_S
        if self._comes_back and not dead and not cut_off:
            patience_s += self.back_within_s
        return (told or dead) and now_ns - self.since_ns >= patience_s * 1e9


def last_words(errors: Sequence[ClientError], since_ns: int = 0) -> str:
    """Return what clients were told last since then, and how often, in words; "" if nothing.

    That a client waited in vain is nothing it was told: it counts only where nothing else came.
    """
    fresh = [one for one in errors if one.last_ns >= since_ns]
    if not fresh:
        return ""
    told = [one for one in fresh if not one.last.endswith(WAITED_IN_VAIN)] or fresh
    last = max(told, key=lambda one: (one.last_ns, one.count))
    times = f"{last.count:,} time{'' if last.count == 1 else 's'}"
    return f"{last.who}s were told {times}, last: {last.last}"


def end_of_log(log: Path) -> str:
    """Return the last line of a log that is not empty, "" if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


async def explain(
    system: str,
    dead: Sequence[str],
    links: Sequence[Link],
    errors: Sequence[ClientError],
    since_ns: int,
    now_ns: int,
) -> tuple[str, str]:
    """Return (reason code, reason) of an outage: a node died, nobody listens, or all is refused."""
    waited_s = (now_ns - since_ns) / 1e9
    words = last_words(errors, since_ns)
    told = f"; {words}" if words else ""
    if dead:
        names = ", ".join(dead)
        return DIED, f"{names} ended by itself and nobody got anything for {waited_s:.0f} s{told}"
    for link in links[:1]:
        if cause := await _unreachable(link):
            where = f"{link.upstream_host}:{link.upstream_port}"
            return UNREACHABLE, (
                f"{system} could not be reached at {where} ({cause}) and nobody got anything for "
                f"{waited_s:.0f} s{told}"
            )
    return REFUSES, f"{system} refused everything for {waited_s:.0f} s{told}"


async def _unreachable(link: Link) -> str:
    """Return why nobody gets through to the server behind a link, "" if somebody listens."""
    try:
        with anyio.fail_after(REACH_WITHIN_S):
            stream = await anyio.connect_tcp(link.upstream_host, link.upstream_port)
            await stream.aclose()
    except TimeoutError:
        return f"no answer within {REACH_WITHIN_S:g} s"
    except OSError as error:
        return str(error.__cause__ or error)
    return ""
