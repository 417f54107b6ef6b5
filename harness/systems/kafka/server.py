"""A Kafka server of our own: its jars by Maven, its settings, its version.

One node is broker and controller (KRaft). There is no package for Kafka where Python packages come
from; Maven brings the jars into the cache, once.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from harness.errors import HarnessError, SetupError
from harness.links.ports import LOOPBACK
from harness.provision.commands import run_tool
from harness.provision.places import Progress, cache_folder, exclusive

KAFKA_VERSION = "4.3.1"
SCALA_VERSION = "2.13"
SLF4J_VERSION = "1.7.36"

JARS_VARIABLE = "TALLYSTICK_KAFKA_JARS"
"""Environment variable that names a folder of Kafka's jars, which is then used as it is."""

JAVA_MIN = 17
MAVEN_WITHIN_S = 600.0
FORMAT_WITHIN_S = 60.0

READY_WITHIN_S = 60.0
"""How long the server may take to start; 9 s on a quiet machine."""

STOP_WITHIN_S = 30.0
"""How long it may take to end in order."""

HEAP_MIB = 512

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tallystick</groupId><artifactId>kafka-jars</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_{SCALA_VERSION}</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId>
      <version>{SLF4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


def missing() -> str:
    """Return what is missing for a server of our own, in words; "" if nothing is."""
    if shutil.which("java") is None:
        return f"Java {JAVA_MIN} or later is not on PATH"
    if JARS_VARIABLE in os.environ or jars_folder().is_dir():
        return ""
    return "" if shutil.which("mvn") else "Maven (mvn) is not on PATH, which brings Kafka's jars"


def ensure_jars(progress: Progress) -> Path:
    """Return the folder of Kafka's jars, fetched by Maven the first time (44 MB).

    Raises:
        SetupError: Something is missing, or Maven did not bring them.
    """
    if lack := missing():
        raise SetupError(f"no Kafka server: {lack}")
    if named := os.environ.get(JARS_VARIABLE):
        return Path(named)
    folder = jars_folder()
    with exclusive(folder.with_name(f"{folder.name}.lock"), progress) as lock:
        if folder.is_dir():
            return folder
        progress(f"fetching Kafka {KAFKA_VERSION} with Maven (44 MB, once)")
        making = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        pom = making / "pom.xml"
        pom.write_text(_POM)
        run_tool(
            ["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies",
             f"-DoutputDirectory={making}"],
            what="fetching Kafka (needs a Maven repository)",
            timeout_s=MAVEN_WITHIN_S,
            pass_fds=[lock],
        )  # fmt: skip
        making.rename(folder)
    return folder


def jars_folder() -> Path:
    """Return where Maven's jars lie, or will."""
    return cache_folder() / f"kafka-{KAFKA_VERSION}"


def java_words(jars: Path, main: str) -> list[str]:
    """Return the command that runs a class of Kafka's."""
    return [
        "java",
        f"-Xmx{HEAP_MIB}m",
        "-XX:+UseSerialGC",  # Two cores are shared with everything else of a run.
        "-XX:TieredStopAtLevel=1",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
        "-cp",
        f"{jars}/*",
        main,
    ]


def server_version(jars: Path) -> str:
    """Return the version of the broker's jar, e.g. "Kafka 4.3.1".

    Raises:
        HarnessError: There is no such jar.
    """
    found = sorted(jars.glob(f"kafka_{SCALA_VERSION}-*.jar"))
    if not found:
        raise HarnessError(f"{jars} holds no kafka_{SCALA_VERSION}-*.jar")
    return f"Kafka {found[0].stem.partition('-')[2]}"


def write_config(
    run_dir: Path, port: int, controller_port: int, advertised_port: int, more: Mapping[str, str]
) -> Path:
    """Write the server's properties into the run folder and return their path.

    Args:
        run_dir: The folder of the run; the log lies in ``kafka/`` below it.
        port: Where the broker listens, on loopback.
        controller_port: Where its controller listens.
        advertised_port: What clients are told: the port of a proxy.
        more: Settings that a user has asked for; they come last.
    """
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"CONTROLLER://{LOOPBACK}:{controller_port},CLIENTS://{LOOPBACK}:{port}",
        "advertised.listeners": f"CLIENTS://{LOOPBACK}:{advertised_port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,CLIENTS:PLAINTEXT",
        "inter.broker.listener.name": "CLIENTS",
        "log.dirs": str(run_dir / "kafka"),
        "num.partitions": "1",
        "auto.create.topics.enable": "true",
        "offsets.topic.num.partitions": "1",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "message.max.bytes": str(4 * 1024 * 1024),
        **more,
    }
    path = run_dir / "kafka.properties"
    path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    return path


def format_store(jars: Path, config: Path, *more: str) -> None:
    """Prepare the folder of the log for the server's first start, with more words of that tool.

    Raises:
        SetupError: It did not work.
    """
    run_tool(
        [*java_words(jars, "kafka.tools.StorageTool"), "format", "-t", str(uuid.uuid4()),
         "-c", config, *more],
        what="preparing Kafka's log",
        timeout_s=FORMAT_WITHIN_S,
    )  # fmt: skip
