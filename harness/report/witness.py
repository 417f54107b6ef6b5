"""History records, and the names of messages, as a result shows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec


def message_name(producer: int, inbox: str, n: int) -> str:
    """Return a message id as reports print it and `tallystick history --message` reads it."""
    return f"{id_text(producer)}/{inbox}/{n}"


def place_name(inbox: str, pos: int) -> str:
    """Return a position of an inbox as reports print it, for what has no known message id."""
    return f"{inbox}@{pos}"


def id_text(value: int) -> str:
    """Return a 64-bit id as results write it."""
    return str(value)


def plain_record(record: msgspec.Struct) -> dict[str, Any]:
    """Return a history record as a witness shows it: by key, 64-bit ids as text, no columns.

    Args:
        record: One of `harness.history.records`.
    """
    config = record.__struct_config__
    shown: dict[str, Any] = {} if config.tag is None else {"record": config.tag}
    for name in record.__struct_fields__:
        shown[name] = _plain_field(name, getattr(record, name))
    return shown


def plain_delivery(record: Any, wanted: Callable[[Any], bool]) -> dict[str, Any]:
    """Return a delivery by key with the runs that are wanted, each with its `pos_first`.

    `runs_left_out` says how many others it brought, if there were any.

    Args:
        record: A `harness.history.records.Delivered`.
        wanted: Whether one of its runs is to be shown.
    """
    shown = plain_record(record)
    kept = []
    pos = record.pos_first
    for run, plain in zip(record.runs, shown["runs"], strict=True):
        if wanted(run):
            kept.append({"pos_first": pos, **plain})
        pos += run.count
    shown["runs"] = kept
    if len(kept) < len(record.runs):
        shown["runs_left_out"] = len(record.runs) - len(kept)
    return shown


_ID_FIELDS = frozenset({"producer", "digest", "session"})


def _plain_field(name: str, value: Any) -> Any:
    match value:
        case bool() | str() | float() | None:
            return value
        case int():
            return id_text(value) if name in _ID_FIELDS else value
        case bytes():
            return f"{len(value)} bytes"
        case msgspec.Struct():
            return plain_record(value)
        case tuple() | list():
            return [_plain_field(name, item) for item in value]
        case _:
            return msgspec.to_builtins(value)
