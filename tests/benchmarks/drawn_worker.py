"""A real worker on a real Kafka whose features are drawn, so that it can get through very many."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.features import DrawnPipeline
from tests.benchmarks.history import History
from tests.benchmarks.session import session
from tests.runtime.builders import hum, picture
from worker.adapters.kafka.sink import KafkaSink
from worker.adapters.kafka.topic_checks import inputs
from worker.adapters.prometheus import Metrics
from worker.cli.service import open_ports
from worker.config import Config
from worker.core.events import Modality
from worker.core.rfc3339 import seconds
from worker.feed.events import FeedEvent, to_output
from worker.runtime.inference import Inference
from worker.runtime.rules import WorkerRules
from worker.runtime.topics import topic_of_modality

_CAPTION_EVERY = 4  # windows
_OPEN_WINDOWS = 3  # that stay open behind the ones that close: the grace, and the newest


def append_inputs(config: Config, history: History, windows: int) -> int:
    """Append what the sources send after the history's end; return how many Moments close."""
    topics = topic_of_modality(config)
    sink = KafkaSink(config.kafka)
    names = [name for index in range(history.indices) for name in history.names(index)]
    try:
        for window in range(windows + _OPEN_WINDOWS):
            for name in names:
                for event in _events(name, window, history.end):
                    sink.append(to_output(event, topics))
            sink.flush()  # so that the append times of the topics agree
    finally:
        sink.close()
    return windows * len(names)


def work(config: Config, pipeline: DrawnPipeline, rules: WorkerRules, moments: int) -> None:
    """Judge so many Moments and then vanish, as after a crash. Raises FailedRunError."""
    metrics = Metrics(inputs(config.topics))
    inference = Inference(pipeline, None, metrics, 1)
    with session(open_ports(config, metrics, inputs(config.topics)), inference, rules) as running:
        running.judge(moments)


def _events(source: str, window: int, start: int) -> Iterator[FeedEvent]:
    time_ = start + seconds(window)
    contents = {
        Modality.FRAME: ("image/png", picture(window)),
        Modality.AUDIO: ("audio/L16;rate=16000", hum(window)),
    }
    if window % _CAPTION_EVERY == 0:
        contents[Modality.CAPTION] = ("text/plain", f"a quiet street {window}".encode())
    for modality, (content_type, payload) in contents.items():
        name = f"{modality}-{window}"
        yield FeedEvent(source, modality, name, time_, content_type, payload)
