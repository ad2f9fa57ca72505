"""How near the embeddings that frames take over are to their own.

python -m tests.benchmarks.quality.reused

The plaza scene, and a still picture of it with the noise of a sensor, by day and by night, pass the
pipeline's choice (`worker.core.reuse`) in Moments of a second; all their frames are encoded too.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Annotated, Any

import numpy as np
import simplejpeg
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tests.benchmarks.backlog import START
from tests.benchmarks.command import run
from worker.cli.options import config_of
from worker.core.events import ContentType, Event, Modality, Record
from worker.core.references import References
from worker.core.reuse import STANDS
from worker.core.rfc3339 import seconds
from worker.demo import scene
from worker.feed.events import FeedEvent
from worker.media.frames import Frame, frame_of
from worker.media.images import Pixels, decode_image, decode_picture
from worker.media.limits import Limits
from worker.models.base import Encoder
from worker.models.tuning import cosines
from worker.runtime.assemble import build_encoders

JPEG, LIMITS = ContentType("image/jpeg"), Limits()
AGE = seconds(10)  # as models.reuse_seconds
FRAMES = 4  # of a Moment, as models.frames_per_moment
NIGHT = 0.25  # of the light of the day
NOISES = (0.3, 0.7, 1.5)  # standard deviation in levels of 255, before the JPEG

Moment = list[tuple[int, bytes]]  # times in microseconds, and JPEGs


def main(
    length: Annotated[int, typer.Option(min=2, max=60, help="Seconds of each stream.")] = 24,
) -> None:
    """Compare what frames take over with what they would have got."""
    config = config_of(None, {"models.dtype": "float32"})
    encoder = build_encoders(config)[Modality.FRAME]
    columns = ("stream", "frames", "spared", "by an earlier Moment", "cosine", "1st percentile")
    table = Table(*columns, title="Embeddings that are taken over, to the frames' own")
    for name, moments in _streams(length):
        table.add_row(name, *_told(encoder, moments))
    Console(width=120).print(table)


def _streams(length: int) -> Iterator[tuple[str, list[Moment]]]:
    frames = [
        each
        for each in scene.events(scene.load(), START, until_s=length)
        if each.modality is Modality.FRAME
    ]
    for source in sorted({each.source for each in frames}):
        yield f"plaza {source}", _moments(each for each in frames if each.source == source)
    still = decode_image(frames[0].payload, JPEG, LIMITS).astype(np.float32)
    for light, name in ((1.0, "day"), (NIGHT, "night")):
        for noise in NOISES:
            moments = list(_still(still * light, noise, length))
            yield f"still, {name}, noise {noise}", moments


def _moments(frames: Iterator[FeedEvent]) -> list[Moment]:
    by_second = groupby(frames, key=lambda each: each.time // seconds(1))
    found = [[(each.time, each.payload) for each in group] for _, group in by_second]
    return [each[:: max(1, len(each) // FRAMES)][:FRAMES] for each in found]


def _still(picture: NDArray[Any], noise: float, length: int) -> Iterator[Moment]:
    random = np.random.default_rng(0)
    for number in range(length):
        noisy = [picture + random.normal(0, noise, picture.shape) for _ in range(FRAMES)]
        jpegs = [
            simplejpeg.encode_jpeg(each.clip(0, 255).round().astype(np.uint8), 85) for each in noisy
        ]
        yield [(START + seconds(number + n / FRAMES), each) for n, each in enumerate(jpegs)]


def _told(encoder: Encoder, moments: list[Moment]) -> tuple[str, ...]:
    references, place = References(AGE), 0
    stands, taken, earlier, standing = [], [], 0, 0
    contents: list[Pixels] = []
    for moment in moments:
        frames = [_frame(place + n, *each) for n, each in enumerate(moment)]
        choice = references.choose("source", [each.glimpse for each in frames])
        for own, chosen in enumerate(choice.places, start=place):
            stands.append(standing if chosen == STANDS else place + chosen)
            earlier += chosen == STANDS
            taken.append(stands[-1] != own)
        contents += (each.encodable(LIMITS, encoder.input_size) for each in frames)
        for reference in choice.changed.values():
            if reference is not None and reference.frame is not None:
                standing = int.from_bytes(reference.frame.key, "big")
        place += len(frames)
    vectors = np.concatenate([encoder.encode(np.stack([each])) for each in contents])
    exact = vectors.astype(np.float32)
    similar = cosines(exact[stands], exact)[np.array(taken)]
    share = [f"{np.mean(taken):.0%}", f"{earlier / place:.0%}"]
    if not similar.size:
        return str(place), *share, "", ""
    return str(place), *share, f"{similar.mean():.4f}", f"{np.quantile(similar, 0.01):.4f}"


def _frame(place: int, time: int, payload: bytes) -> Frame:
    """Return a frame whose key is its place."""
    record = Record("frames", 0, place, time, None, payload)
    event = Event("source", Modality.FRAME, str(place), time, JPEG, record)
    return frame_of(event, decode_picture(payload, JPEG, LIMITS), (), place.to_bytes(4, "big"), 224)


if __name__ == "__main__":
    run(main, "reused")
