"""Keys and tokens for tests: they are no secrets, and nodes of runs never have them."""

from __future__ import annotations

from typing import Final

from reference.identity import ADMIN, CLIENT, EDGE, Claims, sign

CLIENT_KEY: Final = "the-key-of-the-clients-of-a-test-"
EDGE_KEY: Final = "the-key-of-the-edges-of-a-test-----"
ADMIN_KEY: Final = "the-key-of-the-admins-of-a-test----"


def client_token(
    name: str, account: int = 0, inboxes: tuple[str, ...] = (), *, every_inbox: bool = False
) -> str:
    """Return the token of a user, whose producers are those of the account (0: below 2^32)."""
    claims = Claims(
        role=CLIENT, name=name, account=account, inboxes=inboxes, every_inbox=every_inbox
    )
    return sign(CLIENT_KEY, claims)


def edge_token(name: str) -> str:
    """Return the token of an edge."""
    return sign(EDGE_KEY, Claims(role=EDGE, name=name))


def admin_token(name: str = "admin") -> str:
    """Return the token of an administrator."""
    return sign(ADMIN_KEY, Claims(role=ADMIN, name=name))


SERVICE_TOKEN: Final = client_token("service", every_inbox=True)
"""That of a client that may read every inbox and send as every producer below 2^32."""
