"""Names and settings that producers and consumers share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harness.systems.broker.settings import Credentials

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9-]")


def topic_of(prefix: str, inbox: str) -> str:
    """Return the topic of an inbox; what topics do not take is written as .hex. in it."""
    return prefix + _NOT_PLAIN.sub(lambda found: f".{ord(found[0]):x}.", inbox)


def security(connect: Mapping[str, Any]) -> dict[str, Any]:
    """Return aiokafka's settings of encryption and login; none for a server of our own."""
    if "endpoint" not in connect:
        return {}
    who = Credentials.at(connect["endpoint"])
    if who.tls is not None:
        # Connections are dialled to the proxy's address, which no certificate holds; the chain of
        # trust is checked all the same.
        who.tls.check_hostname = False
    encrypted = "SSL" if who.tls is not None else "PLAINTEXT"
    if who.user is None:
        return {"security_protocol": encrypted, "ssl_context": who.tls}
    return {
        "security_protocol": f"SASL_{encrypted}",
        "ssl_context": who.tls,
        "sasl_mechanism": connect["mechanism"],
        "sasl_plain_username": who.user,
        "sasl_plain_password": who.password or who.token or "",
    }
