"""Secrets of a node: from a file of its owner or from the environment, never from an argument.

Arguments can be read by everybody on the machine, in the list of processes. A secret that was read
stands in no error, log or representation of a setting.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any, Final

from reference.identity import KEY_CHARS_MIN

FILE_BYTES_MAX: Final = 4_096
"""A larger file holds no secret of ours."""

KEYS: Final = ("edge_key", "client_key", "admin_key")
"""Settings that hold keys: one, or several with white space between, of which each is in force."""

SECRETS: Final = (*KEYS, "token")
"""Settings that are secret."""


class SettingsError(Exception):
    """Raised for settings that a node cannot start with; the text is one line for people."""


def read_secret(path: str) -> str:
    """Return what a file holds, without white space around it.

    Raises:
        SettingsError: It cannot be read, holds none, or can be read by others than its owner.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            text = file.read(FILE_BYTES_MAX + 1) if stat.S_ISREG(about.st_mode) else b""
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    _refuse_public(path, about.st_mode)
    if len(text) > FILE_BYTES_MAX or not text.strip():
        raise SettingsError(f"{path} holds no secret: it is empty, or over {FILE_BYTES_MAX} bytes")
    try:
        return text.decode("ascii").strip()
    except UnicodeDecodeError:
        raise SettingsError(f"{path} holds no secret: it is not ASCII text") from None


def require_private(path: str) -> None:
    """Refuse a file that others than its owner may read.

    Raises:
        SettingsError: They may, or there is no such file.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    _refuse_public(path, mode)


def _refuse_public(path: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise SettingsError(f"{path} is no regular file")
    if mode & 0o077:
        raise SettingsError(f"{path} can be read by others; chmod 600 {path}")


def refuse_weak_keys(name: str, keys: str) -> None:
    """Refuse keys that can be guessed.

    Raises:
        SettingsError: One of them is too short.
    """
    if any(len(key) < KEY_CHARS_MIN for key in keys.split()):
        raise SettingsError(
            f"{name}: a key has {KEY_CHARS_MIN} characters or more: `openssl rand -hex 32` makes it"
        )


def refuse_arguments(path: str, settings: Mapping[str, Any]) -> None:
    """Refuse settings of an argument that hold a secret.

    Raises:
        SettingsError: They do.
    """
    for name in SECRETS:
        if settings.get(name):
            raise SettingsError(
                f"{path}{name}: everybody on the machine can read arguments; name a file in "
                f"`{name}_file`, or the environment variable that holds the settings: env:NAME"
            )
