"""What several cases do first: send, and read."""

from __future__ import annotations

from harness.conform.bench import PLAIN, Bench, Reader, Writer
from harness.conform.broken import confirm


async def sent(bench: Bench, inbox: str, count: int, *, group: str = PLAIN) -> Writer:
    """Return a writer all of whose messages were acknowledged."""
    writer = bench.writer(inbox, group)
    await writer.connect()
    writer.submit(count)
    await writer.settle()
    confirm(len(writer.ids("ok")) == count, f"only {len(writer.ids('ok'))} of {count} were ok")
    return writer


async def read(bench: Bench, inbox: str, from_pos: int = -1) -> Reader:
    """Return a reader that has read an inbox to its end, and logged out."""
    reader = bench.reader(inbox)
    await reader.login(from_pos)
    await reader.read_to_end()
    await reader.receiver.logout()
    return reader
