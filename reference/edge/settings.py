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

USER_CONNECTIONS_MAX: Final = 16
"""Connections of one user; a further one is refused QUOTA."""

USER_PRODUCERS_MAX: Final = 1_024
"""Producers that one user may have logged in."""

USER_SESSIONS_MAX: Final = 1_024
"""Sessions that one user may hold or ask for."""

USER_REQUESTS_MAX: Final = 1_024
"""Requests that one user may have unanswered; more are refused BUSY."""

USER_WINDOWS_BYTES_MAX: Final = 64 * MIB
"""The windows of all sessions of one user; the last ones are cut, more are refused QUOTA."""

USER_SHARES: Final = 8
"""One user may hold this part of the buffer; what is over it is refused BUSY."""

USER_SHARE_BYTES_MIN: Final = 2 * MIB
"""The smallest such part, which the largest batch fits."""

CLOSE_WAIT_MS: Final = 1_000
"""How long an error message may wait for the piece before it, until the connection is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """What an edge is told at its start.

    Attributes:
        name: The region; the core shows it as a user's edge.
        token: What the edge shows the core, which is signed for an edge of its name.
        client_key: Verifies the tokens of clients ("" opens the edge to none).
        admin_key: Verifies the tokens of those who may see the gauges ("" for nobody).
        core_links: Connections to the core; an inbox stays on one of them.
        hold_ms: So long after a core link was lost sends are still kept for the next link; later
            ones are refused NOT_READY. What was kept stays until it is answered.
        connections_max: Client connections at a time; a further one is refused BUSY.
        user_connections_max: Of these, connections of one user.
        greetings_max: Connections that have not said HELLO; of more, the oldest is closed. So is
            one of them before anybody is refused.
        address_greetings_max: Of these, connections from one address; of more, its oldest is
            closed.
        greeting_ms: How long a connection may take to say HELLO.
    """

    name: str
    token: str = field(default="", repr=False)
    client_key: str = field(default="", repr=False)
    admin_key: str = field(default="", repr=False)
    core_links: int = 1
    buffer_bytes_max: int = EDGE_BUFFER_BYTES_MAX
    client_credit_bytes: int = CLIENT_CREDIT_BYTES
    client_output_bytes_max: int = CLIENT_OUTPUT_BYTES_MAX
    hold_ms: int = 2_000
    connections_max: int = 4_096
    user_connections_max: int = USER_CONNECTIONS_MAX
    greetings_max: int = 1_024
    address_greetings_max: int = 256
    greeting_ms: int = 2_000
    backoff_ms: int = 50
    backoff_max_ms: int = 1_000
    pulse: PulseSettings = field(default_factory=PulseSettings)
