"""Trains encoders before fusion is fitted, and encodes what they are for anew."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from worker.cli.fit_data import Events, Opened, keep
from worker.cli.fit_media import encoded_anew, shelf_of
from worker.cli.fit_session import Run
from worker.cli.progress import bar
from worker.config import Config
from worker.core.events import Modality
from worker.errors import OperatorError
from worker.models import registry
from worker.models.base import Encoder
from worker.models.bundles.bundle import directory_of
from worker.models.families.hub import local_directory
from worker.models.minilm import as_directory
from worker.models.names import parse, tuned
from worker.models.shipped import MINILM
from worker.models.trainable import check_trainable, open_trainable
from worker.models.weights import joint_digest
from worker.runtime.assemble import model_settings
from worker.runtime.fusions import open_configured
from worker.training.checkpoint import StateFile
from worker.training.dataset import Dataset, Row
from worker.training.pretraining import read_captions
from worker.training.settings import FitSettings, TuningSettings
from worker.training.shelf import Shelf
from worker.training.tuning import Tuned, Tuner

MAX_EPOCHS = 10


@dataclass(frozen=True, slots=True)
class Changed:
    """The rows with new vectors, the encoders that made them, and their files in the bundle."""

    rows: list[Row]
    encoders: Mapping[Modality, Encoder] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    tuned: Mapping[Modality, Tuned] = field(default_factory=dict)


def media_of(config: Config, wish: TuningSettings, opened: Opened | None) -> Events | None:
    """Return the events that encoders are trained on; None where none is to be.

    Raises OperatorError for Observations, and for encoders that cannot be trained.
    """
    if not wish.changes:
        return None
    for modality in wish.changes:
        name = configured(config, modality)
        if name != MINILM:
            check_trainable(name, modality)
    if config.models.speech and Modality.CAPTION in wish.changes:
        raise OperatorError(
            "captions made from speech are not encoded anew: set models.speech to nothing, or leave"
            " caption out of --tune and --pretrain away."
        )
    if opened is None or opened.events is None:
        raise OperatorError(
            "--tuning and --pretrain need the media themselves, which Observations do not hold:"
            " give media or a manifest, or leave them away."
        )
    return opened.events


def tune_encoders(
    run: Run, rows: Sequence[Row], data: Dataset, events: Events, settings: FitSettings
) -> Changed:
    """Pretrain and tune as wished, then encode; each step is gone on with where it was ended.

    Raises OperatorError where there is nothing to learn from, and FailedRunError as `Tuner.tune`.
    """
    wish = run.wishes.tuning
    key = joint_digest("tuning 1", data.digest(), repr(wish), settings.key())
    bases = {modality: _base(run, modality) for modality in wish.changes}
    shelves = {modality: shelf_of(run, rows, events, modality, key) for modality in wish.changes}
    files: dict[Modality, Mapping[str, bytes]] = {}
    if wish.pretraining:
        files[Modality.CAPTION] = _read(run, bases, shelves[Modality.CAPTION], data, settings)
    done = {
        modality: _tuned(run, bases[modality], modality, data, shelves[modality], key, settings)
        for modality in wish.modalities
    }
    files |= {modality: each.files for modality, each in done.items()}
    encoders = {}
    for modality, content in files.items():
        place = _written(run.own / "encoders" / modality, content)
        name = tuned(configured(run.config, modality), place.resolve())
        encoders[modality] = registry.build(name, modality, model_settings(run.config, modality))
    key = joint_digest(key, *(each.digest for each in encoders.values()))
    return Changed(
        rows=encoded_anew(run, rows, events, encoders, key),
        encoders=encoders,
        files={
            f"{directory_of(modality)}/{name}": content
            for modality, contents in files.items()
            for name, content in contents.items()
        },
        tuned=done,
    )


def kept_encoders(config: Config, changed: Mapping[Modality, Encoder]) -> dict[str, bytes]:
    """Return the files of tuned encoders in the configured bundle that are not changed now."""
    bundle = open_configured(config)
    if bundle is None:
        return {}
    kept = [f"{directory_of(each)}/" for each in bundle.modalities if each not in changed]
    return {
        name: (bundle.place / name).read_bytes()
        for name in bundle.files
        if name.startswith(tuple(kept))
    }


def configured(config: Config, modality: Modality) -> str:
    """Return the name of the configured encoder."""
    return str(getattr(config.models, modality))


def _base(run: Run, modality: Modality) -> str:
    """Return the name of what is trained: the encoder as configured, or as tuned before."""
    bundle = open_configured(run.config)
    before = None if bundle is None else bundle.tuned_encoder(modality)
    name = before or configured(run.config, modality)
    if name == MINILM:
        return f"transformers:{_written(run.own / 'caption-base', as_directory()).resolve()}"
    return name


def _read(
    run: Run,
    bases: dict[Modality, str],
    texts: Shelf,
    data: Dataset,
    settings: FitSettings,
) -> Mapping[str, bytes]:
    """Let the caption encoder read the captions; what it becomes is the base for tuning."""
    epochs, base = run.wishes.tuning.pretraining, parse(bases[Modality.CAPTION])
    with run.console.status(f"The caption encoder reads the captions for {epochs} epochs"):
        files, losses = read_captions(
            local_directory(base, run.config.models.allow_hub),
            {place: str(text) for place, text in texts.items()},
            data.held_out,
            epochs,
            settings,
            model_settings(run.config, Modality.CAPTION),
            run.processes,
        )
    run.console.print(
        f"The caption encoder read for {epochs} epochs: loss {losses[0]:.3f} before,"
        f" {min(losses):.3f} at best"
    )
    place = _written(run.own / "caption-read", files)
    bases[Modality.CAPTION] = f"transformers:{place.resolve()}"
    return files


def _tuned(
    run: Run,
    base: str,
    modality: Modality,
    data: Dataset,
    contents: Shelf,
    key: str,
    settings: FitSettings,
) -> Tuned:
    wish, epochs = run.wishes.tuning, min(settings.epochs, MAX_EPOCHS)
    trainable = open_trainable(base, modality, model_settings(run.config, modality))
    kept = StateFile(run.work / f"{modality}.pt", joint_digest(key, trainable.identity.digest))
    with bar(run.console, f"Tuning {modality}", epochs, "epochs at most") as advance:
        tuner = Tuner(trainable, modality, data, contents)
        done = tuner.tune(wish, epochs, settings, advance, run.processes, kept)
    run.console.print(
        f"The {modality} encoder was tuned ({wish.way}): {done.parameters} numbers moved in"
        f" {len(done.losses)} epochs"
    )
    return done


def _written(place: Path, files: Mapping[str, bytes]) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name, data in files.items():
        keep(place / name, data)
    return place
