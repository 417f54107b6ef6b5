"""`tallystick history`: everything that was recorded of one message, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from heapq import merge
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import DamagedHistory, UsageError
from harness.history.index import INDEX_NAME, SEGMENT_GLOB
from harness.history.reader import Placed, read_folder_placed, read_placed
from harness.report.neighbours import AROUND_MAX, Neighbour, around
from harness.report.stored import run_folder
from harness.report.story import Asked, Story, parse_message, stories
from harness.report.witness import message_name
from harness.report.words import named
from harness.report.writer import RESULT_NAME

HISTORY_FOLDER = "history"


def history(
    result: Annotated[Path, typer.Argument(help="A run folder, or its result.json.")],
    message: Annotated[
        str,
        typer.Option(
            help="Its name as reports print it (sender-3/bob/12), or inbox@position.",
            metavar="P/INBOX/N",
        ),
    ],
    around_: Annotated[
        int, typer.Option("--around", help="Tell this many neighbours too.", metavar="N")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell all records of one message in time order, with the faults that held meanwhile.

    Where other messages were seen at its position, theirs too.

    Nothing is judged: it shows what a verdict rests on.
    """
    if not 0 <= around_ <= AROUND_MAX:
        raise UsageError(f"--around {around_}: 0 to {AROUND_MAX}")
    folder = run_folder(result) / HISTORY_FOLDER
    if not folder.is_dir():
        raise UsageError(f"{folder.parent}: its history was not kept")
    senders = read_senders(folder.parent)
    asked = parse_message(message, senders)
    (story,) = stories(lambda: read_placed_folder(folder), [asked], senders)
    if not story.events:
        raise UsageError(f"no record of {asked} in {folder}{_hint(story, senders)}")
    near = []
    if around_ and story.positions:
        near = around(lambda: read_placed_folder(folder), asked.inbox, story.positions[0], around_)
    if as_json:
        typer.echo(json.dumps(_plain(story, near), indent=2))
        return
    for line in _lines(story, near, senders):
        typer.echo(line)
    if around_ and not story.positions:
        typer.echo("No record tells its position, so it has no neighbours.")


def read_senders(run_dir: Path) -> dict[str, str]:
    """Return the name of each sender by its producer; {} where no result tells."""
    try:
        found = json.loads((run_dir / RESULT_NAME).read_bytes()).get("senders", {})
    except (OSError, ValueError, AttributeError):
        return {}
    return {str(producer): str(name) for producer, name in found.items()}


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


def _hint(story: Story, senders: Mapping[str, str]) -> str:
    asked = story.asked
    if not story.producers:
        return f"; nobody sent to an inbox {asked.inbox!r}"
    names = {one: senders.get(str(one), f"producer {one}") for one in story.producers}
    if asked.producer in names:
        return f"; {names[asked.producer]} sent no message {asked.n} to {asked.inbox}"
    return f"; to {asked.inbox} sent: {', '.join(names.values())}, …"


def _lines(story: Story, near: list[Neighbour], senders: Mapping[str, str]) -> Iterator[str]:
    asked = story.asked
    if len(story.together) > 1:
        at = ", ".join(map(str, story.positions))
        where = f"position {at}" if len(story.positions) == 1 else f"positions {at}"
        yield f"{len(story.together)} messages were seen at {where} of {asked.inbox}:"
        yield from (f"  {_message(other, senders)}" for other in story.together)
    elif asked.producer >= 0:
        yield _message(asked, senders)
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
        name = named(message_name(one.producer, asked.inbox, one.n), senders)
        mark = ">" if (one.producer, one.n) == (asked.producer, asked.n) else " "
        yield (
            f"{mark} {one.pos:>9}  {name}: "
            f"{_when('acknowledged', one.acknowledged_ns)}, {_when('delivered', one.delivered_ns)}"
            + (f", {one.seen} times" if one.seen > 1 else "")
        )


def _message(asked: Asked, senders: Mapping[str, str]) -> str:
    name = senders.get(str(asked.producer))
    sender = f"producer {asked.producer}"
    if name is not None:
        sender = f"{name} ({sender})"
    return f"message {asked.n} of {sender} to {asked.inbox}"


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
