"""A seeded stream of small events of some sources, with all that a worker must put up with."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

from tests.runtime.builders import hum, picture
from worker.core.events import Modality
from worker.core.partitioner import partition_for
from worker.core.ports import Output
from worker.core.rfc3339 import MICROSECONDS
from worker.feed.events import FeedEvent, to_output

LATE_SECONDS = 20  # far more than any grace in these runs
_TYPES = {
    Modality.FRAME: "image/png",
    Modality.CAPTION: "text/plain",
    Modality.AUDIO: "audio/L16;rate=16000",
}
_WORDS = ("a quiet street", "a man with a dog", "two parked cars", "a red van turns", "rain")


def sources(count: int, partitions: int) -> list[str]:
    """Return names that are spread evenly over the partitions."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        name = f"/cameras/{number:03d}"
        if partition_for(name.encode(), partitions, "murmur2") == len(found) % partitions:
            found.append(name)
        number += 1
    return found


class Stream:
    """Second after second of all sources. `start` in microseconds since the epoch."""

    def __init__(
        self,
        seed: int,
        names: list[str],
        topics: Mapping[Modality, str],
        partitions: int,
        start: int,
    ) -> None:
        self._random = random.Random(seed)
        self._names = names
        self._topics = topics
        self._partitions = partitions
        self._start = start

    def second(self, number: int) -> list[Output]:
        """Return what is sent in one second; call it for each second once, in order."""
        return [output for name in self._names for output in self._of(name, number)]

    def _of(self, source: str, number: int) -> Iterator[Output]:
        events = [self._event(source, number, Modality.FRAME, 0.0)]
        events += [self._event(source, number, Modality.AUDIO, 0.2)]
        if number % 2 == 0:
            events += [self._event(source, number, Modality.CAPTION, 0.4)]
        outputs = [to_output(event, self._topics) for event in events]
        yield from outputs
        yield from self._oddity(source, number, outputs)

    def _oddity(self, source: str, number: int, usual: list[Output]) -> Iterator[Output]:
        """Yield, one time in three, something out of the ordinary."""
        frame = self._event(source, number, Modality.FRAME, 0.6)
        match self._random.randrange(30):
            case 0:
                yield usual[self._random.randrange(len(usual))]  # a duplicate
            case 1:
                yield to_output(
                    self._event(source, number - LATE_SECONDS, *self._any()), self._topics
                )
            case 2:
                yield to_output(replace(frame, payload=frame.payload[:-30]), self._topics)
            case 3:
                yield replace(to_output(frame, self._topics), value=None)
            case 4:
                yield replace(to_output(frame, self._topics), key=b"/cameras/other")
            case 5:
                output = to_output(frame, self._topics)
                owner = partition_for(source.encode(), self._partitions, "murmur2")
                yield replace(output, partition=(owner + 1) % self._partitions)
            case 6 | 7:
                yield from self._correlated(source, number)
            case 8:
                yield to_output(self._event(source, number, Modality.AUDIO, 0.7), self._topics)
            case 9:
                yield to_output(frame, self._topics)

    def _correlated(self, source: str, number: int) -> Iterator[Output]:
        kinds = list(Modality)[: self._random.choice((2, 3, 3))]
        for kind in kinds:
            event = self._event(source, number, kind, 0.5)
            name = f"pair-{number}"
            yield to_output(replace(event, id=f"c-{event.id}", correlation_id=name), self._topics)

    def _any(self) -> tuple[Modality, float]:
        return self._random.choice(list(Modality)), self._random.choice((0.3, 0.8))

    def _event(self, source: str, number: int, kind: Modality, at: float) -> FeedEvent:
        return FeedEvent(
            source=source,
            modality=kind,
            id=f"{kind}-{number}-{at:g}",
            time=self._start + number * MICROSECONDS + round(at * MICROSECONDS),
            content_type=_TYPES[kind],
            payload=self._payload(kind),
        )

    def _payload(self, kind: Modality) -> bytes:
        match kind:
            case Modality.FRAME:
                return picture(self._random.randrange(256))
            case Modality.AUDIO:
                return hum(self._random.randrange(100))
            case Modality.CAPTION:
                return self._random.choice(_WORDS).encode()
