"""Reading from the kernel's tables who goes to an address."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.links import bypass

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
REST = "00000000:00000000 00:00000000 00000000     0        0"
LOOPBACK_6 = "0" * 24 + "01000000"
MAPPED = "0" * 16 + "FFFF0000" + "0100007F"


def row(local: str, remote: str, state: str, inode: int) -> str:
    return f"   0: {local} {remote} {state} {REST} {inode} 1 0 20 4 30 10 -1\n"


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bypass, "TABLES", (tmp_path / "tcp", tmp_path / "tcp6"))
    return tmp_path


def test_connections_of_both_families_are_found(tables: Path) -> None:
    port = f"{5432:04X}"
    (tables / "tcp").write_text(
        HEAD
        + row("0100007F:9C40", f"0100007F:{port}", "01", 11)
        + row("0100007F:9C41", f"0100007F:{port}", "06", 12)  # Over.
        + row("0100007F:9C42", "0100007F:1539", "01", 13)  # Another port.
        + row(f"0100007F:{port}", "0100007F:9C40", "01", 14)  # The server's end.
        + row("0100007F:9C43", f"0200007F:{port}", "01", 15)  # Another address.
    )
    (tables / "tcp6").write_text(
        HEAD
        + row(f"{LOOPBACK_6}:9C44", f"{LOOPBACK_6}:{port}", "01", 16)
        + row(f"{MAPPED}:9C45", f"{MAPPED}:{port}", "01", 17)
    )
    assert bypass.connections_to({"127.0.0.1", "::1"}, 5432) == {
        ("127.0.0.1:40000", "127.0.0.1:5432"): "11",
        ("[::1]:40004", "[::1]:5432"): "16",
        ("127.0.0.1:40005", "127.0.0.1:5432"): "17",
    }


def test_without_tables_nothing_is_known(tables: Path) -> None:
    assert bypass.connections_to({"127.0.0.1"}, 5432) is None
    assert bypass.BypassWatch("127.0.0.1", 5432, lambda: None).look() is None
    assert not any(tables.iterdir())


def test_names_become_addresses() -> None:
    assert "127.0.0.1" in bypass.addresses_of("localhost")
    assert bypass.addresses_of("::1") == {"::1"}
