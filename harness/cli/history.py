"""`tallystick history`: everything that was recorded of one message, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from heapq import merge
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.places import run_folder
from harness.errors import DamagedHistory, UsageError
from harness.history.index import INDEX_NAME, SEGMENT_GLOB
from harness.history.reader import Placed, read_folder_placed, read_placed
from harness.report.neighbours import AROUND_MAX, Neighbour, around
from harness.report.story import Story, find_at, parse_message, tell
from harness.report.witness import message_name

HISTORY_FOLDER = "history"


def history(
    result: Annotated[Path, typer.Argument(help="A run folder, or its result.json.")],
    message: Annotated[
        str,
        typer.Option(help="Its id as reports print it, or inbox@position.", metavar="P/INBOX/N"),
    ],
    around_: Annotated[
        int, typer.Option("--around", help="Tell this many neighbours too.", metavar="N")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell all records of one message in time order, with the faults that held meanwhile.

    Nothing is judged: it shows what a verdict rests on.
    """
    if not 0 <= around_ <= AROUND_MAX:
        raise UsageError(f"--around {around_}: 0 to {AROUND_MAX}")
    folder = run_folder(result) / HISTORY_FOLDER
    if not folder.is_dir():
        raise UsageError(f"{folder.parent}: its history was not kept")
    asked = parse_message(message)
    if asked.pos >= 0:
        asked = find_at(read_placed_folder(folder), asked)
    story = tell(read_placed_folder(folder), asked)
    if not story.events:
        raise UsageError(f"no record of {asked} in {folder}{_hint(story)}")
    near = []
    if around_ and story.positions:
        near = around(lambda: read_placed_folder(folder), asked.inbox, story.positions[0], around_)
    if as_json:
        typer.echo(json.dumps(_plain(story, near), indent=2))
        return
    for line in _lines(story, near):
        typer.echo(line)
    if around_ and not story.positions:
        typer.echo("No record tells its position, so it has no neighbours.")


def read_placed_folder(folder: Path) -> Iterator[Placed]:
    """Yield a history with places; one that was cut off as far as it was written.

    Raises:
        DamagedHistory: It is damaged otherwise.
    """
    if (folder / INDEX_NAME).is_file():
        return read_folder_placed(folder)
    paths = sorted(folder.glob(SEGMENT_GLOB))
    if not paths:
        raise DamagedHistory(f"{folder} holds no history")
    streams = [read_placed(path, allow_torn=True) for path in paths]
    return merge(*streams, key=lambda item: item[1].t_ns)


def _hint(story: Story) -> str:
    asked = story.asked
    if not story.producers:
        return f"; nobody sent to an inbox {asked.inbox!r}"
    if asked.producer in story.producers:
        return f"; producer {asked.producer} sent no message {asked.n}"
    return f"; to {asked.inbox} sent: {', '.join(map(str, story.producers))}, …"


def _lines(story: Story, near: list[Neighbour]) -> Iterator[str]:
    asked = story.asked
    if asked.producer >= 0:
        yield f"message {asked.n} of producer {asked.producer} to {asked.inbox}"
    else:
        yield f"position {asked.pos} of {asked.inbox}, of which no record names the message"
    for event in story.events:
        yield f"{event.t_ns / 1e9:13.6f} s  {event.text}  [{HISTORY_FOLDER}/{event.place}]"
    if story.truncated:
        yield "and more records than are told here"
    if near:
        yield ""
        yield f"around position {story.positions[0]} of {asked.inbox}:"
    for one in near:
        mark = ">" if (one.producer, one.n) == (asked.producer, asked.n) else " "
        yield (
            f"{mark} {one.pos:>9}  {message_name(one.producer, asked.inbox, one.n)}: "
            f"{_when('acknowledged', one.acknowledged_ns)}, {_when('delivered', one.delivered_ns)}"
            + (f", {one.seen} times" if one.seen > 1 else "")
        )


def _when(word: str, t_ns: int) -> str:
    return f"{word} {t_ns / 1e9:.6f} s" if t_ns >= 0 else f"not {word}"


def _plain(story: Story, near: list[Neighbour]) -> dict[str, object]:
    return {
        "message": str(story.asked),
        "positions": story.positions,
        "truncated": story.truncated,
        "events": [
            {"t_ns": one.t_ns, "text": one.text, "history_ref": f"{HISTORY_FOLDER}/{one.place}"}
            for one in story.events
        ],
        "around": [
            {
                "pos": one.pos,
                "message": message_name(one.producer, story.asked.inbox, one.n),
                "acknowledged_ns": one.acknowledged_ns,
                "delivered_ns": one.delivered_ns,
                "seen": one.seen,
            }
            for one in near
        ],
    }
