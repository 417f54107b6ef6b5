"""An edge reads who a client says it is, and never looks at the signature."""

from __future__ import annotations

import msgspec

from harness.testing.bugs.registry import Category, Patch, Place, PlantedBug, Trial
from reference import identity
from reference.edge import door
from reference.identity import Claims


def believe(keys: str, token: str, role: str) -> Claims | None:
    """Return the claims of a token, whoever signed it."""
    body, _, _ = token.partition(".")
    claims = msgspec.msgpack.decode(identity._bytes(body), type=Claims)
    return claims if keys and claims.role == role else None


BUG = PlantedBug(
    name="wrong-token-let-in",
    summary="A client whose token nobody has signed is let in, and acknowledges what is another's.",
    category=Category.CURSOR,
    place=Place.EDGE,
    replaces="the edge's look at tokens",
    named_by=("A12", "A1"),
    trial=Trial(scenario="intruded"),
    patches=(Patch(owner=door, name="verify", replacement=believe),),
)
