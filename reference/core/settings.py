"""What a core can be told, and its named limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Retention(StrEnum):
    """What becomes of acknowledged messages: kept to the end of the run, or trimmed."""

    RUN = "run"
    ACK = "ack"


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    """Settings of one core. Sizes are bytes; each limit says what reaching it means.

    Attributes:
        node: The core's name, as WELCOME shows it.
        edge_key: Verifies the tokens of edges ("" opens the core to none).
        admin_key: Verifies the tokens of administrators ("" opens it to nobody).
        retention: Whether acknowledged messages are trimmed.
        link_credit_bytes: What an edge may have unanswered on one link.
        window_bytes_max: A session's window is cut to this.
        pending_bytes_max: Appended and not yet committed; beyond it batches are refused as BUSY.
        tail_cache_bytes_max: Committed appends kept in memory for sessions that keep up.
        connections_max: A further connection is told BUSY and closed.
        node_connections_max: Of these, connections of one edge or administrator; a further one is
            told QUOTA.
        greetings_max: Connections that have not said HELLO; of more, the oldest is closed. So is
            one of them before anybody is told BUSY.
        address_greetings_max: Of these, connections from one address; of more, its oldest is
            closed.
        greeting_ms: How long a connection may take to say HELLO.
        inboxes_max: A further inbox is refused as QUOTA.
        account_inboxes_max: Of these, inboxes that one account has sent to and that nobody has ever
            logged in to; a further one is refused as QUOTA.
        producers_max: A further (producer, inbox) is refused as QUOTA.
        account_producers_max: Of these, those of one account.
        heartbeat_interval_ms: Silence after which a link is asked for a sign of life.
        heartbeat_deadline_ms: Silence after which it is closed.
        admin_idle_ms: Silence after which an admin connection is closed; it is never asked.
        store_retry_ms: How long cursor marks wait after the store was full.
        hot_writes_per_s: From this rate of messages on an inbox of one bucket is promoted by the
            core itself (`reference.core.heat`); 0: never.
        cool_writes_per_s: At this rate or below it is demoted again; less than the other one.
        hot_hold_ms: So long at least lies between two such changes of an inbox.
        hot_bucket_count: The buckets that a hot inbox gets.
        hot_window_ms: Over about this time rates are measured.
    """

    node: str = "core"
    edge_key: str = field(default="", repr=False)
    admin_key: str = field(default="", repr=False)
    retention: Retention = Retention.RUN
    link_credit_bytes: int = 8 * 1024 * 1024
    window_bytes_max: int = 4 * 1024 * 1024
    pending_bytes_max: int = 64 * 1024 * 1024
    tail_cache_bytes_max: int = 32 * 1024 * 1024
    connections_max: int = 1_024
    node_connections_max: int = 128
    greetings_max: int = 512
    address_greetings_max: int = 256
    greeting_ms: int = 2_000
    inboxes_max: int = 100_000
    account_inboxes_max: int = 10_000
    producers_max: int = 1_000_000
    account_producers_max: int = 100_000
    heartbeat_interval_ms: int = 1_000
    heartbeat_deadline_ms: int = 3_000
    admin_idle_ms: int = 60_000
    store_retry_ms: int = 200
    hot_writes_per_s: int = 0
    cool_writes_per_s: int = 0
    hot_hold_ms: int = 10_000
    hot_bucket_count: int = 50
    hot_window_ms: int = 2_000


APPEND_BYTES_MAX = 1024 * 1024
"""About how large one append grows (one batch at least): the piece that rows are split from."""

APPEND_COUNT_MAX = 32_768
"""Messages in one append: its row, of 20 bytes a message, fits the header of INSPECT_OK.

A batch of more is stored as two appends.
"""

APPEND_RUNS_MAX = 4_096
"""Runs in one append, so that it can be delivered whole (wire limit SEGMENTS_MAX)."""

READ_BYTES_MAX = 1024 * 1024
"""About how much one read from the store brings for a session that lags."""

NODE_NAME_BYTES_MAX = 128
"""The name in HELLO."""
