"""The edge machine: doors, relaying, the resend buffer at work, sessions over lost links."""

from __future__ import annotations

import pytest

from harness.testing.edge_script import EdgeScript, sent_segments
from harness.testing.keys import CLIENT_KEY, client_token, edge_token
from harness.testing.segments import segment
from reference.edge.buffer import memory_bytes
from reference.edge.settings import (
    USER_REQUESTS_MAX,
    USER_SHARE_BYTES_MIN,
    USER_SHARES,
    USER_WINDOWS_BYTES_MAX,
    WINDOW_BYTES_MAX,
)
from reference.events import ConnectFailed, Malformed, Opened
from reference.wire import messages as m
from reference.wire.errors import ErrorCode
from reference.wire.limits import PROTOCOL_VERSION

VERSION_MISMATCH = ErrorCode.VERSION_MISMATCH


def batch(*segments: m.Segment) -> m.BatchSend:
    return m.BatchSend(segments=segments)


def ok(n_first: int, count: int = 1, producer: int = 7, inbox: str = "ann") -> m.Ok:
    return m.Ok((m.OkRange(inbox, producer, n_first, count, n_first, 0),))


def refused(
    n_first: int, code: ErrorCode, expected: int = -1, producer: int = 7, count: int = 1
) -> m.Refused:
    return m.Refused((m.RefusedRange("ann", producer, n_first, count, code, expected),))


def delivery(pos_first: int, *, session: int = 5, inbox: str = "ann", size: int = 4) -> m.Delivery:
    one = segment(pos_first, size_bytes=size)
    run = m.Run(7, pos_first, 1, 0, 1)
    return m.Delivery(
        inbox=inbox, session=session, pos_first=pos_first, redelivered=False, runs=(run,),
        lengths=one.lengths, body=one.body,
    )  # fmt: skip


def errors(messages: list[m.Message]) -> list[ErrorCode]:
    return [message.code for message in messages if isinstance(message, m.Error)]


def test_a_client_is_welcomed_with_the_edges_credit() -> None:
    edge = EdgeScript(client_credit_bytes=77)
    conn = edge.client()
    assert edge.heard(conn) == [m.Welcome(PROTOCOL_VERSION, "eu", 77)]


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        (m.Hello(PROTOCOL_VERSION, "client", "c", "wrong"), ErrorCode.UNAUTHORISED),
        (m.Hello(PROTOCOL_VERSION, "client", "c", ""), ErrorCode.UNAUTHORISED),
        (m.Hello(PROTOCOL_VERSION, "client", "c", CLIENT_KEY), ErrorCode.UNAUTHORISED),
        (m.Hello(PROTOCOL_VERSION, "client", "c", edge_token("c")), ErrorCode.UNAUTHORISED),
        (m.Hello(PROTOCOL_VERSION, "admin", "c", client_token("c")), ErrorCode.UNAUTHORISED),
        (m.Hello(PROTOCOL_VERSION, "edge", "c", client_token("c")), ErrorCode.UNAUTHORISED),
        (m.Hello(PROTOCOL_VERSION, "edge", "c", edge_token("c")), ErrorCode.UNAUTHORISED),
        (m.Hello(PROTOCOL_VERSION + 1, "client", "c", client_token("c")), VERSION_MISMATCH),
        (m.Heartbeat(1), ErrorCode.HELLO_EXPECTED),
    ],
)
def test_the_door_stays_shut(hello: m.Message, code: ErrorCode) -> None:
    edge = EdgeScript()
    edge.feed(Opened(conn=9))
    edge.say(9, hello)
    assert errors(edge.heard(9)) == [code]
    assert edge.closed == [9]
    edge.say(9, m.Hello(PROTOCOL_VERSION, "client", "c", client_token("c")))
    assert edge.heard(9) == []


@pytest.mark.parametrize(("key", "role"), [("admin_key", "admin"), ("client_key", "client")])
def test_a_role_without_a_key_is_for_nobody(key: str, role: str) -> None:
    edge = EdgeScript(**{key: ""})
    for token in (None, ""):
        assert errors(edge.heard(edge.client(role=role, token=token))) == [ErrorCode.UNAUTHORISED]


def test_malformed_bytes_close_that_connection_only() -> None:
    edge = EdgeScript()
    core = edge.core()
    bad, good = edge.sender(core), edge.sender(core, producer=8)
    edge.feed(Malformed(conn=bad, code=ErrorCode.UNKNOWN_OPCODE, detail="opcode 0xff"))
    assert errors(edge.heard(bad)) == [ErrorCode.UNKNOWN_OPCODE]
    assert edge.closed == [bad]
    edge.say(good, batch(segment(0, producer=8)))
    edge.say(core, ok(0, producer=8))
    assert edge.heard(good) == [ok(0, producer=8)]


def test_batches_of_many_clients_are_gathered_while_one_piece_is_written() -> None:
    edge = EdgeScript()
    core = edge.core()
    one, two = edge.sender(core, 7), edge.sender(core, 8)
    edge.stuck.add(core)
    edge.say(one, m.Send(segment=segment(0)))
    edge.heard(core)
    edge.say(one, batch(segment(1, 2)))
    edge.say(two, batch(segment(0, 3, producer=8)))
    assert edge.heard(core) == []
    edge.unstick(core)
    assert edge.heard(core) == [batch(segment(1, 2), segment(0, 3, producer=8))]


def test_a_late_login_of_a_connection_that_ends_leaves_the_newer_one_its_voice() -> None:
    edge = EdgeScript()
    core = edge.core()
    newer = edge.sender(core)
    older = edge.sender(core)
    edge.say(newer, batch(segment(0)))
    assert sent_segments(edge.heard(core)) == []
    edge.lose(older)
    edge.say(newer, batch(segment(0)))
    assert sent_segments(edge.heard(core)) == [(7, "ann", 0, 1)]
    edge.say(core, ok(0))
    assert edge.heard(newer) == [ok(0)]


def test_unanswered_bytes_stay_within_the_cores_credit() -> None:
    edge = EdgeScript()
    core = edge.core(credit_bytes=20)
    conn = edge.sender(core)
    edge.say(conn, *(batch(segment(n)) for n in range(4)))
    assert sent_segments(edge.heard(core)) == [(7, "ann", 0, 1), (7, "ann", 1, 1)]
    edge.say(core, ok(0))
    assert sent_segments(edge.heard(core)) == [(7, "ann", 2, 1)]
    edge.say(core, ok(1, 2))
    assert sent_segments(edge.heard(core)) == [(7, "ann", 3, 1)]


def test_an_edge_never_acknowledges_by_itself() -> None:
    edge = EdgeScript()
    core = edge.core()
    conn = edge.sender(core)
    edge.say(conn, batch(segment(0)))
    edge.wait(500)
    assert edge.heard(conn) == []


def test_a_full_buffer_is_a_refusal_that_may_be_tried_again() -> None:
    edge = EdgeScript(buffer_bytes_max=1_000)
    core = edge.core()
    conn = edge.sender(core)
    edge.say(conn, *(batch(segment(n)) for n in range(3)))
    assert edge.heard(conn) == [refused(2, ErrorCode.BUSY)]
    edge.say(core, ok(0))
    edge.heard(conn)
    edge.say(conn, batch(segment(2)))
    assert edge.heard(conn) == []


def test_what_is_unanswered_is_sent_again_on_the_next_link_before_anything_new() -> None:
    edge = EdgeScript()
    core = edge.core(credit_bytes=20)
    conn = edge.sender(core)
    edge.say(conn, *(batch(segment(n)) for n in range(4)))
    edge.say(core, ok(0))
    edge.lose(core)
    edge.say(conn, batch(segment(4)))
    edge.wait(100)
    core = edge.core()
    assert [n for _, _, n, _ in sent_segments(edge.heard(core))] == [1, 2, 3, 4]
    edge.say(core, ok(1, 4))
    assert edge.machine.gauges()["buffer_bytes"] == 0


def test_a_resend_of_what_is_still_here_is_not_sent_twice() -> None:
    edge = EdgeScript()
    core = edge.core()
    conn = edge.sender(core)
    edge.say(conn, batch(segment(0)), batch(segment(0)))
    assert len(sent_segments(edge.heard(core))) == 1


def test_other_content_under_the_same_ids_goes_to_the_core() -> None:
    edge = EdgeScript()
    core = edge.core()
    conn = edge.sender(core)
    edge.say(conn, batch(segment(0)), batch(segment(0, size_bytes=5)))
    assert len(sent_segments(edge.heard(core))) == 2


def test_after_a_gap_what_waits_behind_it_is_dropped_and_the_client_told() -> None:
    edge = EdgeScript()
    core = edge.core(credit_bytes=10)
    conn = edge.sender(core)
    edge.say(conn, *(batch(segment(n)) for n in (1, 2, 3)))
    assert [n for _, _, n, _ in sent_segments(edge.heard(core))] == [1]
    edge.say(core, refused(1, ErrorCode.GAP, expected=0))
    assert edge.heard(conn) == [refused(1, ErrorCode.GAP, expected=0)]
    assert sent_segments(edge.heard(core)) == []
    edge.say(conn, batch(segment(0)))
    assert [n for _, _, n, _ in sent_segments(edge.heard(core))] == [0]
    edge.say(core, ok(0))
    assert edge.machine.gauges()["buffer_bytes"] == 0


def test_a_gap_leaves_what_the_client_sent_after_going_back() -> None:
    edge = EdgeScript()
    core = edge.core(credit_bytes=20)
    conn = edge.sender(core)
    edge.say(conn, *(batch(segment(n)) for n in (1, 2)))
    edge.heard(core)
    edge.say(core, refused(1, ErrorCode.GAP, expected=0))
    edge.say(conn, batch(segment(0)), batch(segment(1)))
    edge.say(core, refused(2, ErrorCode.GAP, expected=0))
    assert [n for _, _, n, _ in sent_segments(edge.heard(core))] == [0, 1]


def test_answers_go_to_the_connection_that_logged_in_last() -> None:
    edge = EdgeScript()
    core = edge.core()
    old = edge.sender(core)
    edge.say(old, batch(segment(0)))
    new = edge.sender(core)
    edge.say(old, batch(segment(1)))
    edge.say(core, ok(0))
    assert edge.heard(old) == []
    assert edge.heard(new) == [ok(0)]
    edge.heard(core)
    edge.say(old, batch(segment(1)))
    assert edge.heard(core) == []
    assert old not in edge.closed


def test_a_lost_clients_batches_still_go_to_the_core() -> None:
    edge = EdgeScript()
    core = edge.core(credit_bytes=10)
    conn = edge.sender(core)
    edge.say(conn, batch(segment(0)), batch(segment(1)))
    edge.heard(core)
    edge.lose(conn)
    edge.say(core, ok(0))
    assert [n for _, _, n, _ in sent_segments(edge.heard(core))] == [1]


def test_a_producer_must_log_in_first() -> None:
    edge = EdgeScript()
    edge.core()
    conn = edge.client()
    edge.heard(conn)
    edge.say(conn, batch(segment(0)))
    assert errors(edge.heard(conn)) == [ErrorCode.UNEXPECTED_MESSAGE]
    assert edge.closed == [conn]


def test_without_a_link_requests_are_refused_and_sends_held_for_a_while() -> None:
    edge = EdgeScript(hold_ms=500)
    core = edge.core()
    conn = edge.sender(core)
    edge.wait(600)
    edge.lose(core)
    edge.say(conn, batch(segment(0)), m.End(3, "ann"))
    assert edge.heard(conn) == [m.Error(3, ErrorCode.NOT_READY, "no link to the core")]
    edge.wait(500)
    edge.say(conn, batch(segment(1)))
    assert edge.heard(conn) == [refused(1, ErrorCode.NOT_READY)]
    assert [n for _, _, n, _ in sent_segments(edge.heard(edge.core()))] == [0]


def test_a_link_that_only_greets_does_not_prolong_the_hold() -> None:
    edge = EdgeScript(hold_ms=500)
    core = edge.core()
    conn = edge.sender(core)
    edge.lose(core)
    edge.wait(450)
    edge.connects.clear()
    edge.feed(Opened(conn=99, link=0))
    edge.lose(99)
    edge.wait(50)
    edge.say(conn, batch(segment(1)))
    assert edge.heard(conn) == [refused(1, ErrorCode.NOT_READY)]


def test_questions_on_a_lost_link_are_refused() -> None:
    edge = EdgeScript()
    core = edge.core()
    conn = edge.client()
    edge.heard(conn)
    edge.say(conn, m.Login(4, "ann", -1, 1 << 20, -1, ()))
    edge.lose(core)
    assert edge.heard(conn) == [m.Error(4, ErrorCode.NOT_READY, "the core link was lost")]


def test_request_numbers_of_clients_do_not_meet() -> None:
    edge = EdgeScript()
    core = edge.core()
    one, two = edge.client(), edge.client()
    edge.heard(one), edge.heard(two)
    edge.say(one, m.End(1, "ann"))
    edge.say(two, m.End(1, "bob"))
    first, second = edge.heard(core)
    assert isinstance(first, m.End)
    assert isinstance(second, m.End)
    edge.say(core, m.EndOk(second.request, "bob", 2), m.EndOk(first.request, "ann", 1))
    assert edge.heard(one) == [m.EndOk(1, "ann", 1)]
    assert edge.heard(two) == [m.EndOk(1, "bob", 2)]


def test_deliveries_and_cursors_go_by_session() -> None:
    edge = EdgeScript()
    core = edge.core()
    ann = edge.receiver(core)
    bob = edge.receiver(core, inbox="bob", session=9)
    edge.say(
        core,
        m.Deliver(deliveries=(delivery(0), delivery(0, session=9, inbox="bob"), delivery(1))),
    )
    assert edge.heard(ann) == [m.Deliver(deliveries=(delivery(0), delivery(1)))]
    assert edge.heard(bob) == [m.Deliver(deliveries=(delivery(0, session=9, inbox="bob"),))]
    mark = m.CursorMark("ann", 5, 1)
    edge.say(ann, m.CursorAck((mark,)))
    assert edge.heard(core) == [m.CursorAck((mark,))]
    edge.say(core, m.CursorOk((mark,)))
    assert edge.heard(ann) == [m.CursorOk((mark,))]


def test_an_ack_beyond_the_delivered_ends_the_session() -> None:
    edge = EdgeScript()
    core = edge.core()
    ann = edge.receiver(core)
    mark = m.CursorMark("ann", 5, 0)
    edge.say(ann, m.CursorAck((mark,)))
    assert edge.heard(ann) == [m.Superseded((mark,), ErrorCode.ACK_BEYOND_DELIVERED)]
    assert edge.heard(core) == [m.Logout(-1, "ann", 5)]


def test_an_ack_of_somebody_elses_session_changes_nothing() -> None:
    edge = EdgeScript()
    core = edge.core()
    ann, bob = edge.receiver(core), edge.receiver(core, inbox="bob", session=9)
    edge.say(core, m.Deliver(deliveries=(delivery(0),)))
    edge.heard(ann)
    mark = m.CursorMark("ann", 5, 0)
    edge.say(bob, m.CursorAck((mark,)))
    assert edge.heard(core) == []
    assert edge.heard(bob) == [m.Superseded((mark,), ErrorCode.UNKNOWN_SESSION)]


def test_sessions_are_registered_again_before_anything_else() -> None:
    edge = EdgeScript()
    core = edge.core()
    ann = edge.receiver(core)
    sender = edge.sender(core)
    edge.say(core, m.Deliver(deliveries=(delivery(0), delivery(1))))
    edge.say(sender, batch(segment(0)))
    edge.lose(core)
    edge.say(ann, m.CursorAck((m.CursorMark("ann", 5, 0),)))
    edge.wait(100)
    core = edge.core()
    resume, ack, resend = edge.heard(core)
    assert resume == m.Resume((m.ResumeMark("ann", 5, 1, 0, 1 << 20, 8),))
    assert ack == m.CursorAck((m.CursorMark("ann", 5, 0),))
    assert sent_segments([resend]) == [(7, "ann", 0, 1)]
    edge.say(core, m.Superseded((m.CursorMark("ann", 5, -1),), ErrorCode.SUPERSEDED))
    edge.heard(ann)
    edge.say(core, m.Deliver(deliveries=(delivery(2),)))
    assert edge.heard(ann) == []


def test_a_lost_client_is_logged_out() -> None:
    edge = EdgeScript()
    core = edge.core()
    edge.lose(edge.receiver(core))
    assert edge.heard(core) == [m.Logout(-1, "ann", 5)]


def test_a_session_whose_client_left_during_the_login_is_logged_out() -> None:
    edge = EdgeScript()
    core = edge.core()
    conn = edge.client()
    edge.say(conn, m.Login(1, "ann", -1, 1 << 20, -1, ()))
    edge.lose(conn)
    (login,) = edge.heard(core)
    assert isinstance(login, m.Login)
    edge.say(core, m.LoginOk(login.request, 5, -1, 0, (), 1))
    assert edge.heard(core) == [m.Logout(-1, "ann", 5)]


def test_a_client_that_does_not_read_is_closed_and_the_others_go_on() -> None:
    edge = EdgeScript(client_output_bytes_max=5_000)
    core = edge.core()
    ann = edge.receiver(core, window_bytes=4_096)
    bob = edge.receiver(core, inbox="bob", session=9)
    edge.stuck.add(ann)
    highest = 0
    for pos in range(10):
        edge.say(core, m.Deliver(deliveries=(delivery(pos, size=1_000),)))
        highest = max(highest, edge.machine.gauges()["output_bytes"])
    assert 3_000 < highest <= edge.machine.gauges()["output_bytes_limit"] == 5_000
    edge.say(core, m.Deliver(deliveries=(delivery(0, session=9, inbox="bob"),)))
    assert len(edge.heard(bob)) == 1
    edge.heard(core)
    edge.wait(1_050)
    assert edge.closed == [ann]


def test_a_silent_client_is_asked_and_then_closed() -> None:
    edge = EdgeScript()
    conn = edge.client()
    edge.heard(conn)
    edge.wait(1_500)
    assert edge.heard(conn) == [m.Heartbeat(1)]
    edge.say(conn, m.HeartbeatOk(1))
    edge.wait(2_900)
    assert edge.closed == []
    edge.wait(150)
    assert errors(edge.heard(conn)) == [ErrorCode.HEARTBEAT_MISSED]
    assert edge.closed == [conn]


def test_a_pause_of_the_edge_itself_is_not_held_against_its_clients() -> None:
    edge = EdgeScript()
    conn = edge.client()
    edge.wait(500)
    edge.now_ns += 60_000_000_000
    edge.wait(500)
    assert conn not in edge.closed


def test_core_links_are_dialled_again_with_a_growing_pause() -> None:
    edge = EdgeScript(backoff_ms=100, backoff_max_ms=200)
    edge.wait(50)
    pauses = []
    for _ in range(3):
        edge.connects.clear()
        edge.feed(ConnectFailed(link=0))
        waited = 0
        while not edge.connects:
            edge.wait(50)
            waited += 50
        pauses.append(waited)
    assert pauses == [100, 200, 200]


def test_an_inbox_stays_on_one_of_several_links() -> None:
    edge = EdgeScript(core_links=3)
    cores = [edge.core(link=link) for link in range(3)]
    conn = edge.client()
    edge.say(conn, m.Login(1, "", -1, 0, 7, ()))
    for core in cores:
        for message in edge.heard(core):
            if isinstance(message, m.Login):
                edge.say(core, m.LoginOk(message.request, -1, -1, 0, (), 1))
    for n in range(2):
        edge.say(conn, *(batch(segment(n, inbox=f"user{u}")) for u in range(20)))
    where: dict[str, set[int]] = {}
    for core in cores:
        for _, inbox, _, _ in sent_segments(edge.heard(core)):
            where.setdefault(inbox, set()).add(core)
    assert all(len(links) == 1 for links in where.values())
    assert len(set.union(*where.values())) == 3


def test_an_admin_sees_gauges_and_may_not_send() -> None:
    edge = EdgeScript()
    edge.core()
    conn = edge.client(role="admin")
    edge.heard(conn)
    edge.say(conn, m.Inspect(1, "", -1, -1))
    (reply,) = edge.heard(conn)
    assert isinstance(reply, m.InspectOk)
    assert reply.gauges["links_ready"] == 1
    edge.say(conn, batch(segment(0)))
    assert errors(edge.heard(conn)) == [ErrorCode.UNEXPECTED_MESSAGE]


def test_one_connection_too_many_is_told_so() -> None:
    edge = EdgeScript(connections_max=1)
    edge.client()
    edge.feed(Opened(conn=50))
    assert errors(edge.heard(50)) == [ErrorCode.BUSY]
    assert edge.closed == [50]


def busy(*ns: int) -> m.Refused:
    return m.Refused(tuple(m.RefusedRange("ann", 7, n, 1, ErrorCode.BUSY, -1) for n in ns))


def test_silent_connections_shut_nobody_out() -> None:
    edge = EdgeScript(connections_max=3)
    edge.core()
    for conn in (51, 52, 53):
        edge.feed(Opened(conn=conn))
    clients = [edge.client() for _ in range(3)]
    assert edge.closed == [51, 52, 53]
    assert errors(edge.heard(51)) == [ErrorCode.HELLO_EXPECTED]
    assert all(isinstance(edge.heard(conn)[0], m.Welcome) for conn in clients)
    # Those who greeted stay.
    edge.feed(Opened(conn=54))
    assert errors(edge.heard(54)) == [ErrorCode.BUSY]


def test_of_too_many_that_are_silent_the_oldest_goes() -> None:
    edge = EdgeScript(greetings_max=2)
    edge.core()
    client = edge.client()
    for conn in (51, 52, 53):
        edge.feed(Opened(conn=conn))
    assert edge.closed == [51]
    assert client not in edge.closed


def test_one_user_takes_its_share_of_the_buffer_and_others_theirs() -> None:
    big = 700_000
    assert 3 * memory_bytes(segment(0, size_bytes=big)) > USER_SHARE_BYTES_MIN
    edge = EdgeScript(buffer_bytes_max=USER_SHARES * USER_SHARE_BYTES_MIN)
    core = edge.core()
    greedy, other = edge.sender(core, 7), edge.sender(core, 8)
    edge.say(greedy, *(batch(segment(n, size_bytes=big)) for n in range(4)))
    assert edge.heard(greedy) == [busy(2), busy(3)]
    edge.say(other, batch(segment(0, producer=8, size_bytes=big)))
    assert edge.heard(other) == []
    edge.say(core, ok(0, 2))
    edge.heard(greedy)
    edge.say(greedy, batch(segment(2, size_bytes=big)))
    assert edge.heard(greedy) == []


def test_a_small_batch_counts_what_its_objects_take() -> None:
    edge = EdgeScript()
    conn = edge.sender(edge.core())
    edge.say(conn, *(batch(segment(n, size_bytes=1)) for n in range(100)))
    assert edge.machine.gauges()["buffer_bytes"] > 100 * 424


def test_the_credit_is_kept_by_the_edge_and_not_only_asked_for() -> None:
    edge = EdgeScript(client_credit_bytes=2 * segment(0).size_bytes)
    conn = edge.sender(edge.core())
    edge.say(conn, *(batch(segment(n)) for n in range(3)))
    assert edge.heard(conn) == [busy(2)]


def test_requests_of_one_user_are_bounded() -> None:
    edge = EdgeScript()
    core = edge.core()
    conn, other = edge.client(), edge.client()
    edge.heard(conn)
    edge.heard(other)
    for request in range(USER_REQUESTS_MAX + 1):
        edge.say(conn, m.End(request, "ann"))
    assert errors(edge.heard(conn)) == [ErrorCode.BUSY]
    edge.say(other, m.End(1, "ann"))
    assert edge.heard(other) == []
    edge.say(core, *(m.EndOk(e.request, "ann", 0) for e in edge.heard(core)))
    assert len(edge.heard(conn)) == USER_REQUESTS_MAX
    edge.say(conn, m.End(1, "ann"))
    assert edge.heard(conn) == []


def test_the_windows_of_one_user_are_bounded_together() -> None:
    edge = EdgeScript()
    core = edge.core()
    conn = edge.client()
    edge.heard(conn)
    asked = [m.Login(n, f"inbox-{n}", -1, WINDOW_BYTES_MAX, -1, ()) for n in range(6)]
    edge.say(conn, *asked)
    logins = [x for x in edge.heard(core) if isinstance(x, m.Login)]
    assert sum(login.window_bytes for login in logins) == USER_WINDOWS_BYTES_MAX
    assert errors(edge.heard(conn)) == [ErrorCode.QUOTA] * 2
    # What was not opened is free again.
    edge.say(core, m.Error(logins[0].request, ErrorCode.BUSY, ""))
    edge.heard(conn)
    edge.say(conn, asked[5])
    assert [x.window_bytes for x in edge.heard(core) if isinstance(x, m.Login)] == [
        WINDOW_BYTES_MAX
    ]
