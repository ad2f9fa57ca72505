"""The yardstick: decode and encode the same records from memory, and nothing else.

No log, no pairing, no cache, no scoring, no output. It is the loop that a good engineer writes for
this: decode in threads, a bounded number of batches ahead; encode a batch's pictures, sounds and
captions side by side. Its shape is searched for on this machine, in this run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from tests.benchmarks.measure import Run, Stopwatch
from worker.core.events import MODALITIES, ContentType, Event, Modality
from worker.core.moment import Moment, evenly
from worker.media.audio import decode_audio
from worker.media.images import decode_image, resize_square
from worker.media.limits import Limits
from worker.media.text import decode_text
from worker.models.logmel import log_mels
from worker.pipeline import Pipeline

Media = Mapping[Modality, list[Any]]  # what encoders take of a Moment

LIMITS = Limits()

_AHEAD = 2  # batches
_TRIED = 96  # Moments of each trial
_DECODE_THREADS = (1, 2)
_BATCHES = (8, 16, 32)  # Moments


@dataclass(frozen=True, slots=True)
class Shape:
    """How the loop runs. `encoder_threads` names the encoders' plan."""

    encoder_threads: str
    decode_threads: int
    batch_moments: int


@dataclass(frozen=True, slots=True)
class BareLoop:
    """The loop in one shape."""

    pipeline: Pipeline
    shape: Shape
    frames: int

    def run(self, moments: Sequence[Moment]) -> Run:
        """Decode and encode everything once."""
        watch, encoded = Stopwatch(), 0
        with (
            ThreadPoolExecutor(self.shape.decode_threads) as pool,
            ThreadPoolExecutor(len(MODALITIES)) as encoders,
        ):
            for batch in self._decoded(pool, moments):
                contents = {each: _joined(each, batch) for each in MODALITIES}
                list(encoders.map(self._encode, contents, contents.values()))
                encoded += len(contents[Modality.FRAME])
        wall, cpu = watch.read()
        frames = sum(len(moment.of(Modality.FRAME)) for moment in moments)
        return Run(len(moments), frames, encoded, wall, cpu)

    def _decoded(
        self, pool: ThreadPoolExecutor, moments: Sequence[Moment]
    ) -> Iterator[list[Media]]:
        ahead: deque[list[Future[Media]]] = deque()
        size = self.shape.batch_moments
        for start in range(0, len(moments), size):
            batch = moments[start : start + size]
            ahead.append([pool.submit(self._media, moment) for moment in batch])
            if len(ahead) > _AHEAD:
                yield [future.result() for future in ahead.popleft()]
        for futures in ahead:
            yield [future.result() for future in futures]

    def _media(self, moment: Moment) -> Media:
        """Return what encoders take of a Moment."""
        side = self.pipeline.encoders[Modality.FRAME].input_size
        sounds = [decode_audio(*_content(each), LIMITS) for each in moment.of(Modality.AUDIO)]
        return {
            Modality.FRAME: [
                resize_square(decode_image(*_content(each), LIMITS, side), side)
                for each in evenly(moment.of(Modality.FRAME), self.frames)
            ],
            Modality.AUDIO: [log_mels(np.concatenate(sounds))] if sounds else [],
            Modality.CAPTION: [
                decode_text(*_content(each), LIMITS) for each in moment.of(Modality.CAPTION)
            ],
        }

    def _encode(self, modality: Modality, contents: list[Any]) -> None:
        if contents:
            encoder: Any = self.pipeline.encoders[modality]
            encoder.encode(np.stack(contents) if modality is Modality.FRAME else contents)


def _content(event: Event) -> tuple[bytes, ContentType]:
    return event.payload, event.content_type


def _joined(modality: Modality, batch: Sequence[Media]) -> list[Any]:
    return [content for media in batch for content in media[modality]]


def best(pipelines: Mapping[str, Pipeline], moments: Sequence[Moment], frames: int) -> BareLoop:
    """Return the loop over `frames` of a Moment in the shape that is fastest on the first ones."""
    sample = moments[:_TRIED]
    loops = [
        BareLoop(pipelines[threads], Shape(threads, decode, batch), frames)
        for threads, decode, batch in product(pipelines, _DECODE_THREADS, _BATCHES)
    ]
    for name in pipelines:  # the first run of a network is slower
        next(each for each in loops if each.shape.encoder_threads == name).run(sample[:32])
    return max(loops, key=lambda loop: loop.run(sample).moments_per_second)
