"""Every table and vector of docs/protocol.md says what the code does, and leaves nothing out."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import xxhash

from harness.testing.wire_examples import to_bytes
from reference.wire import frames, limits, messages
from reference.wire.bucket_hash import bucket_of, hash_range
from reference.wire.errors import ERROR_RULES, ErrorCode
from reference.wire.frames import FrameParser
from reference.wire.opcodes import Opcode

DOC = Path(__file__).parents[2] / "docs" / "protocol.md"


def read_table(first_column: str) -> list[list[str]]:
    """Return the rows of the one table whose first column has this title."""
    lines = DOC.read_text(encoding="utf-8").splitlines()
    (start,) = (i for i, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def fields_of(kind: type[msgspec.Struct]) -> str:
    return ", ".join(f"`{name}`" for name in kind.__struct_fields__)


def test_opcodes_and_fields() -> None:
    columns = {
        Opcode.SEND: "[`BatchHead`] of count 1, columns",
        Opcode.BATCH_SEND: "[`BatchHead`, …], columns",
        Opcode.DELIVER: "[`DeliveryHead`, …], columns",
    }
    plain = {opcode: fields_of(kind) for opcode, kind in frames._PLAIN.items()}
    wanted = [[f"0x{o:02x}", o.name, {**plain, **columns}[o]] for o in Opcode]
    assert [row[:3] for row in read_table("opcode")] == wanted


def test_structs() -> None:
    kinds = [frames._BatchHead, frames._DeliveryHead, messages.Run, messages.OkRange]
    kinds += [messages.RefusedRange, messages.CursorMark, messages.ResumeMark]
    kinds += [messages.PresenceEntry, messages.EpochEntry, messages.HotEntry, messages.StoredRow]
    wanted = [[kind.__name__.lstrip("_"), fields_of(kind)] for kind in kinds]
    assert read_table("struct") == wanted


def test_errors() -> None:
    assert set(ERROR_RULES) == set(ErrorCode)
    say = {True: "yes", False: "no"}
    assert read_table("code") == [
        [str(c.value), c.name, say[r.definite], say[r.retry], r.scope.value, r.meaning]
        for c, r in ERROR_RULES.items()
    ]


def test_limits() -> None:
    wanted = {name: value for name, value in vars(limits).items() if name.isupper()}
    rows = read_table("limit")
    assert {name: int(value) for name, value, _ in rows} == wanted
    source = " ".join(Path(limits.__file__).read_text(encoding="utf-8").split())
    assert [
        what for name, _, what in rows if name != "PROTOCOL_VERSION" and what not in source
    ] == []


@pytest.mark.parametrize("row", read_table("message"), ids=lambda row: row[0].split("(")[0])
def test_frame_vectors(row: list[str]) -> None:
    names = {**vars(messages), "ErrorCode": ErrorCode}
    message = eval(row[0].strip("`"), {"__builtins__": {}}, names)
    data = bytes.fromhex(row[1].strip("`"))
    assert to_bytes(message) == data
    assert list(FrameParser().feed(data)) == [message]


def test_there_is_a_vector_for_each_form_of_frame() -> None:
    opcodes = {Opcode(bytes.fromhex(row[1].strip("`"))[4]) for row in read_table("message")}
    assert opcodes >= {Opcode.SEND, Opcode.BATCH_SEND, Opcode.DELIVER, Opcode.OK, Opcode.ERROR}


def splitmix64(state: int) -> int:
    """Written from the page alone, apart from the code under test."""
    z = state % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


@pytest.mark.parametrize("row", read_table("producer"), ids=lambda row: "-".join(row[:3]))
def test_bucket_vectors(row: list[str]) -> None:
    producer, inbox, n, wanted = int(row[0]), row[1], int(row[2]), int(row[3], 16)
    assert int(hash_range(producer, inbox, n, 1)[0]) == wanted
    start = splitmix64(producer ^ xxhash.xxh3_64_intdigest(inbox.encode()))
    assert splitmix64(start + (n + 1) * 0x9E3779B97F4A7C15) == wanted
    for count, bucket in zip((5, 50, 100), row[4:], strict=True):
        assert bucket_of(producer, inbox, n, count) == int(bucket) == wanted % count


def test_every_defence_names_a_test_that_there_is() -> None:
    told = [name for row in read_table("attack") for name in row[2].replace("`", "").split(", ")]
    tests = "".join(path.read_text("utf-8") for path in DOC.parents[1].glob("tests/*/test_*.py"))
    assert len(told) >= 15
    assert [name for name in told if f"def {name}(" not in tests] == []
