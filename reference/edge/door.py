"""Who waits at the edge without a word, and who has come in as whom. Pure."""

from __future__ import annotations

from typing import TypeAlias

from reference.doorstep import find_oldest
from reference.edge.clients import ClientLine, User
from reference.edge.settings import EdgeSettings
from reference.identity import ADMIN, CLIENT, verify
from reference.wire import messages as m
from reference.wire.errors import ErrorCode

Refusal: TypeAlias = tuple[ErrorCode, str]


class Door:
    """Lets connections in.

    One that has said nothing takes nobody's place (`reference.doorstep`); one that has said who it
    is counts against its user, whose connections are bounded.
    """

    def __init__(self, settings: EdgeSettings) -> None:
        self._settings = settings
        self._silent: dict[int, ClientLine] = {}
        self._users: dict[tuple[str, str], User] = {}
        self._leaving: dict[tuple[str, str], User] = {}

    def knock(self, line: ClientLine, *, full: bool) -> tuple[ClientLine, ErrorCode, str] | None:
        """Take a connection that has not said who it is; return the one that has to go for it.

        `full`: there are as many connections as allowed, without this one.
        """
        settings = self._settings
        oldest = find_oldest(
            list(self._silent.values()),
            line.address,
            full=full,
            silent_max=settings.greetings_max,
            address_max=settings.address_greetings_max,
        )
        self._silent[line.conn] = line
        if oldest is not None:
            return oldest, ErrorCode.HELLO_EXPECTED, "others wait who may say it"
        if full:
            return line, ErrorCode.BUSY, "as many connections as allowed"
        return None

    def enter(self, line: ClientLine, hello: m.Hello) -> Refusal | None:
        """Let a connection in as whom its token names; return why not."""
        settings = self._settings
        keys = {CLIENT: settings.client_key, ADMIN: settings.admin_key}.get(hello.role, "")
        claims = verify(keys, hello.token, hello.role)
        if claims is None:
            detail = f"no key of this edge has signed the token for role {hello.role}"
            return ErrorCode.UNAUTHORISED, detail
        key = (claims.role, claims.name)
        user = self._users.get(key)
        if user is None:
            user = self._users[key] = User()
        elif len(user.lines) >= settings.user_connections_max:
            detail = f"{claims.role} {claims.name!r} has as many connections as allowed"
            return ErrorCode.QUOTA, detail
        self._leaving.pop(key, None)
        del self._silent[line.conn]
        line.claims, line.user = claims, user
        user.lines.add(line)
        return None

    def leave(self, line: ClientLine) -> None:
        """Forget a connection. Idempotent: it ends by us first, and later is gone.

        What its user still uses is kept until `sweep` finds it free.
        """
        self._silent.pop(line.conn, None)
        if line in line.user.lines:
            line.user.lines.remove(line)
            if not line.user.lines:
                self._leaving[line.claims.role, line.claims.name] = line.user

    def sweep(self) -> None:
        """Forget the users of whom nothing is left."""
        for key in [key for key, user in self._leaving.items() if user.gone]:
            del self._leaving[key], self._users[key]
