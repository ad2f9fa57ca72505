"""TLS and each login, to a real broker; each mistake is one sentence that says what to check."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.certificates import Authority
from tests.services.grants import Grants
from tests.services.guarded_kafka import USER, GuardedKafka
from tests.services.issuer import Issuer
from worker.adapters.kafka.admin import KafkaAdmin, TopicSpec
from worker.adapters.kafka.offsets import move_offsets
from worker.adapters.kafka.reading import read_topics
from worker.adapters.kafka.rights import Right
from worker.adapters.kafka.sink import KafkaSink
from worker.config import KafkaSettings
from worker.core.ports import Output, TopicPartition
from worker.errors import OperatorError

pytestmark = [
    pytest.mark.kafka,
    # the client leaves the sockets of failed handshakes to the garbage collector
    pytest.mark.filterwarnings(
        r"ignore:Exception ignored in. <(ssl\.SSLS|socket\.s)ocket:"
        "pytest.PytestUnraisableExceptionWarning"
    ),
]

CREDENTIALS = r"kafka\.sasl_username and kafka\.sasl_password_file"
TOKEN = r"kafka\.sasl_token_file, and whether its token has expired"
PATIENCE = 1.5  # seconds, in which the client tries several times
LOGINS: dict[str, Callable[[GuardedKafka], KafkaSettings]] = {
    "TLS alone": lambda guarded: guarded.tls(),
    "a certificate": lambda guarded: guarded.mutual_tls(),
    "SCRAM-SHA-512": lambda guarded: guarded.scram(),
    "a signed token": lambda guarded: guarded.oauth(guarded.issuer.token(USER)),
}


def test_a_new_cluster_may_be_asked_for_offsets_before_anything_else(
    guarded: GuardedKafka,
) -> None:
    """Its topic of offsets is made meanwhile, if this is the first test that asks."""
    settings = KafkaSettings(bootstrap_servers=guarded.server.bootstrap, group_id="new")
    with KafkaAdmin(settings) as admin:
        admin.create([TopicSpec("new", 1)])
    first = TopicPartition("new", 0)
    assert move_offsets(settings, [first], "latest") == {first: 0}


@pytest.mark.parametrize("login", LOGINS)
def test_what_is_written_by_it_is_read_by_it(
    guarded: GuardedKafka, grants: Grants, login: str
) -> None:
    topic = f"letters-{list(LOGINS).index(login)}"
    with KafkaAdmin(KafkaSettings(bootstrap_servers=guarded.server.bootstrap)) as admin:
        admin.create([TopicSpec(topic, 1)])
    grants.give([Right("topic", topic, ("Read", "Write"), "this test")])
    settings = LOGINS[login](guarded)
    sink = KafkaSink(settings)
    sink.append(Output(topic, b"k", login.encode()))
    sink.flush()
    sink.close()
    (record,) = read_topics(settings, [topic])[topic]
    assert record.value == login.encode()


@pytest.fixture(autouse=True)
def no_sockets_left() -> Iterator[None]:
    yield
    gc.collect()


def test_the_file_of_the_token_is_read_at_each_login(guarded: GuardedKafka) -> None:
    settings = guarded.oauth(guarded.issuer.token(USER, lifetime_seconds=-600))
    with pytest.raises(OperatorError, match=TOKEN):
        KafkaAdmin(settings, PATIENCE)
    guarded.oauth(guarded.issuer.token(USER))  # renews the file
    with KafkaAdmin(settings):
        pass


def stranger(guarded: GuardedKafka) -> Authority:
    return Authority(guarded.directory / "stranger")


def without_certificate(guarded: GuardedKafka) -> KafkaSettings:
    return guarded.mutual_tls().model_copy(update={"ssl_certfile": None, "ssl_keyfile": None})


def with_a_strangers_certificate(guarded: GuardedKafka) -> KafkaSettings:
    own = stranger(guarded).certify(USER)
    files = {"ssl_certfile": own.certificate, "ssl_keyfile": own.key}
    return guarded.mutual_tls().model_copy(update=files)


def trusting_a_stranger(guarded: GuardedKafka) -> KafkaSettings:
    return guarded.tls().model_copy(update={"ssl_cafile": stranger(guarded).file})


def by_another_name(guarded: GuardedKafka) -> KafkaSettings:
    """The certificate is for 127.0.0.1 alone."""
    bootstrap = guarded.tls().bootstrap_servers.replace("127.0.0.1", "localhost")
    return guarded.tls().model_copy(update={"bootstrap_servers": bootstrap})


def with_tls_to_a_plain_port(guarded: GuardedKafka) -> KafkaSettings:
    return guarded.tls().model_copy(update={"bootstrap_servers": guarded.server.bootstrap})


def without_the_file(guarded: GuardedKafka) -> KafkaSettings:
    return guarded.tls().model_copy(update={"ssl_cafile": Path("none.pem")})


def without_a_token(guarded: GuardedKafka) -> KafkaSettings:
    return guarded.oauth("").model_copy(update={"sasl_token_file": Path("none")})


MISTAKES: dict[str, tuple[Callable[[GuardedKafka], KafkaSettings], str]] = {
    "an authority that is not the broker's": (trusting_a_stranger, r"check kafka\.ssl_cafile"),
    "no file of authorities": (without_the_file, r"kafka\.ssl_cafile: none\.pem must be"),
    "a host that is not in the certificate": (by_another_name, r"kafka\.bootstrap_servers to its"),
    "a port without TLS": (with_tls_to_a_plain_port, r"check kafka\.security_protocol and the"),
    "no certificate": (without_certificate, r"check kafka\.ssl_certfile and kafka\.ssl_keyfile"),
    "a stranger's certificate": (with_a_strangers_certificate, r"check kafka\.ssl_certfile and"),
    "a wrong password": (lambda guarded: guarded.scram("wrong"), CREDENTIALS),
    "no token": (without_a_token, r"kafka\.sasl_token_file: none must be a readable file"),
    "a token for somebody else": (
        lambda guarded: guarded.oauth(guarded.issuer.token(USER, audience="redis")),
        TOKEN,
    ),
    "a token of another issuer": (
        lambda guarded: guarded.oauth(Issuer(guarded.directory / "forger").token(USER)),
        TOKEN,
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_that_says_what_to_check(
    guarded: GuardedKafka, mistake: str
) -> None:
    make, advice = MISTAKES[mistake]
    with pytest.raises(OperatorError, match=advice) as raised:
        KafkaAdmin(make(guarded), PATIENCE)
    assert "\n" not in str(raised.value)
