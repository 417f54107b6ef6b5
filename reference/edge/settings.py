"""The edge's settings and named limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from reference.pulse import PulseSettings

MIB: Final = 1024 * 1024

EDGE_BUFFER_BYTES_MAX: Final = 128 * MIB
"""Batches that the core has not answered, over all links; above it sends are refused BUSY."""

CLIENT_CREDIT_BYTES: Final = 4 * MIB
"""How much a client may have unanswered at an edge."""

CLIENT_OUTPUT_BYTES_MAX: Final = 4 * MIB
"""What may wait for a client that does not read, beside the windows of its sessions."""

WINDOW_BYTES_MAX: Final = 16 * MIB
"""The largest window of a session; a larger one is cut to it."""

WINDOW_BYTES_MIN: Final = 4 * 1024
"""The smallest window of a session; a smaller one is raised to it."""

LINK_REQUESTS_MAX: Final = 16_384
"""Requests that a core link may have unanswered; more are refused BUSY."""

CLIENT_PRODUCERS_MAX: Final = 1_024
"""Producers that one connection may log in."""

CLIENT_SESSIONS_MAX: Final = 1_024
"""Sessions that one connection may hold or ask for."""

CLIENT_REQUESTS_MAX: Final = 1_024
"""Requests that one connection may have unanswered; more are refused BUSY."""

CLIENT_WINDOWS_BYTES_MAX: Final = 64 * MIB
"""The windows of all sessions of one connection; the last ones are cut, more are refused QUOTA."""

CLIENT_SHARES: Final = 8
"""One connection may hold this part of the buffer; what is over it is refused BUSY."""

CLIENT_SHARE_BYTES_MIN: Final = 2 * MIB
"""The smallest such part, which the largest batch fits."""

CLOSE_WAIT_MS: Final = 1_000
"""How long an error message may wait for the piece before it, until the connection is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """What an edge is told at its start.

    Attributes:
        name: The region; the core shows it as a user's edge.
        token: Opens the edge for clients, and the core for the edge.
        admin_token: Opens the edge's gauges ("" for nobody).
        core_links: Connections to the core; an inbox stays on one of them.
        hold_ms: So long after a core link was lost sends are still kept for the next link; later
            ones are refused NOT_READY. What was kept stays until it is answered.
        connections_max: Client connections at a time; a further one is refused BUSY.
        greetings_max: Connections that have not said HELLO; of more, the oldest is closed. So is
            one of them before anybody is refused.
    """

    name: str
    token: str
    admin_token: str = ""
    core_links: int = 1
    buffer_bytes_max: int = EDGE_BUFFER_BYTES_MAX
    client_credit_bytes: int = CLIENT_CREDIT_BYTES
    client_output_bytes_max: int = CLIENT_OUTPUT_BYTES_MAX
    hold_ms: int = 2_000
    connections_max: int = 4_096
    greetings_max: int = 256
    backoff_ms: int = 50
    backoff_max_ms: int = 1_000
    pulse: PulseSettings = field(default_factory=PulseSettings)
