"""The cache of embeddings in Redis. Whatever goes wrong there costs time only, and little of it.

Each wait for the server is bounded by `redis.timeout_seconds`, nothing is tried twice, and after
three faults in a row Redis is left alone for five seconds at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import redis
import structlog
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.exceptions import NoPermissionError, ResponseError
from redis.retry import Retry

from worker.adapters.breaker import Breaker
from worker.config import RedisSettings, read_secret
from worker.core.ports import Telemetry

KEY_PREFIX = b"mmw:"
MAX_VALUE_BYTES = 64 * 1024  # far more than an embedding has; no more than this is ever fetched
# Connect, log in, select a database and get the reply each take one timeout at most. Only a server
# that sends its answer drop by drop takes longer, and counts as faulty although it has answered.
SLOW = 4

_log = structlog.get_logger(__name__)


class RedisCache:
    """Implements worker.core.ports.EmbeddingCache; never raises. Safe to use from several threads.

    Values that are too long, empty or of another type than string are unknown (None); whether the
    bytes make sense is checked by the caller.
    """

    def __init__(
        self,
        client: redis.Redis,
        settings: RedisSettings,
        telemetry: Telemetry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._ttl = settings.ttl_seconds
        self._slow = SLOW * settings.timeout_seconds
        self._telemetry = telemetry
        self._clock = clock
        self._breaker = Breaker()
        telemetry.degraded("redis", False)

    @classmethod
    def connect(
        cls,
        settings: RedisSettings,
        telemetry: Telemetry,
        clock: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Return a cache at `settings.url`; connects at the first use.

        Raises OperatorError where the password's file cannot be read.
        """
        path = settings.password_file
        password = None if path is None else read_secret("redis.password_file", path)
        client = redis.Redis.from_url(
            settings.url,
            password=password,
            socket_timeout=settings.timeout_seconds,
            socket_connect_timeout=settings.timeout_seconds,
            retry=Retry(NoBackoff(), 0),  # redis.Redis() itself would make ten attempts with pauses
            protocol=2,  # version 3 and naming the driver would cost round trips at each connect
            driver_info=None,
        )
        return cls(client, settings, telemetry, clock)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values in the order of `keys`; None where unknown or not to be had."""
        nothing: list[bytes | None] = [None] * len(keys)
        if not keys:
            return nothing
        if not self._breaker.allows(self._clock()):
            self._telemetry.cache("bypass", len(keys))
            return nothing
        with self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                # GETRANGE and not MGET: a huge value that someone put there stays there
                pipeline.getrange(KEY_PREFIX + key, 0, MAX_VALUE_BYTES)
            replies = self._execute("get", pipeline)
        if replies is None:
            self._telemetry.cache("error", len(keys))
            return nothing
        values = [_value(reply) for reply in replies]
        hits = sum(value is not None for value in values)
        self._telemetry.cache("hit", hits)
        self._telemetry.cache("miss", len(keys) - hits)
        return values

    def put_many(self, items: Mapping[bytes, bytes]) -> None:
        """Remember for the time to live, in one round trip; dropped where Redis is left alone."""
        if not items or not self._breaker.allows(self._clock()):
            return
        with self._client.pipeline(transaction=False) as pipeline:
            for key, value in items.items():
                pipeline.set(KEY_PREFIX + key, value, ex=self._ttl)
            replies = self._execute("put", pipeline)
        if replies is None:
            self._telemetry.cache("error", len(items))

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _execute(self, operation: str, pipeline: Pipeline) -> list[object] | None:
        """Return the replies, or None after a fault."""
        began = self._clock()
        try:
            replies: list[object] = pipeline.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, Exception) and not _is_wrong_type(reply):
                    raise reply
        except Exception as error:  # on garbage the client's parser raises anything
            self._client.connection_pool.disconnect(inuse_connections=False)
            if isinstance(error, NoPermissionError):  # of one command: it would not add up to more
                _log.warning("redis_refuses", operation=operation)
            self._fault(type(error).__name__)
            return None
        finally:
            elapsed = self._clock() - began
            self._telemetry.cache_time(operation, elapsed)
        if elapsed > self._slow:
            self._fault("slow")
        elif self._breaker.succeeded():
            self._telemetry.degraded("redis", False)
            _log.info("redis_back")
        return replies

    def _fault(self, reason: str) -> None:
        if self._breaker.failed(self._clock()):
            self._telemetry.degraded("redis", True)
            _log.warning("redis_left_alone", reason=reason)


def _value(reply: object) -> bytes | None:
    if isinstance(reply, bytes) and 0 < len(reply) <= MAX_VALUE_BYTES:
        return reply
    return None


def _is_wrong_type(error: Exception) -> bool:
    return isinstance(error, ResponseError) and str(error).startswith("WRONGTYPE")
