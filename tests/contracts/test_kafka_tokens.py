"""Logging in with a token, on a real broker that takes OAUTHBEARER."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.adapters.kafka.admin import KafkaAdmin, TopicSpec
from worker.adapters.kafka.sink import KafkaSink
from worker.config import KafkaSettings
from worker.core.ports import Output
from worker.demo.kafka_server import Listener
from worker.demo.services import LocalKafka, local_kafka
from worker.errors import OperatorError

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def broker(kafka_server: LocalKafka) -> Iterator[LocalKafka]:
    """A second broker; the first one has shown that there can be one."""
    with local_kafka(Listener("SASL_PLAINTEXT", "OAUTHBEARER", {"admin": ""})) as server:
        yield server


def settings(server: LocalKafka, token_file: Path) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=server.bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="OAUTHBEARER",
        sasl_token_file=token_file,
    )


def token(lifetime_seconds: int) -> str:
    """An unsigned JSON Web Token; a lifetime below zero has passed."""
    now = int(time.time())
    claims = {"sub": "worker", "iat": now - 3600, "exp": now + lifetime_seconds}
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def test_a_token_in_a_file_opens_the_way(broker: LocalKafka, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(token(600))
    with KafkaAdmin(settings(broker, file)) as admin:
        admin.create([TopicSpec("guarded", 1)])
        assert admin.describe(["guarded"])["guarded"].partitions == 1
    sink = KafkaSink(settings(broker, file))
    sink.append(Output("guarded", b"k", b"v"))
    sink.flush()
    sink.close()


def test_the_file_is_read_at_each_login(broker: LocalKafka, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(token(-600))
    with pytest.raises(OperatorError, match=r"kafka\.sasl_token_file, and whether"):
        KafkaAdmin(settings(broker, file), 2)
    file.write_text(token(600))
    with KafkaAdmin(settings(broker, file), 8):
        pass


def test_a_file_that_is_not_there_is_named(broker: LocalKafka, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"kafka\.sasl_token_file: .*none must be a readable"):
        KafkaAdmin(settings(broker, tmp_path / "none"), 2)
