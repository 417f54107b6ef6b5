"""What a user's server wants to be told in confidence: kept in memory, handed to load processes.

Nothing here is written, shown or put on a command line. `TALLYSTICK_PASSWORD` and
`TALLYSTICK_TOKEN` of our own environment are read; a secret that came in a URL or an option goes
before them, and is kept by the endpoint that it belongs to, since several systems may be compared.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.processes.environment import PASSWORD_VARIABLE, TOKEN_VARIABLE, child_environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """A password, a token, both or none."""

    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


_KEPT: dict[str, Secrets] = {}
"""By endpoint, as `Endpoint.text` has it."""


def keep(endpoint: str, secrets: Secrets) -> None:
    """Remember the secrets of an endpoint, in place of earlier ones, while this process lives."""
    if secrets != Secrets():
        _KEPT[endpoint] = secrets


def secrets_of(endpoint: str) -> Secrets:
    """Return what was kept for an endpoint, and from the environment what was not."""
    kept = _KEPT.get(endpoint, Secrets())
    return Secrets(
        password=kept.password or os.environ.get(PASSWORD_VARIABLE, ""),
        token=kept.token or os.environ.get(TOKEN_VARIABLE, ""),
    )


def load_environment(connect: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a load process: that of every child, and its endpoint's secrets."""
    told = secrets_of(str(connect.get("endpoint", {}).get("text", "")))
    named = {PASSWORD_VARIABLE: told.password, TOKEN_VARIABLE: told.token}
    return child_environment() | {name: value for name, value in named.items() if value}
