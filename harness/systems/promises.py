"""What a system under test may promise, and what the harness can do to it.

They stand apart from the port so that pure code, such as the checkers, can name them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Promise(StrEnum):
    """What a system may promise beyond what every one must keep (`docs/invariants.md`)."""

    EXACTLY_ONCE_LOG = "exactly_once_log"
    DURABLE_CURSOR = "durable_cursor"
    FIFO_PIPELINED = "fifo_pipelined"
    PREFIX = "prefix"
    LINEARIZABLE_APPEND = "linearizable_append"
    LINEARIZABLE_END = "linearizable_end"
    DENSE_POSITIONS = "dense_positions"
    TOTAL_ORDER = "total_order"
    MERGE_WATERMARK = "merge_watermark"
    BUCKETS = "buckets"
    EPOCH_CUT = "epoch_cut"
    FENCING = "fencing"
    REDELIVERY_MARKS = "redelivery_marks"
    PRESENCE = "presence"
    LIMITS = "limits"
    DELIVERY_BOUND = "delivery_bound"


STORED_TWICE_BREAKS = frozenset(
    {
        Promise.EXACTLY_ONCE_LOG,
        Promise.FIFO_PIPELINED,
        Promise.PREFIX,
        Promise.LINEARIZABLE_APPEND,
    }
)
"""What nobody can promise who may store a resend a second time: the second copy lies behind what
was sent, and perhaps read, before it came."""


class Ability(StrEnum):
    """What the harness can do to or ask of a system beyond sending and receiving."""

    KILL = "kill"
    RESTART = "restart"
    PAUSE = "pause"
    RESIZE = "resize"
    INSPECT = "inspect"
    PRESENCE = "presence"
    SWITCHES = "switches"
    """Its nodes can be started with switches for faults inside them: store, power, clock."""


IN_WORDS: Mapping[Ability, str] = {
    Ability.KILL: "kill its processes",
    Ability.RESTART: "stop and start its processes",
    Ability.PAUSE: "pause its processes",
    Ability.RESIZE: "change the bucket counts of its inboxes",
    Ability.INSPECT: "read its store",
    Ability.PRESENCE: "ask it who is online",
    Ability.SWITCHES: "break store, power and clock inside its processes",
}
"""What the harness can do to a system that has an ability."""
