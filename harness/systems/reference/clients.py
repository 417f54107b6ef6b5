"""The reference's real clients behind the harness' port."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from harness.systems.port import (
    CONTRADICTED,
    Batch,
    Delivery,
    Login,
    OutboxFull,
    Outcome,
    RunOfMessages,
)
from harness.systems.reference.certificates import EDGE_NAME
from harness.systems.topology import client_link
from reference.client import outcomes as out
from reference.client.receiver import ReceiverSettings
from reference.client.sender import SenderSettings
from reference.core.settings import NODE_NAME_BYTES_MAX
from reference.identity import CLIENT, NO_ACCOUNT, Claims, account_of, sign
from reference.node.client_hub import ClientHub
from reference.node.receiver_client import ReceiverClient
from reference.node.sender_client import SenderClient
from reference.node.tls import trust
from reference.pulse import PulseSettings
from reference.wire import messages as m

CONNECT_WITHIN_S = 3.0
"""How long one edge is tried before the harness may choose another."""

OUTBOX_BYTES_MAX = 8 * 1024 * 1024
"""What one sender keeps unanswered; beyond it load waits and its latency counts on."""

HOST = "127.0.0.1"

LINEAGE_LOST = "lineage_lost"
"""Why nothing more is sent: core and outbox disagree about what they had agreed on."""


class ReferenceConnector:
    """Makes senders and receivers that reach an edge through the proxy of their group.

    Each sender and each inbox is a user of its own. Their tokens are made here: whoever runs the
    load holds the clients' key, as whoever gives out tokens does.
    """

    def __init__(self, connect: Mapping[str, Any]) -> None:
        self._client_key: str = connect["client_secret"]
        self._ports: Mapping[str, int] = connect["client_ports"]
        self._pulse = PulseSettings(
            silence_ms=connect["heartbeat_interval_ms"],
            deadline_ms=connect["heartbeat_deadline_ms"],
        )
        self.window_bytes: int = connect["window_bytes"]
        authority: str = connect["authority"]
        self._hub = ClientHub(trust(authority, EDGE_NAME) if authority else None)
        self._opened: Counter[str] = Counter()
        self._bytes_read: Counter[str] = Counter()
        self._on_link: dict[SenderClient | ReceiverClient, str] = {}
        self._booked: dict[SenderClient | ReceiverClient, int] = {}

    async def __aenter__(self) -> ReferenceConnector:
        await self._hub.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await self._hub.__aexit__(kind, error, trace)

    def sender(
        self,
        *,
        producer: int,
        group: str,
        outcomes: Callable[[Outcome], None],
        lost: Callable[[str], None],
    ) -> ReferenceSender:
        """Return a sender that is not connected yet."""
        name = f"p{producer:016x}"
        settings = SenderSettings(
            producer=producer,
            token=self._token(name, account_of(producer)),
            name=name,
            outbox_bytes_max=OUTBOX_BYTES_MAX,
            # The roster draws ids at random, one per sender and phase: none is used twice.
            fresh_producer=True,
            pulse=self._pulse,
        )

        def tell(outcome: out.SenderOutcome) -> None:
            # A lost lineage is told batch by batch too: each is refused or stays unknown.
            if not isinstance(outcome, out.LineageLost):
                outcomes(_outcome(outcome))

        def lost_as_told(cause: str) -> None:
            violation = client.machine.violation
            lost(f"{CONTRADICTED}{violation}" if violation else cause)

        client = SenderClient(self._hub, settings, outcomes=tell, lost=lost_as_told)
        return ReferenceSender(client, self, group, outcomes)

    def receiver(
        self,
        *,
        inbox: str,
        group: str,
        deliveries: Callable[[Delivery], None],
        acks: Callable[[int, int, str], None],
        lost: Callable[[int, str], None],
    ) -> ReferenceReceiver:
        """Return a receiver that is not logged in yet."""
        settings = ReceiverSettings(
            inbox=inbox,
            token=self._token(inbox),
            name=_fitting(f"reader of {inbox}"),
            window_bytes=self.window_bytes,
            pulse=self._pulse,
        )

        def lost_as_told(session: int, superseded: bool, cause: str) -> None:
            violation = client.machine.violation
            if superseded:
                lost(session, "superseded")
            else:
                lost(session, f"{CONTRADICTED}{violation}" if violation else cause)

        client = ReceiverClient(
            self._hub,
            settings,
            deliveries=lambda d: deliveries(_delivery(d)),
            acks=lambda session, upto: acks(session, upto, "ok"),
            lost=lost_as_told,
        )
        return ReferenceReceiver(client, self, group)

    def _token(self, name: str, account: int = NO_ACCOUNT) -> str:
        return sign(self._client_key, Claims(role=CLIENT, name=name, account=account))

    def traffic(self) -> Mapping[str, tuple[int, int]]:
        """Return (connections opened, bytes read) per link, over ended connections."""
        for client in list(self._on_link):
            self._settle(client)
        return {link: (self._opened[link], self._bytes_read[link]) for link in self._opened}

    def reached(self) -> Mapping[str, int]:
        """Return how often each rare state was reached so far, by all clients together."""
        return self._hub.reach

    def port_of(self, edge: str, group: str) -> int:
        """Return where the proxy of a group to an edge listens."""
        return self._ports[client_link(edge, group)]

    def dialling(self, client: SenderClient | ReceiverClient, edge: str, group: str) -> None:
        """Note that whatever the client reads from now on comes over this link."""
        self._settle(client)
        self._on_link[client] = client_link(edge, group)

    def opened(self, edge: str, group: str) -> None:
        """Note that a connection came up."""
        self._opened[client_link(edge, group)] += 1

    def _settle(self, client: SenderClient | ReceiverClient) -> None:
        """Book what the client's ended connections have read since the last time."""
        read, _written = client.bytes_carried
        if client in self._on_link:
            self._bytes_read[self._on_link[client]] += read - self._booked[client]
        self._booked[client] = read


class ReferenceSender:
    """A sender of the reference."""

    def __init__(
        self,
        client: SenderClient,
        connector: ReferenceConnector,
        group: str,
        outcomes: Callable[[Outcome], None],
    ) -> None:
        self._client = client
        self._connector = connector
        self._group = group
        self._outcomes = outcomes

    async def connect(self, edge: str) -> None:
        """Log in through an edge and go on with what is unanswered.

        Raises:
            ConnectionError: It did not come up in time, or the lineage is lost for good; or what
                came contradicted itself, also where the client has healed that by another one.
        """
        if self._client.machine.lost:
            raise ConnectionError(LINEAGE_LOST)
        port = self._connector.port_of(edge, self._group)
        self._connector.dialling(self._client, edge, self._group)
        try:
            await self._client.connect(HOST, port, timeout_s=CONNECT_WITHIN_S)
        except ConnectionError as error:
            raise _as_told(error, self._client.machine.violation) from error
        self._connector.opened(edge, self._group)
        if violation := self._client.machine.violation:
            await self._client.disconnect()
            raise ConnectionError(f"{CONTRADICTED}{violation}")

    async def disconnect(self) -> None:
        """Cut the connection abruptly; the outbox stays."""
        await self._client.disconnect()

    def cut_resends(self, count_max: int) -> None:
        """Cut what is sent again on another connection into batches of so many at most."""
        self._client.machine.cut_resends(count_max)

    def submit(self, batch: Batch) -> None:
        """Take a batch into the outbox; of a lineage that has ended it is refused at once."""
        if self._client.machine.ended(batch.inbox):
            self._outcomes(_refused(batch))
            return
        segment = m.Segment(
            inbox=batch.inbox,
            producer=batch.producer,
            n_first=batch.n_first,
            count=batch.count,
            lengths=batch.lengths,
            body=batch.body,
        )
        try:
            self._client.submit(segment)
        except out.OutboxFull as error:
            raise OutboxFull from error

    async def close(self) -> None:
        """End; what is unanswered is reported as "info"."""
        await self._client.close()


class ReferenceReceiver:
    """A receiver of the reference."""

    def __init__(self, client: ReceiverClient, connector: ReferenceConnector, group: str) -> None:
        self._client = client
        self._connector = connector
        self._group = group

    async def login(self, edge: str, from_pos: int) -> Login:
        """Open a session through an edge.

        Raises:
            ConnectionError: It did not come up in time, or what came contradicted itself.
        """
        port = self._connector.port_of(edge, self._group)
        self._connector.dialling(self._client, edge, self._group)
        try:
            opened = await self._client.login(HOST, port, from_pos, timeout_s=CONNECT_WITHIN_S)
        except ConnectionError as error:
            raise _as_told(error, self._client.machine.violation) from error
        self._connector.opened(edge, self._group)
        return Login(
            session=opened.session,
            next_pos=opened.next_pos,
            cursor=opened.cursor,
            window_bytes=self._connector.window_bytes,
        )

    def ack(self, upto: int) -> None:
        """Acknowledge everything up to `upto`."""
        self._client.ack(upto)

    async def end(self) -> int:
        """Return the position beyond which nothing lay."""
        return await self._client.end()

    async def abort(self) -> None:
        """Cut the connection abruptly."""
        await self._client.abort()

    async def logout(self) -> None:
        """End the session in order."""
        await self._client.logout()


def _as_told(error: ConnectionError, violation: str) -> ConnectionError:
    """Return why nobody got in: what came that must not come goes before what the client says."""
    return ConnectionError(f"{CONTRADICTED}{violation}") if violation else error


def _fitting(name: str) -> str:
    """Return the name of a client cut to what a node may be called."""
    return name.encode()[:NODE_NAME_BYTES_MAX].decode(errors="ignore")


def _refused(batch: Batch) -> Outcome:
    """Return what became of a batch that was never handed to an edge."""
    return Outcome(
        inbox=batch.inbox,
        producer=batch.producer,
        n_first=batch.n_first,
        count=batch.count,
        outcome="fail",
        attempts=0,
        error=LINEAGE_LOST,
    )


def _delivery(delivery: m.Delivery) -> Delivery:
    return Delivery(
        inbox=delivery.inbox,
        session=delivery.session,
        pos_first=delivery.pos_first,
        redelivered=delivery.redelivered,
        runs=[
            RunOfMessages(
                producer=run.producer,
                n_first=run.n_first,
                count=run.count,
                epoch=run.epoch,
                bucket_count=run.bucket_count,
            )
            for run in delivery.runs
        ],
        lengths=delivery.lengths,
        body=delivery.body,
    )


def _outcome(outcome: out.SenderOutcome) -> Outcome:
    match outcome:
        case out.Acknowledged():
            return Outcome(
                inbox=outcome.inbox,
                producer=outcome.producer,
                n_first=outcome.n_first,
                count=outcome.count,
                outcome="ok",
                pos_first=outcome.pos_first,
                epoch=outcome.epoch,
                attempts=outcome.attempts,
            )
        case out.Rejected():
            return Outcome(
                inbox=outcome.inbox,
                producer=outcome.producer,
                n_first=outcome.n_first,
                count=outcome.count,
                outcome="fail" if outcome.definite else "info",
                attempts=outcome.attempts,
                error=outcome.code.name.lower(),
            )
        case out.Unresolved():
            return Outcome(
                inbox=outcome.inbox,
                producer=outcome.producer,
                n_first=outcome.n_first,
                count=outcome.count,
                # What was never handed to an edge was certainly not stored.
                outcome="info" if outcome.attempts else "fail",
                attempts=outcome.attempts,
                error="unanswered at the end",
            )
        case _:
            raise RuntimeError(f"no outcome of a batch: {outcome}")
