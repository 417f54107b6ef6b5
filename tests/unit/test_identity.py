"""Tokens: what a key has signed opens one role, and nothing else does."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.testing.keys import ADMIN_KEY, CLIENT_KEY, EDGE_KEY, client_token
from reference.identity import (
    ACCOUNT_MAX,
    ADMIN,
    CLIENT,
    EDGE,
    Claims,
    TokenTooLong,
    account_of,
    sign,
    verify,
)
from reference.wire.messages import Hello

ANN = Claims(role=CLIENT, name="ann", account=3, inboxes=("team",))


def test_a_token_says_what_was_signed() -> None:
    assert verify(CLIENT_KEY, sign(CLIENT_KEY, ANN), CLIENT) == ANN


@pytest.mark.parametrize(
    ("keys", "role"),
    [("", CLIENT), (" ", CLIENT), (EDGE_KEY, CLIENT), (CLIENT_KEY, EDGE), (CLIENT_KEY, ADMIN)],
)
def test_another_key_or_role_stays_shut(keys: str, role: str) -> None:
    assert verify(keys, sign(CLIENT_KEY, ANN), role) is None


def test_a_key_that_serves_two_roles_does_not_mix_them() -> None:
    assert verify(CLIENT_KEY, sign(CLIENT_KEY, Claims(role=CLIENT, name="eu")), EDGE) is None


def test_no_key_follows_from_another() -> None:
    """The administrator's key once was "admin-" and the clients' token."""
    for derived in (f"admin-{CLIENT_KEY}", f"admin-{client_token('ann')}"):
        assert verify(ADMIN_KEY, sign(derived, Claims(role=ADMIN, name="a")), ADMIN) is None


@given(st.text(max_size=200))
def test_what_nobody_signed_opens_nothing(text: str) -> None:
    assert verify(CLIENT_KEY, text, CLIENT) is None


@given(st.data())
def test_one_other_character_opens_nothing_else(data: st.DataObject) -> None:
    token = sign(CLIENT_KEY, ANN)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="ascii"))
    # The last character of a part has bits that say nothing.
    assert verify(CLIENT_KEY, token[:at] + other + token[at + 1 :], CLIENT) in (None, ANN)


@pytest.mark.parametrize(
    "body",
    [b"", b"\xc1", msgspec.msgpack.encode([CLIENT]), msgspec.msgpack.encode([CLIENT, "", 1])],
)
def test_a_signature_alone_makes_no_claims(body: bytes) -> None:
    from reference.identity import _mac  # The key's holder may sign nonsense.

    parts = (urlsafe_b64encode(part).rstrip(b"=").decode() for part in (body, _mac("k", body)))
    assert verify("k", ".".join(parts), CLIENT) is None


def test_a_key_is_changed_without_a_gap() -> None:
    old, new = sign(CLIENT_KEY, ANN), sign(EDGE_KEY, ANN)
    both = f"{EDGE_KEY}\n{CLIENT_KEY}\n"
    assert verify(both, old, CLIENT) == verify(both, new, CLIENT) == ANN
    assert sign(both, ANN) == new
    assert verify(EDGE_KEY, old, CLIENT) is None


def test_who_may_read_and_send() -> None:
    assert [ANN.may_read(inbox) for inbox in ("ann", "team", "bob", "Ann", "ann ", "")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip
    assert Claims(role=CLIENT, name="s", every_inbox=True).may_read("bob")
    assert [ANN.may_send_as(p) for p in (3 << 32, (4 << 32) - 1, 4 << 32, 3, 0)] == [
        True, True, False, False, False,
    ]  # fmt: skip


@given(st.integers(0, 2**64 - 1))
def test_a_producer_belongs_to_one_account_and_nobody_without_one_sends(producer: int) -> None:
    assert 0 <= account_of(producer) <= ACCOUNT_MAX
    assert not Claims(role=CLIENT, name="ann").may_send_as(producer)


def test_a_token_that_fits_no_greeting_is_not_made() -> None:
    with pytest.raises(TokenTooLong):
        sign(CLIENT_KEY, Claims(role=CLIENT, name="ann", inboxes=("x" * 100,) * 10))
    with pytest.raises(ValueError, match="needs a key"):
        sign(" ", ANN)


def test_a_greeting_that_is_printed_keeps_its_token() -> None:
    assert "secret" not in f"{Hello(1, CLIENT, 'ann', 'secret')!r}"
