"""Names and settings that producers and consumers share."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Any

from harness.systems.broker.settings import Credentials

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9-]")


def topic_of(prefix: str, inbox: str) -> str:
    """Return the topic of an inbox; what topics do not take is written as .hex. in it."""
    return prefix + _NOT_PLAIN.sub(lambda found: f".{ord(found[0]):x}.", inbox)


class _NamedContext(ssl.SSLContext):
    """Asks for the certificate of one host, whatever address is dialled: here that of a proxy."""

    host = ""

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Wrap as `ssl.SSLContext` does, for that host."""
        return super().wrap_bio(incoming, outgoing, server_side, self.host, session)


def _context(endpoint: Mapping[str, Any]) -> ssl.SSLContext:
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.host = str(endpoint["host"])
    if endpoint["ca_file"]:
        context.load_verify_locations(str(endpoint["ca_file"]))
    else:
        context.load_default_certs()
    return context


def security(connect: Mapping[str, Any]) -> dict[str, Any]:
    """Return aiokafka's settings of encryption and login; none for a server of our own."""
    if "endpoint" not in connect:
        return {}
    who = Credentials.at(connect["endpoint"])
    context = _context(connect["endpoint"]) if who.tls is not None else None
    encrypted = "SSL" if context is not None else "PLAINTEXT"
    if who.user is None:
        return {"security_protocol": encrypted, "ssl_context": context}
    return {
        "security_protocol": f"SASL_{encrypted}",
        "ssl_context": context,
        "sasl_mechanism": connect["mechanism"],
        "sasl_plain_username": who.user,
        "sasl_plain_password": who.password or who.token or "",
    }
