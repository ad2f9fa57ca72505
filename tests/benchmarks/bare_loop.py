"""The yardstick: decode and encode the same records from memory, and nothing else.

No log, no pairing, no cache, no scoring, no output. It is the loop that a good engineer writes for
this: decode in threads, a bounded number of batches ahead; encode each batch in the thread that
collects it. Its shape is searched for on this machine, in this run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

from tests.benchmarks.measure import Run, Stopwatch
from worker.core.events import Modality
from worker.core.moment import Moment
from worker.pipeline import Pipeline
from worker.stages import Prepared

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

    def run(self, moments: Sequence[Moment]) -> Run:
        """Decode and encode everything once."""
        watch, encoded = Stopwatch(), 0
        with ThreadPoolExecutor(self.shape.decode_threads) as pool:
            for batch in self._decoded(pool, moments):
                for modality, contents in self.pipeline.wanted(batch).items():
                    self.pipeline.encode(modality, contents)
                    encoded += len(contents) if modality is Modality.FRAME else 0
        wall, cpu = watch.read()
        frames = sum(len(moment.of(Modality.FRAME)) for moment in moments)
        return Run(len(moments), frames, encoded, wall, cpu)

    def _decoded(
        self, pool: ThreadPoolExecutor, moments: Sequence[Moment]
    ) -> Iterator[list[Prepared]]:
        ahead: deque[list[Future[Prepared]]] = deque()
        size = self.shape.batch_moments
        for start in range(0, len(moments), size):
            batch = moments[start : start + size]
            ahead.append([pool.submit(self.pipeline.prepare, moment) for moment in batch])
            if len(ahead) > _AHEAD:
                yield [future.result() for future in ahead.popleft()]
        for futures in ahead:
            yield [future.result() for future in futures]


def best(pipelines: Mapping[str, Pipeline], moments: Sequence[Moment]) -> BareLoop:
    """Return the loop in the shape that is fastest on the first of the Moments."""
    sample = moments[:_TRIED]
    loops = [
        BareLoop(pipelines[threads], Shape(threads, decode, batch))
        for threads, decode, batch in product(pipelines, _DECODE_THREADS, _BATCHES)
    ]
    for name in pipelines:  # the first run of a network is slower
        next(each for each in loops if each.shape.encoder_threads == name).run(sample[:32])
    return max(loops, key=lambda loop: loop.run(sample).moments_per_second)
