"""The sections about what is around the worker: Kafka, Redis, HTTP, logs.

Durations are in seconds.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, field_validator, model_validator

from worker.config.base import DAY, OptionalFile, Section

_REDIS_SCHEMES = ("redis", "rediss", "unix")
# Others would change time limits and retries, which belong to the worker.
_REDIS_OPTIONS = frozenset({"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})

_BROKER = r"([^\s,:/\[\]]+|\[[0-9a-fA-F:]+\]):\d{1,5}"
TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]


class KafkaSettings(Section):
    """How to reach Kafka, and membership of the consumer group."""

    bootstrap_servers: str = Field(
        default="localhost:9092",
        pattern=rf"^{_BROKER}(,{_BROKER})*$",
        examples=["kafka-0:9092,kafka-1:9092"],
        description="brokers to begin with, `host:port`, separated by commas",
    )
    group_id: str = Field(
        default="mmworker",
        pattern=r"^[A-Za-z0-9._-]{1,249}$",
        description="consumer group of the workers",
    )
    group_instance_id: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._-]{0,249}$",
        description="static membership: this worker's own name in the group, the same after each"
        " start; empty: dynamic. All workers of a group or none",
    )
    partitioner: Literal["murmur2", "crc32", "any"] = Field(
        default="murmur2",
        description="how producers choose a partition by key: `murmur2`, `crc32` (librdkafka's"
        " default) or `any` (not checked)",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`"
    )
    sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        default="",
        description="`PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`, with a `SASL_`"
        " protocol",
    )
    sasl_username: str = Field(default="", max_length=256, description="user name for SASL")
    sasl_password_file: OptionalFile = Field(
        default=None, description="file that holds the SASL password"
    )
    sasl_token_file: OptionalFile = Field(
        default=None, description="file that holds the token of OAUTHBEARER, read at each login"
    )
    ssl_cafile: OptionalFile = Field(default=None, description="certificates to trust, PEM")
    ssl_certfile: OptionalFile = Field(
        default=None, description="the worker's own certificate, PEM"
    )
    ssl_keyfile: OptionalFile = Field(
        default=None, description="the private key of that certificate, PEM"
    )
    session_timeout_seconds: float = Field(
        default=45,
        ge=1,
        le=1800,
        description="silence after which the group takes a worker for dead",
    )
    max_poll_interval_seconds: float = Field(
        default=300,
        ge=2,
        le=3600,
        description="age of the last poll at which a worker counts as hung",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.security_protocol.startswith("SASL_"):
            self._check_login()
        elif self.sasl_mechanism:
            raise ValueError("sasl_mechanism needs security_protocol SASL_SSL or SASL_PLAINTEXT")
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            raise ValueError("ssl_certfile and ssl_keyfile must be set together")
        if self.group_instance_id in {".", ".."}:
            raise ValueError("group_instance_id must not be . or ..: Kafka refuses them")
        if self.session_timeout_seconds > self.max_poll_interval_seconds:
            raise ValueError("session_timeout_seconds must not exceed max_poll_interval_seconds")
        return self

    def _check_login(self) -> None:
        if self.sasl_mechanism == "OAUTHBEARER":
            if not self.sasl_token_file:
                raise ValueError("sasl_mechanism OAUTHBEARER needs sasl_token_file")
        elif not (self.sasl_mechanism and self.sasl_username and self.sasl_password_file):
            raise ValueError(
                f"security_protocol {self.security_protocol} needs sasl_mechanism,"
                " sasl_username and sasl_password_file"
            )


class TopicSettings(Section):
    """The topics' names; all different."""

    frames: TopicName = Field(default="frames", description="input: video frames")
    captions: TopicName = Field(default="captions", description="input: captions")
    audio: TopicName = Field(default="audio", description="input: audio clips")
    alerts: TopicName = Field(default="alerts", description="output: alerts")
    observations: TopicName = Field(default="observations", description="output: one per Moment")
    dead_letters: TopicName = Field(
        default="dead-letters",
        description="output: records that cannot be accepted, with the reason",
    )
    late_events: TopicName = Field(
        default="late-events", description="output: events after their time"
    )
    feedback: TopicName = Field(
        default="feedback", description="input: what people say about alerts"
    )
    snapshots: TopicName = Field(
        default="snapshots", description="scorer states, compacted, read when a worker takes over"
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        key_of: dict[str, str] = {}
        for key, name in self:
            if name in {".", ".."}:
                raise ValueError(f"{key} must not be {name!r}: Kafka has no such topics")
            if name in key_of:
                raise ValueError(f"{key} and {key_of[name]} must be different topics, not {name!r}")
            key_of[name] = key
        return self


class RedisSettings(Section):
    """The cache of embeddings."""

    url: str = Field(
        default="",
        max_length=2048,
        description="`redis://`, `rediss://` (TLS) or `unix://` address of the cache; empty: none",
    )
    password_file: OptionalFile = Field(
        default=None, description="file that holds the Redis password"
    )
    ttl_seconds: int = Field(
        default=3600, ge=1, le=30 * DAY, description="how long an embedding is kept"
    )
    timeout_seconds: float = Field(
        default=0.25, ge=0.01, le=10, description="longest wait for one answer of Redis"
    )

    @field_validator("url")
    @classmethod
    def _usable(cls, url: str) -> str:
        """Check without ever quoting the URL: it may hold a password."""
        if not url:
            return url
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:  # its message quotes the URL
            raise ValueError("must be a well-formed address with a numeric port") from None
        if parts.scheme not in _REDIS_SCHEMES:
            raise ValueError("must be empty or begin with redis://, rediss:// or unix://")
        if not (parts.path if parts.scheme == "unix" else parts.hostname):
            raise ValueError("must name a host, or with unix:// a path")
        if parts.scheme != "unix" and not re.fullmatch(r"(/\d{0,5})?", parts.path):
            raise ValueError("must end with the number of a database, if anything, as in /0")
        if unknown := sorted(parse_qs(parts.query).keys() - _REDIS_OPTIONS):
            known = ", ".join(sorted(_REDIS_OPTIONS))
            raise ValueError(f"must not set {', '.join(unknown)}: only {known} can be set in it")
        return url

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password_file is not None and (not self.url or urlsplit(self.url).password):
            raise ValueError("password_file needs a url without a password in it")
        return self


class HttpSettings(Section):
    """The endpoints `/metrics`, `/startupz`, `/livez` and `/readyz`."""

    host: str = Field(
        default="0.0.0.0",  # noqa: S104 - scrapers and probes come from outside the pod
        min_length=1,
        max_length=255,
        description="address to listen on",
    )
    port: int = Field(
        default=9108, ge=0, le=65_535, description="port to listen on; 0: any free one"
    )


class LogSettings(Section):
    """Logs go to stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="`debug`, `info`, `warning` or `error`"
    )
    format: Literal["json", "console"] = Field(default="json", description="`json` or `console`")
