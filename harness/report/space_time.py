"""A witness as a space-time diagram: who did what when, time running downwards, as plain SVG.

On a screen too narrow for it the same rows are a list (the style sheet shows one of the two).

The rows stand at equal distances: the times of a witness lie microseconds and minutes apart. Its
colours come from the page's style sheet, so that it is readable in light and in dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import Any

from harness.report.story import Story, reader_lane

PAGE_PX = 1_000
"""What a window of 1,080 px has room for; a diagram grows beyond it only where it must."""

LANE_PX = 128
ROW_PX = 34
LEFT_PX = 96
TOP_PX = 34

NAME_CHARACTERS_MAX = 15
"""Longer names of lanes are cut in the middle; the full name is the lane's tooltip."""

TEXT_PX = 330
CHARACTER_PX = 6.5
"""Least room for the words to the right of the last lane, and for each character of them."""

LINES_MAX = 2
"""Lines of words that fit into a row; longer words make the diagram wider instead."""

LINE_PX = 14

ROWS_MAX = 60
"""Rows drawn of one message's way; `tallystick history` tells all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    t_ns: int
    lane: str
    text: str
    kind: str
    ids: tuple[tuple[str, str, int, int], ...] = ()


def of_records(
    records: Sequence[Mapping[str, Any]], senders: Mapping[str, str] | None = None
) -> str:
    """Return the diagram of a witness' records, or "" if there are none; senders by name."""
    events = (_event(record, senders or {}) for record in records)
    return _drawn(sorted(events, key=lambda event: event.t_ns))


def of_story(story: Story) -> str:
    """Return the diagram of one message's whole way, the faults that held meanwhile included."""
    one = (("", story.asked.inbox, 0, 1),)
    return _drawn(
        [
            _Event(
                t_ns=event.t_ns,
                lane=event.lane,
                text=event.text,
                kind=event.kind,
                ids=one if event.kind in ("invoked", "delivered", "stored") else (),
            )
            for event in story.events[:ROWS_MAX]
        ]
    )


def _drawn(events: Sequence[_Event]) -> str:
    if not events:
        return ""
    lanes = list(dict.fromkeys(event.lane for event in events))
    # Senders to the left, the store in the middle, readers to the right: as messages travel.
    lanes.sort(key=_place)
    right = LEFT_PX + LANE_PX * len(lanes)
    characters = int(max(TEXT_PX, PAGE_PX - right) / CHARACTER_PX)
    while any(len(wrap(event.text, characters)) > LINES_MAX for event in events):
        characters += 1
    width = right + math.ceil(CHARACTER_PX * characters)
    height = TOP_PX + ROW_PX * (len(events) + 1)
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [f'<svg class="space-time" {size} role="img" aria-label="space-time diagram">']
    parts += _lanes(lanes, height)
    parts += _arrows(events, lanes)
    parts += _rows(events, lanes, characters)
    parts.append("</svg>")
    parts += _list(events)
    return "".join(parts)


def _list(events: Sequence[_Event]) -> Iterator[str]:
    yield '<ol class="space-time-list">'
    for event in events:
        yield (
            f'<li class="{event.kind}"><span class="time">{event.t_ns / 1e9:.6f} s</span> '
            f"<b>{escape(event.lane)}</b> {escape(event.text)}</li>"
        )
    yield "</ol>"


def _place(lane: str) -> tuple[int, str]:
    order = ("faults", "sender", "store", "reader")
    return next((i for i, word in enumerate(order) if lane.startswith(word)), 2), lane


def _x(lanes: Sequence[str], lane: str) -> float:
    return LEFT_PX + LANE_PX * (lanes.index(lane) + 0.5)


def _y(row: int) -> float:
    return TOP_PX + ROW_PX * (row + 0.8)


def _lanes(lanes: Sequence[str], height: int) -> Iterator[str]:
    for lane in lanes:
        x = _x(lanes, lane)
        yield f'<line class="lane" x1="{x}" y1="{TOP_PX}" x2="{x}" y2="{height - 8}"/>'
        yield (
            f'<text class="lane-name" x="{x}" y="18" text-anchor="middle">'
            f"<title>{escape(lane)}</title>{escape(_short(lane))}</text>"
        )


def _arrows(events: Sequence[_Event], lanes: Sequence[str]) -> Iterator[str]:
    """Yield a line from each send to the later records of other lanes that hold its ids."""
    for row, event in enumerate(events):
        if event.kind != "invoked":
            continue
        for later in range(row + 1, len(events)):
            other = events[later]
            if other.lane != event.lane and _meet(event, other):
                yield (
                    f'<line class="arrow" x1="{_x(lanes, event.lane)}" y1="{_y(row)}" '
                    f'x2="{_x(lanes, other.lane)}" y2="{_y(later)}"/>'
                )


def _meet(one: _Event, other: _Event) -> bool:
    return any(
        (producer, inbox) == (theirs, box) and first < their_end and their_first < end
        for producer, inbox, first, end in one.ids
        for theirs, box, their_first, their_end in other.ids
    )


def _rows(events: Sequence[_Event], lanes: Sequence[str], characters: int) -> Iterator[str]:
    right = LEFT_PX + LANE_PX * len(lanes) + 6
    for row, event in enumerate(events):
        x, y = _x(lanes, event.lane), _y(row)
        yield f'<text class="time" x="{LEFT_PX - 12}" y="{y + 4}" text-anchor="end">'
        yield f"{event.t_ns / 1e9:.6f} s</text>"
        yield f'<line class="guide" x1="{x}" y1="{y}" x2="{right - 4}" y2="{y}"/>'
        yield f'<circle class="dot {event.kind}" cx="{x}" cy="{y}" r="6"/>'
        lines = wrap(event.text, characters)
        for index, line in enumerate(lines):
            at = y + 4 + LINE_PX * (index - (len(lines) - 1) / 2)
            yield f'<text class="what" x="{right}" y="{at}">{escape(line)}</text>'


def _short(name: str) -> str:
    if len(name) <= NAME_CHARACTERS_MAX:
        return name
    half = (NAME_CHARACTERS_MAX - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def _event(record: Mapping[str, Any], senders: Mapping[str, str]) -> _Event:
    tag = str(record.get("record", ""))
    t_ns = int(record.get("t_ns", 0))
    inbox = str(record.get("inbox", ""))
    match tag:
        case "invoked" | "completed":
            return _send(record, tag, t_ns, inbox, senders)
        case "delivered":
            runs = record.get("runs") or []
            count = sum(int(run["count"]) for run in runs)
            ids = tuple(
                (
                    str(run["producer"]),
                    inbox,
                    int(run["n_first"]),
                    int(run["n_first"] + run["count"]),
                )
                for run in runs
            )
            again = " again" if record.get("redelivered") else ""
            pos = int(record.get("pos_first", 0))
            text = f"delivered{again}: positions {pos} to {pos + count - 1}"
            if left := record.get("runs_left_out"):
                text = f"delivered{again}: {_places(runs)} (and {left} runs of others)"
            return _Event(t_ns=t_ns, lane=_reader(record), text=text, kind=tag, ids=ids)
        case "opened":
            text = f"session {record.get('session')} opened, next position {record.get('next_pos')}"
        case "closed":
            text = f"session {record.get('session')} ended: {record.get('cause')}"
        case "ack_invoked":
            text = f"cursor to {record.get('upto')}"
        case "ack_completed":
            text = f"cursor to {record.get('upto')}: {record.get('outcome')}"
        case "end_read":
            text = f"end read: nothing beyond {record.get('pos')}"
        case _:
            rest = ", ".join(
                f"{key} {value}" for key, value in record.items() if key not in ("record", "t_ns")
            )
            return _Event(t_ns=t_ns, lane=_other_lane(tag), text=f"{tag}: {rest}"[:120], kind=tag)
    return _Event(t_ns=t_ns, lane=_reader(record), text=text, kind=tag)


def _places(runs: Sequence[Mapping[str, Any]]) -> str:
    told = []
    for run in runs:
        pos, count = int(run["pos_first"]), int(run["count"])
        told.append(f"position {pos}" if count == 1 else f"positions {pos} to {pos + count - 1}")
    return ", ".join(told)


def _send(
    record: Mapping[str, Any], tag: str, t_ns: int, inbox: str, senders: Mapping[str, str]
) -> _Event:
    producer, first = str(record.get("producer", "")), int(record.get("n_first", 0))
    last = first + int(record.get("count", 1)) - 1
    which = f"n {first}" if last == first else f"n {first} to {last}"
    outcome = str(record.get("outcome", ""))
    text, kind = f"sends {which} to {inbox}", tag
    if tag == "completed":
        kind = f"completed {outcome}"
        pos = int(record.get("pos_first", -1))
        where = f" at position {pos}" if pos >= 0 else ""
        text = f"{which}: {outcome}{where} {record.get('error') or ''}".rstrip()
    ids = ((producer, inbox, first, last + 1),)
    return _Event(
        t_ns=t_ns, lane=senders.get(producer, f"sender {producer}"), text=text, kind=kind, ids=ids
    )


def _reader(record: Mapping[str, Any]) -> str:
    return reader_lane(str(record.get("reader", "?")))


def _other_lane(tag: str) -> str:
    if tag.startswith("resize"):
        return "promotions"
    return {"stored": "store", "presence_seen": "presence", "fault_marked": "faults"}.get(
        tag, "harness"
    )
