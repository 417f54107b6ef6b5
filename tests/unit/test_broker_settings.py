"""Options and endpoints of brokers: what is wrong is said, and secrets stay where they are."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from harness.cli.several import split_systems
from harness.cli.under_test import place_of, shown_command
from harness.errors import UsageError
from harness.processes.environment import (
    PASSWORD_VARIABLE,
    TOKEN_VARIABLE,
    child_environment,
    plain_environment,
)
from harness.systems.broker import loopback
from harness.systems.broker.loopback import is_loopback
from harness.systems.broker.secrets import load_environment, secrets_of
from harness.systems.broker.settings import Credentials, Endpoint
from harness.systems.places import read_options, settle_place
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
        (
            "nats?jetstreem=off",
            "no option 'jetstreem'; did you mean 'jetstream'.*It has .*jetstream",
        ),
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
        ("nats?endpoint=::1:4222", r"may be \[::1\]:4222 or \[::1:4222\]"),
        ("nats?endpoint=redis://127.0.0.1", "redis:// is for valkey; for nats write"),
        ("valkey?endpoint=kafka://127.0.0.1", "kafka:// is for kafka; for valkey write"),
        ("kafka?endpoint=ws://127.0.0.1", "ws:// is not known; for kafka write .*kafka://"),
        ("valkey?endpoint=redis://127.0.0.1/main", "only the number of a database"),
        ("nats?endpoint=nats://127.0.0.1/3", "nothing may stand behind the port"),
        ("valkey?endpoint=redis://127.0.0.1?timeout=5", "parameter 'timeout' of the URL"),
        ("nats?endpoint=nats://ann:x@127.0.0.1&user=bob", "names one user, and the option"),
        ("nats?endpoint=nats://127.0.0.1,10.0.0.1", "10.0.0.1 is on another machine"),
        ("nats?endpoint=[::ffff:10.0.0.1]:4222", "is on another machine"),
        ("valkey?endpoint=broker.example.org:6379", "--allow-remote"),
        ("valkey?endpoint=10.0.0.1:6379", "--allow-remote"),
        ("nats?endpoint=127.0.0.1:4222&ca_file=/nowhere/ca.pem", "ca.pem': there is no such file"),
        ("reference?endpoint=127.0.0.1:4222", "takes no endpoint"),
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


def test_loopback_is_told_without_asking_anybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loopback, "HOSTS", tmp_path / "none")
    monkeypatch.setattr(socket, "getaddrinfo", None)
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost", "LocalHost.")))
    assert is_loopback("::ffff:127.0.0.1")
    others = ("0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "localhost.example.org", "mine")
    assert not any(map(is_loopback, others))


def test_names_of_this_machine_alone_are_loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    hosts = tmp_path / "hosts"
    lines = ("127.0.0.1 mine Both # far", "::1 mine", "10.0.0.1 both far", "10.0.0.2 localhost")
    hosts.write_text("\n".join(lines))
    monkeypatch.setattr(loopback, "HOSTS", hosts)
    assert is_loopback("mine")
    assert is_loopback("MINE.")
    assert not any(map(is_loopback, ("both", "far", "localhost")))


MARKER = "s3cret-Wort/1%"
CODED = quote(MARKER, safe="")


@pytest.mark.parametrize(
    ("written", "place", "secrets"),
    [
        (f"nats://ann:{CODED}@127.0.0.1", "nats?endpoint=127.0.0.1:4222&user=ann", (MARKER, "")),
        (f"nats://{CODED}@[::1]:4333", "nats?endpoint=[::1]:4333", ("", MARKER)),
        (f"tls://:{CODED}@localhost", "nats?endpoint=tls://localhost:4222", (MARKER, "")),
        (
            f"nats://u:{CODED}@localhost:1,nats://u:{CODED}@127.0.0.1:2",
            "nats?endpoint=localhost:1%2C127.0.0.1:2&user=u",
            (MARKER, ""),
        ),
    ],
)
def test_a_secret_in_a_url_is_kept_and_goes_nowhere(
    written: str, place: str, secrets: tuple[str, str], monkeypatch: pytest.MonkeyPatch
):
    for variable in (PASSWORD_VARIABLE, TOKEN_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    for settled in (
        place_of("nats", [], endpoint=written),
        place_of("nats", [f"endpoint={written}"]),
        place_of(f"nats?endpoint={quote(written, safe='')}", []),
    ):
        assert settled == place
        assert settle_place(settled) == settled
    endpoint = endpoint_of(place)
    connect = {"endpoint": endpoint.as_connect(endpoint.addresses[0])}
    who = Credentials.at(connect["endpoint"])
    assert (who.password or "", who.token or "") == secrets
    assert MARKER not in repr((endpoint, who, connect))
    assert MARKER not in repr(os.environ) + repr(child_environment())
    named = (PASSWORD_VARIABLE, TOKEN_VARIABLE)
    assert tuple(load_environment(connect).get(name, "") for name in named) == secrets


def endpoint_of(place: str) -> Endpoint:
    name, _, query = place.partition("?")
    found = Endpoint.chosen(read_options(name, query), name)
    assert found is not None
    return found


def test_a_user_without_a_password_is_no_token_where_there_is_a_password(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv(PASSWORD_VARIABLE, "p")
    assert place_of("nats", [], endpoint="nats://ann@127.0.0.1") == (
        "nats?endpoint=127.0.0.1:4222&user=ann"
    )


def test_what_an_option_says_is_kept_too():
    place_of("valkey", [], endpoint="127.0.0.1:1", user="ann", password="p1", token="t1")
    kept = secrets_of("127.0.0.1:1")
    assert (kept.password, kept.token) == ("p1", "t1")
    assert "p1" not in repr(kept)


def test_a_database_and_encryption_stay_part_of_the_place():
    place = place_of("valkey", [], endpoint="rediss://ann:p@127.0.0.1/3")
    assert place == "valkey?endpoint=rediss://127.0.0.1:6379/3&user=ann"
    assert (endpoint_of(place).tls, endpoint_of(place).database) == (True, 3)
    plain = endpoint_of("valkey?endpoint=redis://127.0.0.1")
    assert (plain.tls, plain.database) == (False, 0)


def test_a_plus_stays_a_plus():
    place = place_of("kafka", [], endpoint="kafka+ssl://u:a+b%20c@127.0.0.1")
    assert endpoint_of(place).tls
    assert secrets_of(endpoint_of(place).text).password == "a+b c"
    assert place_of("kafka?endpoint=kafka+ssl://127.0.0.1&user=a+b", []).endswith("&user=a%2Bb")


def test_each_of_several_systems_has_secrets_of_its_own():
    nats = "nats?endpoint=nats://a:p1@127.0.0.1:1,[::1]:2"
    places = place_of(f"{nats},valkey?endpoint=redis://:p2@127.0.0.1", [])
    assert split_systems(places) == [
        "nats?endpoint=127.0.0.1:1%2C[::1]:2&user=a",
        "valkey?endpoint=127.0.0.1:6379",
    ]
    told = [secrets_of(text).password for text in ("127.0.0.1:1,[::1]:2", "127.0.0.1:6379")]
    assert told == ["p1", "p2"]


def test_processes_that_log_in_nowhere_are_told_no_secret(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(PASSWORD_VARIABLE, "p1")
    assert "p1" not in repr(plain_environment()) + repr(child_environment())
    assert load_environment({})[PASSWORD_VARIABLE] == "p1"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--password", "p1", "--token=t1", "--user", "ann"],
         "--password '***' '--token=***' --user ann"),
        (["--endpoint", "nats://u:p1@h:1"], "--endpoint 'nats://***@h:1'"),
        (["--endpoint=u:p1@h:1"], "'--endpoint=***@h:1'"),
        (["--endpoint", "p1@h:1"], "--endpoint '***@h:1'"),
        (["-o", "endpoint=u:p1@h:1"], "-o 'endpoint=***@h:1'"),
        (["--system", "nats?endpoint=nats://p1@h"], "--system 'nats?endpoint=nats://***@h'"),
        (["--system", "nats?endpoint=nats%3A%2F%2Fu%3Ap1%40h"],
         "--system 'nats?endpoint=nats%3A%2F%2F***%40h'"),
        (["--endpoint", "tls://u:p1@a:1,tls://u:p1@b:2"],
         "--endpoint 'tls://***@a:1,tls://***@b:2'"),
        (["--endpoint", "redis://h?password=p1"], "--endpoint 'redis://h?password=***'"),
        (["--password", "--endpoint", "t1@h"], "--password '***' t1@h"),
    ],
)  # fmt: skip
def test_commands_are_shown_without_secrets(words: list[str], shown: str):
    assert shown_command(["run", "x", *words]) == f"tallystick run x {shown}"


def test_what_cannot_be_read_is_told_without_its_secret():
    for written in ("nats://u:p1@h:port", "u:p1@h:1", "nats://u:1/p1@h:1", "redis://u:12?p1@h"):
        with pytest.raises(UsageError) as caught:
            place_of("valkey", [], endpoint=written)
        assert "p1" not in str(caught.value)
        assert "write host:port" in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows and lets write arguments")
def test_the_kernel_no_longer_shows_the_secrets_of_our_arguments():
    script = (
        "from pathlib import Path; from harness.cli.secret_words import overwrite_arguments; "
        "overwrite_arguments(); import os; os.write(1, Path('/proc/self/cmdline').read_bytes())"
    )
    words = ["run", "--endpoint", "nats://u:p\u00e41@h:1", "--password", "p1", "--user", "ann"]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, check=True)
    *_, url, option, secret, _, user, _ = done.stdout.split(b"\0")
    assert (url, option, secret, user) == (b"nats://******@h:1", b"--password", b"**", b"ann")
