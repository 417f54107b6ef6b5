"""Presence asked of a core that is going: no answer, and no end of the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from harness.systems.reference.deployment import ReferenceDeployment
from reference.node.admin import Refusal
from reference.wire.errors import ErrorCode

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Refusing:
    """An admin client that is refused."""

    def __init__(self, code: ErrorCode) -> None:
        self.code = code

    async def presence(self, _users: Sequence[str]) -> None:
        raise Refusal(self.code, "no")


def deployment(code: ErrorCode) -> ReferenceDeployment:
    made = object.__new__(ReferenceDeployment)
    admin: Any = Refusing(code)
    made._admin = admin
    return made


@pytest.mark.parametrize("code", [ErrorCode.SHUTTING_DOWN, ErrorCode.BUSY])
async def test_a_core_that_is_going_is_like_none(code: ErrorCode) -> None:
    with pytest.raises(ConnectionError, match=code.name):
        await deployment(code).presence(["ann"])


async def test_a_core_that_does_not_know_us_is_an_error() -> None:
    with pytest.raises(Refusal):
        await deployment(ErrorCode.UNAUTHORISED).presence(["ann"])
