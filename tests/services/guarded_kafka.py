"""One real broker with an authorizer and an entrance for each way to log in.

Whoever comes by its plain address may do everything; others only what they were granted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from tests.services.certificates import Authority
from tests.services.issuer import AUDIENCE, ISSUER, Issuer
from worker.config import KafkaSettings
from worker.demo.kafka_server import Entrance
from worker.demo.processes import free_ports
from worker.demo.services import LocalKafka, local_kafka

USER = "camera-worker"
PASSWORD = "correct-horse-battery-staple"
_MODULES = "org.apache.kafka.common.security"
_TOKENS = "listener.name.token.oauthbearer"


@dataclass(frozen=True)
class GuardedKafka:
    """The broker, who has certified it, and who issues tokens for it."""

    server: LocalKafka
    ports: dict[str, int]
    authority: Authority
    issuer: Issuer
    directory: Path

    def tls(self) -> KafkaSettings:
        """Reach it with TLS, as nobody in particular."""
        return self._settings("TLS", security_protocol="SSL")

    def mutual_tls(self, user: str = USER) -> KafkaSettings:
        """Be known by a certificate."""
        own = self.authority.certify(user)
        return self._settings(
            "MUTUAL", security_protocol="SSL", ssl_certfile=own.certificate, ssl_keyfile=own.key
        )

    def scram(self, password: str = PASSWORD) -> KafkaSettings:
        """Be known by a password that is never sent."""
        return self._settings(
            "LOGIN",
            security_protocol="SASL_SSL",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username=USER,
            sasl_password_file=self._secret("password", password),
        )

    def oauth(self, token: str) -> KafkaSettings:
        """Be known by a signed token."""
        return self._settings(
            "TOKEN",
            security_protocol="SASL_SSL",
            sasl_mechanism="OAUTHBEARER",
            sasl_token_file=self._secret("token", token),
        )

    def _settings(self, entrance: str, **values: object) -> KafkaSettings:
        bootstrap = f"127.0.0.1:{self.ports[entrance]}"
        known = {"bootstrap_servers": bootstrap, "ssl_cafile": self.authority.file}
        return KafkaSettings.model_validate(known | values)

    def _secret(self, name: str, content: str) -> Path:
        file = self.directory / name
        file.write_text(f"{content}\n")
        return file


@contextmanager
def guarded_kafka(directory: Path) -> Iterator[GuardedKafka]:
    """Run it; USER has a password, and no rights yet."""
    authority, issuer = Authority(directory / "certificates"), Issuer(directory / "issuer")
    ports = dict(zip(("TLS", "MUTUAL", "LOGIN", "TOKEN"), free_ports(4), strict=True))
    entrances = [
        Entrance("TLS", "SSL", ports["TLS"]),
        Entrance("MUTUAL", "SSL", ports["MUTUAL"]),
        Entrance("LOGIN", "SASL_SSL", ports["LOGIN"]),
        Entrance("TOKEN", "SASL_SSL", ports["TOKEN"]),
    ]
    properties = _properties(authority, issuer)
    with pytest.MonkeyPatch.context() as patch:
        allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={issuer.keys.as_uri()}"
        patch.setenv("JDK_JAVA_OPTIONS", f"{os.environ.get('JDK_JAVA_OPTIONS', '')} {allowed}")
        with local_kafka(properties=properties, entrances=entrances) as server:
            _give_password(server)
            yield GuardedKafka(server, ports, authority, issuer, directory)


def _properties(authority: Authority, issuer: Issuer) -> dict[str, str]:
    broker = authority.certify("broker", "127.0.0.1")
    return {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",  # by the plain address, which the tests alone know
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(broker.both),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.file),
        "ssl.principal.mapping.rules": r"RULE:^.*CN=([^,]+).*$/$1/",
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.login.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.login.scram-sha-512.sasl.jaas.config": (
            f"{_MODULES}.scram.ScramLoginModule required;"
        ),
        "listener.name.token.sasl.enabled.mechanisms": "OAUTHBEARER",
        f"{_TOKENS}.sasl.jaas.config": f"{_MODULES}.oauthbearer.OAuthBearerLoginModule required;",
        f"{_TOKENS}.sasl.server.callback.handler.class": (
            f"{_MODULES}.oauthbearer.OAuthBearerValidatorCallbackHandler"
        ),
        f"{_TOKENS}.sasl.oauthbearer.jwks.endpoint.url": issuer.keys.as_uri(),
        f"{_TOKENS}.sasl.oauthbearer.expected.audience": AUDIENCE,
        f"{_TOKENS}.sasl.oauthbearer.expected.issuer": ISSUER,
    }


def _give_password(server: LocalKafka) -> None:
    admin = KafkaAdminClient(bootstrap_servers=server.bootstrap)
    try:
        change = UserScramCredentialUpsertion(USER, ScramMechanism.SCRAM_SHA_512, PASSWORD)
        told = admin.alter_user_scram_credentials([change])
        assert told == {USER: None}, told
    finally:
        admin.close()
