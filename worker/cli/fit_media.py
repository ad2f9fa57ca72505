"""The media of Moments once more: what encoders are trained on, and encode anew afterwards."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.cli.fit_data import Events, keep
from worker.cli.fit_session import Run
from worker.core.envelope import parse
from worker.core.events import Event, Modality, Record
from worker.core.moment import ClosedBy, Moment, evenly
from worker.errors import InvalidEventError, OperatorError
from worker.feed.events import FeedEvent, to_output
from worker.models.base import Encoder
from worker.models.bundles.inputs import SOURCES
from worker.models.fusion.joining import mean_direction
from worker.pipeline import Pipeline
from worker.runtime.assemble import build_pipeline, envelope_rules
from worker.runtime.topics import topic_of_modality
from worker.training.dataset import Row
from worker.training.shelf import Shelf, fill, open_shelf

MAX_MOMENTS = 4096  # that an encoder is trained on, evenly spread: 0.6 GB of pictures of 224 x 224
BATCH = 16  # Moments that are encoded together

Identity = tuple[str, Modality, str]  # source, modality, id
Vectors = Mapping[Modality, Mapping[int, NDArray[Any]]]  # by the place of a row


def shelf_of(run: Run, rows: Sequence[Row], events: Events, modality: Modality, key: str) -> Shelf:
    """Return one content of each Moment of some, as the encoder takes it, by the row's place.

    The process that leads writes them, once. Raises OperatorError where there are none.
    """
    path = run.work / f"{modality}.media"
    if run.processes.leads and open_shelf(path, key) is None:
        pipeline = _pipeline(run, {})
        having = [place for place, row in enumerate(rows) if _has(row, modality)]
        chosen = set(evenly(having, MAX_MOMENTS))
        fill(path, key, _contents(pipeline, _moments(run, rows, events, {modality}), chosen))
    run.processes.wait()
    shelf = open_shelf(path, key)
    if not shelf:
        raise OperatorError(f"there is no {modality} to learn from: leave it out of --tune.")
    return shelf


def encoded_anew(
    run: Run, rows: Sequence[Row], events: Events, encoders: Mapping[Modality, Encoder], key: str
) -> list[Row]:
    """Return the rows with the vectors of these encoders, made as the worker makes them.

    But for Moments of which a frame could not be decoded: another one may be taken in its place.
    The process that leads encodes, once.
    """
    path = run.work / "vectors.npz"
    if run.processes.leads and _read(path, key) is None:
        pipeline = _pipeline(run, encoders)
        found = _encoded(pipeline, _moments(run, rows, events, set(encoders)), encoders)
        _write(path, key, found)
    run.processes.wait()
    vectors = _read(path, key) or {}
    return [
        replace(row, inputs={**row.inputs, **_features(vectors, place)})
        for place, row in enumerate(rows)
    ]


def _pipeline(run: Run, encoders: Mapping[Modality, Encoder]) -> Pipeline:
    """Return one that prepares and encodes only: a bundle would refuse other encoders."""
    alone = run.config.models.model_copy(update={"bundle": "", "speech": ""})
    config = run.config.model_copy(update={"models": alone})
    return build_pipeline(config, {**run.encoders, **encoders})


def _has(row: Row, modality: Modality) -> bool:
    return any(each is modality for each, _ in row.events)


def _moments(
    run: Run, rows: Sequence[Row], events: Events, modalities: set[Modality]
) -> Iterator[tuple[int, Moment]]:
    """Yield Moments with their events of some modalities, by their row, when they are complete.

    A caption that is carried is in all Moments that it speaks for.
    """
    wanted: dict[Identity, list[int]] = {}
    lacking = [0] * len(rows)
    for place, row in enumerate(rows):
        for modality, name in row.events:
            if modality in modalities:
                wanted.setdefault((row.source, modality, name), []).append(place)
                lacking[place] += 1
    held: dict[int, dict[tuple[Modality, str], Event]] = {}
    for event in _parsed(run, events()):
        for place in wanted.pop((event.source, *event.identity), ()):
            held.setdefault(place, {})[event.identity] = event
            lacking[place] -= 1
            if not lacking[place]:
                yield place, _moment(rows[place], held.pop(place))


def _parsed(run: Run, events: Iterable[FeedEvent]) -> Iterator[Event]:
    topics, rules = topic_of_modality(run.config), envelope_rules(run.config, partitions=1)
    for event in events:
        sent = to_output(event, topics)
        record = Record(sent.topic, 0, 0, event.time, sent.key, sent.value, sent.headers)
        try:
            yield parse(record, rules)
        except InvalidEventError:  # as when it was encoded: no Moment has it
            continue


def _moment(row: Row, found: Mapping[tuple[Modality, str], Event]) -> Moment:
    events = tuple(found[each] for each in row.events if each in found)
    return Moment(row.source, row.start, row.end, events, ClosedBy.WATERMARK)


def _contents(
    pipeline: Pipeline, moments: Iterable[tuple[int, Moment]], chosen: set[int]
) -> Iterator[tuple[int, Any]]:
    """Yield the content in the middle of each chosen Moment that can be decoded."""
    for place, moment in moments:
        if place in chosen:
            for items in pipeline.prepare(moment).items.values():
                yield place, items[len(items) // 2].content


def _encoded(
    pipeline: Pipeline, moments: Iterator[tuple[int, Moment]], modalities: Iterable[Modality]
) -> Vectors:
    found: dict[Modality, dict[int, NDArray[Any]]] = {modality: {} for modality in modalities}
    while batch := list(itertools.islice(moments, BATCH)):
        prepared = [pipeline.prepare(moment) for _, moment in batch]
        wanted = pipeline.wanted(prepared)
        for modality, rows in found.items():
            vectors = pipeline.encode(modality, wanted[modality])
            for (place, _), one in zip(batch, prepared, strict=True):
                if modality in one.items:
                    items = [vectors[item.key] for item in one.items[modality]]
                    rows[place] = mean_direction(items).astype(np.float16)
    return found


def _features(vectors: Vectors, place: int) -> dict[str, NDArray[np.float32]]:
    return {
        SOURCES[modality][0]: rows[place].astype(np.float32)
        for modality, rows in vectors.items()
        if place in rows
    }


def _write(path: Path, key: str, vectors: Vectors) -> None:
    buffer = io.BytesIO()
    arrays = {f"{modality}.places": np.array(list(rows)) for modality, rows in vectors.items()}
    arrays |= {f"{name}.rows": np.stack(list(rows.values())) for name, rows in vectors.items()}
    np.savez(buffer, allow_pickle=False, key=np.array(key), **arrays)
    keep(path, buffer.getvalue())


def _read(path: Path, key: str) -> Vectors | None:
    """Return what was written under this key; None where nothing was."""
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as stored:
        if str(stored["key"]) != key:
            return None
        names = {name.partition(".")[0] for name in stored.files if name != "key"}
        return {
            Modality(name): dict(
                zip(stored[f"{name}.places"].tolist(), stored[f"{name}.rows"], strict=True)
            )
            for name in names
        }
