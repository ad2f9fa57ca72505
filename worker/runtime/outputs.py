"""What one partition index has to say and has not committed yet, and how its events ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from worker.core.caution import TRIES
from worker.core.dead_letter_limit import DeadLetter, Ending
from worker.core.events import Record
from worker.core.messages import capped_value, dead_letter_headers, late_headers
from worker.core.messages.redrive import ATTEMPT
from worker.core.ports import Output
from worker.errors import Reason
from worker.runtime.compose import OutputTopics

_ACCEPTED = frozenset({"paired", "late", "duplicate"})


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a record becomes a dead letter, and at which `stage` that showed."""

    reason: Reason
    message: str
    stage: str


ENDED_PROCESSES = Rejection(
    Reason.QUARANTINED, f"{TRIES} processes in a row ended while they worked on it", "inference"
)
CROWDED = Rejection(
    Reason.TOO_MANY_EVENTS, "its Moment has as many events as one may have", "pairing"
)


class Outputs:
    """Collects outputs in order. Counts are taken by the telemetry."""

    def __init__(self, topics: OutputTopics, max_dead_letter_bytes: int, worker: str) -> None:
        self._topics = topics
        self._max_dead_letter_bytes = max_dead_letter_bytes
        self._worker = worker
        self._waiting: list[Output] = []
        self.size = 0  # bytes of the values
        self.has_alert = False
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.rejections: Counter[tuple[str, Reason]] = Counter()
        self._endings: list[Ending] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, *outputs: Output) -> None:
        """Add records to append."""
        self._waiting += outputs
        self.size += sum(len(output.value or b"") for output in outputs)
        self.has_alert |= any(output.topic == self._topics.alerts for output in outputs)

    def late(self, record: Record, watermark: int) -> None:
        """Let a record be a late event; `watermark` in microseconds since the epoch."""
        headers = late_headers(record, watermark)
        self.add(Output(self._topics.late_events, record.key, record.value, headers))

    def dead_letter(self, record: Record, rejection: Rejection) -> None:
        """Let a record be a dead letter; its value is left out where all of it is too large."""
        rest = record.size - len(record.value or b"")
        room = max(0, self._max_dead_letter_bytes - rest)
        value, cap_headers = capped_value(record.value, room)
        headers = dead_letter_headers(
            record, rejection.stage, rejection.reason, rejection.message, self._worker
        )
        self.add(Output(self._topics.dead_letters, record.key, value, headers + cap_headers))
        self.rejections[record.topic, rejection.reason] += 1
        named = dict(record.headers)
        if ATTEMPT not in named:  # else somebody has put it back to see
            source = record.key or named.get("ce_source") or b""
            self._endings.append(DeadLetter(source, record.topic, rejection.reason))

    def count(self, kind: str, outcome: str) -> None:
        """Count a record that ended so; its `kind` is a modality or `feedback`."""
        self.outcomes[kind, outcome] += 1
        if outcome in _ACCEPTED:
            self._endings.append(None)

    def take_endings(self) -> list[Ending]:
        """Return how records ended since the last call, in their order."""
        endings, self._endings = self._endings, []
        return endings

    def take(self) -> tuple[Output, ...]:
        """Return what is new since the last call."""
        outputs = tuple(self._waiting)
        self._waiting, self.size, self.has_alert = [], 0, False
        return outputs
