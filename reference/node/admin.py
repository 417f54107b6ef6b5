"""The administrator's client: asks one node, one question at a time."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Final, TypeVar

import anyio
from anyio.abc import ByteStream

from reference.node.connection import RECEIVE_BYTES
from reference.node.tls import Trust, connect
from reference.wire import messages as m
from reference.wire import versions
from reference.wire.errors import ErrorCode, RemoteProtocolError
from reference.wire.frames import FrameParser, encode
from reference.wire.limits import PRESENCE_USERS_MAX

ANSWER_TIMEOUT_S: Final = 5.0
"""How long a question may take, connecting included."""

FRESH_S: Final = 1.0
"""A connection unused for longer is opened anew: a node closes those that stay silent."""

POSITION_MAX: Final = 2**62
"""Behind it lies nothing."""

R = TypeVar("R", bound=m.Message)


class Refusal(Exception):
    """Raised when the node answered with a typed error; nothing happened where it is definite."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(f"{code.name}: {detail}" if detail else code.name)
        self.code = code
        self.detail = detail


class AdminClient:
    """Promotes, inspects and asks for presence and gauges. An async context manager.

    One question at a time; every method raises ConnectionError when no answer came (the outcome is
    unknown then) and `Refusal` when the node refused.
    """

    def __init__(
        self,
        host: str,
        port: int,
        token: str,
        *,
        name: str = "admin",
        trusted: Trust | None = None,
    ) -> None:
        """Make a client that shows a token to a node, which it trusts as `trusted` says."""
        self._trusted = trusted
        self._host = host
        self._port = port
        self._token = token
        self._name = name
        self._stream: ByteStream | None = None
        self._parser = FrameParser()
        self._waiting: list[m.Message] = []
        self._used_s = 0.0
        self._request = 0
        self._lock = anyio.Lock()

    async def __aenter__(self) -> AdminClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def promote(self, inbox: str, expected_epoch: int, bucket_count: int) -> m.Promoted:
        """Set the bucket count of an inbox, if `expected_epoch` is in force."""
        self._request += 1
        return await self._ask(
            m.Promote(self._request, inbox, expected_epoch, bucket_count), m.Promoted
        )

    async def inspect(self, inbox: str, after_pos: int = -1, after_bucket: int = -1) -> m.InspectOk:
        """Return stored bucket rows behind the key (after_pos, after_bucket), and the epochs."""
        self._request += 1
        return await self._ask(
            m.Inspect(self._request, inbox, after_pos, after_bucket), m.InspectOk
        )

    async def presence(self, users: Sequence[str]) -> tuple[m.PresenceEntry, ...]:
        """Return who is online, in the order asked; of many users a part at a time."""
        entries: list[m.PresenceEntry] = []
        for at in range(0, max(len(users), 1), PRESENCE_USERS_MAX):
            part = tuple(users[at : at + PRESENCE_USERS_MAX])
            self._request += 1
            entries += (await self._ask(m.Presence(self._request, part), m.PresenceOk)).entries
        return tuple(entries)

    async def gauges(self) -> dict[str, int]:
        """Return the node's gauges; works at a core and at an edge."""
        self._request += 1
        return (await self._ask(m.Inspect(self._request, "", -1, -1), m.InspectOk)).gauges

    async def hottest(self) -> tuple[m.HotEntry, ...]:
        """Return the inboxes of a core that are written to most, the hottest first."""
        self._request += 1
        return (await self._ask(m.Inspect(self._request, "", -1, -1), m.InspectOk)).hot

    async def epochs(self, inbox: str) -> tuple[m.EpochEntry, ...]:
        """Return the epochs of an inbox, the first included; of its rows none."""
        return (await self.inspect(inbox, POSITION_MAX)).epochs

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with anyio.CancelScope(shield=True):
                await stream.aclose()

    async def _ask(self, question: m.Message, kind: type[R]) -> R:
        async with self._lock:
            answered = False
            try:
                with anyio.fail_after(ANSWER_TIMEOUT_S):
                    reply = await self._exchange(question)
                answered = True
            except TimeoutError:
                raise ConnectionError(f"no answer in {ANSWER_TIMEOUT_S} s") from None
            except (
                OSError,
                anyio.EndOfStream,
                anyio.BrokenResourceError,
                anyio.ClosedResourceError,
                RemoteProtocolError,
            ) as error:
                raise ConnectionError(str(error) or "the connection ended") from error
            finally:
                if not answered:
                    await self.close()
        if isinstance(reply, kind):
            return reply
        if isinstance(reply, m.Error):
            raise Refusal(reply.code, reply.detail)
        await self.close()
        raise ConnectionError(f"{type(reply).__name__} is no answer to this question")

    async def _exchange(self, question: m.Message) -> m.Message:
        if self._stream is not None and anyio.current_time() - self._used_s > FRESH_S:
            await self.close()
        if self._stream is None:
            self._stream = await connect(self._host, self._port, self._trusted)
            self._parser = FrameParser()
            self._waiting = []
            await self._send(versions.hello("admin", self._name, self._token))
            welcome = await self._next()
            if isinstance(welcome, m.Error):
                await self.close()
                return welcome
        await self._send(question)
        reply = await self._next()
        self._used_s = anyio.current_time()
        return reply

    async def _send(self, message: m.Message) -> None:
        assert self._stream is not None
        await self._stream.send(b"".join(encode(message)))

    async def _next(self) -> m.Message:
        """Return the next message that is not about the connection's life."""
        assert self._stream is not None
        while True:
            while self._waiting:
                message = self._waiting.pop(0)
                if isinstance(message, m.Heartbeat):
                    await self._send(m.HeartbeatOk(message.nonce))
                elif not isinstance(message, m.HeartbeatOk):
                    return message
            self._waiting = list(self._parser.feed(await self._stream.receive(RECEIVE_BYTES)))
