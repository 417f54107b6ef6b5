"""A phase of the self-test's own: somebody who should not be let in, and does harm if he is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import anyio

from harness.load.groups import process_group
from harness.scenario.phases import Hands
from harness.systems.port import Delivery, Receiver
from harness.systems.reference.clients import ReferenceConnector

WRONG_SECRET: Final = "a-secret-that-no-edge-has-ever-been-told"

READS_FOR_S: Final = 1.0
"""How long an intruder who was let in reads, and acknowledges what he gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intruder:
    """Logs in to a user's inbox with a token of his own; where that opens it, he acknowledges all.

    Of a system that drops what was acknowledged he takes the messages from the user then, and what
    is lost is seen by those who should have it. Nothing of what he does is recorded.
    """

    inbox: str
    edge: str

    @property
    def name(self) -> str:
        """Names the phase in the history."""
        return "intruder"

    async def carry_out(self, hands: Hands) -> None:
        """Try the door once."""
        connect = {**hands.deployment.connect, "client_secret": WRONG_SECRET}
        got: list[int] = []

        def read(delivery: Delivery) -> None:
            got.append(delivery.pos_first + sum(run.count for run in delivery.runs) - 1)

        async with ReferenceConnector(connect) as connector:
            door: Receiver = connector.receiver(
                inbox=self.inbox,
                group=process_group(1),
                deliveries=read,
                acks=lambda _session, _upto, _outcome: None,
                lost=lambda _session, _cause: None,
            )
            try:
                await door.login(self.edge, -1)
            except ConnectionError as error:
                hands.note(f"the intruder was refused: {error}")
                return
            hands.note("the intruder was let in")
            with anyio.move_on_after(READS_FOR_S):
                while True:
                    if got:
                        door.ack(got[-1])
                    await anyio.sleep(0.05)
            await door.logout()
