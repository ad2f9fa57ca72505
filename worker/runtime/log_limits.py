"""A bound on repeated log lines: what goes wrong often is told often enough, and counted."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass

BURST = 10  # lines of a kind in one period
PERIOD_SECONDS = 60.0
MAX_KINDS = 500  # remembered, the last ones seen

Kind = tuple[str, str, str]


@dataclass(slots=True)
class _Seen:
    since: float
    passed: int = 0
    left_out: int = 0


class RepeatFilter(logging.Filter):
    """Lets so many lines of a kind pass in a period; the first of the next tells how many it cost.

    A kind is a logger, a message before its values are filled in, and a `reason` where it has one.
    Time is that of the records. Safe to use from several threads.
    """

    def __init__(self, burst: int = BURST, period: float = PERIOD_SECONDS) -> None:
        super().__init__()
        self._burst = burst
        self._period = period
        self._kinds: OrderedDict[Kind, _Seen] = OrderedDict()
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the line passes; it gains `left_out` where others did not before it."""
        with self._lock:
            left_out = self._left_out_before(_kind_of(record), record.created)
        if left_out is None:
            return False
        if left_out and isinstance(record.msg, dict):  # structlog's; a dict of its own per line
            record.msg["left_out"] = left_out
        elif left_out:
            record.left_out = left_out
        return True

    def _left_out_before(self, kind: Kind, now: float) -> int | None:
        """Return how many lines were left out before this one; None where it is left out too."""
        seen = self._kinds.setdefault(kind, _Seen(now))
        self._kinds.move_to_end(kind)
        if len(self._kinds) > MAX_KINDS:
            self._kinds.popitem(last=False)
        left_out = 0
        if not 0 <= now - seen.since < self._period:  # over, or the clock went back
            left_out = seen.left_out
            self._kinds[kind] = seen = _Seen(now)
        if seen.passed >= self._burst:
            seen.left_out += 1
            return None
        seen.passed += 1
        return left_out


def _kind_of(record: logging.LogRecord) -> Kind:
    if isinstance(record.msg, dict):
        return record.name, str(record.msg.get("event")), str(record.msg.get("reason"))
    return record.name, str(record.msg), ""
