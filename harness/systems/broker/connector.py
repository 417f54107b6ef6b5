"""Makes senders and receivers over a broker's lines: the harness' port, once for all brokers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType

from harness.systems.broker.line import Dial
from harness.systems.broker.lines import Lines
from harness.systems.broker.receiver import BrokerReceiver
from harness.systems.broker.sender import BrokerSender
from harness.systems.port import Delivery, Outcome


class BrokerConnector:
    """Makes the clients of one load process.

    Args:
        dial: Opens lines.
        ports: Where each link's proxy listens, by the link's name.
        trims: The broker drops what was acknowledged (retention "ack").
    """

    def __init__(self, dial: Dial, ports: Mapping[str, int], *, trims: bool = False) -> None:
        self._lines = Lines(dial, ports)
        self._trims = trims

    async def __aenter__(self) -> BrokerConnector:
        await self._lines.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await self._lines.__aexit__(kind, error, trace)

    def sender(
        self,
        *,
        producer: int,
        group: str,
        outcomes: Callable[[Outcome], None],
        lost: Callable[[str], None],
    ) -> BrokerSender:
        """Return a sender. Batches name their producer themselves, so it need not know it."""
        return BrokerSender(self._lines, group, outcomes, lost)

    def receiver(
        self,
        *,
        inbox: str,
        group: str,
        deliveries: Callable[[Delivery], None],
        acks: Callable[[int, int, str], None],
        lost: Callable[[int, str], None],
    ) -> BrokerReceiver:
        """Return a receiver."""
        return BrokerReceiver(self._lines, inbox, group, deliveries, acks, lost, trims=self._trims)

    def traffic(self) -> Mapping[str, tuple[int, int]]:
        """Return (connections opened, bytes read) per link."""
        return self._lines.traffic()

    def reached(self) -> Mapping[str, int]:
        """Return how often each rare state was reached so far."""
        return self._lines.reach
