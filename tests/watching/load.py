"""What a watched worker has to do: the plaza, or a crowd of small cameras."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
from PIL import Image

from tests.e2e.footage import SECOND, picture
from worker.adapters.kafka.sink import KafkaSink
from worker.config import Config
from worker.core.events import Modality
from worker.core.ports import Output
from worker.demo import scene
from worker.feed.events import JPEG, FeedEvent, to_output
from worker.feed.pace import paced
from worker.runtime.topics import topic_of_modality

TRACE = "0af7651916cd43dd8448eb211c80319c"
CROWD, FLOOD = 40, 400  # cameras, a frame per second each


class Load:
    """Cameras of the plaza, in real time, over and over. Their frames belong to a trace."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.is_poisoned = threading.Event()

    def begin(self, config: Config) -> None:
        """Send from now on to the input topics of `config`."""
        self._thread = threading.Thread(target=self._run, args=(config,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, config: Config) -> None:
        sink = KafkaSink(config.kafka, max_record_bytes=1 << 20)
        try:
            for outputs in self._parts(config):
                for output in outputs:
                    sink.append(output)
                if self._stopped.is_set():
                    break
        finally:
            sink.close()

    def _parts(self, config: Config) -> Iterator[list[Output]]:
        topics, plaza = topic_of_modality(config), scene.load()
        trace = ("traceparent", f"00-{TRACE}-b7ad6b7169203331-01".encode())
        while True:
            events = scene.events(plaza, time.time_ns() // 1000)
            for event in paced(events, 1, time.monotonic, time.sleep):
                output = to_output(event, topics)
                poison = self.is_poisoned.is_set() and event.modality is Modality.AUDIO
                yield [
                    replace(output, headers=(*output.headers, trace)),
                    *([replace(output, headers=())] if poison else []),
                ]


class Crowd(Load):
    """Many cameras with small pictures: cheap to send, as much as others to judge."""

    def __init__(self) -> None:
        super().__init__()
        self.is_strange = threading.Event()  # what all cameras show
        self.is_flooded = threading.Event()  # by ten times as many cameras

    def _parts(self, config: Config) -> Iterator[list[Output]]:
        topics, begun, number = topic_of_modality(config), time.monotonic(), 0
        while True:
            names = [f"/crowd/{each}" for each in range(CROWD)]
            if self.is_flooded.is_set():
                names += [f"/flood/{each}" for each in range(FLOOD)]
            for place, name in enumerate(names):
                poison = self.is_poisoned.is_set() and place % 4 == 0
                output = to_output(self._frame(name, number, number + place), topics)
                yield [output, *([replace(output, headers=())] if poison else [])]
            number += 1
            time.sleep(max(0.0, begun + number - time.monotonic()))

    def _frame(self, source: str, number: int, shown: int) -> FeedEvent:
        return FeedEvent(
            source=source,
            modality=Modality.FRAME,
            id=f"frame-{number}",
            time=time.time_ns() // 1000 // SECOND * SECOND,
            content_type=JPEG,
            payload=strange(shown % 350) if self.is_strange.is_set() else picture(shown % 350),
        )


@cache
def strange(number: int) -> bytes:
    """Return a JPEG of 64 x 48 pixels that has nothing of `picture`."""
    pixels = np.random.default_rng(number).integers(0, 255, (48, 64, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()
