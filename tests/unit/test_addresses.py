"""Addresses as people write them: what can be read is, and what cannot is told without secrets."""

from __future__ import annotations

import pytest

from harness.addresses import ADDRESSES_MAX, Location, locate, masked
from harness.errors import UsageError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:4222", ["127.0.0.1:4222"]),
        ("[::1]:4222", ["[::1]:4222"]),
        ("::1:42220", ["[::1]:42220"]),  # No part of an IPv6 address has five digits.
        ("2001:db8:0:0:0:0:0:1:4222", ["[2001:db8:0:0:0:0:0:1]:4222"]),
        ("nats://::1", ["[::1]:4222"]),
        ("[fe80::1%eth0]:1", ["[fe80::1%eth0]:1"]),
        ("my-host.example.org:1", ["my-host.example.org:1"]),
        ("nats://a", ["a:4222"]),
        ("TLS://a", ["a:4222"]),
        ("redis://a/", ["a:6379"]),
        ("rediss://a", ["a:6379"]),
        ("valkey://a", ["a:6379"]),
        ("valkeys://a", ["a:6379"]),
        ("kafka://a", ["a:9092"]),
        ("nats://a:1,b", ["a:1", "b:4222"]),
        ("nats://a:4222, nats://b:4222", ["a:4222", "b:4222"]),
        ("a:9092,b:9092,[::1]:9092", ["a:9092", "b:9092", "[::1]:9092"]),
        ("foo://a:77/x?y=z#f", ["a:77"]),
        ("jdbc:postgresql://a/db", ["a:5432"]),
    ],
)
def test_where_it_is(text: str, found: list[str]) -> None:
    assert list(map(str, locate(text).addresses)) == found


def login(where: Location) -> tuple[str, str, str, tuple[str, ...]]:
    return where.user, where.password, where.path, where.query


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nats://u:p%40%3A%2F@h", ("u", "p@:/", "", ())),
        ("nats://u:p@w@h", ("u", "p@w", "", ())),
        ("nats://u:p,w@h,nats://u:p,w@i", ("u", "p,w", "", ())),
        ("nats://u:p:w@[::1],i", ("u", "p:w", "", ())),
        ("nats://h,nats://u:p@i", ("u", "p", "", ())),
        ("nats://token@h", ("token", "", "", ())),
        ("redis://:p@h/3?a=1&b=2", ("", "p", "3", ("a", "b"))),
    ],
)
def test_what_else_a_url_says(text: str, found: tuple[str, str, str, tuple[str, ...]]) -> None:
    assert login(locate(text)) == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no host"),
        ("h", "no port"),
        ("::1", "no port"),
        (":1", "no host"),
        ("h:0", "from 1 to 65535"),
        ("h:65536", "from 1 to 65535"),
        ("h:\u0663", "from 1 to 65535"),
        ("::1:4222", "may be"),
        ("[h]:1", "for an IPv6 address"),
        ("[::1:1", "for an IPv6 address"),
        ("a:1,,b:2", "no host"),
        ("a:1,a:1", "named twice"),
        ("a:1,b", "no port"),
        ("a b:1", "no host"),
        ("foo://h", "foo:// has none of its own"),
        ("nats://a,redis://b", "several schemes"),
        ("nats://u:SECRET@a,nats://v:SECRET@b", "differ in their user"),
        ("nats://u:SECRET@a,nats://u:OTHER@b", "differ in their password"),
        ("redis://a/1,redis://b/2", "differ in their path"),
        ("u:SECRET@h:1", "needs the scheme"),
        ("nats://u:SECRET/SECRET@h:1", "write / as %2F"),
        ("nats://u:1/SECRET@h:1", "write / as %2F"),
        ("nats://u:1?SECRET@h:1", "write / as %2F"),
        ("nats://u:SECRET@h:x", "from 1 to 65535"),
        ("mongodb+srv://u:SECRET@h", "needs a name server"),
        (",".join(f"h:{port}" for port in range(1, ADDRESSES_MAX + 2)), "at most"),
    ],
)
def test_what_cannot_be_read(text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        locate(text, what="endpoint")
    told = str(caught.value)
    assert told.startswith("endpoint")
    assert why in told
    assert "SECRET" not in told
    assert "OTHER" not in told


def test_nothing_shows_a_login() -> None:
    where = locate("nats://USER:SECRET@h/PATH")
    assert not any(word in repr(where) for word in ("USER", "SECRET", "PATH"))


@pytest.mark.parametrize(
    "text",
    [
        "x=nats://u:p@SECRET@h",
        "a,nats://SECRET@h,tls://SECRET@i",
        "NATS%3a%2f%2fSECRET%40h",
        "endpoint=SECRET@h",
        "http://h/?api_key=SECRET&b=c",
        "nats://h?token=SECRET#x",
    ],
)
def test_secrets_of_urls_are_masked(text: str) -> None:
    assert "SECRET" not in masked(text)
    stars = masked(text, lambda secret: "*" * len(secret))
    assert "SECRET" not in stars
    assert len(stars) == len(text)


def test_what_holds_no_secret_stays() -> None:
    for text in ("ann@example.org", "nats://h:1/x?a=b", "rate=3", "./a@b.py"):
        assert masked(text) == text
