"""The reference with TLS on every hop: its duties, and a whole run through Toxiproxy."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import run_cli
from harness.report.codec import decode_result
from harness.report.result import Status

pytestmark = pytest.mark.integration

TLS = "reference?tls=on"


def test_the_reference_with_tls_does_its_duties(tmp_path: Path) -> None:
    assert run_cli(["conform", TLS, "--out", str(tmp_path / "out")]) == 0


def test_a_run_with_tls_passes_and_leaves_no_key(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["--profile", "smoke", "--seed", "11", "--system", TLS, "--out", str(out)]
    assert run_cli(["run", "global_fan_in", *words]) in (0, 4)
    result = decode_result((out / "result.json").read_bytes())
    assert result.verdict.status is Status.PASS
    assert result.system.config["tls"] == "on"
    # Bytes are compared on every link, TLS included, and resets and cuts had their effects.
    assert result.coverage
    assert [path for path in out.rglob("*") if path.suffix in (".key", ".pem")] == []
    for path in out.rglob("*"):
        if path.is_file() and path.suffix in (".json", ".jsonl", ".log", ".md", ".xml"):
            assert "PRIVATE KEY" not in path.read_text("utf-8", "replace")
