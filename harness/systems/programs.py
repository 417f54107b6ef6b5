"""What brokers need on this machine: clients, servers, Java, Maven; what is there, how to get it.

Nothing here is needed for runs against the reference, so nothing that lacks is an error.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.errors import HarnessError
from harness.provision.doctor import Finding, State
from harness.systems.kafka import server as kafka
from harness.systems.nats import server as nats
from harness.systems.valkey import server as valkey

ANSWER_WITHIN_S = 10.0
"""How long a program may take to tell its version."""

TOLD_COLUMNS_MAX = 60
"""So much is shown of what a program says of itself where no version is found in it."""

_VERSION = re.compile(r"[0-9]+(\.[0-9]+)+")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_JAVA_VERSION = re.compile(r'version "(?:1\.)?([0-9]+)[^"]*"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What one of our own adapters needs: the package of its client, and what its server is of."""

    client: str
    server: Callable[[], tuple[Finding, ...]]


def examine_brokers() -> list[Finding]:
    """Return the findings about every broker's client and server.

    It fetches nothing; it asks programs for their versions, each within `ANSWER_WITHIN_S`.
    """
    return [finding for name in NEEDS for finding in examine_system(name)]


def examine_system(name: str) -> tuple[Finding, ...]:
    """Return the findings about one system, none for one that comes with all it needs."""
    needs = NEEDS.get(name)
    return () if needs is None else (_client(name, needs.client), *needs.server())


def _client(system: str, package: str) -> Finding:
    name = f"{system} client"
    try:
        return Finding(name=name, state=State.OK, found=f"{package} {version(package)}")
    except PackageNotFoundError:
        return _absent(
            name, f"no package {package}", f"pip install 'tallystick[{system}]'", f"{system}"
        )


def _absent(name: str, found: str, advice: str, system: str) -> Finding:
    needed = f"only `--system {system}` needs it"
    return Finding(name=name, state=State.ABSENT, found=found, advice=f"{advice}; {needed}")


def _program(
    system: str, find: Callable[[], Path], ask: Callable[[Path], str]
) -> tuple[Finding, ...]:
    name = f"{system} server"
    try:
        program = find()
    except HarnessError as error:
        words, _, advice = str(error).partition(": ")
        return (_absent(name, words, advice or words, system),)
    try:
        told = " ".join(ask(program).split())
    except (OSError, subprocess.SubprocessError) as error:
        said = f"{program} does not tell its version: {type(error).__name__}"
        advice = "see whether it runs; another one may stand before it on PATH"
        return (Finding(name=name, state=State.ODD, found=said, advice=advice),)
    number = _VERSION.search(told)
    shown = f"{program.name} {number.group()}" if number else told[:TOLD_COLUMNS_MAX]
    return (Finding(name=name, state=State.OK, found=f"{shown} ({program})"),)


def _kafka() -> tuple[Finding, ...]:
    return (_java(), _maven(), _jars())


def _java() -> Finding:
    program = shutil.which("java")
    advice = f"install a Java runtime, {kafka.JAVA_MIN} or later, and put it on PATH"
    if program is None:
        return _absent("java", "not on PATH", advice, "kafka")
    told = _output(program, "-version")
    found = _JAVA_VERSION.search(told)
    shown = f"{told.splitlines()[0] if told else 'tells no version'} ({program})"
    if found is None or int(found.group(1)) < kafka.JAVA_MIN:
        said = f"{advice}; only `--system kafka` needs it"
        return Finding(name="java", state=State.ODD, found=shown, advice=said)
    return Finding(name="java", state=State.OK, found=shown)


def _maven() -> Finding:
    program = shutil.which("mvn")
    if program is None:
        advice = f"install Maven, or name a folder of Kafka's jars in {kafka.JARS_VARIABLE}"
        return _absent("maven", "not on PATH (mvn)", advice, "kafka")
    told = _output(program, "--version", "--batch-mode").splitlines()
    shown = next((line for line in told if "Maven" in line), "tells no version")
    return Finding(name="maven", state=State.OK, found=f"{shown} ({program})")


def _jars() -> Finding:
    named = os.environ.get(kafka.JARS_VARIABLE)
    folder = Path(named) if named else kafka.jars_folder()
    try:
        return Finding(
            name="kafka server", state=State.OK, found=f"{kafka.server_version(folder)} ({folder})"
        )
    except HarnessError as error:
        if named:
            advice = f"name another folder in {kafka.JARS_VARIABLE}, or unset it"
            return Finding(name="kafka server", state=State.ODD, found=str(error), advice=advice)
        what = f"Kafka {kafka.KAFKA_VERSION} is not fetched yet"
        advice = "the first run brings it with Maven (44 MB), which also needs Java"
        return _absent("kafka server", what, advice, "kafka")


def _output(program: str, *arguments: str) -> str:
    """Return what a program says of itself; Java says it on stderr."""
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=ANSWER_WITHIN_S,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return _COLOURS.sub("", done.stdout + done.stderr).strip()


NEEDS = {
    "nats": Needs(
        client="nats-py", server=lambda: _program("nats", nats.find_server, nats.server_version)
    ),
    "valkey": Needs(
        client="valkey",
        server=lambda: _program("valkey", valkey.find_server, valkey.server_version),
    ),
    "kafka": Needs(client="aiokafka", server=_kafka),
}
"""By the name of the system; an adapter of somebody else says itself what it lacks."""
