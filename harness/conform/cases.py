"""The cases. Each has inboxes and clients of its own, and none depends on another."""

from __future__ import annotations

import anyio

from harness.conform.bench import (
    EDGES,
    LATENCY_MS,
    RESET,
    Bench,
    until,
)
from harness.conform.broken import Broken, confirm
from harness.conform.case import case
from harness.conform.steps import read, sent
from harness.links.links import Links
from harness.systems.port import as_restartable
from harness.systems.promises import Ability, Promise

REFUSED_WITHIN_S = 15.0
"""By then a client that finds no way to the system has said so."""


@case("identity and content: every message comes back under its own id with its own bytes")
async def content_comes_back_unchanged(bench: Bench) -> None:
    """Two senders of messages of 1 to 700 bytes, in an inbox whose name is not plain."""
    inbox = bench.inbox("Ünübliche/Namen: a.b*c>d")
    one, two = await sent(bench, inbox, 120), await sent(bench, inbox, 35)
    reader = await read(bench, inbox)
    confirm(reader.wrong == 0, f"{reader.wrong} messages came with another content")
    known = {one.producer, two.producer}
    strange = [n for _, producer, n in reader.got if producer not in known]
    confirm(not strange, f"{len(strange)} messages came from nobody")
    confirm(sorted(reader.ids_of(one)) == list(range(120)), "messages of the first are missing")
    confirm(sorted(reader.ids_of(two)) == list(range(35)), "messages of the second are missing")


@case("accounting: every message handed over gets one outcome, no more and no less")
async def every_message_gets_one_outcome(bench: Bench) -> None:
    """Over three cuts in the middle of batches."""
    inbox = bench.inbox()
    writer = bench.writer(inbox)
    for index in range(3):
        await writer.connect(EDGES[index % 2])
        writer.submit(60)
        await anyio.sleep(0.02)
        await writer.disconnect()
    await writer.settle()
    await writer.sender.close()
    confirm(sorted(writer.told) == list(range(180)), f"{len(writer.told)} of 180 have an outcome")
    often = [n for n, times in writer.told.items() if times != 1]
    confirm(not often, f"{len(often)} messages have several outcomes, n {often[:3]} among them")


@case("no false failures: what an outcome calls failed is not in the log")
async def failed_means_never_stored(bench: Bench) -> None:
    """A sender is closed with messages it never handed over, and with some under way."""
    inbox = bench.inbox()
    never = bench.writer(inbox)
    never.submit(10)
    await never.sender.close()
    confirm(never.ids("fail") == set(range(10)), "what was never handed over did not fail")
    under_way = bench.writer(inbox)
    await under_way.connect()
    under_way.submit(100)
    await under_way.sender.close()
    confirm(len(under_way.outcomes) == 100, "a closed sender left messages without an outcome")
    reader = await read(bench, inbox)
    false = under_way.ids("fail") & set(reader.ids_of(under_way))
    confirm(not reader.ids_of(never), "messages were stored that were never handed over")
    confirm(not false, f"{len(false)} messages were called failed and are stored")


@case("ok means stored: a reader that comes later finds everything that was acknowledged")
async def ok_is_found_by_a_later_reader(bench: Bench) -> None:
    """The reader comes through the other edge."""
    inbox = bench.inbox()
    writer = await sent(bench, inbox, 300)
    reader = bench.reader(inbox)
    await reader.login(edge=EDGES[1])
    await reader.read_to_end()
    missing = writer.ids("ok") - set(reader.ids_of(writer))
    confirm(not missing, f"{len(missing)} acknowledged messages are not there")


@case("positions: an ok names the place where the message is delivered")
async def ok_positions_are_true(bench: Bench) -> None:
    """-1 is allowed: some systems do not say."""
    inbox = bench.inbox()
    writer = await sent(bench, inbox, 50)
    reader = await read(bench, inbox)
    found = {n: pos for pos, producer, n in reader.got if producer == writer.producer}
    wrong = [n for n, (_, pos) in writer.outcomes.items() if pos not in (-1, found.get(n))]
    confirm(not wrong, f"{len(wrong)} oks name another position, n {wrong[:3]} among them")


@case(
    "dense positions: they begin at 0 and leave nothing out, so a gap is a loss",
    promises=(Promise.DENSE_POSITIONS,),
)
async def positions_are_dense(bench: Bench) -> None:
    """Also after a sender was cut and sent some messages again."""
    inbox = bench.inbox()
    writer = bench.writer(inbox)
    for _ in range(3):
        await writer.connect()
        writer.submit(40)
        await anyio.sleep(0.01)
        await writer.disconnect()
    await writer.settle()
    reader = await read(bench, inbox)
    found = [pos for pos, _, _ in reader.got]
    confirm(found == list(range(len(found))), f"positions {found[:3]} … are not 0, 1, 2, …")


@case(
    "deduplication: what is sent again over resets lies in the log once",
    promises=(Promise.EXACTLY_ONCE_LOG,),
)
async def resent_messages_are_stored_once(bench: Bench) -> None:
    """Resets while messages are under way, and while their answers are, through both edges."""
    inbox = bench.inbox()
    writer = bench.writer(inbox, RESET)
    await writer.connect()
    for index in range(8):
        writer.submit(60)
        # From before the first message has arrived to behind the first answer.
        await anyio.sleep((0.4 + 0.3 * index) * LATENCY_MS / 1000)
        await _reset(bench.links, EDGES[(index + 1) % 2])
        await _reset(bench.links, EDGES[index % 2])
        await writer.connect(EDGES[index % 2])
    await writer.settle()
    reader = await read(bench, inbox)
    ids = reader.ids_of(writer)
    twice = len(ids) - len(set(ids))
    confirm(not twice, f"{twice} messages are in the log more than once")
    confirm(set(ids) >= writer.ids("ok"), "acknowledged messages are missing")


async def _reset(links: Links, edge: str) -> None:
    await links.by_name[f"client-edge:{edge}:{RESET}"].reset()


@case(
    "order: one sender's messages lie in the order in which it numbered them",
    promises=(Promise.FIFO_PIPELINED,),
)
async def a_senders_order_is_kept(bench: Bench) -> None:
    """Many under way at once, over two resets."""
    inbox = bench.inbox()
    writer = bench.writer(inbox, RESET)
    await writer.connect()
    for _ in range(2):
        writer.submit(200)
        await anyio.sleep(0.02)
        await _reset(bench.links, EDGES[0])
        await writer.connect()
        writer.submit(100)
    await writer.settle()
    ids = list(dict.fromkeys((await read(bench, inbox)).ids_of(writer)))
    confirm(ids == sorted(ids), "a later message lies before an earlier one of the same sender")


@case("resume: a login behind a position continues with the next one, neither earlier nor later")
async def a_login_resumes_behind_its_position(bench: Bench) -> None:
    """Behind the last message of a batch, where every reader has been, and behind the end."""
    inbox = bench.inbox()
    await sent(bench, inbox, 60)
    whole = (await read(bench, inbox)).got
    confirm(len(whole) == 60, f"{len(whole)} of 60 messages came")
    middle = whole[24][0]
    rest = (await read(bench, inbox, middle)).got
    confirm(rest == whole[25:], f"behind {middle} came {rest[:1]} and not {whole[25:26]}")
    confirm((await read(bench, inbox, whole[-1][0])).got == [], "there was more behind the end")


@case("sessions: every login has a number of its own, so deliveries can be told apart")
async def sessions_are_numbered_apart(bench: Bench) -> None:
    """Two readers, one of which logs in again."""
    inbox = bench.inbox()
    one, two = bench.reader(inbox), bench.reader(inbox)
    numbers = [(await one.login()).session, (await two.login()).session]
    await one.receiver.abort()
    numbers.append((await one.login()).session)
    confirm(len(set(numbers)) == 3, f"the session numbers are {numbers}")


@case("end: it is -1 for an empty inbox, else the position of the last message acknowledged")
async def the_end_is_where_it_is(bench: Bench) -> None:
    """A stale end would make a drain stop too early, and loss look like rest."""
    inbox = bench.inbox()
    reader = bench.reader(inbox)
    await reader.login()
    first = await reader.receiver.end()
    confirm(first == -1, f"the end of an empty inbox is {first}")
    for _ in range(5):
        await sent(bench, inbox, 7)
        await reader.read_to_end()
        confirm(reader.last_pos == await reader.receiver.end(), "the end is not the last message")


@case(
    "cursor: a login that leaves the place to the system resumes behind the confirmed one",
    promises=(Promise.DURABLE_CURSOR,),
)
async def the_cursor_is_kept(bench: Bench) -> None:
    """Over a logout and over an abrupt end."""
    inbox = bench.inbox()
    await sent(bench, inbox, 30)
    reader = bench.reader(inbox)
    await reader.login()
    for upto, leave in ((9, reader.receiver.logout), (19, reader.receiver.abort)):
        await reader.read_to_end()
        reader.receiver.ack(upto)
        await until(lambda upto=upto: upto in reader.acked, f"the confirmation of {upto}")  # type: ignore[misc]
        await leave()
        login = await reader.login(-2)
        confirm(login.next_pos == upto + 1, f"behind {upto} it resumed at {login.next_pos}")


@case("lost is told: a client whose connection is reset says so and can come back")
async def a_lost_connection_is_told(bench: Bench) -> None:
    """Without that a run waits for nothing."""
    inbox = bench.inbox()
    writer, reader = bench.writer(inbox, RESET), bench.reader(inbox, RESET)
    await writer.connect()
    await reader.login()
    await _reset(bench.links, EDGES[0])
    writer.submit(1)
    await until(lambda: writer.lost > 0, "the sender's word that its connection is lost")
    await until(lambda: reader.lost > 0, "the receiver's word that its session is lost")
    await writer.settle()
    await reader.login()
    await reader.read_to_end()
    confirm(bool(reader.ids_of(writer)), "after coming back nothing was delivered")


@case("backpressure: an outbox that nobody empties refuses, and keeps what it has taken")
async def a_full_outbox_refuses(bench: Bench) -> None:
    """Memory stays bounded, and nothing taken is forgotten."""
    inbox = bench.inbox()
    writer = bench.writer(inbox)
    writer.fill()
    confirm(not writer.outcomes, "there are outcomes before anything was sent")
    await writer.sender.close()
    confirm(len(writer.outcomes) == writer.submitted, "messages that were taken have no outcome")


@case("stays behind the proxy: with all proxies down nobody gets in, and counts agree")
async def clients_stay_behind_the_proxy(bench: Bench) -> None:
    """Clients that follow addresses of the server's own would still reach it."""
    inbox = bench.inbox()
    writer, reader = bench.writer(inbox), bench.reader(inbox)
    await writer.connect()
    await reader.login()
    writer.submit(20)
    await writer.settle()
    for link in bench.links.by_name.values():
        await link.cut()
    try:
        writer.submit(5)
        await anyio.sleep(0.3)
        confirm(len(writer.outcomes) == 20, "messages got through while every proxy was down")
        for client in (writer.sender.connect(EDGES[1]), reader.receiver.login(EDGES[1], -1)):
            try:
                with anyio.fail_after(REFUSED_WITHIN_S):
                    await client
            except ConnectionError:
                continue
            except TimeoutError:
                raise Broken("a client neither came up nor said that it cannot") from None
            raise Broken("a client came up while every proxy was down")
    finally:
        await bench.links.heal()
    await writer.connect()
    await writer.settle()
    seen = await bench.links.coverage()
    for name, (connections, _) in bench.connector.traffic().items():
        passed = seen[name].connections
        confirm(connections <= passed, f"{name}: {connections} connections, {passed} passed it")


@case(
    "ok survives a kill: what was acknowledged is there after SIGKILL and a new start",
    abilities=(Ability.KILL,),
)
async def ok_survives_a_kill(bench: Bench) -> None:
    """Killed while messages are under way; the page cache survives, so this tests no disk."""
    inbox = bench.inbox()
    before = await sent(bench, inbox, 100)
    during = bench.writer(inbox)
    await during.connect()
    during.submit(200)
    nodes = as_restartable(bench.deployment)
    await nodes.kill("core", 0)
    await nodes.start("core", 0)
    await during.settle()
    reader = await read(bench, inbox)
    for writer in (before, during):
        missing = writer.ids("ok") - set(reader.ids_of(writer))
        confirm(not missing, f"{len(missing)} acknowledged messages are gone")


@case(
    "cursor survives a kill: a confirmed place is not forgotten",
    promises=(Promise.DURABLE_CURSOR,),
    abilities=(Ability.KILL,),
)
async def the_cursor_survives_a_kill(bench: Bench) -> None:
    """Else what was read would come back."""
    inbox = bench.inbox()
    await sent(bench, inbox, 20)
    reader = bench.reader(inbox)
    await reader.login()
    await reader.read_to_end()
    reader.receiver.ack(11)
    await until(lambda: 11 in reader.acked, "the confirmation of 11")
    nodes = as_restartable(bench.deployment)
    await nodes.kill("core", 0)
    await nodes.start("core", 0)
    await reader.receiver.abort()
    login = await reader.login(-2)
    confirm(login.next_pos == 12, f"behind 11 it resumed at {login.next_pos}")


@case(
    "orderly stop: SIGTERM ends a node by itself, and it starts again on what it has",
    abilities=(Ability.RESTART,),
)
async def a_stopped_node_starts_again(bench: Bench) -> None:
    """And nothing is missing afterwards."""
    inbox = bench.inbox()
    writer = await sent(bench, inbox, 50)
    nodes = as_restartable(bench.deployment)
    await nodes.stop("core", 0)
    await nodes.start("core", 0)
    reader = await read(bench, inbox)
    missing = writer.ids("ok") - set(reader.ids_of(writer))
    confirm(not missing, f"{len(missing)} acknowledged messages are gone")
    dead = bench.deployment.find_dead()
    confirm(not dead, f"{', '.join(dead)} counts as dead though it was started again")
