"""Labels from the annotation files of published data sets.

Sources are named as `analyze` and `produce` name a video file: by its stem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal

from worker.core.rfc3339 import seconds
from worker.errors import OperatorError
from worker.evaluation.labels import EventLabel, Time

DataSet = Literal["xd-violence", "ucf-crime"]
XD_KINDS = {
    "B1": "fighting",
    "B2": "shooting",
    "B4": "riot",
    "B5": "abuse",
    "B6": "car accident",
    "G": "explosion",
}
USUAL_FPS: Mapping[DataSet, float] = {"xd-violence": 24.0, "ucf-crime": 30.0}
Frames = list[tuple[int, int]]


def convert(lines: Iterable[str], data_set: DataSet, fps: float | None = None) -> list[EventLabel]:
    """Return the labels in an annotation file; frames are counted at `fps`, or as is usual there.

    XD-Violence `annotations.txt`: NAME START END [START END ...], the classes in the name.
    UCF-Crime `Temporal_Anomaly_Annotation...txt`: FILE CLASS START END START END, -1 for none.
    Frames are from START to END, both included. Raises OperatorError.
    """
    rate = fps or USUAL_FPS[data_set]
    found: list[EventLabel] = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if words:
            try:
                found += _labels(_READERS[data_set](words), rate)
            except ValueError:
                raise OperatorError(f"line {number} is no annotation of {data_set}.") from None
    return found


def _xd_violence(words: Sequence[str]) -> tuple[str, str, Frames]:
    source = words[0].removesuffix(".mp4")
    codes = source.rpartition("label_")[2].split("-")
    kinds = [XD_KINDS[code] for code in codes if code in XD_KINDS]
    return source, "+".join(kinds) or "anomaly", _pairs(words[1:])


def _ucf_crime(words: Sequence[str]) -> tuple[str, str, Frames]:
    file, kind, *frames = words
    pairs = [(start, end) for start, end in _pairs(frames) if start >= 0]
    return PurePosixPath(file).stem, kind.lower(), pairs


_READERS: Mapping[DataSet, Callable[[Sequence[str]], tuple[str, str, Frames]]] = {
    "xd-violence": _xd_violence,
    "ucf-crime": _ucf_crime,
}


def _pairs(words: Sequence[str]) -> Frames:
    numbers = list(map(int, words))
    if not numbers or len(numbers) % 2:
        raise ValueError("frames come in pairs")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _labels(found: tuple[str, str, Frames], fps: float) -> Iterator[EventLabel]:
    source, kind, pairs = found
    for start, end in pairs:
        if end < start:
            raise ValueError("an event ends before it begins")
        begin, stop = (Time(seconds(frame / fps), is_relative=True) for frame in (start, end + 1))
        yield EventLabel(source, begin, stop, kind)
