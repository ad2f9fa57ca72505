"""Tunes the caption encoder before fusion is fitted, and encodes the captions anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from worker.cli.fit_data import Events, Opened
from worker.config import Config
from worker.core.events import Modality
from worker.errors import OperatorError
from worker.models import registry
from worker.models.base import Encoder
from worker.models.bundles.bundle import directory_of
from worker.models.bundles.storing import write_file
from worker.models.families.hub import local_directory
from worker.models.minilm import as_directory
from worker.models.names import parse
from worker.models.shipped import MINILM
from worker.runtime.assemble import model_settings, open_configured
from worker.training.captions import Tuner, Tuning
from worker.training.dataset import Row, assemble
from worker.training.processes import Processes
from worker.training.settings import FitSettings

MAX_EPOCHS = 10
BASE = "caption-base"


@dataclass(frozen=True, slots=True)
class TunedCaptions:
    """The rows with new vectors, the encoder that made them, and its files in the bundle.

    `parameters` were moved, in `epochs` epochs; both are 0 for one that was tuned before.
    """

    rows: list[Row]
    encoder: Encoder
    files: Mapping[str, bytes]
    parameters: int = 0
    epochs: int = 0


def tune_captions(
    config: Config,
    rows: list[Row],
    events: Events,
    work: Path,
    tuning: Tuning,
    pretraining: int,
    training: FitSettings,
    progress: Callable[[int], None],
    processes: Processes,
) -> TunedCaptions:
    """Pretrain for so many epochs, tune, and encode.

    Raises OperatorError where there are no texts, or no model to tune.
    """
    texts = _texts(rows, events)
    base, settings = _base(config, work), model_settings(config)
    most = min(training.epochs, MAX_EPOCHS)
    tuner = Tuner(base, assemble(rows), texts, settings)
    if pretraining:
        tuner.pretrain(pretraining, training, processes)
    tuned = tuner.tune(tuning, most, training, progress, processes)
    place = _written(work / "caption", tuned.files)
    encoder = registry.build(f"transformers:{place.resolve()}", Modality.CAPTION, settings)
    files = {f"{directory_of(Modality.CAPTION)}/{name}": data for name, data in tuned.files.items()}
    return TunedCaptions(_encoded(rows, texts, encoder), encoder, files, tuned.parameters, most)


def kept_captions(config: Config) -> Mapping[str, bytes]:
    """Return the files of the tuned encoder in the configured bundle, to be in the next one too."""
    bundle = open_configured(config)
    place = None if bundle is None else bundle.encoder_directory(Modality.CAPTION)
    if bundle is None or place is None:
        return {}
    directory = directory_of(Modality.CAPTION)
    return {
        name: (bundle.place / name).read_bytes()
        for name in bundle.files
        if name.startswith(f"{directory}/")
    }


def texts_in(opened: Opened | None) -> Events:
    """Return the events that have texts in them. Raises OperatorError for Observations."""
    if opened is None or opened.events is None:
        raise OperatorError(
            "--tuning and --pretrain need the captions themselves, which Observations do not hold:"
            " give media or a manifest, or leave them away."
        )
    return opened.events


def _texts(rows: Sequence[Row], events: Events) -> list[str | None]:
    """Return what was said in each Moment, from the media."""
    said = {
        (event.source, event.id): event.payload.decode("utf-8", "replace")
        for event in events()
        if event.modality is Modality.CAPTION
    }
    texts = [said.get((row.source, row.caption)) if row.caption else None for row in rows]
    if not any(texts):
        raise OperatorError("--tuning needs captions, and there are none: use --tuning head.")
    return texts


def _base(config: Config, work: Path) -> Path:
    """Return the directory of the configured caption model."""
    bundle = open_configured(config)
    tuned = None if bundle is None else bundle.encoder_directory(Modality.CAPTION)
    if tuned is not None:
        return tuned
    if config.models.caption == MINILM:
        return _written(work / BASE, as_directory())
    name = parse(config.models.caption)
    if name.family != "transformers":
        raise OperatorError(
            f"--tuning is for models of transformers, and models.caption is {name.text}: use"
            " --tuning head."
        )
    return local_directory(name, config.models.allow_hub)


def _written(place: Path, files: Mapping[str, bytes]) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name, data in files.items():
        write_file(place / name, data)
    return place


def _encoded(rows: Sequence[Row], texts: Sequence[str | None], encoder: Encoder) -> list[Row]:
    """Return the rows with the vectors of the encoder; each text is encoded once."""
    distinct = sorted({text for text in texts if text is not None})
    vectors = {
        text: vector.astype(np.float32)
        for text, vector in zip(distinct, encoder.encode(distinct), strict=True)
    }
    return [
        row if text is None else replace(row, inputs={**row.inputs, "text": vectors[text]})
        for row, text in zip(rows, texts, strict=True)
    ]
