"""A failure fits its lines whatever there is to tell: every row at its cap, the longest names."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from harness.definitions import NAME_BYTES_MAX
from harness.report import result as r
from harness.report.budget import Wish, share_out
from harness.report.terminal import FAIL_LINES_MAX, make_console, print_result
from harness.testing import example_results as examples

WIDTH = 80
FOLDER_CHARS_MAX = 1_000
MANY = 10**12


def words(chars: int) -> str:
    return ("word " * (chars // 5 + 1))[:chars].strip()


def name(kind: str) -> str:
    return f"{kind}_".ljust(NAME_BYTES_MAX, "x")


def failure(text_chars: int, many: int, name_chars: int, repeat_chars: int) -> r.Result:
    """Return a failure with texts of that length, and `many` of all that there may be many of."""
    base = examples.failed()
    told = words(text_chars)
    witness = r.Witness(
        summary=told, records=[{"record": told}] * 8, message=f"7/{'x' * name_chars}/1"
    )
    failed = [
        msgspec.structs.replace(
            one, id=f"A{index}", name=name("CHECK"), status=r.CheckStatus.FAIL, instances=MANY,
            examined=MANY, reason=told, witnesses=[witness],
        )
        for index, one in enumerate(base.checks * (1 + many // 10))
    ]  # fmt: skip
    unproven = [
        msgspec.structs.replace(one, id=f"D{index}", status=r.CheckStatus.UNKNOWN)
        for index, one in enumerate(failed)
    ]
    return msgspec.structs.replace(
        base,
        complete=False,
        system=msgspec.structs.replace(
            base.system, name="x" * name_chars, planted_bug="x" * name_chars
        ),
        run=msgspec.structs.replace(
            base.run, scenario="x" * name_chars, claim=told, seed=2**63 - 1, duration_s=1e7,
            repeat_command="tallystick run " + words(repeat_chars),
        ),
        diagnosis=msgspec.structs.replace(base.diagnosis, text=told),
        checks=failed + unproven,
        not_tried=[r.NotTried(what=told, why=told, times=MANY)] * many,
        findings=[],
        faults=[
            msgspec.structs.replace(base.faults[0], kind=f"{name('kind')}{index}", target=told)
            for index in range(many)
        ],
        limits=[msgspec.structs.replace(base.limits[0], met=False, metric=name("m"))] * many,
        notes=[told] * many,
        counts=msgspec.structs.replace(
            base.counts,
            sends=r.Sends(ok=MANY, fail=MANY, info=MANY),
            lost=r.Lost(total=MANY, prefix=MANY, middle=MANY, suffix=MANY),
            vanished=MANY, passed_by=MANY, duplicated=MANY, reordered=MANY, unresolved=MANY,
            delivered=MANY, redelivered=MANY, recovered=MANY,
            reconnects=r.Reconnects(sender=MANY, receiver=MANY),
        ),
    )  # fmt: skip


def printed(result: r.Result, folder: Path) -> tuple[str, int]:
    """Return what is printed, and the lines that a screen of 80 columns shows."""
    out = io.StringIO()
    print_result(make_console(out), result, folder)
    lines = out.getvalue().splitlines()
    return out.getvalue(), sum(max(1, -(-len(line) // WIDTH)) for line in lines)


def seen_to_be_whole(text: str, folder: Path) -> None:
    for label in ("what", "broken", "not tried", "anomaly", "messages", "checks"):
        assert f"\n  {label}" in text, label
    assert shlex.join(["tallystick", "report", str(folder), "--all"]) in text


def test_every_row_at_its_cap_with_the_longest_names() -> None:
    folder = Path("x" * 200)
    text, lines = printed(failure(10_000, 40, NAME_BYTES_MAX, 300), folder)
    assert lines <= FAIL_LINES_MAX
    # It is full: nothing was cut that would have had room.
    assert lines == FAIL_LINES_MAX
    seen_to_be_whole(text, folder)
    assert "tallystick history" in text
    assert "tallystick run " in text


@settings(max_examples=60, deadline=None)
@given(
    text_chars=some.integers(1, 3_000),
    many=some.integers(1, 30),
    name_chars=some.integers(1, NAME_BYTES_MAX),
    repeat_chars=some.integers(1, 4_000),
    folder_chars=some.integers(1, FOLDER_CHARS_MAX),
)
def test_whatever_there_is_to_tell(
    text_chars: int, many: int, name_chars: int, repeat_chars: int, folder_chars: int
) -> None:
    folder = Path("x" * folder_chars)
    text, lines = printed(failure(text_chars, many, name_chars, repeat_chars), folder)
    assert lines <= FAIL_LINES_MAX
    seen_to_be_whole(text, folder)


WISHES = some.builds(
    Wish,
    lines=some.integers(0, 9),
    least=some.integers(0, 3),
    whole=some.booleans(),
    rank=some.integers(0, 4),
)


@given(wishes=some.lists(WISHES, max_size=12), room=some.integers(0, 40))
def test_nobody_has_more_than_it_wants_and_who_matters_least_gives_up_first(
    wishes: list[Wish], room: int
) -> None:
    given = share_out(wishes, room)
    left = [min(wish.least, wish.lines) for wish in wishes]
    assert sum(given) <= max(room, sum(left))
    for wish, lines, least in zip(wishes, given, left, strict=True):
        assert least <= lines <= wish.lines
        assert not wish.whole or lines in (least, wish.lines)
        if lines < wish.lines:
            # Whoever matters less has nothing left to give.
            assert all(
                other_lines == other_least
                for other, other_lines, other_least in zip(wishes, given, left, strict=True)
                if other.rank > wish.rank
            )


@pytest.mark.parametrize("room", [0, 1, 7, 20])
def test_nobody_gives_up_what_there_is_room_for(room: int) -> None:
    wishes = [Wish(lines=3, rank=rank) for rank in range(4)]
    assert sum(share_out(wishes, room)) == min(room, 12)
