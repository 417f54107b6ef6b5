"""Link coverage: did everything go through the proxies? Compared with the counts of both ends."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from harness.links.coverage import LinkCoverage as Seen
from harness.report.result import LinkCoverage

Traffic = tuple[int, int]
"""Connections and bytes read, as those who opened the connections of a link counted them."""

UPLINK_CONNECTIONS = "uplink_connections"
UPLINK_BYTES_READ = "uplink_bytes_read"
"""Gauges of an edge: its connections to the core that were answered, and what it read from them."""


def compare_coverage(
    seen: Mapping[str, Seen], counted: Mapping[str, Traffic]
) -> tuple[list[LinkCoverage], list[str]]:
    """Return every used link's coverage, and the links that somebody went around.

    A proxy must have passed on at least what those behind it count: each answered connection, and
    each byte that they read. It may have more, since what was written to a client that was cut was
    never read. So no reset, cut or kill makes a covered link look bypassed.

    An edge-core link whose edge does not count itself is covered if anything went through it.
    """
    rows: list[LinkCoverage] = []
    for name, link in seen.items():
        connections, bytes_read = counted.get(name, (0, 0))
        is_client = name.startswith("client-edge")
        if is_client and not (link.connections or connections or link.probes):
            continue  # Every client has a link to every edge, and few ever use them all.
        row = LinkCoverage(
            link=name,
            connections=link.connections,
            # The harness's own probes may be among those that found no upstream.
            forwarded=min(link.connections, link.connections + link.probes - link.unforwarded),
            connections_counted=connections,
            bytes=link.bytes_up + link.bytes_down,
            bytes_up=link.bytes_up,
            bytes_down=link.bytes_down,
            bytes_counted=bytes_read,
            counted=name in counted or is_client,
            covered=False,
        )
        rows.append(msgspec.structs.replace(row, covered=bool(is_covered(row))))
    unknown = sorted(set(counted) - set(seen))
    return rows, [row.link for row in rows if not row.covered] + unknown


def is_covered(row: LinkCoverage) -> bool | None:
    """Return whether nobody went around a link; None for a row before 1.3 that does not tell."""
    if row.forwarded is None or row.bytes_down is None:
        return None
    if not row.counted:
        return row.forwarded > 0
    return row.forwarded >= row.connections_counted and row.bytes_down >= row.bytes_counted


class Uplinks:
    """Adds up what edges count of their core links, from their gauges, over all their restarts.

    A count of bytes that falls was begun anew by a restarted edge. What an edge counted between its
    last gauge and a kill is missing, so the sums are lower bounds.
    """

    def __init__(self) -> None:
        self._ended: dict[str, Traffic] = {}
        self._last: dict[str, Traffic] = {}

    def take(self, link: str, gauges: Mapping[str, int]) -> None:
        """Take the gauges of the edge behind a link, unless it does not count."""
        if UPLINK_CONNECTIONS not in gauges or UPLINK_BYTES_READ not in gauges:
            return
        now = gauges[UPLINK_CONNECTIONS], gauges[UPLINK_BYTES_READ]
        last = self._last.get(link, (0, 0))
        if now[1] < last[1]:
            self._ended[link] = _plus(self._ended.get(link, (0, 0)), last)
        self._last[link] = now

    def traffic(self) -> dict[str, Traffic]:
        """Return what was counted on each link."""
        return {
            link: _plus(self._ended.get(link, (0, 0)), last) for link, last in self._last.items()
        }


def _plus(one: Traffic, other: Traffic) -> Traffic:
    return one[0] + other[0], one[1] + other[1]
