"""Settings that would stop a node, or let it give up on the living, are refused with one line."""

from __future__ import annotations

import inspect
import json

import pytest

from harness.cli import serve
from reference.core.settings import CoreSettings
from reference.node.settings import (
    NUMBER_MAX,
    CoreNodeSettings,
    EdgeNodeSettings,
    SettingsError,
    decode_settings,
)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"connections_max": 0}, r"core\.connections_max lies between 1 and"),
        ({"pending_bytes_max": -1}, r"core\.pending_bytes_max lies between 1"),
        ({"inboxes_max": NUMBER_MAX + 1}, r"core\.inboxes_max lies between"),
        ({"heartbeat_interval_ms": 2_000}, "shorter than two silences of 2000 ms"),
    ],
)
def test_a_core_is_told_what_is_out_of_range(changes: dict[str, int], told: str) -> None:
    text = json.dumps({"database": "x.db", "core": changes})
    with pytest.raises(SettingsError, match=told):
        decode_settings(text, CoreNodeSettings)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"buffer_bytes_max": 0}, r"edge\.buffer_bytes_max lies between 1 and"),
        ({"backoff_ms": 0}, r"edge\.backoff_ms lies between"),
        ({"pulse": {"silence_ms": 0, "deadline_ms": 1}}, r"edge\.pulse\.silence_ms lies between"),
        ({"pulse": {"silence_ms": 900, "deadline_ms": 1_000}}, "shorter than two silences"),
    ],
)
def test_an_edge_is_told_what_is_out_of_range(changes: dict[str, object], told: str) -> None:
    text = json.dumps({"core_port": 1, "edge": {"name": "eu", "token": "t", **changes}})
    with pytest.raises(SettingsError, match=told):
        decode_settings(text, EdgeNodeSettings)


def test_what_can_be_switched_off_may_be_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps({"core_port": 1, "edge": {"name": "eu", "token": "t", "hold_ms": 0}})
    monkeypatch.setenv("SETTINGS", text)
    assert decode_settings("env:SETTINGS", EdgeNodeSettings).edge.hold_ms == 0


def test_serve_keeps_what_a_core_keeps_by_default() -> None:
    default = inspect.signature(serve.core).parameters["retention"].default
    assert default == CoreSettings().retention
