"""What clients were told by the system when something did not work, counted by kind. Pure.

A kind is a text whose addresses, ids and numbers are folded, so that there are few; the last text
of each kind is kept as it was told. Secrets are taken out before anything else is done with a text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from harness.addresses import HIDDEN
from harness.report.result import ClientError
from harness.systems.broker.secrets import secrets_of as secrets_at
from harness.systems.broker.settings import PASSWORD_VARIABLE, TOKEN_VARIABLE

KINDS_MAX = 40
"""Kinds that are told apart, in one process and in the result; more are counted as `OTHER`."""

TEXT_CHARS_MAX = 240
"""What is kept of a text."""

SECRET_CHARS_MIN = 3
"""A shorter secret cannot be told from other text."""

OTHER = "other errors"

OURS = frozenset({"unanswered at the end", "never handed over"})
"""What the harness says itself of messages that no system has spoken of."""

_USER_INFO = re.compile(r"(?<=://)[^/\s@]+@")
_SECRET_KEYS = re.compile(r"pass|token|secret", re.IGNORECASE)
_FOLDS = (
    (re.compile(r"\('[^']*', \d+(?:, \d+)*\)"), "<address>"),
    (re.compile(r"\[[0-9a-fA-F:]*:[0-9a-fA-F:.]*\](?::\d+)?"), "<address>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<address>"),
    (re.compile(r"\b(?:client-edge|edge-core):[^\s,;]*[^\s,;:.]"), "<link>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{8,}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"(?<!Errno )(?<![A-Za-z_\d])\d+(?:[.,]\d+)*"), "<n>"),
)


def fold(text: str) -> str:
    """Return the kind of a text: addresses, links, ids and numbers are folded, an errno is not."""
    for form, instead in _FOLDS:
        text = form.sub(instead, text)
    return text


def secrets_of(connect: Mapping[str, Any]) -> frozenset[str]:
    """Return what must appear in no text: of the environment, and of what clients connect with."""
    found = {os.environ.get(PASSWORD_VARIABLE, ""), os.environ.get(TOKEN_VARIABLE, "")}
    for key, value in connect.items():
        if key == "endpoint" and isinstance(value, Mapping):
            told = secrets_at(str(value.get("text", "")))
            found |= {told.password, told.token}
        if isinstance(value, Mapping):
            found |= secrets_of(value)
        elif isinstance(value, str) and _SECRET_KEYS.search(key):
            found.add(value)
    return frozenset(one for one in found if len(one) >= SECRET_CHARS_MIN)


def without(secrets: Iterable[str], value: Any) -> Any:
    """Return JSON data with three stars for each secret in its texts; keys stay as they are."""
    if isinstance(value, str):
        # The longest first: one may be a part of another.
        for secret in sorted(secrets, key=len, reverse=True):
            value = value.replace(secret, HIDDEN)
    elif isinstance(value, Mapping):
        value = {key: without(secrets, one) for key, one in value.items()}
    elif isinstance(value, (list, tuple)):
        value = [without(secrets, one) for one in value]
    return value


class ClientErrors:
    """Counts errors by who was told, on what occasion, and kind.

    Args:
        secrets: What is taken out of every text.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = frozenset(secrets)
        self._found: dict[tuple[str, str, str], ClientError] = {}
        self.count = 0
        """How many were heard of, messages of an outcome counted as one."""

    def clean(self, text: str) -> str:
        """Return a text on one line, without secrets and no longer than `TEXT_CHARS_MAX`."""
        text = str(without(self._secrets, text))
        text = " ".join(_USER_INFO.sub(f"{HIDDEN}@", text).split())
        return text if len(text) <= TEXT_CHARS_MAX else f"{text[: TEXT_CHARS_MAX - 2]} …"

    def hear(self, who: str, occasion: str, text: str, t_ns: int, count: int = 1) -> None:
        """Count what was told; see `ClientError` for the words."""
        self.count += 1
        last = self.clean(text) or "no reason given"
        self._add(
            ClientError(
                who=who, occasion=occasion, kind=fold(last), last=last, count=count,
                first_ns=t_ns, last_ns=t_ns,
            )
        )  # fmt: skip

    def _add(self, one: ClientError) -> None:
        key = (one.who, one.occasion, one.kind)
        if key not in self._found and len(self._found) >= KINDS_MAX:
            key = (one.who, one.occasion, OTHER)
            one = msgspec.structs.replace(one, kind=OTHER)
        before = self._found.get(key)
        self._found[key] = one if before is None else _merged(before, one)

    def told(self) -> list[ClientError]:
        """Return every kind, the most frequent first."""
        return sorted(self._found.values(), key=lambda one: (-one.count, one.first_ns))


def together(parts: Iterable[Iterable[ClientError]]) -> list[ClientError]:
    """Return what several processes have counted, as one."""
    found = ClientErrors()
    for part in parts:
        for one in part:
            found._add(one)
    return found.told()


def _merged(one: ClientError, other: ClientError) -> ClientError:
    later = one if one.last_ns > other.last_ns else other
    return msgspec.structs.replace(
        later,
        count=one.count + other.count,
        first_ns=min(one.first_ns, other.first_ns),
    )
