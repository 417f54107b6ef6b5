"""A JetStream client on one connection.

An inbox is a stream of its own, so its sequence is dense; position = sequence - 1. A message is
published with the header ``Nats-Msg-Id`` made of producer and n, so that a resend within the
stream's duplicate window is answered with the first one's sequence. The cursor is a key of a
key-value bucket, written with compare-and-set. Reading is an ephemeral pull consumer that begins
behind the position the reader names; it needs no acknowledgements.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

import anyio
import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    KeyValueConfig,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.kv import KeyValue

from harness.systems.broker.codec import pack
from harness.systems.broker.line import Ears, Unavailable
from harness.systems.nats.connection import REQUEST_WITHIN_S, NatsConnection
from harness.systems.port import Batch

IN_FLIGHT_MAX = 1_024
"""Messages that one sender publishes ahead of their acknowledgements; many senders together must
stay below the server's `max_buffered_msgs` per stream."""

FETCH_MESSAGES = 512
"""Messages that one pull asks for."""

FETCH_WITHIN_S = 1.0
"""How long a pull waits at the server for the first message."""

FETCH_GRACE_S = 4.0
"""What the answer to a pull may take beyond that before the connection counts as gone."""

DUPLICATE_WINDOW_S = 24 * 3_600.0
"""How long a stream recognises message ids; longer than any run."""

CONSUMER_FORGOTTEN_S = 60.0
"""After this long without a pull the server removes a consumer."""

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_-]")
_NO_RESPONDERS = "503"
_PULL_OVER = ("404", "408")

TERMINAL = {10054: "message larger than the stream allows"}
"""Errors in acknowledgements after which a message will definitely never be stored. After every
other one the same ids are published again."""


class NatsLine:
    """One nats-py client."""

    in_flight_max = IN_FLIGHT_MAX

    def __init__(self, port: int, ears: Ears, connect: Mapping[str, Any]) -> None:
        self._ears = ears
        self._prefix: str = connect["prefix"]
        self._trims: bool = connect["trims"]
        self._connection = NatsConnection(port, connect, ears.lost)
        self._client = self._connection.client
        self._manager = self._client.jsm(timeout=REQUEST_WITHIN_S)
        self._left = False
        self._answers = self._client.new_inbox()
        self._inboxes: list[str] = []
        self._pulls = self._client.new_inbox()
        self._pulled: asyncio.Queue[Msg] = asyncio.Queue()
        self._owed = 0
        """Messages that the pull under way may still bring."""
        self._inbox = ""
        self._consumer = ""
        self._cursors: KeyValue | None = None
        self._revision = 0
        self._committing = asyncio.Lock()

    @property
    def connections(self) -> int:
        """Connections that were answered: one, or none yet."""
        return self._connection.connections

    @property
    def bytes_read(self) -> int:
        """Every byte read from the socket."""
        return self._connection.bytes_read

    async def open(self) -> None:
        """Connect and listen for acknowledgements."""
        await self._connection.open()
        try:
            await self._client.subscribe(
                f"{self._answers}.*.*", cb=self._answered, pending_msgs_limit=0,
                pending_bytes_limit=0,
            )  # fmt: skip
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(str(error) or type(error).__name__) from error

    # Publishing

    async def publish(self, batch: Batch, index_first: int) -> None:
        """Publish every message with its id; each is acknowledged by itself."""
        try:
            stream = await self._stream(batch.inbox)
            number = self._inboxes.index(batch.inbox)
            for n, message in pack(batch, index_first):
                try:
                    await self._client.publish(
                        stream,
                        message,
                        reply=f"{self._answers}.{number}.{n}",
                        headers={"Nats-Msg-Id": f"{batch.producer:x}-{n}"},
                    )
                except nats.errors.MaxPayloadError:
                    self._ears.refused(batch.inbox, n, 1, "message too large")
        except nats.errors.Error as error:
            raise Unavailable(str(error)) from error

    async def _stream(self, inbox: str) -> str:
        """Return the stream of an inbox, which is also its subject, made if there is none."""
        name = self._prefix + plain(inbox)
        if inbox not in self._inboxes:
            await self._manager.add_stream(
                StreamConfig(
                    name=name,
                    subjects=[name],
                    storage=StorageType.FILE,
                    retention=RetentionPolicy.LIMITS,
                    duplicate_window=DUPLICATE_WINDOW_S,
                )
            )
            self._inboxes.append(inbox)
        return name

    async def _answered(self, msg: Msg) -> None:
        if self._left:
            return
        _, number, n = msg.subject.rsplit(".", 2)
        inbox = self._inboxes[int(number)]
        if (msg.headers or {}).get("Status") == _NO_RESPONDERS:
            self._ears.reach["nats.nobody_answers"] += 1
            self._give_up("nobody answers for the stream")
            return
        answer = json.loads(msg.data)
        error = answer.get("error")
        if error is None:
            if answer.get("duplicate"):
                self._ears.reach["nats.duplicate"] += 1
            self._ears.answered(inbox, int(n), 1, answer["seq"] - 1)
        elif error.get("err_code") in TERMINAL:
            self._ears.refused(inbox, int(n), 1, error["description"])
        else:
            self._ears.reach["nats.refused"] += 1
            self._give_up(f"refused: {error.get('description', error)}")

    def _give_up(self, cause: str) -> None:
        """End the line after a refusal: what follows must not overtake what was refused."""
        self.abort()
        self._ears.lost(cause)

    # Reading

    async def open_inbox(self, inbox: str) -> int:
        """Return the cursor of the inbox."""
        self._inbox = inbox
        try:
            await self._stream(inbox)
            await self._client.subscribe(
                self._pulls, cb=self._take_pulled, pending_msgs_limit=0, pending_bytes_limit=0
            )
            self._cursors = await self._client.jetstream(timeout=REQUEST_WITHIN_S).create_key_value(
                KeyValueConfig(bucket=f"{self._prefix}cursors", storage=StorageType.FILE)
            )
            return await self._read_cursor()
        except nats.errors.Error as error:
            raise Unavailable(str(error)) from error

    async def _read_cursor(self) -> int:
        assert self._cursors is not None  # Set by `open_inbox`, which comes first.
        try:
            entry = await self._cursors.get(plain(self._inbox))
        except nats.js.errors.KeyNotFoundError:
            self._revision = 0
            return -1
        self._revision = entry.revision or 0
        return int(entry.value or b"-1")

    async def _take_pulled(self, msg: Msg) -> None:
        self._pulled.put_nowait(msg)

    async def fetch(self, next_pos: int) -> list[tuple[int, bytes]]:
        """Pull from the consumer, which is made at the first call."""
        try:
            if not self._consumer:
                self._consumer = await self._make_consumer(next_pos)
            return await self._pull_some()
        except (nats.errors.Error, TimeoutError) as error:
            raise Unavailable(str(error) or "no answer to a pull") from error

    async def _make_consumer(self, next_pos: int) -> str:
        made = await self._manager.add_consumer(
            self._prefix + plain(self._inbox),
            ConsumerConfig(
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=next_pos + 1,
                ack_policy=AckPolicy.NONE,
                inactive_threshold=CONSUMER_FORGOTTEN_S,
                mem_storage=True,
            ),
        )
        return str(made.name)

    async def _pull_some(self) -> list[tuple[int, bytes]]:
        """Return what has come; ask for more when all that was asked for has come."""
        if not self._owed and self._pulled.empty():
            self._owed = FETCH_MESSAGES
            wanted = {"batch": FETCH_MESSAGES, "expires": int(FETCH_WITHIN_S * 1e9)}
            stream = self._prefix + plain(self._inbox)
            await self._client.publish(
                f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{self._consumer}",
                json.dumps(wanted).encode(),
                reply=self._pulls,
            )
        found: list[tuple[int, bytes]] = []
        with anyio.fail_after(FETCH_WITHIN_S + FETCH_GRACE_S):
            self._sort(await self._pulled.get(), found)
        while not self._pulled.empty():
            self._sort(self._pulled.get_nowait(), found)
        return found

    def _sort(self, msg: Msg, found: list[tuple[int, bytes]]) -> None:
        if msg.reply:
            self._owed -= 1
            # $JS.ACK.stream.consumer.deliveries.stream sequence.…, in front of it perhaps a domain.
            sequence = int(msg.reply.split(".")[-4])
            found.append((sequence - 1, msg.data))
            return
        headers = msg.headers or {}
        if headers.get("Status") not in _PULL_OVER:
            said = headers.get("Description") or headers.get("Status") or "in an unknown way"
            raise Unavailable(f"a pull was answered: {said}")
        self._owed = 0

    async def end(self) -> int:
        """Return the last sequence of the stream, as a position."""
        try:
            info = await self._manager.stream_info(self._prefix + plain(self._inbox))
        except nats.errors.Error as error:
            raise Unavailable(str(error)) from error
        return int(info.state.last_seq) - 1

    async def commit(self, pos: int) -> None:
        """Write the cursor's key, unless a later one lies there; then drop what was acknowledged.

        Compare-and-set, since a write of a connection that was cut may still arrive.
        """
        assert self._cursors is not None  # Set by `open_inbox`, which comes first.
        key = plain(self._inbox)
        async with self._committing:
            try:
                while True:
                    try:
                        self._revision = await self._cursors.update(
                            key, str(pos).encode(), last=self._revision
                        )
                        break
                    except nats.js.errors.KeyWrongLastSequenceError:
                        if await self._read_cursor() >= pos:
                            break
                if self._trims:
                    await self._manager.purge_stream(self._prefix + key, seq=pos + 2)
            except nats.errors.Error as error:
                raise Unavailable(str(error)) from error

    async def ping(self) -> None:
        """Make a round trip."""
        await self._connection.ping()

    def abort(self) -> None:
        """Cut the connection."""
        self._left = True
        self._connection.abort()

    async def close(self) -> None:
        """Close the connection behind what was sent."""
        self._left = True
        await self._connection.close()


def plain(inbox: str) -> str:
    """Return an inbox' name with what subjects and keys do not take written as =hex=."""
    return _NOT_PLAIN.sub(lambda found: f"={ord(found[0]):x}=", inbox)


async def ask_version(connect: Mapping[str, Any], port: int) -> str:
    """Log in and return what the server is.

    Raises:
        Unavailable: It does not accept us, or has no JetStream and the run needs it.
    """
    connection = NatsConnection(port, connect, lambda _cause: None)
    try:
        await connection.open()
        if connect["jetstream"]:
            await connection.client.jsm(timeout=REQUEST_WITHIN_S).account_info()
        return f"NATS {connection.client.connected_server_version}"
    except nats.errors.Error as error:
        raise Unavailable(str(error) or type(error).__name__) from error
    finally:
        await connection.close()
