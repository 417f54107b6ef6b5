"""Who may come in as whom: claims that a key has signed, so that no node keeps a table of users.

A token says of its bearer what it may be: its role, its name, what it may read and under which
producer ids it may send. Whoever holds the key of a role can make tokens of that role, and whoever
verifies them holds it too. Nodes have one key per role, and none is derived from another. Pure;
HMAC-SHA256, compared in constant time, once per connection and never per message.

Not here: an end of validity. Machines have no wall clock, so a token is valid until its key is
taken away. Several keys may be in force at once, which lets a key be changed without downtime.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Final

import msgspec

from reference.wire.limits import INBOX_NAME_BYTES_MAX, TOKEN_BYTES_MAX

CLIENT: Final = "client"
EDGE: Final = "edge"
ADMIN: Final = "admin"

NO_ACCOUNT: Final = -1
"""The account of whoever may not send."""

KEY_CHARS_MIN: Final = 32
"""What a node wants of each key that it is given: 128 bits where they are hexadecimal digits."""

ACCOUNT_SHIFT: Final = 32
"""The upper half of a producer id is the account that it belongs to."""

ACCOUNT_MAX: Final = 2**ACCOUNT_SHIFT - 1

_Account = Annotated[int, msgspec.Meta(ge=NO_ACCOUNT, le=ACCOUNT_MAX)]


class TokenTooLong(ValueError):
    """Raised for claims whose token would not fit a HELLO."""


class Claims(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a token says of its bearer.

    Attributes:
        role: "client", "edge" or "admin"; a token opens that role alone.
        name: The user, edge or administrator. A user's own inbox has the user's name.
        account: The upper half of every producer id that a client may send under. Whoever makes
            tokens gives no two users the same one. -1: it may not send.
        inboxes: Further inboxes that a client may read.
        every_inbox: It may read all of them, as a service does that reads for many users.
    """

    role: str
    name: str
    account: _Account = NO_ACCOUNT
    inboxes: tuple[str, ...] = ()
    every_inbox: bool = False

    def may_read(self, inbox: str) -> bool:
        """Tell whether it may log in to an inbox, which is also to acknowledge what is in it."""
        return self.every_inbox or inbox == self.name or inbox in self.inboxes

    def may_send_as(self, producer: int) -> bool:
        """Tell whether a producer id is one of its own."""
        return account_of(producer) == self.account


STRANGER: Final = Claims(role="", name="")
"""Whoever has not said yet who it is."""

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Claims)


def account_of(producer: int) -> int:
    """Return the account that a producer id belongs to."""
    return producer >> ACCOUNT_SHIFT


def sign(key: str, claims: Claims) -> str:
    """Return the token of these claims. Of several keys the first signs.

    Raises:
        ValueError: There is no key.
        TokenTooLong: There are too many inboxes in the claims.
    """
    first, *_ = key.split() or [""]
    if not first:
        raise ValueError("a token needs a key to be signed with")
    body = _ENCODER.encode(claims)
    token = f"{_text(body)}.{_text(_mac(first, body))}"
    if len(token) > TOKEN_BYTES_MAX:
        raise TokenTooLong(f"a token of {len(token)} bytes; at most {TOKEN_BYTES_MAX}")
    return token


def verify(keys: str, token: str, role: str) -> Claims | None:
    """Return what a token claims, None unless one of the keys signed it for that role.

    Args:
        keys: Those in force, with white space between; without any, nobody has the role.
        token: What the caller has shown.
        role: What the caller wants to be.
    """
    body_text, _, mac_text = token.partition(".")
    try:
        body, mac = _bytes(body_text), _bytes(mac_text)
    except (ValueError, binascii.Error):
        return None
    # Every key is tried, so that the time says nothing of which one fitted.
    signed = [hmac.compare_digest(mac, _mac(key, body)) for key in keys.split()]
    if not any(signed):
        return None
    try:
        claims = _DECODER.decode(body)
    except msgspec.MsgspecError:
        return None
    good = 0 < len(claims.name.encode()) <= INBOX_NAME_BYTES_MAX
    return claims if good and claims.role == role else None


def _mac(key: str, body: bytes) -> bytes:
    return hmac.digest(key.encode(), body, hashlib.sha256)


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
