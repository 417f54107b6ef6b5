"""A certificate of our own, and TLS in front of a server that has none."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.links.ports import LOOPBACK

OPENSSL_WITHIN_S = 30.0
CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate for loopback that is its own authority, and its key, as PEM files."""

    certificate: Path
    key: Path


def make_certificate(folder: Path) -> Certificate:
    """Make a certificate for 127.0.0.1, ::1 and localhost with the program `openssl`."""
    made = Certificate(certificate=folder / "server.pem", key=folder / "server.key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost",
         "-keyout", made.key, "-out", made.certificate],
        check=True, capture_output=True, timeout=OPENSSL_WITHIN_S,
    )  # fmt: skip
    return made


@asynccontextmanager
async def tls_front(port: int, upstream_port: int, own: Certificate) -> AsyncIterator[None]:
    """Take TLS connections on a port of loopback and pass on what they say to another one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            try:
                while chunk := await reader.read(CHUNK_BYTES):
                    writer.write(chunk)
                    await writer.drain()
            finally:
                writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, to_server = await asyncio.open_connection(LOOPBACK, upstream_port)
        await asyncio.gather(pass_on(reader, to_server), pass_on(behind, writer))

    async with await asyncio.start_server(serve, LOOPBACK, port, ssl=context):
        yield
