"""What is made small: terms that need no labels, and those that labels add.

    stage 1    L = InfoNCE + BCE + sum_m CE_m
    stage 2    L = CE + 0.3 sum_m CE_m + 0.1 (InfoNCE + BCE + V)

InfoNCE and BCE are those of `worker.models.consistency.contrastive`, the mean over the pairs, for
each over the rows that have both. V is the InfoNCE of the fused vector of a Moment with that of the
same Moment after some of its modalities were left out: without labels it is what fusion learns
from. CE is over the rows with a label, each class with the same weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.nn import functional

from worker.core.events import PAIRS
from worker.models.bundles.joint import Joint
from worker.models.consistency.contrastive import agreement_loss, info_nce
from worker.training.batches import dropped, others
from worker.training.dataset import UNLABELLED, Dataset

Terms = dict[str, torch.Tensor]  # scalars by name
TERMS = ("contrastive", "agreement", "views", "classes", "unimodal", "language")
PairLoss = Callable[[str, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]

UNIMODAL, CONTRASTIVE = 0.3, 0.1
VIEW_TAU = torch.tensor(10.0)
MAX_CLASS_WEIGHT = 10.0


def first_stage(
    model: Joint, batch: Dataset, weights: torch.Tensor, draws: torch.Generator
) -> Terms:
    """Return the terms of the first stage: each modality, and each pair, by itself."""
    z = model.standardised(named(batch), batch.present)
    terms = {
        "contrastive": _over_pairs(model, z, batch, _Contrast(model)),
        "agreement": _over_pairs(model, z, batch, _Agree(model, batch, draws)),
    }
    if batch.has_labels:
        tokens = model.fusion.tokens_of(z, batch.present)
        logits = model.fusion.alone(tokens, batch.present)
        terms["unimodal"] = _unimodal(logits, batch, weights)
    return terms


def second_stage(
    model: Joint,
    batch: Dataset,
    weights: torch.Tensor,
    dropout: float,
    draws: torch.Generator,
) -> Terms:
    """Return the weighted terms of the second stage, with modalities left out by `dropout`."""
    z = model.standardised(named(batch), batch.present)
    fusion, present = model.fusion, batch.present
    tokens = fusion.tokens_of(z, present)
    both = torch.cat([present, dropped(present, dropout, draws)])
    whole, part = fusion.join(tokens.repeat(2, 1, 1), both)[0].chunk(2)  # one pass for both
    terms = {
        "contrastive": CONTRASTIVE * _over_pairs(model, z, batch, _Contrast(model)),
        "agreement": CONTRASTIVE * _over_pairs(model, z, batch, _Agree(model, batch, draws)),
        "views": CONTRASTIVE * _views(whole, part, z),
    }
    if batch.has_labels:
        terms["classes"] = cross_entropy(fusion.head(part), batch.label, weights)
        terms["unimodal"] = UNIMODAL * _unimodal(fusion.alone(tokens, present), batch, weights)
    return terms


def named(batch: Dataset) -> dict[str, torch.Tensor]:
    """Return the inputs by the names that modules have for the modalities."""
    return {str(modality): rows for modality, rows in batch.z.items()}


def class_weights(data: Dataset) -> torch.Tensor:
    """Return (C,): in inverse proportion to how often each class is there."""
    known = data.label[data.label != UNLABELLED]
    counts = torch.bincount(known, minlength=len(data.classes)).clamp_min(1)
    return (counts.max() / counts).clamp_max(MAX_CLASS_WEIGHT)


def total(terms: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the sum of the terms."""
    return torch.stack(list(terms.values())).sum()


@dataclass(frozen=True, slots=True)
class _Contrast:
    """InfoNCE of a pair."""

    model: Joint

    def __call__(
        self, pair: str, u: torch.Tensor, v: torch.Tensor, _places: torch.Tensor
    ) -> torch.Tensor:
        heads = self.model.agreeing(pair).heads
        x, y = heads(u, v)
        return info_nce(x, y, heads.tau, v)


@dataclass(frozen=True, slots=True)
class _Agree:
    """Binary cross-entropy of a pair; the partners of pairs that are none are drawn anew."""

    model: Joint
    batch: Dataset
    draws: torch.Generator

    def __call__(
        self, pair: str, u: torch.Tensor, v: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        negatives = others(self.batch.rows(places), self.draws)
        judge = self.model.agreeing(pair)
        x, y = judge.common(u, v)
        return agreement_loss(judge.decide, x, y, negatives, v)


def _over_pairs(
    model: Joint, z: Mapping[str, torch.Tensor], batch: Dataset, loss: PairLoss
) -> torch.Tensor:
    """Return the mean of a loss over the pairs of which at least two rows have both."""
    found = [batch.time.new_zeros((), dtype=torch.float32)]
    for pair in model.pairs:
        places = model.both(pair, batch.present).nonzero().squeeze(1)
        if len(places) >= 2:
            first, second = PAIRS[pair]
            found.append(loss(pair, z[first][places], z[second][places], places))
    return torch.stack(found).sum() / max(1, len(found) - 1)


def _views(whole: torch.Tensor, part: torch.Tensor, z: Mapping[str, torch.Tensor]) -> torch.Tensor:
    x, y = functional.normalize(whole), functional.normalize(part)
    return info_nce(x, y, VIEW_TAU, torch.cat(list(z.values()), 1))


def _unimodal(logits: torch.Tensor, batch: Dataset, weights: torch.Tensor) -> torch.Tensor:
    """Return the sum over modalities of the cross-entropy of logits (B, M, C)."""
    losses = [
        cross_entropy(
            logits[:, place],
            torch.where(batch.present[:, place], batch.label, UNLABELLED),
            weights,
        )
        for place in range(logits.shape[1])
    ]
    return torch.stack(losses).sum()


def cross_entropy(logits: torch.Tensor, label: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean of logits (B, C) over the labelled rows; 0 where there are none."""
    if not (label != UNLABELLED).any():
        return logits.sum() * 0
    return functional.cross_entropy(logits, label, weights, ignore_index=UNLABELLED)
