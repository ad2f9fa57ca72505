"""What the cameras of one seed send, and when it is appended: footage with everything odd in it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from random import Random

import numpy as np
from PIL import Image

from worker.core.events import Modality
from worker.core.ports import Output
from worker.core.rfc3339 import seconds
from worker.feed.events import FeedEvent, to_output

START = seconds(1_750_000_000)
TOPICS = {Modality.FRAME: "frames", Modality.CAPTION: "captions", Modality.AUDIO: "audio"}
_TYPES = {
    Modality.FRAME: "image/png",
    Modality.CAPTION: "text/plain",
    Modality.AUDIO: "audio/L16;rate=16000",
}
_SCENES = ("a quiet street", "a bus passes", "two people walk", "a dog waits")
BEHIND, FAST = 20.0, 8.0  # seconds


@dataclass(frozen=True, slots=True)
class Planned:
    """A record and when it is appended, in microseconds."""

    at: int
    output: Output


@dataclass(frozen=True, slots=True)
class Camera:
    """How one source behaves. Times in seconds after START."""

    source: str
    length: float
    frames_per_second: int
    audio_lag: float
    caption_every: float
    behind: float  # appended so much later than it happened
    fast: float  # its clock is so much ahead
    silent: tuple[float, float]  # nothing is sent between these
    muted: tuple[Modality, float, float]  # one modality is not sent between these
    offline: tuple[float, float]  # frames of between these are appended at its end
    unusual: tuple[float, float]
    still: tuple[float, float]  # frames of between these differ by noise at most


def stream(rng: Random, sources: int, length: float) -> list[Planned]:
    """Return all records of a seed in the order in which they are appended."""
    cameras = [_camera(rng, f"/cameras/{number}", length) for number in range(sources)]
    found = [planned for camera in cameras for planned in _sent(rng, camera)]
    found += [again for planned in found if (again := _again(rng, planned)) is not None]
    if rng.random() < 0.15:
        found = [_fatal(planned) if rng.random() < 0.02 else planned for planned in found]
    found += [_poison(rng, planned) for planned in found if rng.random() < 0.02]
    return sorted(found, key=lambda planned: planned.at)


def _camera(rng: Random, source: str, length: float) -> Camera:
    def sometimes(share: float, longest: float) -> tuple[float, float]:
        begin = rng.uniform(0, length) if rng.random() < share else length
        return begin, begin + rng.uniform(1, longest)

    return Camera(
        source=source,
        length=length,
        frames_per_second=rng.choice((1, 1, 1, 2)),
        audio_lag=rng.choice((0.1, 0.5, 1.5, 3.5)),
        caption_every=rng.choice((1.0, 2.5, 4.0, 9.0)),
        behind=BEHIND if rng.random() < 0.1 else 0.0,
        fast=FAST if rng.random() < 0.1 else 0.0,
        silent=sometimes(0.25, 12),
        muted=(rng.choice(list(Modality)), *sometimes(0.3, 12)),
        offline=sometimes(0.2, 5),
        unusual=sometimes(0.7, 5),
        still=sometimes(0.5, 25),
    )


def _sent(rng: Random, camera: Camera) -> Iterator[Planned]:
    phase = rng.random()
    for number in range(int(camera.length * camera.frames_per_second)):
        at = phase + number / camera.frames_per_second
        yield from _event(rng, camera, Modality.FRAME, at, 0.1)
    for second in range(int(camera.length)):
        yield from _event(rng, camera, Modality.AUDIO, phase + second, camera.audio_lag)
        if rng.random() < 0.04:
            yield from _together(rng, camera, phase + second + 0.3)
    for number in range(int(camera.length / camera.caption_every)):
        at = phase + (number + rng.random()) * camera.caption_every
        yield from _event(rng, camera, Modality.CAPTION, at, rng.uniform(0.3, 3))


def _event(
    rng: Random, camera: Camera, kind: Modality, at: float, lag: float, correlation: str = ""
) -> Iterator[Planned]:
    name, begin, end = camera.muted
    silent = _within(camera.silent, at) or (kind is name and _within((begin, end), at))
    if silent or rng.random() < 0.05:
        return
    event = FeedEvent(
        source=camera.source,
        modality=kind,
        id=f"{kind}-{at:.3f}{correlation}",
        time=START + seconds(round(at + camera.fast, 3)),
        content_type=_TYPES[kind],
        payload=_payload(rng, kind, _within(camera.unusual, at), _within(camera.still, at)),
        correlation_id=correlation or None,
    )
    if kind is Modality.FRAME and _within(camera.offline, at):
        at = camera.offline[1]
    delay = lag + camera.behind + _jitter(rng)
    yield Planned(START + seconds(round(at + delay, 6)), to_output(event, TOPICS))


def _together(rng: Random, camera: Camera, at: float) -> Iterator[Planned]:
    """Yield what belongs to one occurrence by its correlation id; often not all of it."""
    for kind in Modality:
        if rng.random() < 0.8:
            yield from _event(rng, camera, kind, at + rng.random(), 0.5, f"event-{at:.3f}")


def _jitter(rng: Random) -> float:
    """Mostly a little; sometimes beyond the next events, seldom beyond any grace."""
    draw = rng.random()
    if draw < 0.03:
        return rng.uniform(2, 9)
    return rng.uniform(0.3, 2) if draw < 0.13 else rng.uniform(0, 0.2)


def _again(rng: Random, planned: Planned) -> Planned | None:
    if rng.random() >= 0.05:
        return None
    return replace(planned, at=planned.at + seconds(rng.choice((0, 0.2, 1, 4, 9))))


def _fatal(planned: Planned) -> Planned:
    """Return the same with a content that ends the process that works on it."""
    output = planned.output
    return replace(planned, output=replace(output, value=fatal_contents()[output.topic]))


def _poison(rng: Random, planned: Planned) -> Planned:
    """Return a record like this one that cannot be accepted; its id is its own."""
    output = planned.output
    headers = dict(output.headers)
    headers["ce_id"] = b"poison-" + (headers["ce_id"] or b"")
    broken = [
        replace(output, value=None),
        replace(output, value=b"\x89PNG not really"),
        replace(output, value=b"\xff"),
        replace(output, key=b"/cameras/other"),
        replace(output, key=None),
        replace(output, partition=0),
    ][rng.randrange(6)]
    match rng.randrange(4):
        case 0:
            del headers["ce_type"]
        case 1:
            headers["ce_time"] = b"yesterday"
        case 2:
            headers["ce_time"] = b"2400-01-01T00:00:00Z"
        case _:
            pass
    return Planned(planned.at, replace(broken, headers=tuple(headers.items())))


def _payload(rng: Random, kind: Modality, unusual: bool, still: bool) -> bytes:
    number = rng.randrange(4) + (40 if unusual else 0)
    match kind:
        case Modality.FRAME:
            return _picture(number // 4, noise=number % 4) if still else _picture(number)
        case Modality.AUDIO:
            return _hum(number)
        case Modality.CAPTION:
            return b"smoke everywhere" if unusual else _SCENES[number].encode()


@cache
def fatal_contents() -> dict[str, bytes]:
    """Return by topic what a decoder aborts over here; nothing else of the stream is like it."""
    return {"frames": _picture(45), "audio": _hum(45), "captions": b"the end"}


@cache
def _picture(number: int, noise: int = 0) -> bytes:
    """Return a picture of one colour; with noise two pixels of it have another one."""
    colour = (60 + 4 * number, 200 - 4 * number, 90)
    buffer, image = io.BytesIO(), Image.new("RGB", (16, 12), colour)
    image.paste((colour[0] + noise, *colour[1:]), (4, 5, 6, 6))
    image.save(buffer, "PNG")
    return buffer.getvalue()


@cache
def _hum(number: int) -> bytes:
    return (
        (np.sin(np.arange(800) / (8 - number / 10)) * (1000 + 40 * number)).astype(">i2").tobytes()
    )


def _within(span: tuple[float, float], at: float) -> bool:
    return span[0] <= at < span[1]
