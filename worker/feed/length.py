"""How long files play, so that a replay can be placed in the past."""

from __future__ import annotations

from collections.abc import Iterable

import av

from worker.core.rfc3339 import MICROSECONDS
from worker.feed.inputs import Stream


def length_seconds(streams: Iterable[Stream]) -> float:
    """Return the time from the start to behind the last event of any stream, in seconds.

    Containers say their length; where one does not, and for captions and images, it is counted.
    """
    return max((_length(stream) for stream in streams), default=0.0)


def _length(stream: Stream) -> float:
    known = _of_container(stream)
    if known is not None:
        return known
    last = max((piece.offset for piece in stream.read()), default=0)
    return last / MICROSECONDS + 1.0


def _of_container(stream: Stream) -> float | None:
    if not stream.path.is_file():
        return None
    try:
        with av.open(stream.path) as container:
            return None if container.duration is None else container.duration / av.time_base
    except av.FFmpegError:
        return None  # captions in a form that FFmpeg does not know
