"""Every link fault shows its effect at a server that somebody else runs, with logins and TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.faults.fault import Fault
from harness.faults.link_bandwidth import LinkBandwidth
from harness.faults.link_cut import LinkCut
from harness.faults.link_cut_one_way import LinkCutOneWay
from harness.faults.link_latency import LinkLatency
from harness.faults.link_limit_data import LinkLimitData
from harness.faults.link_pause import LinkPause
from harness.faults.link_reset import LinkReset
from harness.faults.link_slicer import LinkSlicer
from harness.faults.link_slow_close import LinkSlowClose
from harness.links.link import Link
from harness.links.links import Links
from harness.links.ports import LOOPBACK
from harness.processes.process import Process
from harness.processes.table import ProcessTable
from harness.provision.toxiproxy import locate
from harness.systems.broker.settings import PASSWORD_VARIABLE, TOKEN_VARIABLE
from harness.systems.kafka.server import (
    READY_WITHIN_S,
    ensure_jars,
    format_store,
    java_words,
    write_config,
)
from harness.systems.nats.server import find_server as find_nats
from harness.systems.registry import load_system
from harness.systems.topology import Topology, client_link
from harness.systems.valkey.server import find_server as find_valkey
from harness.testing.tls import make_certificate, tls_front

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

USER, SECRET = "ann", "not shown"

FAULTS: Mapping[str, Fault] = {
    "latency": LinkLatency(latency_ms=60),
    "latency of more than a login may take": LinkLatency(latency_ms=1_200),
    "latency down": LinkLatency(latency_ms=60, direction="downstream"),
    "pause": LinkPause(),
    "bandwidth": LinkBandwidth(rate_bytes_per_s=20_000),
    "slicer": LinkSlicer(delay_ms=4),
    "slicer up": LinkSlicer(delay_ms=4, direction="upstream"),
    "slicer of big pieces": LinkSlicer(size_avg_bytes=8_192, delay_ms=9),
    "cut one way": LinkCutOneWay(),
    "cut one way down": LinkCutOneWay(direction="downstream"),
    "limit data": LinkLimitData(limit_bytes=8_192),
    "limit data below a login": LinkLimitData(limit_bytes=600),
    "slow close": LinkSlowClose(delay_ms=150),
    "reset": LinkReset(),
    "cut": LinkCut(),
}


@dataclass(frozen=True, kw_only=True)
class Own:
    """A server of a user's own: the options that its endpoint needs, and its secrets."""

    port: int
    options: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


@asynccontextmanager
async def running(
    folder: Path, argv: list[str], ready: str, within_s: float
) -> AsyncIterator[None]:
    process = Process(
        name="own", argv=argv, log=folder / "own.log", ready=ready, table=ProcessTable(folder),
        watches_lifeline=False,
    )  # fmt: skip
    await process.start(within_s=within_s)
    try:
        yield
    finally:
        await process.kill()


@asynccontextmanager
async def own_nats(links: Links, folder: Path, how: str) -> AsyncIterator[Own]:
    port, tls = links.ports.take(), "tls" in how
    words = [f"host: {LOOPBACK}", f"port: {port}", f'jetstream {{ store_dir: "{folder}/own" }}']
    options, secrets = {}, {}
    if "login" in how:
        words.append(f'authorization {{ user: {USER}, password: "{SECRET}" }}')
        options, secrets = {"user": USER}, {PASSWORD_VARIABLE: SECRET}
    if "token" in how:
        words.append(f'authorization {{ token: "{SECRET}" }}')
        secrets = {TOKEN_VARIABLE: SECRET}
    if tls:
        made = make_certificate(folder)
        words.append(f'tls {{ cert_file: "{made.certificate}", key_file: "{made.key}" }}')
        options["ca_file"] = str(made.certificate)
    config = folder / "own.conf"
    config.write_text("\n".join(words))
    async with running(folder, [str(find_nats()), "-c", str(config)], "Server is ready", 10):
        yield Own(port=port, options=options, secrets=secrets)


@asynccontextmanager
async def own_valkey(links: Links, folder: Path, how: str) -> AsyncIterator[Own]:
    port = links.ports.take()
    config = folder / "own.conf"
    words = [f"bind {LOOPBACK}", f"port {port}", f'dir "{folder}"', 'save ""']
    options, secrets = {}, {}
    if "password" in how:
        words.append(f'requirepass "{SECRET}"')
        secrets = {PASSWORD_VARIABLE: SECRET}
    if "login" in how:
        words += ["user default off", f"user {USER} on >not-shown ~* &* +@all"]
        options, secrets = {"user": USER}, {PASSWORD_VARIABLE: "not-shown"}
    config.write_text("\n".join(words))
    async with AsyncExitStack() as stack:
        argv = [str(find_valkey()), str(config)]
        await stack.enter_async_context(running(folder, argv, "Ready to accept", 10))
        if "tls" in how:
            made, front = make_certificate(folder), links.ports.take()
            await stack.enter_async_context(tls_front(front, port, made))
            options["ca_file"], port = str(made.certificate), front
        yield Own(port=port, options=options, secrets=secrets)


@asynccontextmanager
async def own_kafka(links: Links, folder: Path, how: str) -> AsyncIterator[Own]:
    port, tls, login = links.ports.take(), "tls" in how, "login" in how
    more, options, secrets = {}, {}, {}
    protocol = ("SASL_" if login else "") + ("SSL" if tls else "PLAINTEXT")
    more["listener.security.protocol.map"] = f"CONTROLLER:PLAINTEXT,CLIENTS:{protocol}"
    if login:
        more |= {
            "sasl.enabled.mechanisms": "PLAIN",
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "listener.name.clients.plain.sasl.jaas.config": (
                "org.apache.kafka.common.security.plain.PlainLoginModule required "
                f'username="{USER}" password="{SECRET}" user_{USER}="{SECRET}";'
            ),
        }
        options, secrets = {"user": USER}, {PASSWORD_VARIABLE: SECRET}
    if tls:
        made = make_certificate(folder)
        both = folder / "both.pem"
        both.write_text(made.key.read_text() + made.certificate.read_text())
        more |= {
            "ssl.keystore.type": "PEM", "ssl.keystore.location": str(both),
            "ssl.truststore.type": "PEM", "ssl.truststore.location": str(made.certificate),
        }  # fmt: skip
        options["ca_file"] = str(made.certificate)
    jars = ensure_jars(print)
    config = write_config(folder, port, links.ports.take(), port, more)
    format_store(jars, config)
    argv = [*java_words(jars, "kafka.Kafka"), str(config)]
    async with running(folder, argv, "Kafka Server started", READY_WITHIN_S):
        yield Own(port=port, options=options, secrets=secrets)


OWN = {"nats": own_nats, "valkey": own_valkey, "kafka": own_kafka}

CASES = (
    ("nats", "nothing"), ("nats", "login"), ("nats", "token"), ("nats", "login tls"),
    ("valkey", "nothing"), ("valkey", "password"), ("valkey", "login tls"),
    ("kafka", "nothing"), ("kafka", "login"), ("kafka", "login tls"), ("kafka", "tls"),
)  # fmt: skip


@pytest.mark.parametrize(("system", "how"), CASES)
async def test_every_link_fault_shows_its_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, how: str
) -> None:
    links = await Links.start(
        locate().path, run_dir=tmp_path, table=ProcessTable(tmp_path), resets=["client-edge:*"]
    )
    try:
        async with OWN[system](links, tmp_path, how) as own:
            for name, value in own.secrets.items():
                monkeypatch.setenv(name, value)
            options = {"endpoint": f"{LOOPBACK}:{own.port}", **own.options}
            place = f"{system}?" + "&".join(f"{key}={value}" for key, value in options.items())
            broken = await strike_all(place, links, tmp_path)
    finally:
        await links.close()
    assert broken == {}


async def strike_all(place: str, links: Links, folder: Path) -> dict[str, object]:
    """Inject and heal every fault on the link of a sender; return those without an effect."""
    system = load_system(place)
    topology = Topology(edges=("here",), client_groups=("one",))
    deployment = await system.deploy(topology, links, folder, 7)
    link = links.by_name[client_link("here", "one")]
    without: dict[str, object] = {}
    async with system.connector(deployment.connect) as connector:
        sender = connector.sender(
            producer=1, group="one", outcomes=lambda _one: None, lost=lambda _cause: None
        )
        for name, fault in FAULTS.items():
            await sender.connect("here")
            effect = await fault.inject(link)
            shown = fault.is_effective(effect)
            healing = await fault.heal(link)
            assert link.is_rest(await links.server.api.show(link.name))
            if not (shown and fault.is_effective(effect | healing)):
                without[name] = effect | healing
        await sender.close()
    blind = await strike_in_vain(link)
    await deployment.teardown()
    return without | {f"{kind} that was not done": seen for kind, seen in blind.items()}


async def strike_in_vain(link: Link) -> dict[str, object]:
    """Return the faults that claim an effect although nothing was imposed."""

    async def nothing(*_about: object) -> None:
        return None

    impose, link.impose = link.impose, nothing  # type: ignore[method-assign]
    found: dict[str, object] = {}
    try:
        for name in ("latency", "pause", "bandwidth", *(one for one in FAULTS if "slicer" in one)):
            fault = FAULTS[name]
            effect = await fault.inject(link)
            effect |= await fault.heal(link)
            if fault.is_effective(effect):
                found[name] = effect
    finally:
        link.impose = impose  # type: ignore[method-assign]
    return found
