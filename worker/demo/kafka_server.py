"""The files of a one-node Apache Kafka: the broker's jars, its configuration, its storage.

The jars come from Maven Central once and are then kept in the user's cache directory.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path

from worker.errors import OperatorError

KAFKA_VERSION = "4.3.1"
_SCALA = "2.13"
_LOG4J_VERSION = "2.25.1"
_JAVA_MINIMUM = 17
_CLUSTER_ID = "bXVsdGltb2RhbC13b3JrZQ"  # 16 bytes in URL-safe base64
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>kafka-server</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_{_SCALA}</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
      <version>{_LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""
_LOG4J = """Configuration:
  Appenders:
    Console:
      name: console
      PatternLayout:
        pattern: "%d %p %m (%c{1})%n"
  Loggers:
    Root:
      level: WARN
      AppenderRef:
        ref: console
    Logger:
      name: kafka.server.KafkaRaftServer
      level: INFO
"""
STARTED = "Kafka Server started"  # what the broker then logs
_JVM = ("-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_ONE_NODE = {
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "broker.session.timeout.ms": "2000",  # a killed broker's place is free again after this
    "broker.heartbeat.interval.ms": "500",
    "auto.create.topics.enable": "false",
    "message.max.bytes": str(16 * 1024 * 1024),
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
}


@dataclass(frozen=True, slots=True)
class Listener:
    """Where clients connect: a security protocol and, with SASL, the passwords by user name.

    Users of a SCRAM mechanism are written into the storage, those of PLAIN into the configuration.
    """

    protocol: Literal["PLAINTEXT", "SASL_PLAINTEXT"] = "PLAINTEXT"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    users: Mapping[str, str] = field(default_factory=dict)


def problem() -> str | None:
    """Return why Kafka cannot be started here, in words, or None where it can."""
    version = _java_version()
    if version is None:
        return "there is no `java`: install a Java runtime of version 17 or newer"
    if version < _JAVA_MINIMUM:
        return f"`java` is of version {version}: install {_JAVA_MINIMUM} or newer"
    if not _jars().is_dir() and shutil.which("mvn") is None:
        return "there is no `mvn`: install Maven, which fetches the broker once"
    return None


def class_path() -> str:
    """Return Java's class path of the broker; the first call fetches it. Raises OperatorError."""
    jars = _jars()
    if not jars.is_dir():
        _fetch(jars)
    return f"{jars}/*"


def command(main_class: str, *arguments: str) -> list[str]:
    """Return the command line that runs a class of the broker's jars."""
    return ["java", *_JVM, "-cp", class_path(), main_class, *arguments]


@dataclass(frozen=True, slots=True)
class Entrance:
    """One more place where clients connect; how they log in is for the broker's properties."""

    name: str
    protocol: Literal["SSL", "SASL_SSL"]
    port: int


def write_files(
    directory: Path,
    port: int,
    controller: int,
    listener: Listener,
    extra: Mapping[str, str],
    entrances: Sequence[Entrance] = (),
) -> Path:
    """Write the configuration of a broker that keeps its data in `directory`; return its file."""
    clients = {"CLIENT": port} | {each.name: each.port for each in entrances}
    protocols = {"CLIENT": listener.protocol} | {each.name: each.protocol for each in entrances}
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": _addresses(clients | {"CONTROLLER": controller}),
        "advertised.listeners": _addresses(clients),
        "inter.broker.listener.name": "CLIENT",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": _pairs(protocols | {"CONTROLLER": "PLAINTEXT"}),
        "log.dirs": str(directory / "data"),
        **_ONE_NODE,
        **_sasl(listener),
        **extra,
    }
    (directory / "log4j2.yaml").write_text(_LOG4J)
    file = directory / "server.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    file.chmod(0o600)  # it holds the passwords of PLAIN users
    return file


def format_storage(properties: Path, listener: Listener) -> None:
    """Make the broker's data directory. Raises OperatorError."""
    arguments = ["format", "-t", _CLUSTER_ID, "-c", str(properties)]
    if listener.mechanism.startswith("SCRAM-"):
        for user, password in listener.users.items():
            arguments += ["-S", f"{listener.mechanism}=[name={user},password={password}]"]
    _run(command("kafka.tools.StorageTool", *arguments), "formatting Kafka's storage")


def _addresses(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())


def _pairs(protocols: Mapping[str, str]) -> str:
    return ",".join(f"{name}:{protocol}" for name, protocol in protocols.items())


def _sasl(listener: Listener) -> dict[str, str]:
    if listener.protocol == "PLAINTEXT":
        return {}
    jaas = f"org.apache.kafka.common.security.{_module(listener)};"
    prefix = f"listener.name.client.{listener.mechanism.lower()}"
    return {
        "sasl.enabled.mechanisms": listener.mechanism,
        "sasl.mechanism.inter.broker.protocol": listener.mechanism,
        f"{prefix}.sasl.jaas.config": jaas,
    }


def _module(listener: Listener) -> str:
    """Return the login module and its options, the broker's own login first among them."""
    user, password = next(iter(listener.users.items()))
    login = f'username="{user}" password="{password}"'
    if listener.mechanism != "PLAIN":
        return f"scram.ScramLoginModule required {login}"
    known = " ".join(f'user_{name}="{word}"' for name, word in listener.users.items())
    return f"plain.PlainLoginModule required {login} {known}"


def _jars() -> Path:
    return user_cache_path("multimodal-worker") / f"kafka-{KAFKA_VERSION}"


def _fetch(jars: Path) -> None:
    """Fill the cache; two processes at once do no harm."""
    if shutil.which("mvn") is None:
        raise OperatorError("there is no `mvn`: install Maven, which fetches the broker once")
    jars.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=jars.parent) as directory:
        (Path(directory) / "pom.xml").write_text(_POM)
        maven = ["mvn", "-q", "-B", "-f", f"{directory}/pom.xml", "dependency:copy-dependencies"]
        _run([*maven, f"-DoutputDirectory={directory}/libs"], "fetching Kafka with Maven")
        if not jars.is_dir():
            (Path(directory) / "libs").replace(jars)


def _java_version() -> int | None:
    if shutil.which("java") is None:
        return None
    told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(\d+)', told.stderr)
    return int(match.group(1)) if match else None


def _run(arguments: list[str], what: str) -> None:
    done = subprocess.run(
        arguments, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        end = "\n  ".join((done.stdout + done.stderr).splitlines()[-12:])
        raise OperatorError(f"{what} failed:\n  {end}")
