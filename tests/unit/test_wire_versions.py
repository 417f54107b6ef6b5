"""Neighbours in version work together, whoever is newer; others are refused by name."""

from __future__ import annotations

import pytest

from harness.testing.core_script import TOKEN, CoreScript
from harness.testing.edge_script import EdgeScript
from reference.dialer import Dialer, DialSettings
from reference.wire import messages as m
from reference.wire import versions
from reference.wire.errors import ERROR_RULES, ErrorCode, RemoteProtocolError
from reference.wire.frames import FrameParser, encode
from reference.wire.versions import Versions, in_version

ONE, BOTH, TWO, NEXT, LATER = (
    Versions(1, 1), Versions(1, 2), Versions(2, 2), Versions(2, 3), Versions(3, 4),
)  # fmt: skip
AGREED = [
    (ONE, ONE, 1), (ONE, BOTH, 1), (BOTH, ONE, 1), (BOTH, BOTH, 2), (BOTH, NEXT, 2),
    (NEXT, BOTH, 2), (TWO, BOTH, 2), (NEXT, NEXT, 3),
]  # fmt: skip


def greeting(caller: Versions, monkeypatch: pytest.MonkeyPatch) -> m.Hello:
    monkeypatch.setattr(versions, "SPOKEN", caller)
    return versions.hello("edge", "eu", TOKEN)


@pytest.mark.parametrize(("caller", "node", "spoken"), AGREED)
def test_the_highest_common_version_is_spoken(
    caller: Versions, node: Versions, spoken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hello = greeting(caller, monkeypatch)
    monkeypatch.setattr(versions, "SPOKEN", node)
    script = CoreScript()
    (welcome,) = script.send(script.open(), hello)
    assert isinstance(welcome, m.Welcome)
    assert welcome.version == spoken
    # The caller takes that answer, and none that it does not speak.
    monkeypatch.setattr(versions, "SPOKEN", caller)
    dialer = Dialer(DialSettings(role="edge", node="eu", token=TOKEN))
    dialer.start()
    dialer.opened(1, 0)
    dialer.heard(welcome, 0)
    assert (dialer.ready, dialer.version) == (True, spoken)


@pytest.mark.parametrize(
    ("caller", "node", "said"),
    [
        (LATER, BOTH, "the caller speaks versions 3 to 4, this node versions 1 to 2; upgrade this"),
        (ONE, NEXT, "the caller speaks version 1, this node versions 2 to 3; upgrade the caller"),
    ],
)
def test_a_refusal_names_both_sides_and_which_to_upgrade(
    caller: Versions, node: Versions, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hello = greeting(caller, monkeypatch)
    monkeypatch.setattr(versions, "SPOKEN", node)
    script = CoreScript()
    (error,) = script.send(script.open(), hello)
    assert isinstance(error, m.Error)
    assert error.code is ErrorCode.VERSION_MISMATCH
    assert error.detail.startswith(said)
    edge = EdgeScript()
    conn = edge.client(version=caller.lowest)
    refusal = edge.heard(conn)[-1]
    assert isinstance(refusal, m.Error)
    assert refusal.code is ErrorCode.VERSION_MISMATCH
    assert conn in edge.closed


def test_a_caller_that_says_one_number_speaks_only_that() -> None:
    """What a node of version 1 sends: an array of four items."""
    frame = bytes.fromhex("13000000010e0000009401a6636c69656e74a27330a174")
    (hello,) = FrameParser().feed(frame)
    assert isinstance(hello, m.Hello)
    assert versions.offered(hello) == (1, 1)
    assert versions.agreed(hello) == 1


def test_a_node_of_version_1_reads_our_greeting() -> None:
    """It compares the first item with its own number and ignores what stands behind the token."""
    assert b"".join(encode(versions.hello("client", "s0", "t")))[9:11] == b"\x95\x01"


def test_an_answer_in_a_version_that_was_not_offered_ends_the_link() -> None:
    dialer = Dialer(DialSettings(role="edge", node="eu", token=TOKEN))
    dialer.start()
    dialer.opened(1, 0)
    with pytest.raises(RemoteProtocolError, match="chose version 9, this node speaks versions 1"):
        dialer.heard(m.Welcome(9, "core", 1), 0)


REFUSED = m.Refused((m.RefusedRange("vip", 7, 0, 5, ErrorCode.QUARANTINED, -1),))


@pytest.mark.parametrize(("version", "code"), [(1, ErrorCode.QUOTA), (2, ErrorCode.QUARANTINED)])
def test_what_a_version_does_not_know_is_said_in_its_words(version: int, code: ErrorCode) -> None:
    said = in_version(REFUSED, version)
    assert isinstance(said, m.Refused)
    assert said.ranges[0].code is code
    error = in_version(m.Error(3, ErrorCode.QUARANTINED, "why"), version)
    assert error == m.Error(3, code, "why")
    reply = in_version(m.LoginOk(1, -1, -1, 0, (5, -1), 9), version)
    assert isinstance(reply, m.LoginOk)
    assert reply.durable == ((5, 0) if version == 1 else (5, -1))


def test_what_is_said_instead_is_as_definite_and_ends_as_much() -> None:
    for since, instead in versions._INSTEAD.items():
        assert versions.SPOKEN.lowest < since <= versions.SPOKEN.highest
        for code, other in instead.items():
            mine, theirs = ERROR_RULES[code], ERROR_RULES[other]
            assert (mine.definite, mine.retry, mine.scope) == (
                theirs.definite,
                theirs.retry,
                theirs.scope,
            )


def test_an_edge_of_this_version_says_it_to_a_client_of_the_one_before() -> None:
    edge = EdgeScript()
    core = edge.core()
    conn = edge.client(version=1)
    edge.say(conn, m.Login(1, "", -1, 0, 7, ()))
    (login,) = edge.heard(core)
    assert isinstance(login, m.Login)
    edge.say(core, m.LoginOk(login.request, -1, -1, 0, (), 1))
    edge.heard(conn)
    segment = m.Segment(inbox="vip", producer=7, n_first=0, count=1, lengths=b"\1\0\0\0", body=b"a")
    edge.say(conn, m.Send(segment=segment))
    refused = m.RefusedRange("vip", 7, 0, 1, ErrorCode.QUARANTINED, -1)
    edge.say(core, m.Refused((refused,)))
    (told,) = edge.heard(conn)
    assert isinstance(told, m.Refused)
    assert told.ranges[0].code is ErrorCode.QUOTA
