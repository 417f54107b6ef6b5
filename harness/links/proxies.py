"""The one file that touches toxiproxy-python.

Read in its source (0.1.1): the server's address is a class attribute shared by the whole process,
no call has a time-out, every answer but 400, 404 and 409 counts as success, and a proxy from the
environment (HTTP_PROXY) would be asked for 127.0.0.1. So its `APIConsumer` is used through one
subclass per server, each call gets time-outs and no outside proxy, runs in a worker thread below a
deadline of our own, and has its answer checked. Everything that goes wrong is a `HarnessError`
that names the proxy.

It is imported when a server is first called: load processes know links, and call no server, and
with the HTTP library behind it this import is a quarter of their start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import anyio
import anyio.to_thread

from harness.errors import HarnessError
from harness.links.ports import LOOPBACK

CALL_WITHIN_S = 5.0
"""Deadline of a call to the server's API."""

REMOVE_WITHIN_S = 12.0
"""Deadline for removing a toxic. Below load it waits until held bytes were written, 5 s per chunk,
and the server itself gives up at 25 s; a run that waited longer would measure the wait."""

CALLS_AT_ONCE = 16
"""Worker threads that call one server at the same time; more calls wait for a thread."""

NAMES_TOLD_MAX = 4
"""Names of proxies in the error of a call that makes many."""

UPSTREAM = "upstream"
DOWNSTREAM = "downstream"
BOTH = (UPSTREAM, DOWNSTREAM)
"""The two directions of a proxy: client → server and server → client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toxic:
    """A toxic on one direction of a proxy. `toxicity` is 1, or 0 for one that only sets linger."""

    name: str
    type: str
    stream: str
    attributes: Mapping[str, int] = field(default_factory=dict)
    toxicity: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyState:
    """A proxy as its server describes it."""

    name: str
    listen: str
    upstream: str
    enabled: bool
    toxics: Mapping[str, Toxic]


class ToxiproxyApi:
    """Calls to one Toxiproxy server on loopback. Safe to use from many tasks at once."""

    def __init__(self, port: int) -> None:
        from toxiproxy.api import APIConsumer

        self.port = port
        self._consumer: Any = type("Consumer", (APIConsumer,), {"host": LOOPBACK, "port": port})
        self._threads = anyio.CapacityLimiter(CALLS_AT_ONCE)

    async def version(self) -> str:
        """Return what the server says of its version ("git" for one built by go install)."""
        text = await self._call("get", "/version", "server")
        # Since 2.5 the answer is JSON; before it was plain text.
        return str(json.loads(text)["version"]) if text.startswith("{") else text

    async def metrics(self) -> str:
        """Return the server's Prometheus text."""
        return await self._call("get", "/metrics", "metrics")

    async def create_all(self, wanted: Mapping[str, tuple[int, str]]) -> None:
        """Make many enabled proxies without toxics, in one call.

        320 of them take 0.06 s so, and 1.7 s one by one (measured on two shared cores).

        Args:
            wanted: (listen port, upstream as host:port) by name. No name may exist.

        Raises:
            HarnessError: A port is taken; some of the others may have been made.
        """
        body = [
            {
                "name": name,
                "listen": f"{LOOPBACK}:{listen_port}",
                "upstream": upstream,
                "enabled": True,
            }
            for name, (listen_port, upstream) in wanted.items()
        ]
        await self._call("post", "/populate", ", ".join(list(wanted)[:NAMES_TOLD_MAX]), body)

    async def show(self, name: str) -> ProxyState:
        """Return a proxy as it is now."""
        return _state(await self._call("get", _path(name), name))

    async def show_all(self) -> dict[str, ProxyState]:
        """Return every proxy as it is now, in one call."""
        text = await self._call("get", "/proxies", "all proxies")
        try:
            found = json.loads(text)
            return {name: _state_of(proxy) for name, proxy in found.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unreadable(text) from error

    async def enable(self, name: str, enabled: bool) -> ProxyState:
        """Open a proxy, or take it down: its connections are closed and new ones refused."""
        # The body names nothing else: another upstream or port would cut the connections as well.
        return _state(await self._call("post", _path(name), name, {"enabled": enabled}))

    async def delete(self, name: str) -> None:
        """Delete a proxy. Bytes that it holds are lost."""
        await self._call("delete", _path(name), name)

    async def add(self, name: str, toxic: Toxic) -> None:
        """Add a toxic to all present and later connections of a proxy.

        One of that name that is there already stays as it is, and is no error.
        """
        from toxiproxy.exceptions import ProxyExists

        body = {
            "name": toxic.name,
            "type": toxic.type,
            "stream": toxic.stream,
            "toxicity": toxic.toxicity,
            "attributes": dict(toxic.attributes),
        }
        try:
            await self._call("post", f"{_path(name)}/toxics", name, body)
        except HarnessError as error:
            if not isinstance(error.__cause__, ProxyExists):
                raise

    async def remove(self, name: str, toxic: str) -> None:
        """Remove a toxic; what it held is passed on first. One that is not there is no error.

        Raises:
            HarnessError: The server did not finish in time. Bytes may be stuck in that proxy.
        """
        from toxiproxy.exceptions import NotFound

        path = f"{_path(name)}/toxics/{quote(toxic, safe='')}"
        try:
            await self._call("delete", path, name, within_s=REMOVE_WITHIN_S)
        except HarnessError as error:
            if not isinstance(error.__cause__, NotFound):
                raise

    async def _call(
        self,
        method: str,
        path: str,
        name: str,
        body: Mapping[str, Any] | list[dict[str, Any]] | None = None,
        *,
        within_s: float = CALL_WITHIN_S,
    ) -> str:
        from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

        arguments: dict[str, Any] = {"timeout": within_s, "proxies": {"http": ""}}
        if body is not None:
            arguments["json"] = body
        what = f"proxy {name!r}: {method.upper()} {path}"

        def call() -> tuple[int, str]:
            response = getattr(self._consumer, method)(path, **arguments)
            return response.status_code, response.text

        try:
            with anyio.fail_after(within_s):
                status, text = await anyio.to_thread.run_sync(
                    call, abandon_on_cancel=True, limiter=self._threads
                )
        except (NotFound, ProxyExists, InvalidToxic) as error:
            raise HarnessError(f"{what}: {_reason(error)}") from error
        except TimeoutError as error:
            raise HarnessError(f"{what}: no answer within {within_s} s") from error
        except OSError as error:
            # What requests raises is an OSError, its time-outs included.
            raise HarnessError(f"{what}: {error}") from error
        if not 200 <= status < 300:
            raise HarnessError(f"{what}: status {status}: {text.strip()}")
        return text


def _path(name: str) -> str:
    return f"/proxies/{quote(name, safe='')}"


def _reason(error: Exception) -> str:
    content = error.args[0] if error.args else ""
    return content.decode(errors="replace").strip() if isinstance(content, bytes) else str(content)


def _state(text: str) -> ProxyState:
    try:
        return _state_of(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(text) from error


def _unreadable(text: str) -> HarnessError:
    return HarnessError(f"Toxiproxy answered something unreadable: {text[:200]!r}")


def _state_of(found: Mapping[str, Any]) -> ProxyState:
    toxics = {
        toxic["name"]: Toxic(
            name=toxic["name"],
            type=toxic["type"],
            stream=toxic["stream"],
            attributes=toxic["attributes"],
            toxicity=toxic["toxicity"],
        )
        for toxic in found["toxics"]
    }
    return ProxyState(
        name=found["name"],
        listen=found["listen"],
        upstream=found["upstream"],
        enabled=found["enabled"],
        toxics=toxics,
    )
