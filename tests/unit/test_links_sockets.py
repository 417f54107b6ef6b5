"""Reading the kernel's table of connections."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.links import sockets

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"


def row(number: int, local: int, other: int, state: str) -> str:
    return (
        f"{number:4d}: 0100007F:{local:04X} 0100007F:{other:04X} {state} 00000000:00000000 00:0\n"
    )


def test_open_connections_and_those_that_this_side_closed_in_order_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "tcp"
    port = 20_001
    states = ["0A", "01", "04", "05", "06", "08", "09", "0B"]
    rows = [row(index, port, 40_000 + index, state) for index, state in enumerate(states)]
    # The other end of the same connections, and another port of ours.
    rows += [row(8, 40_001, port, "01"), row(9, port + 1, 40_009, "01")]
    table.write_text(HEAD + "".join(rows))
    monkeypatch.setattr(sockets, "TCP_TABLE", table)
    assert sockets.open_on(port) == {f"0100007F:{40_001:04X}"}
    closing = sockets.closing_on(port)
    assert closing == {f"0100007F:{40_000 + index:04X}" for index in (2, 3, 4, 6, 7)}
    assert sockets.count_open(port) == 1


def test_without_a_table_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "TCP_TABLE", tmp_path / "none")
    assert sockets.open_on(1) is None
    assert sockets.closing_on(1) is None
    assert sockets.count_open(1) is None
