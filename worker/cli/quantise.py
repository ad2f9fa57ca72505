"""`mmworker models quantise`: the frame encoder in int8, by pictures of one's own cameras."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from worker.adapters.kafka.reading import TopicReader
from worker.cli.fit_data import open_data
from worker.cli.observed import kafka_failures
from worker.config import Config
from worker.core.envelope import EnvelopeRules, parse
from worker.core.events import ContentType, Event, Modality, Record
from worker.core.rfc3339 import seconds
from worker.errors import InvalidEventError, OperatorError
from worker.media.images import decode_image, resize_square
from worker.media.limits import Limits
from worker.models.int8 import MIN_PICTURES, quantise, write_int8
from worker.models.network_encoders import FrameEncoder
from worker.models.openvino_runtime import Model, start_openvino
from worker.models.plan import Dtype, Plan
from worker.models.tuning import cosines
from worker.runtime.assemble import build_encoders, envelope_rules

SPACING = seconds(1)  # between two pictures of one source: neighbours show the same
HELD_OUT = 5  # of so many pictures one is kept to measure by
BATCH_SIZE = 4  # of the measurement

Pictures = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame as it was sent. `time` in microseconds since the epoch."""

    source: str
    time: int
    content_type: ContentType
    payload: bytes


@dataclass(frozen=True, slots=True)
class Quality:
    """What int8 does to pictures that it was not calibrated on, with one thread."""

    pictures: int
    least_cosine: float
    mean_cosine: float
    cpu_ms: float
    float_cpu_ms: float


def run_quantise(config: Config, data: Path | None, output: Path, count: int) -> Quality:
    """Write the file and measure. Raises OperatorError or FailedRunError, one sentence."""
    in_float = config.models.model_copy(update={"dtype": "auto", "frame_digest": ""})
    encoder = build_encoders(config.model_copy(update={"models": in_float}))[Modality.FRAME]
    if not isinstance(encoder, FrameEncoder):
        raise OperatorError(f"models.frame is {config.models.frame}, which runs no network.")
    found = _from_topic(config, count) if data is None else _from_media(data)
    limits = Limits(max_pixels=config.limits.max_pixels)
    with kafka_failures():
        pictures = decoded(spread(found, count), limits, encoder.input_size)
    if len(pictures) < MIN_PICTURES:
        raise OperatorError(
            f"{len(pictures)} pictures a second apart were found, and at least {MIN_PICTURES} are"
            " needed: give more, or let the cameras send for longer."
        )
    held_out = np.arange(len(pictures)) % HELD_OUT == HELD_OUT - 1
    exact = encoder.network().openvino
    model = quantise(exact, pictures[~held_out])
    write_int8(output, model, encoder.float_digest)
    return _measured(exact, model, pictures[held_out])


def spread(pictures: Iterable[Picture], count: int) -> Iterator[Picture]:
    """Yield at most `count` pictures, those of one source at least SPACING apart."""
    latest: dict[str, int] = {}
    for picture in pictures:
        if picture.time - latest.get(picture.source, picture.time - SPACING) < SPACING:
            continue
        latest[picture.source] = picture.time
        yield picture
        count -= 1
        if count <= 0:
            return


def decoded(pictures: Iterable[Picture | Event], limits: Limits, side: int) -> Pictures:
    """Return (N, side, side, 3) RGB as encoders get it; what cannot be decoded is left out."""
    images = []
    for picture in pictures:
        with suppress(InvalidEventError):
            image = decode_image(picture.payload, picture.content_type, limits, side)
            images.append(resize_square(image, side))
    return np.stack(images) if images else np.zeros((0, side, side, 3), np.uint8)


def _from_media(data: Path) -> Iterator[Picture]:
    events = open_data(data, None, fps=1.0).events
    if events is None:
        raise OperatorError(f"{data} holds Observations, which have no pictures: give media.")
    for event in events():
        if event.modality is Modality.FRAME:
            yield Picture(event.source, event.time, ContentType(event.content_type), event.payload)


def _from_topic(config: Config, count: int) -> Iterator[Picture]:
    """Yield the oldest frames of each partition of the topic, as many of each."""
    topic = config.topics.frames
    with TopicReader(config.kafka) as reader:
        indices = reader.partitions(topic)
        if not indices:
            raise OperatorError(f"there is no topic {topic}: check topics.frames, or give media")
        rules, share = envelope_rules(config, len(indices)), -(-count // len(indices))
        for span in reader.spans(topic, indices, None):
            yield from spread(_parsed(reader.read(span), rules), share)


def _parsed(records: Iterable[Record], rules: EnvelopeRules) -> Iterator[Picture]:
    for record in records:
        with suppress(InvalidEventError):
            event = parse(record, rules)
            yield Picture(event.source, event.time, event.content_type, event.payload)


def _measured(exact: Model, int8: Model, pictures: Pictures) -> Quality:
    vectors, cpu_ms = _timed(exact, "float32", pictures)
    quantised, int8_cpu_ms = _timed(int8, "int8", pictures)
    found = cosines(quantised, vectors)
    return Quality(
        pictures=len(pictures),
        least_cosine=float(found.min()),
        mean_cosine=float(found.mean()),
        cpu_ms=int8_cpu_ms,
        float_cpu_ms=cpu_ms,
    )


def _timed(model: Model, dtype: Dtype, pictures: Pictures) -> tuple[NDArray[np.float32], float]:
    """Return the vectors, and CPU milliseconds per picture of the second of two runs."""
    run = start_openvino(model, Plan("openvino", dtype, BATCH_SIZE, 1))
    run.in_batches((pictures,), BATCH_SIZE)
    began = time.process_time()
    vectors = run.in_batches((pictures,), BATCH_SIZE)
    return vectors, 1000 * (time.process_time() - began) / len(pictures)
