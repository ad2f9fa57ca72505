"""Topics full of footage: many large frames, with sound and captions, appended at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.chaos.stream import sources
from tests.e2e.footage import SECOND, camera
from tests.e2e.site import Site
from worker.core.events import Modality
from worker.core.ports import Output
from worker.feed.events import JPEG, FeedEvent, to_output
from worker.runtime.topics import topic_of_modality

MIB = 1024 * 1024
CAMERAS, FRAMES_PER_SECOND = 8, 10
FRAME_BYTES = 200_000
_SEGMENT = 65_533  # bytes of a comment in a JPEG at most


def fill(site: Site, partitions: int, size: int, start: int) -> int:
    """Append about `size` bytes, each second of all cameras in turn; return how many records.

    `start` is the time of the first event, in microseconds.
    """
    length = max(8, size // (CAMERAS * FRAMES_PER_SECOND * FRAME_BYTES))
    return site.send(_by_second(site, sources(CAMERAS, partitions), start, length))


def _by_second(
    site: Site, names: Sequence[str], start: int, length: int
) -> Iterator[Sequence[Output]]:
    topics = topic_of_modality(site.config)
    for second in range(length):
        events = (e for name in names for e in _second(name, start + second * SECOND, second))
        yield [to_output(event, topics) for event in sorted(events, key=lambda one: one.time)]


def _second(name: str, start: int, number: int) -> Iterator[FeedEvent]:
    """Yield a second of a camera: ten frames, a clip, and every other second a caption."""
    for event in camera(name, start, 1):
        if event.modality is Modality.CAPTION and number % 2:
            continue
        if event.modality is not Modality.FRAME:
            yield _numbered(event, f"{number}", 0)
            continue
        for count in range(FRAMES_PER_SECOND // 2):
            yield _numbered(event, f"{number}-{count}", count * SECOND // FRAMES_PER_SECOND)


def _numbered(event: FeedEvent, name: str, later: int) -> FeedEvent:
    payload = event.payload
    if event.content_type == JPEG:
        payload = padded(payload, f"{event.source} {event.id}-{name}".encode(), FRAME_BYTES)
    return FeedEvent(
        source=event.source,
        modality=event.modality,
        id=f"{event.id}-{name}",
        time=event.time + later,
        content_type=event.content_type,
        payload=payload,
    )


def padded(jpeg: bytes, remark: bytes, size: int) -> bytes:
    """Return the same picture in about `size` bytes that no other has, by comments in it."""
    comments, left = [], size - len(jpeg)
    while left > 0:
        text = remark.ljust(min(left, _SEGMENT), b".")
        comments.append(b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text)
        left -= len(text) + 4
    return jpeg[:2] + b"".join(comments) + jpeg[2:]
