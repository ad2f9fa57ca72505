"""What a model is worth on what was held out: agreement, classes, and what each modality adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch.nn import functional

from worker.core.events import PAIRS
from worker.models.bundles.joint import Joint
from worker.models.bundles.settings import Calibration, PairCalibration
from worker.models.consistency.contrastive import duplicates
from worker.training.batches import generator, others
from worker.training.dataset import UNLABELLED, Dataset
from worker.training.losses import named

MIN_PAIRS = 8  # held out, below which nothing is told of them
MIN_DEVIATION = 0.05  # of logits; constant ones would make any other infinitely far
REPEATS = 8  # partners that are drawn for each pair that is none
BINS = 10
TEMPERATURES = np.geomspace(0.1, 10, 81)


@dataclass(frozen=True, slots=True)
class Reliability:
    """Of (told, came true) in bins of confidence; `error` is the mean gap (ECE)."""

    bins: tuple[tuple[float, float, int], ...]  # mean confidence, share that was right, how many
    error: float


@dataclass(frozen=True, slots=True)
class Measures:
    """All of it. `confusion` (C, C) has a row per true class; None without labels held out."""

    calibration: Calibration
    reliability: dict[str, Reliability]
    confusion: list[list[int]] | None


def measure(model: Joint, data: Dataset, seed: int) -> Measures:
    """Return what is true of the rows that are held out."""
    held = data.rows(data.held_out.nonzero().squeeze(1))
    usual: dict[str, PairCalibration] = {}
    reliability: dict[str, Reliability] = {}
    for pair in model.pairs:
        true, false = pair_logits(model, held, pair, seed)
        if len(true) < MIN_PAIRS:
            true, _ = pair_logits(model, data, pair, seed)
            false = false[:0]
        usual[pair] = _usual(true, false)
        if len(false):
            fair = false[: len(true)]  # as many as in training
            both = torch.cat([true, fair]).sigmoid().numpy()
            right = np.concatenate([np.ones(len(true)), np.zeros(len(fair))])
            reliability[pair] = reliable(both, right)
    temperature, confusion = 1.0, None
    logits, label = class_logits(model, held)
    if len(label):
        temperature = _temperature(logits, label)
        confusion = _confusion(logits, label, len(data.classes))
        reliability["classes"] = _confidence(logits / temperature, label)
    calibration = Calibration(temperature=temperature, agreement=usual)
    return Measures(calibration, reliability, confusion)


def pair_logits(
    model: Joint, data: Dataset, pair: str, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits of the true pairs, and of others drawn as in training."""
    model.eval()
    chosen = data.rows(model.both(pair, data.present).nonzero().squeeze(1))
    if not len(chosen):
        return torch.zeros(0), torch.zeros(0)
    with torch.no_grad():
        z = model.standardised(named(chosen), chosen.present)
        u, v = (z[name] for name in PAIRS[pair])
        judge = model.agreeing(pair)
        x, y = judge.common(u, v)
        true = judge.decide(x, y)
        same, rows = duplicates(v), torch.arange(len(chosen))
        false = []
        for repeat in range(REPEATS):
            partners = others(chosen, generator(seed, repeat))
            usable = ~same[rows, partners] & (partners != rows)
            false.append(judge.decide(x, y[partners])[usable])
    return true, torch.cat(false)


def class_logits(model: Joint, data: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits (n, C) and classes (n,) of the labelled rows."""
    model.eval()
    known = data.rows((data.label != UNLABELLED).nonzero().squeeze(1))
    if not len(known):
        return torch.zeros(0, len(data.classes)), known.label
    with torch.no_grad():
        z = model.standardised(named(known), known.present)
        return model.fusion(z, known.present).logits, known.label


def reliable(told: np.ndarray, true: np.ndarray) -> Reliability:
    """Return how often what was told with some confidence in [0, 1] came true.

    >>> reliable(np.array([0.9, 0.9]), np.array([1.0, 0.0])).error
    0.4
    """
    places = np.minimum((told * BINS).astype(int), BINS - 1)
    bins = []
    for place in range(BINS):
        inside = places == place
        if inside.any():
            confidence, right = float(told[inside].mean()), float(true[inside].mean())
            bins.append((confidence, right, int(inside.sum())))
    gap = sum(abs(confidence - right) * count for confidence, right, count in bins)
    return Reliability(tuple(bins), round(gap / max(1, len(told)), 6))


def _usual(true: torch.Tensor, false: torch.Tensor) -> PairCalibration:
    auroc = None
    if len(true) >= MIN_PAIRS and len(false):
        both = torch.cat([true, false]).numpy()
        auroc = float(roc_auc_score([1] * len(true) + [0] * len(false), both))
    deviation = float(true.std()) if len(true) > 1 else 1.0
    return PairCalibration(
        centre=float(true.mean()) if len(true) else 0.0,
        deviation=max(MIN_DEVIATION, deviation),
        pairs=len(true),
        auroc=auroc,
    )


def _temperature(logits: torch.Tensor, label: torch.Tensor) -> float:
    """Return what makes the classes' probabilities truest, of TEMPERATURES (Guo et al., 2017)."""
    losses = [float(functional.cross_entropy(logits / t, label)) for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def _confidence(logits: torch.Tensor, label: torch.Tensor) -> Reliability:
    told, guess = logits.softmax(1).max(1)
    return reliable(told.numpy(), (guess == label).double().numpy())


def _confusion(logits: torch.Tensor, label: torch.Tensor, classes: int) -> list[list[int]]:
    places = label * classes + logits.argmax(1)
    counts: list[list[int]] = (
        torch.bincount(places, minlength=classes**2).view(classes, classes).tolist()
    )
    return counts
