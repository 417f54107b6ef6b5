"""What pausing a link and swallowing its bytes have in common: a probe that gets no reply."""

from __future__ import annotations

import math

from harness.faults.fault import Effect
from harness.links.link import Link
from harness.links.probe import Probe

PINGS_BYTES = 48
"""Several pings: a node's own heartbeat, which may come meanwhile, is shorter than their reply."""

REPLY_WITHIN_S = 2.0
"""Deadline for the reply of a link at rest."""

SILENT_S = 0.2
"""How long no reply must come, beside three times what one took before."""

LATE_MAX_S = 0.6
"""Most of that: a node that hears nothing for longer than its deadline closes the connection."""

ANSWERED_WITHIN_S = 2.0
"""Deadline for what was held to come after healing, and for the end of what was swallowed."""


async def begin(link: Link, kind: str) -> Probe | None:
    """Open a probe that outlives the injection, and see that it is answered; None if it is not.

    A probe that an earlier injection left is taken again: the link may be silent already.
    """
    if kind in link.parked:
        return link.parked[kind]
    probe = await link.open_probe()
    if probe is None:
        return None
    if not probe.can_ping or not (
        (await probe.burst(PINGS_BYTES, within_s=REPLY_WITHIN_S)).complete
    ):
        await probe.close()
        return None
    link.parked[kind] = probe
    return probe


async def listen(probe: Probe | None) -> Effect:
    """Return what came of pings while the link should be silent; nothing without a probe."""
    if probe is None:
        return {}
    silent_s = SILENT_S + min(LATE_MAX_S, 3 * probe.greeted_ms / 1000)
    burst = await probe.burst(PINGS_BYTES, within_s=silent_s)
    return {
        "sent_bytes": float(burst.sent_bytes),
        "replied_bytes": float(burst.read_bytes),
        "ended": float(burst.ended),
        "waited_ms": burst.took_ms,
    }


def is_silent(effect: Effect) -> bool:
    """Say whether a probe was open and its pings were not answered."""
    return effect.get("ended", 1) == 0 and 0 <= effect.get("replied_bytes", -1) < effect.get(
        "sent_bytes", 0
    )


async def end(link: Link, kind: str, *, answered: bool) -> Effect:
    """Close the probe of `begin` and return what came of it after all; nothing the second time.

    Waits until its pings are answered, or else until its connection ends, which comes behind
    whatever else is on its way.
    """
    probe = link.parked.pop(kind, None)
    if probe is None:
        return {}
    wanted_bytes = probe.size_of_burst(PINGS_BYTES) if answered else math.inf
    read_bytes, ended = await probe.collect(wanted_bytes, within_s=ANSWERED_WITHIN_S)
    await probe.close()
    return {"read_after_bytes": float(read_bytes), "ended_after": float(ended)}
