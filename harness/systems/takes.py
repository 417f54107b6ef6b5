"""What a system takes of its clients, as its adapter states it. Pure.

Scenarios vary within it (`harness.load.variety`): what a system does not take is never sent to
it, and the result says what was left out for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from harness.definitions import at_least, check_fields, not_negative


@dataclass(frozen=True, slots=True, kw_only=True)
class Takes:
    """The limits within which a system takes messages. The defaults suit whoever states nothing.

    Attributes:
        payload_bytes_max: Largest message.
        batch_bytes_max: Most bytes of one batch, without lengths and headers.
        batch_count_max: Most messages of one batch.
        inbox_bytes_max: Longest name of an inbox, in UTF-8.
        any_names: Any printable name is an inbox of its own; without it only letters and digits of
            ASCII, "_" and "-" are used. An adapter that has to write names otherwise encodes them.
        bucket_count_max: Most buckets of an inbox, where it has any (ability RESIZE).
        senders_more: Senders that may be there beside a plan's own: what connections cost.
        recuts: Its senders can send again in other batches than at first (`Recutting`).
        messages_more: Messages of one sender beside a plan's own: what a message costs.
    """

    payload_bytes_max: int = 64 * 1024
    batch_bytes_max: int = 256 * 1024
    batch_count_max: int = 1_024
    inbox_bytes_max: int = 48
    any_names: bool = False
    bucket_count_max: int = 64
    senders_more: int = 16
    messages_more: int = 10_000
    recuts: bool = False

    def __post_init__(self) -> None:
        check_fields(
            self, payload_bytes_max=at_least(1), batch_bytes_max=at_least(1),
            batch_count_max=at_least(1), inbox_bytes_max=at_least(16),
            bucket_count_max=at_least(1), senders_more=not_negative, messages_more=not_negative,
        )  # fmt: skip


@runtime_checkable
class Taking(Protocol):
    """A system that states what it takes.

    Attributes:
        takes: Its limits.
    """

    takes: Takes


def takes_of(system: object) -> Takes:
    """Return what a system takes: what it states, or the defaults."""
    return system.takes if isinstance(system, Taking) else Takes()
