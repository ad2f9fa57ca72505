"""Each operator, the best single modality and the untrained sum, with all and with less of it.

A fold trains on some cameras and days and tests on others; a figure is the AUROC of "unusual", mean
over the sets of modalities of that size, then mean and standard deviation over the folds. Each
fold has a seed of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from tests.benchmarks.fusion.site import DAYS, Site
from tests.benchmarks.quality.scenes import SCENES
from worker.core.events import MODALITIES, Modality
from worker.models.bundles.joint import Joint
from worker.models.fusion import Fusion
from worker.models.fusion.model import OPERATORS
from worker.training.checkpoint import Checkpoint
from worker.training.dataset import Dataset
from worker.training.fit import fit
from worker.training.loop import Training
from worker.training.losses import named
from worker.training.model import make_model, run_key
from worker.training.settings import FitSettings

SETTINGS = FitSettings(dim=128, agreement_dim=64, epochs=20, patience=5)
MISSING = ("all present", "one missing", "two missing")
UNTRAINED, ALONE = "untrained weighted", "{} alone"

Scores = Callable[[Dataset, torch.Tensor], np.ndarray]  # rows, present (N, M) -> (N,)


@dataclass(frozen=True, slots=True)
class Fold:
    """What is learned from and what is tested on; they share no camera, or no day."""

    seed: int
    train: Dataset
    test: Dataset


@dataclass(frozen=True, slots=True)
class Result:
    """AUROCs of a method: a row per fold, in it a number by how many modalities are missing."""

    method: str
    parameters: int
    auroc: list[list[float]]

    @property
    def mean(self) -> list[float]:
        """Over the folds."""
        return [float(each) for each in np.mean(self.auroc, axis=0)]

    @property
    def spread(self) -> list[float]:
        """The standard deviation over the folds."""
        return [float(each) for each in np.std(self.auroc, axis=0, ddof=1)]


def folds(site: Site, split: str) -> Iterator[Fold]:
    """Yield three folds: `days` tests on a day of the same cameras, `cameras` on other cameras."""
    for number in range(DAYS):
        if split == "days":
            tested = site.day == number
        else:  # one camera of each half of the material
            tested = site.camera % (len(SCENES) // 2) == number
        yield Fold(
            number, *(site.data.rows(each.nonzero().squeeze(1)) for each in (~tested, tested))
        )


def compare(site: Site, split: str, progress: Callable[[str], None]) -> list[Result]:
    """Return the results of all methods on the same folds."""
    methods: Mapping[str, Callable[[Fold], tuple[Scores, int]]] = {
        UNTRAINED: untrained,
        **{ALONE.format(each): _Alone(each) for each in MODALITIES},
        **{operator: _Trained(operator) for operator in OPERATORS},
    }
    every = list(folds(site, split))
    results = []
    for name, method in methods.items():
        progress(f"{split}: {name}")
        learned = [(fold, *method(fold)) for fold in every]
        aurocs = [measured(scores, fold.test) for fold, scores, _ in learned]
        results.append(Result(name, learned[0][2], aurocs))
    return results


def trained(fold: Fold, settings: FitSettings) -> Joint:
    """Return what `fit` makes of a fold."""
    seeded = replace(settings, seed=fold.seed)
    with TemporaryDirectory() as place:
        checkpoint = Checkpoint(Path(place), run_key(fold.train, seeded))
        return fit(Training(make_model(fold.train, seeded), fold.train, seeded, checkpoint)).model


def scores_of(model: Joint) -> Scores:
    """Return the log odds of "unusual" that a model gives."""

    def scores(data: Dataset, present: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            logits = model.fusion(model.standardised(named(data), present), present).logits
        return np.asarray(logits[:, 1] - logits[:, 0])

    return scores


@dataclass(frozen=True, slots=True)
class _Trained:
    operator: str

    def __call__(self, fold: Fold) -> tuple[Scores, int]:
        model = trained(fold, replace(SETTINGS, operator=self.operator))
        return scores_of(model), parameters(model.fusion)


@dataclass(frozen=True, slots=True)
class _Alone:
    """A model of one modality, which says the same of all rows without it."""

    modality: Modality

    def __call__(self, fold: Fold) -> tuple[Scores, int]:
        model = trained(
            replace(fold, train=self._of(fold.train)), replace(SETTINGS, operator="weighted")
        )
        place, scores = list(fold.train.z).index(self.modality), scores_of(model)

        def alone(data: Dataset, present: torch.Tensor) -> np.ndarray:
            return scores(self._of(data), present[:, [place]])

        return alone, parameters(model.fusion)

    def _of(self, data: Dataset) -> Dataset:
        place = list(data.z).index(self.modality)
        return replace(
            data,
            features={self.modality: data.features[self.modality]},
            z={self.modality: data.z[self.modality]},
            present=data.present[:, [place]],
        )


def untrained(fold: Fold) -> tuple[Scores, int]:
    """Return a logistic regression on the vectors of the fusion that runs without a bundle."""
    fusion = Fusion(fold.train.dims, seed=0)

    def fused(data: Dataset, present: torch.Tensor) -> np.ndarray:
        z = {modality: rows.numpy() for modality, rows in data.z.items()}
        return fusion.forward(z, present.numpy())[0]

    rows = fused(fold.train, fold.train.present)
    judge = LogisticRegression(C=10.0, max_iter=2000, class_weight="balanced")
    judge.fit((rows - rows.mean(0)) / rows.std(), fold.train.label)
    return (
        lambda data, present: judge.decision_function(
            (fused(data, present) - rows.mean(0)) / rows.std()
        ),
        judge.coef_.size + 1,
    )


def parameters(module: torch.nn.Module) -> int:
    """Return how many numbers are learned."""
    return sum(each.numel() for each in module.parameters())


def measured(scores: Scores, test: Dataset) -> list[float]:
    """Return the mean AUROC over the subsets with none, one and two modalities missing."""
    found = []
    for missing in range(len(MODALITIES)):
        aurocs = []
        for left_out in combinations(range(len(MODALITIES)), missing):
            present = test.present.clone()
            present[:, list(left_out)] = False
            aurocs.append(roc_auc_score(test.label, scores(test, present)))
        found.append(float(np.mean(aurocs)))
    return found
