"""What some planted bugs do to a core, without a process: each in its one situation."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from harness.testing.bugs.registry import find_bug
from harness.testing.core_script import CoreScript, batch, deliveries, only
from reference.store.sqlite import SqliteStore
from reference.wire import messages as m

DAY_NS = 86_400 * 10**9


def stored(script: CoreScript, inbox: str = "vip") -> int:
    """Return how many messages lie in an inbox."""
    conn = script.edge("another")
    return only(script.send(conn, m.End(1, inbox)), m.EndOk).pos + 1


def acknowledged(messages: list[m.Message]) -> int:
    return sum(ok.count for one in messages if isinstance(one, m.Ok) for ok in one.ranges)


@pytest.mark.parametrize(("name", "left"), [("", 3), ("empty-message-not-stored", 2)])
def test_a_message_of_no_bytes(name: str, left: int) -> None:
    with find_bug(name).planted() if name else nullcontext():
        script = CoreScript()
        told = script.batch(script.edge(), batch(0, 3, bodies=[b"one", b"", b"three"]))
        assert (acknowledged(told), stored(script)) == (3, left)


@pytest.mark.parametrize(("name", "left"), [("", 4), ("one-sequence-per-producer", 0)])
def test_the_second_inbox_of_a_producer(name: str, left: int) -> None:
    with find_bug(name).planted() if name else nullcontext():
        script = CoreScript()
        conn = script.edge()
        script.batch(conn, batch(0, 5, inbox="first"))
        told = script.batch(conn, batch(0, 4, inbox="second"))
        assert (acknowledged(told), stored(script, "second")) == (4, left)


@pytest.mark.parametrize(("name", "left"), [("", 100), ("producer-table-evicted", 101)])
def test_a_resend_when_a_hundred_others_have_come_since(name: str, left: int) -> None:
    with find_bug(name).planted() if name else nullcontext():
        script = CoreScript()
        conn = script.edge()
        for producer in (*range(100), 0):
            script.batch(conn, batch(0, 1, producer=producer))
        assert stored(script) == left


@pytest.mark.parametrize(("name", "falls"), [("", False), ("session-numbers-from-the-clock", True)])
def test_a_login_when_the_clock_has_gone_back(
    name: str, falls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with find_bug(name).planted() if name else nullcontext():
        script = CoreScript()
        conn = script.edge()
        script.batch(conn, batch(0, 1))
        before = script.login(conn).session
        back_ns = time.time_ns() - DAY_NS
        monkeypatch.setattr(time, "time_ns", lambda: back_ns)
        assert (script.login(conn).session < before) is falls


@pytest.mark.parametrize(("name", "left"), [("", True), ("late-logout-ends-another", False)])
def test_a_logout_of_a_session_that_another_has_followed(name: str, left: bool) -> None:
    with find_bug(name).planted() if name else nullcontext():
        script = CoreScript()
        far, near = script.edge("far"), script.edge("near")
        older = script.login(far)
        script.login(near)
        script.send(far, m.Logout(-1, "vip", older.session))
        told = script.batch(near, batch(0, 1))
        assert bool(deliveries(told)) is left


@pytest.mark.parametrize(("name", "edge"), [("", "near"), ("presence-names-the-first-edge", "far")])
def test_a_user_who_has_moved(name: str, edge: str) -> None:
    with find_bug(name).planted() if name else nullcontext():
        script = CoreScript()
        far, near = script.edge("far"), script.edge("near")
        for conn in (far, near):
            script.login(conn)
            reply = only(script.send(near, m.Presence(1, ("vip",))), m.PresenceOk)
        assert [(one.online, one.edge) for one in reply.entries] == [(True, edge)]


@pytest.mark.parametrize(
    ("name", "producer", "jump_ns", "left"),
    [
        ("", 2**63 + 1, 8 * DAY_NS, 1),
        ("signed-producer-ids", 2**63 + 1, 0, 2),
        ("signed-producer-ids", 2**63 - 1, 0, 1),
        ("producers-expire-by-the-clock", 7, 8 * DAY_NS, 2),
        ("producers-expire-by-the-clock", 7, DAY_NS, 1),
    ],
)
def test_a_resend_when_the_core_has_started_again(
    name: str,
    producer: int,
    jump_ns: int,
    left: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with find_bug(name).planted() if name else nullcontext():
        place = tmp_path / "core.db"
        first = SqliteStore(place)
        script = CoreScript(store=first)
        script.batch(script.edge(), batch(0, 1, producer=producer))
        first.close()
        shifted_s = time.time() + jump_ns / 1e9
        monkeypatch.setattr(time, "time", lambda: shifted_s)
        second = SqliteStore(place)
        script = CoreScript(store=second)
        script.batch(script.edge(), batch(0, 1, producer=producer))
        assert stored(script) == left
        second.close()
