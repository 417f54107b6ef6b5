"""The cases under retention "ack", on a system deployed with it: what was acknowledged is dropped.

What is dropped may take with it what a system knows of it: its ids, its positions, its end.
"""

from __future__ import annotations

from harness.conform.bench import EDGES, PLAIN, Bench, Reader, until
from harness.conform.broken import confirm
from harness.conform.case import case
from harness.conform.steps import sent
from harness.links.proxies import DOWNSTREAM
from harness.systems.port import as_restartable
from harness.systems.promises import Ability, Promise

_SWALLOW = "conform-swallow"


async def _acknowledged(reader: Reader) -> None:
    """Acknowledge everything that was read, and wait for the confirmation."""
    upto = reader.last_pos
    reader.receiver.ack(upto)
    await until(lambda: upto in reader.acked, f"the confirmation of {upto}")


async def _restarted(bench: Bench) -> None:
    """Kill the core and start it, where that can be done."""
    if Ability.KILL in bench.system.abilities:
        nodes = as_restartable(bench.deployment)
        await nodes.kill("core", 0)
        await nodes.start("core", 0)


@case(
    "deduplication without the original: a resend of what was read and dropped is not stored again",
    promises=(Promise.EXACTLY_ONCE_LOG,),
    retention="ack",
)
async def a_resend_is_known_when_its_original_is_gone(bench: Bench) -> None:
    """The sender's answers are swallowed; a reader acknowledges meanwhile, and the core is killed.

    A system that finds its known ids in what it has stored does not know them any more.
    """
    inbox = bench.inbox()
    writer = await sent(bench, inbox, 5)
    reader = bench.reader(inbox)
    await reader.login(edge=EDGES[1])
    link = bench.links.by_name[f"client-edge:{EDGES[0]}:{PLAIN}"]
    await link.impose(_SWALLOW, "timeout", {"timeout": 0}, (DOWNSTREAM,))
    try:
        writer.submit(40)
        await until(lambda: len(reader.ids_of(writer)) == 45, "reading what was not answered")
        confirm(len(writer.outcomes) == 5, "answers came over a link that swallows them")
        await _acknowledged(reader)
        await _restarted(bench)
    finally:
        await link.lift(_SWALLOW)
    await writer.settle()
    await reader.receiver.abort()
    await reader.login(reader.last_pos, edge=EDGES[1])
    await reader.read_to_end()
    ids = reader.ids_of(writer)
    twice = len(ids) - len(set(ids))
    confirm(not twice, f"{twice} messages are in the log more than once")
    confirm(set(ids) >= writer.ids("ok"), "acknowledged messages are missing")


@case(
    "an inbox whose messages were all dropped: its end stays, a fresh reader finds what is next",
    promises=(Promise.DURABLE_CURSOR, Promise.DENSE_POSITIONS),
    retention="ack",
)
async def an_emptied_inbox_goes_on_behind_its_end(bench: Bench) -> None:
    """Also over a kill. Else positions would be used twice, or a drain would wait for ever."""
    inbox = bench.inbox()
    await sent(bench, inbox, 30)
    reader = bench.reader(inbox)
    await reader.login()
    await reader.read_to_end()
    await _acknowledged(reader)
    await _restarted(bench)
    fresh = bench.reader(inbox, PLAIN)
    await fresh.login(edge=EDGES[1])
    end = await fresh.read_to_end()
    confirm(end == 29, f"the end of 30 messages that were dropped is {end}")
    writer = await sent(bench, inbox, 10)
    await fresh.read_to_end()
    found = [pos for pos, producer, _ in fresh.got if producer == writer.producer]
    confirm(found == list(range(30, 40)), f"what came next lies at {found[:3]} … and not at 30, …")
    confirm(fresh.wrong == 0, f"{fresh.wrong} messages came with another content")
