"""Link coverage: did everything go through the proxies? Compared with the clients' own counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from harness.links.coverage import LinkCoverage as Seen
from harness.report.result import LinkCoverage

Traffic = tuple[int, int]
"""Connections opened and bytes read and written, as the clients of a link counted them."""


def compare_coverage(
    seen: Mapping[str, Seen], counted: Mapping[str, Traffic], reset: Collection[str] = ()
) -> tuple[list[LinkCoverage], list[str]]:
    """Return every link's coverage, and the links that a client went around.

    A proxy must have seen at least what its clients count: every connection that a client opened,
    and every byte that it read (a byte that was written may have been cut on its way). On links
    that were `reset` only connections are compared: Toxiproxy loses its count of the last bytes of
    a connection that it resets. Links whose clients do not count themselves are covered if
    anything went through them.
    """
    rows: list[LinkCoverage] = []
    for name, link in seen.items():
        connections, bytes_read = counted.get(name, (0, 0))
        if name.startswith("client-edge") and not (link.connections or connections or link.probes):
            continue  # Every client has a link to every edge, and few ever use them all.
        covered = link.connections >= connections and (
            name in reset or link.bytes_down >= bytes_read
        )
        if name not in counted and not name.startswith("client-edge"):
            covered = link.connections > 0
        rows.append(
            LinkCoverage(
                link=name,
                connections=link.connections,
                connections_counted=connections,
                bytes=link.bytes_up + link.bytes_down,
                bytes_counted=bytes_read,
                covered=covered,
            )
        )
    unknown = sorted(set(counted) - set(seen))
    return rows, [row.link for row in rows if not row.covered] + unknown
