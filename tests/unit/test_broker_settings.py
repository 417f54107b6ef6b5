"""Options and endpoints of brokers: what is wrong is said, and secrets stay where they are."""

from __future__ import annotations

import os

import pytest

from harness.cli.under_test import place_of, shown_command
from harness.errors import UsageError
from harness.systems.broker.settings import (
    PASSWORD_VARIABLE,
    TOKEN_VARIABLE,
    Credentials,
    Endpoint,
    is_loopback,
)
from harness.systems.port import promises_in
from harness.systems.promises import STORED_TWICE_BREAKS, Promise
from harness.systems.registry import load_system
from harness.systems.topology import Topology


def test_settings_are_part_of_the_place_and_reach_the_system():
    place = place_of("nats", ["jetstream=off"])
    assert place == "nats?jetstream=off"
    assert Promise.EXACTLY_ONCE_LOG in load_system("nats").promises
    assert load_system(place).promises == frozenset()
    assert place_of("reference", []) == "reference"
    assert place_of("nats?jetstream=off", ["sync_interval=2m"]) == (
        "nats?jetstream=off&sync_interval=2m"
    )


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("nats?jetstreem=off", "no option 'jetstreem'; it has .*jetstream"),
        ("nats?jetstream=maybe", "jetstream=maybe: one of on, off"),
        ("nats?jetstream", "not key=value"),
        ("nats?user=ann", "user: only with an endpoint"),
        ("nats?sync_interval=often", "sync_interval=often: always, or a time as 500ms or 2m"),
        ("nats?sync_interval=5", "always, or a time"),
        ("kafka?flush=0", "flush=0: a number of messages, 1 or more"),
        ("kafka?flush=many", "flush=many: a number"),
        ("nats?endpoint=127.0.0.1:4222&sync_interval=2m", "sync_interval: only for a server that"),
        ("valkey?endpoint=127.0.0.1:6379&appendonly=no", "appendonly: only for a server that"),
        ("kafka?endpoint=127.0.0.1:9092&flush=9", "flush: only for a server that"),
        ("valkey?appendfsync=never", "one of always, everysec, no"),
        ("nats?endpoint=here", "write host:port"),
        ("nats?endpoint=127.0.0.1:0", "write host:port"),
        ("valkey?endpoint=broker.example.org:6379", "--allow-remote"),
        ("valkey?endpoint=10.0.0.1:6379", "--allow-remote"),
        ("nats?endpoint=127.0.0.1:4222&ca_file=/nowhere/ca.pem", "ca.pem': there is no such file"),
        ("reference?endpoint=127.0.0.1:4222", "takes no options, and no endpoint"),
    ],
)
def test_what_is_wrong_is_said(place: str, says: str):
    with pytest.raises(UsageError, match=says):
        load_system(place)


@pytest.mark.parametrize(
    ("acks", "promised"), [("all", {"EXACTLY_ONCE_LOG", "LINEARIZABLE_APPEND"}),
                           ("1", set()), ("0", set())],
)  # fmt: skip
def test_kafka_promises_no_more_than_its_acknowledgements_say(acks: str, promised: set[str]):
    asked = {Promise.EXACTLY_ONCE_LOG, Promise.LINEARIZABLE_APPEND}
    assert {one.name for one in load_system(f"kafka?acks={acks}").promises & asked} == promised


def test_kafka_promises_no_order_of_what_may_be_stored_twice():
    assert not load_system("kafka?idempotence=off").promises & STORED_TWICE_BREAKS


@pytest.mark.parametrize(
    ("name", "kept"), [("nats", False), ("valkey", True), ("kafka", True), ("reference", True)]
)
def test_what_is_promised_where_the_store_drops_what_was_acknowledged(name: str, kept: bool):
    system = load_system(name)
    keeps, drops = (Topology(edges=("near",), retention=one) for one in ("run", "ack"))
    assert promises_in(system, keeps) == system.promises
    lost = system.promises - promises_in(system, drops)
    assert lost == (frozenset() if kept else STORED_TWICE_BREAKS)


@pytest.mark.parametrize("name", ["nats", "valkey"])
def test_at_an_endpoint_nothing_is_killed(name: str):
    assert load_system(name).abilities
    place = place_of(name, [], endpoint="[::1]:4222", user="ann")
    assert load_system(place).abilities == frozenset()
    remote = place_of(name, [], endpoint="broker.example.org:4222", allow_remote=True)
    assert load_system(remote).abilities == frozenset()


def test_loopback_is_told_without_asking_anybody():
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "10.0.0.1", "localhost.example.org")))


def test_secrets_go_into_the_environment_and_nowhere_else(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    monkeypatch.setenv(TOKEN_VARIABLE, "before")
    place = place_of("valkey", [], endpoint="127.0.0.1:1", user="ann", password="p1", token="t1")
    assert "p1" not in place
    assert "t1" not in place
    assert (os.environ[PASSWORD_VARIABLE], os.environ[TOKEN_VARIABLE]) == ("p1", "t1")
    endpoint = Endpoint.chosen({"endpoint": "127.0.0.1:1", "user": "ann"})
    assert endpoint is not None
    who = Credentials.at(endpoint.as_connect())
    assert (who.user, who.password, who.token, who.tls) == ("ann", "p1", "t1", None)
    assert "p1" not in str(endpoint.as_connect()) + str(endpoint.as_config())


def test_commands_are_shown_without_secrets():
    words = ["run", "x", "--password", "p1", "--token=t1", "--user", "ann"]
    assert shown_command(words) == "tallystick run x --password '***' '--token=***' --user ann"
