"""TLS on a hop: contexts made of files, and a stream that counts what goes over the wire.

Only version 1.3, since both ends are ours. Who is dialled has to show a certificate of the trusted
authority, for the name that was wanted. Who dials shows a token instead of a certificate.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import anyio
import msgspec
from anyio.abc import ByteStream, SocketStream
from anyio.streams.tls import TLSStream

from reference.node.secrets import SettingsError, require_private

HANDSHAKE_TIMEOUT_S: Final = 3.0
"""How long a handshake may take; whoever says nothing is closed then."""

HANDSHAKES_MAX: Final = 1_024
"""Accepted connections whose handshake is under way; of more, the oldest is closed."""

ADDRESS_HANDSHAKES_MAX: Final = 256
"""Those of them that come from one address; of more, its oldest is closed."""


class TlsFiles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a node's certificates lie, as PEM files.

    Attributes:
        certificate: What the node shows whoever dials it, with the chain behind it.
        key: Its private key; its owner alone may read the file.
        authority: What an edge trusts the core by.
        core_name: The name in the core's certificate; "" for the host that is dialled.
    """

    certificate: str
    key: str
    authority: str = ""
    core_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom one who dials takes for the right one: the context's authority, and a name.

    `name` "" stands for the host that is dialled.
    """

    context: ssl.SSLContext
    name: str = ""


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the context of a node that is dialled.

    Raises:
        SettingsError: The files are none that it can use, or others may read the key.
    """
    require_private(files.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror or type(error).__name__
        raise SettingsError(f"tls: {files.certificate} and {files.key}: {why}") from None
    return context


def trust(authority: str, name: str = "") -> Trust:
    """Return whom to trust: who has a certificate of this authority for this name.

    Raises:
        SettingsError: The file holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(authority)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror or type(error).__name__
        raise SettingsError(f"tls: authority {authority}: {why}") from None
    return Trust(context=context, name=name)


def _no_password() -> str:
    """Keep OpenSSL from asking for the password of a key on the terminal."""
    raise ssl.SSLError(0, "the key has a password; a node takes one without")


async def accept(stream: SocketStream, context: ssl.SSLContext) -> SecureStream:
    """Return an accepted connection with TLS on it.

    Raises:
        OSError: The handshake failed (`ssl.SSLError`) or did not end in time.
    """
    return await _secure(stream, context, server_side=True, name=None)


async def connect(host: str, port: int, trusted: Trust | None) -> ByteStream:
    """Return a new connection, with TLS on it where somebody has to be trusted.

    Raises:
        OSError: It could not be opened, or as `dial` says.
    """
    stream = await anyio.connect_tcp(host, port)
    return stream if trusted is None else await dial(stream, host, trusted)


def why_failed(error: OSError) -> str:
    """Return in a few words why a connection did not come up."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}"
    return str(error) or ("timed out" if isinstance(error, TimeoutError) else type(error).__name__)


async def dial(stream: SocketStream, host: str, trusted: Trust) -> SecureStream:
    """Return a dialled connection with TLS on it, whose peer is who was wanted.

    Raises:
        OSError: The handshake failed, the peer is not trusted, or it did not end in time.
    """
    return await _secure(stream, trusted.context, server_side=False, name=trusted.name or host)


async def _secure(
    stream: SocketStream, context: ssl.SSLContext, *, server_side: bool, name: str | None
) -> SecureStream:
    wire = _Wire(stream)
    try:
        with anyio.fail_after(HANDSHAKE_TIMEOUT_S):
            tls = await TLSStream.wrap(
                wire,
                server_side=server_side,
                hostname=name,
                ssl_context=context,
                # A frame says where it ends, so an end without a word hides nothing.
                standard_compatible=False,
            )
    except BaseException as error:
        await anyio.aclose_forcefully(stream)
        if isinstance(error, (anyio.EndOfStream, anyio.BrokenResourceError)):
            raise ConnectionResetError("it ended during the TLS handshake") from error
        raise
    return SecureStream(tls, wire)


class _Wire(ByteStream):
    """A socket that counts what goes through it, TLS included."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self.bytes_in = 0
        self.bytes_out = 0

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        data = await self._stream.receive(max_bytes)
        self.bytes_in += len(data)
        return data

    async def send(self, item: bytes) -> None:
        self.bytes_out += len(item)
        await self._stream.send(item)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._stream.extra_attributes


class SecureStream(ByteStream):
    """A connection with TLS on it; `bytes_in` and `bytes_out` count what went over the wire."""

    def __init__(self, tls: TLSStream, wire: _Wire) -> None:
        self._tls = tls
        self._wire = wire

    @property
    def bytes_in(self) -> int:
        """Bytes that came over the wire."""
        return self._wire.bytes_in

    @property
    def bytes_out(self) -> int:
        """Bytes that went over the wire."""
        return self._wire.bytes_out

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """Return what came, decrypted."""
        try:
            return await self._tls.receive(max_bytes)
        except ssl.SSLError as error:
            raise anyio.BrokenResourceError from error

    async def send(self, item: bytes) -> None:
        """Send, encrypted."""
        try:
            await self._tls.send(item)
        except (ssl.SSLError, anyio.EndOfStream) as error:
            # The peer's end may be seen by a write first, and ends this connection alone.
            raise anyio.BrokenResourceError from error

    async def send_eof(self) -> None:
        """Say on the socket that no more comes: TLS streams know no half-closed connection."""
        await self._wire.send_eof()

    async def aclose(self) -> None:
        """Close it."""
        await self._tls.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """What is known of the socket and of TLS on it."""
        return self._tls.extra_attributes
