"""Places of systems as users write them: ``nats?endpoint=…``, several with commas between them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlencode

from harness.errors import UsageError
from harness.systems.broker.settings import settle

_SYSTEM = re.compile(r"[A-Za-z_][\w.-]*(:[A-Za-z_]\w*)?(\?.*)?", re.DOTALL)


def split_places(text: str) -> list[str]:
    """Return the places that commas separate; those between addresses of an endpoint stay.

    What follows a comma is a system if it looks like one: ``nats?endpoint=a:1,b:2,valkey`` is two.
    """
    places: list[str] = []
    for part in text.split(","):
        if places and "endpoint=" in places[-1] and _SYSTEM.fullmatch(part) is None:
            places[-1] += f",{part}"
        else:
            places.append(part)
    return places


def read_options(name: str, query: str) -> dict[str, str]:
    """Return the options behind the ``?`` of a place.

    Raises:
        UsageError: They are not key=value&key=value.
    """
    # A plus is a plus, as in kafka+ssl:// and in passwords; forms alone mean a space by it.
    query = query.replace("+", "%2B")
    try:
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
    except ValueError:
        raise UsageError(
            f"system {name!r}: behind the ? is not key=value&key=value; write & in a value as %26"
        ) from None


def settle_place(
    place: str, more: Mapping[str, str] | None = None, *, password: str = "", token: str = ""
) -> str:
    """Return the place of one system with more options, and without secrets.

    Those that its endpoint holds are kept for it (`harness.systems.broker.secrets`). Idempotent.

    Args:
        place: A name or ``module:NAME``, perhaps with options.
        more: Options to add; they win.
        password: Said elsewhere, for the same endpoint.
        token: Likewise.

    Raises:
        UsageError: The options or the endpoint cannot be read.
    """
    name, _, query = place.partition("?")
    chosen = {**(read_options(name, query) if query else {}), **(more or {})}
    if not chosen:
        return place
    settled = settle(name, chosen, password=password, token=token)
    # What is plain stays readable: the place stands in results and commands. A comma is not: it
    # separates systems.
    return f"{name}?{urlencode(settled, safe=':/[]@', quote_via=quote)}"
