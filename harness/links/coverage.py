"""How much went through each proxy, as Toxiproxy itself tells it, in its log and its metrics.

At its normal log level Toxiproxy writes one line per accepted connection, and one per connection
that it could not forward; its metrics count bytes per proxy and direction, but only when a
connection has ended. So connections are exact at any time, and bytes after the links were closed.

Bytes *received* are not counted for a connection whose other end was reset while there was more to
write to it: the reader waits for ever (2.12.0, tried). Bytes *written* are counted always: in the
metrics where writing ended in order, in the log line of the error else, each time with what the
kernel had taken. Whoever read a byte read one that was written, so that is what is compared.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_METRIC = re.compile(r"^toxiproxy_proxy_sent_bytes_total\{(?P<labels>[^}]*)\} (?P<value>\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCoverage:
    """What went through one proxy.

    Attributes:
        connections: Accepted connections, probes of the harness left out.
        unforwarded: Those among them for which the upstream did not answer.
        bytes_up: Bytes written to the upstream, over ended connections.
        bytes_down: Bytes written to clients, over ended connections, but for those that came to
            probes; below 0 while a probe is open.
        probes: Connections that the harness itself made to measure; what they sent is in
            `bytes_up`.
    """

    connections: int = 0
    unforwarded: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    probes: int = 0


class ServerLog:
    """Counts what a server's log tells, reading on from where it was at the last time.

    Counted by proxy: `accepted`; `unforwarded`; `cut`, connections that ended by our closing them;
    the bytes `broken_up` and `broken_down` that were written before writing failed. `cut` misses a
    connection whose reader was blocked, as in a pause: a lower bound.
    """

    def __init__(self, path: Path, *, offset: int = 0) -> None:
        self._path = path
        self._offset = offset
        self.accepted: Counter[str] = Counter()
        self.unforwarded: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()
        self.broken_up: Counter[str] = Counter()
        self.broken_down: Counter[str] = Counter()
        self.api_failed = False

    def read(self) -> None:
        """Take in the lines that have been completed since the last call."""
        with self._path.open("rb") as log:
            log.seek(self._offset)
            written = log.read()
        complete = written[: written.rfind(b"\n") + 1]
        self._offset += len(complete)
        for line in complete.splitlines():
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            # Toxiproxy prints a panic or a usage text as it comes.
            return
        name = entry.get("name", "")
        # The messages are those of Toxiproxy 2.12.0: proxy.go, link.go, cmd/server/server.go.
        match entry.get("message"):
            case "Accepted client":
                self.accepted[name] += 1
            case "Unable to open connection to upstream":
                self.unforwarded[name] += 1
            case "Source terminated" if f"tcp {entry.get('listen')}->" in entry.get("error", ""):
                self.cut[name] += 1
            case "Could not write to destination":
                to_client = f"tcp {entry.get('listen')}->" in entry.get("error", "")
                written = self.broken_down if to_client else self.broken_up
                written[name] += entry.get("bytes", 0)
            case "Server finished with error":
                self.api_failed = True


def read_bytes(metrics: str) -> dict[str, dict[str, int]]:
    """Return proxy → direction ("upstream", "downstream") → bytes sent, from Prometheus text.

    Connections whose writing failed are not in it.
    """
    found: dict[str, dict[str, int]] = {}
    for line in metrics.splitlines():
        match = _METRIC.match(line)
        if match is None:
            continue
        labels = dict(_LABEL.findall(match["labels"]))
        proxy = found.setdefault(labels["proxy"], {})
        # One proxy has several series when its upstream was changed.
        direction = labels["direction"]
        proxy[direction] = proxy.get(direction, 0) + int(float(match["value"]))
    return found
