"""Secrets come from files of their owner and the environment, and are told to nobody."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.testing.keys import ADMIN_KEY, CLIENT_KEY, EDGE_KEY, edge_token
from reference.node.secrets import FILE_BYTES_MAX, read_secret
from reference.node.settings import (
    CoreNodeSettings,
    EdgeNodeSettings,
    SettingsError,
    decode_settings,
)


def secret_file(folder: Path, text: str, mode: int = 0o600) -> str:
    path = folder / "secret"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_secret_is_read_without_its_line_end(tmp_path: Path) -> None:
    assert read_secret(secret_file(tmp_path, "one\ntwo\n")) == "one\ntwo"


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        ("word", 0o640, "can be read by others; chmod 600"),
        ("word", 0o604, "can be read by others"),
        ("", 0o600, "holds no secret"),
        (" \n", 0o600, "holds no secret"),
        ("ü", 0o600, "not ASCII"),
        ("w" * (FILE_BYTES_MAX + 1), 0o600, "holds no secret"),
    ],
)
def test_what_is_no_secret_is_refused(tmp_path: Path, text: str, mode: int, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        read_secret(secret_file(tmp_path, text, mode))


def test_neither_is_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(SettingsError, match=r"no regular file|Is a directory"):
            read_secret(str(path))
    with pytest.raises(SettingsError, match="No such file"):
        read_secret(str(tmp_path / "none"))


def test_keys_come_from_files_that_settings_name(tmp_path: Path) -> None:
    path = secret_file(tmp_path, f"{EDGE_KEY}\n{CLIENT_KEY}\n")
    text = json.dumps({"core": {}, "database": "x.db", "edge_key_file": path})
    assert decode_settings(text, CoreNodeSettings).core.edge_key == f"{EDGE_KEY}\n{CLIENT_KEY}"


def test_settings_of_an_argument_hold_no_secret_and_those_of_the_environment_are_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edge = {"name": "eu", "token": edge_token("eu"), "client_key": CLIENT_KEY}
    text = json.dumps({"core_port": 1, "edge": edge})
    with pytest.raises(SettingsError, match="can read arguments") as refused:
        decode_settings(text, EdgeNodeSettings)
    assert CLIENT_KEY not in str(refused.value)
    monkeypatch.setenv("SETTINGS", text)
    assert decode_settings("env:SETTINGS", EdgeNodeSettings).edge.client_key == CLIENT_KEY
    assert "SETTINGS" not in os.environ


@pytest.mark.parametrize("key", ["short", f"{ADMIN_KEY} short"])
def test_a_key_that_can_be_guessed_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    core = {"database": "x.db", "core": {"admin_key": key}}
    monkeypatch.setenv("SETTINGS", json.dumps(core))
    with pytest.raises(SettingsError, match="admin_key: a key has 32 characters or more") as error:
        decode_settings("env:SETTINGS", CoreNodeSettings)
    assert "short" not in str(error.value)


@pytest.mark.parametrize(
    "wrong",
    ['{"core": {"admin_key": "SECRET"', '{"core": {"admin_key": ["SECRET"]}, "database": "x"}'],
)
def test_an_error_in_settings_does_not_quote_them(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv("SETTINGS", wrong)
    with pytest.raises(SettingsError) as error:
        decode_settings("env:SETTINGS", CoreNodeSettings)
    assert "SECRET" not in str(error.value)


def test_settings_that_are_printed_keep_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    edge = {
        "name": "eu", "token": edge_token("eu"), "client_key": CLIENT_KEY, "admin_key": ADMIN_KEY
    }  # fmt: skip
    core = {"edge_key": EDGE_KEY, "admin_key": ADMIN_KEY}
    monkeypatch.setenv("EDGE", json.dumps({"core_port": 1, "edge": edge}))
    monkeypatch.setenv("CORE", json.dumps({"database": "x.db", "core": core}))
    told = repr(decode_settings("env:EDGE", EdgeNodeSettings))
    told += repr(decode_settings("env:CORE", CoreNodeSettings))
    for secret in (CLIENT_KEY, EDGE_KEY, ADMIN_KEY, edge_token("eu")):
        assert secret not in told


@pytest.mark.parametrize(
    ("host", "tls", "told"),
    [
        ("10.0.0.1", None, "without TLS"),
        ("10.0.0.1", {"certificate": "c", "key": "k"}, "tls.authority is missing"),
        ("10.0.0.1", {"certificate": "c", "key": "k", "authority": "a"}, ""),
    ],
)
def test_only_with_tls_a_node_leaves_this_machine(
    monkeypatch: pytest.MonkeyPatch, host: str, tls: object, told: str
) -> None:
    edge = {"name": "eu", "token": "t"}
    text = json.dumps({"core_port": 1, "core_host": host, "host": host, "edge": edge, "tls": tls})
    monkeypatch.setenv("SETTINGS", text)
    if told:
        with pytest.raises(SettingsError, match=told):
            decode_settings("env:SETTINGS", EdgeNodeSettings)
    else:
        assert decode_settings("env:SETTINGS", EdgeNodeSettings).host == host
