"""How much is moved, how long that takes and what it gives: head, adapter, LoRA and full tuning.

On the first fold of days, all with the `weighted` operator but `adapter`, which has a bottleneck
beside it. LoRA and full tune the caption encoder (MiniLM) before fusion is fitted, on every third
Moment of the days that are trained on; once with a part of its weights at zero.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from tests.benchmarks.fusion.operators import (
    SETTINGS,
    Fold,
    folds,
    measured,
    parameters,
    scores_of,
    trained,
)
from tests.benchmarks.fusion.site import Site
from worker.core.events import Modality
from worker.models import registry
from worker.models.minilm import as_directory
from worker.models.settings import ModelSettings
from worker.models.trainable import open_trainable
from worker.training.settings import TuningSettings
from worker.training.tuning import Tuner

EPOCHS, EVERY = 1, 3  # of the caption encoder; Moments
SHORT = replace(SETTINGS, epochs=6)
TUNED = (Modality.CAPTION,)
WAYS = {
    "lora": TuningSettings("lora", TUNED),
    "full": TuningSettings("full", TUNED),
    "full, 30% pruned": TuningSettings("full", TUNED, pruned=0.3),
}
ENCODER = ModelSettings("cpu", "float32", "torch", batch_size=32, threads=1)


@dataclass(frozen=True, slots=True)
class Way:
    """What a way of tuning moves, of encoders and of fusion; CPU seconds; AUROCs as elsewhere."""

    name: str
    encoder_parameters: int
    fusion_parameters: int
    cpu_seconds: float
    auroc: tuple[float, ...]


def tune(site: Site, progress: Callable[[str], None]) -> list[Way]:
    """Return what each way costs and gives."""
    fold = next(folds(site, "days"))
    ways = []
    for name, operator in (("head only", "weighted"), ("adapter", "adapter")):
        progress(f"tuning: {name}")
        ways.append(_way(name, fold, operator, 0, time.process_time()))
    texts = [text for day in site.days for text in day.texts()]
    for name, wish in WAYS.items():
        progress(f"tuning: {name}")
        ways.append(_tuned(name, site, texts, wish))
    return ways


def _way(name: str, fold: Fold, operator: str, moved: int, began: float) -> Way:
    model = trained(fold, replace(SHORT, operator=operator))
    spent = time.process_time() - began
    auroc = tuple(measured(scores_of(model), fold.test))
    return Way(name, moved, parameters(model.fusion), spent, auroc)


def _tuned(name: str, site: Site, texts: Sequence[str], wish: TuningSettings) -> Way:
    fold = next(folds(site, "days"))
    learned = [text for text, day in zip(texts, site.day.tolist(), strict=True) if day != fold.seed]
    with TemporaryDirectory() as place:
        base, tuned = Path(place) / "base", Path(place) / "tuned"
        _write(base, as_directory())
        began = time.process_time()
        text = open_trainable(f"transformers:{base}", Modality.CAPTION, ENCODER)
        tuner = Tuner(text, Modality.CAPTION, fold.train, dict(list(enumerate(learned))[::EVERY]))
        done = tuner.tune(wish, EPOCHS, SHORT)
        spent = time.process_time() - began
        _write(tuned, done.files)
        vectors = _encoded(tuned, texts)
    data = replace(site.data, z={**site.data.z, Modality.CAPTION: vectors})
    again = next(folds(replace(site, data=data), "days"))
    return _way(name, again, "weighted", done.parameters, time.process_time() - spent)


def _encoded(directory: Path, texts: Sequence[str]) -> torch.Tensor:
    encoder = registry.build(f"transformers:{directory}", Modality.CAPTION, ENCODER)
    distinct = sorted(set(texts))
    rows = dict(zip(distinct, encoder.encode(distinct), strict=True))
    return torch.from_numpy(np.stack([rows[text] for text in texts]).astype(np.float32))


def _write(directory: Path, files: Mapping[str, bytes]) -> None:
    directory.mkdir()
    for name, data in files.items():
        (directory / name).write_bytes(data)
