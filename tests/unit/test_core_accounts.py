"""What one account, edge or address may take of what all have at the core."""

from __future__ import annotations

import pytest

from harness.testing.core_script import CoreScript, batch, oks, refusals, settings
from harness.testing.keys import edge_token
from reference.core.accounts import Accounts
from reference.store.port import StoreFull
from reference.wire import messages as m
from reference.wire.errors import ErrorCode

MALLORY = 2 << 32
ANN = 1 << 32
QUOTA = [(0, 1, ErrorCode.QUOTA, 0)]


def test_one_account_leaves_producers_for_others() -> None:
    script = CoreScript(settings(account_producers_max=3))
    edge = script.edge()
    script.login(edge, "vip")
    for n in range(3):
        assert oks(script.batch(edge, batch(0, 1, producer=MALLORY + n)))
    assert refusals(script.batch(edge, batch(0, 1, producer=MALLORY + 3))) == QUOTA
    assert oks(script.batch(edge, batch(0, 1, producer=ANN)))
    # It may go on with those that it has, also behind a restart.
    script.restart()
    edge = script.edge()
    assert refusals(script.batch(edge, batch(0, 1, producer=MALLORY + 3))) == QUOTA
    assert oks(script.batch(edge, batch(1, 1, producer=MALLORY)))


def test_one_account_leaves_inboxes_for_others() -> None:
    script = CoreScript(settings(account_inboxes_max=2))
    edge = script.edge()
    for name in ("a", "b"):
        assert oks(script.batch(edge, batch(0, 1, producer=MALLORY, inbox=name)))
    assert refusals(script.batch(edge, batch(0, 1, producer=MALLORY, inbox="c"))) == QUOTA
    assert oks(script.batch(edge, batch(0, 1, producer=ANN, inbox="c")))
    script.restart()
    edge = script.edge()
    assert refusals(script.batch(edge, batch(0, 1, producer=MALLORY, inbox="d"))) == QUOTA
    # What has a reader is its reader's, and charged to nobody.
    script.login(edge, "a")
    assert oks(script.batch(edge, batch(0, 1, producer=MALLORY, inbox="d")))
    assert refusals(script.batch(edge, batch(0, 1, producer=MALLORY, inbox="e"))) == QUOTA
    assert oks(script.batch(edge, batch(0, 1, producer=MALLORY + 1, inbox="a")))


def test_what_the_store_refused_is_charged_to_nobody() -> None:
    script = CoreScript(settings(account_producers_max=1))
    edge = script.edge()
    commit = script.store.commit

    def full(writes: object) -> None:
        raise StoreFull

    script.store.commit = full  # type: ignore[method-assign]
    script.batch(edge, batch(0, 1, producer=MALLORY))
    script.store.commit = commit  # type: ignore[method-assign]
    script.advance(1_000)
    assert oks(script.batch(edge, batch(0, 1, producer=MALLORY + 1)))


@pytest.mark.parametrize("was_read", [True, False])
def test_accounts_add_up(was_read: bool) -> None:
    accounts = Accounts()
    for n in range(3):
        accounts.add(MALLORY + n, "a", was_read=was_read)
    accounts.remove(MALLORY, "a")
    assert accounts.producers(2) == 2
    assert accounts.unread(2) == (0 if was_read else 2)
    accounts.read("a")
    accounts.read("a")
    accounts.remove(MALLORY + 1, "a")
    assert (accounts.producers(2), accounts.unread(2)) == (1, 0)


def test_one_edge_leaves_connections_for_others() -> None:
    script = CoreScript(settings(node_connections_max=2))
    links = [script.edge("eu") for _ in range(2)]
    conn = script.open()
    (refusal,) = script.send(conn, m.Hello(1, "edge", "eu", edge_token("eu")))
    assert isinstance(refusal, m.Error)
    assert refusal.code is ErrorCode.QUOTA
    script.edge("us")
    script.drop(links[0])
    script.edge("eu")


def test_the_token_of_one_edge_does_not_speak_for_another() -> None:
    script = CoreScript()
    conn = script.open()
    (refusal,) = script.send(conn, m.Hello(1, "edge", "us", edge_token("eu")))
    assert isinstance(refusal, m.Error)
    assert refusal.code is ErrorCode.UNAUTHORISED


def test_silent_connections_of_one_address_shut_no_edge_out() -> None:
    script = CoreScript(settings(address_greetings_max=2, greetings_max=4))
    slow = script.open("10.0.0.2")
    flood = [script.open("10.0.0.1") for _ in range(5)]
    assert script.loop.closed == set(flood[:3])
    assert isinstance(script.send(slow, m.Hello(1, "edge", "eu", edge_token("eu")))[0], m.Welcome)


def test_who_says_nothing_is_told_what_was_expected() -> None:
    script = CoreScript(settings(greeting_ms=500))
    conn = script.open()
    script.advance(600)
    (error,) = script.loop.take(conn)
    assert isinstance(error, m.Error)
    assert error.code is ErrorCode.HELLO_EXPECTED
    assert script.loop.closed == {conn}
