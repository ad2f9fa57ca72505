"""Makes the client's own log fit for operators: one line per kind of trouble, no tracebacks.

kafka-python logs every attempt to connect, many times a second. It also keeps the cause of a failed
start to itself and raises a timeout; the exception is found in its log records.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_CLIENT = logging.getLogger("kafka")
_OURS = logging.getLogger("worker.adapters.kafka")
_REPEAT_SECONDS = 60.0


class _ClientLog(logging.Handler):
    """Passes warnings on, each message template once in a while."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last: dict[object, float] = {}
        self.watchers: dict[int, list[BaseException]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the record on, or give its exception to those who watch."""
        failures = [each for each in record.args or () if isinstance(each, BaseException)]
        if self.watchers:
            for watcher in list(self.watchers.values()):
                watcher.extend(failures)
            return
        now = time.monotonic()
        template = record.msg if record.args else record.name
        if now - self._last.get(template, -_REPEAT_SECONDS) >= _REPEAT_SECONDS:
            self._last[template] = now
            _OURS.log(record.levelno, "%s", record.getMessage())


_HANDLER = _ClientLog()


def install() -> None:
    """Take over the client's log. Doing it again changes nothing."""
    if _HANDLER not in _CLIENT.handlers:
        _CLIENT.addHandler(_HANDLER)
        _CLIENT.setLevel(logging.WARNING)
        _CLIENT.propagate = False


@contextmanager
def watch() -> Iterator[list[BaseException]]:
    """Collect the exceptions that the client would log, and log nothing."""
    install()
    failures: list[BaseException] = []
    key = threading.get_ident()
    _HANDLER.watchers[key] = failures
    try:
        yield failures
    finally:
        _HANDLER.watchers.pop(key, None)
