"""Whether a caption belongs to a picture, on cameras that nothing was learned from.

Each camera is left out once. False pairs are of the same camera, at another time or on another day,
so the words for the place give nothing away. The heads are what `fit` makes, CCA is the closed form
on the same rows. For the intervals blocks of half a minute are drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from tests.benchmarks.fusion.operators import SETTINGS, Fold, trained
from tests.benchmarks.fusion.site import Site
from tests.benchmarks.quality.scenes import SCENES
from worker.core.events import PAIRS
from worker.evaluation.bootstrap import HIGH, LOW
from worker.models.bundles.joint import Joint
from worker.models.consistency.cca import Cca
from worker.models.consistency.contrastive import duplicates
from worker.training.batches import generator, others
from worker.training.dataset import UNLABELLED, Dataset

PAIR = "frame-caption"
BLOCK_SECONDS, RESAMPLES = 30, 500
REPEATS = 4  # false partners of each picture
HEAD, INFO_NCE, CCA = "agreement head", "InfoNCE heads", "CCA, closed form"

Array = np.ndarray
Score = Callable[[Array, Array], Array]  # pictures (n, D_u), captions (n, D_v) -> (n,)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Places of pictures and captions, whether they belong together, and their blocks; all (n,)."""

    picture: Array
    caption: Array
    true: Array
    block: Array


@dataclass(frozen=True, slots=True)
class Agreed:
    """The AUROC of a method over all cameras that were left out, with its 95% interval."""

    method: str
    auroc: float
    low: float
    high: float


def agree(site: Site, progress: Callable[[str], None]) -> list[Agreed]:
    """Return the AUROC of each method, and of what the head has more than CCA."""
    data = replace(site.data, label=torch.full((len(site),), UNLABELLED))
    ranks: dict[str, list[Array]] = {HEAD: [], INFO_NCE: [], CCA: []}
    true, block = [], []
    for camera, scene in enumerate(SCENES):
        progress(f"agreement without {scene.name}")
        left_out = site.camera == camera
        train = data.rows((~left_out).nonzero().squeeze(1))
        test = data.rows(left_out.nonzero().squeeze(1))
        pairs = pairs_of(test, camera)
        model = trained(Fold(camera, train, test), replace(SETTINGS, operator="weighted"))
        u, v = (test.z[name].numpy() for name in PAIRS[PAIR])
        for name, score in {**learned(model), CCA: closed_form(train)}.items():
            scores = score(u[pairs.picture], v[pairs.caption])
            ranks[name].append(scores.argsort().argsort() / len(scores))  # cameras are comparable
        true.append(pairs.true)
        block.append(pairs.block + 1_000_000 * camera)
    joined = {name: np.concatenate(each) for name, each in ranks.items()}
    return _table(joined, np.concatenate(true), np.concatenate(block))


def pairs_of(test: Dataset, seed: int) -> Pairs:
    """Return each picture with its caption, and with REPEATS captions of another time."""
    rows = torch.arange(len(test))
    same = duplicates(test.z[PAIRS[PAIR][1]])
    drawn = [others(test, generator(seed, repeat)) for repeat in range(REPEATS)]
    usable = [~same[rows, each] & (each != rows) for each in drawn]
    picture = torch.cat([rows, *(rows[each] for each in usable)]).numpy()
    caption = torch.cat([rows, *(each[good] for each, good in zip(drawn, usable, strict=True))])
    blocks = (test.time / BLOCK_SECONDS).floor().long() + 7919 * test.source
    true = (np.arange(len(picture)) < len(test)).astype(int)
    return Pairs(picture, caption.numpy(), true, blocks.numpy()[picture])


def learned(model: Joint) -> dict[str, Score]:
    """Return the decision of the agreement head, and the cosine of the InfoNCE heads below it."""
    judge = model.agreeing(PAIR)
    first, second = (model.standardise(name) for name in PAIRS[PAIR])

    def by(score: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Score:
        def scored(u: Array, v: Array) -> Array:
            with torch.no_grad():
                rows = score(first(torch.from_numpy(u)), second(torch.from_numpy(v)))
            return np.asarray(rows)

        return scored

    return {HEAD: by(judge), INFO_NCE: by(judge.heads.agreement)}


def closed_form(train: Dataset) -> Score:
    """Return the agreement by CCA on the rows that are not held out."""
    both = train.present.all(1) & ~train.held_out
    u, v = (train.z[name][both].numpy() for name in PAIRS[PAIR])
    return Cca.fit(u, v).agreement


def _table(ranks: dict[str, Array], true: Array, block: Array) -> list[Agreed]:
    random, numbers = np.random.default_rng(0), np.unique(block, return_inverse=True)[1]
    size = numbers.max() + 1
    drawn = [np.bincount(random.integers(0, size, size), minlength=size) for _ in range(RESAMPLES)]
    weights = [times[numbers] for times in drawn]
    aurocs = {
        name: np.array([roc_auc_score(true, rank, sample_weight=each) for each in weights])
        for name, rank in ranks.items()
    }
    whole = {name: float(roc_auc_score(true, rank)) for name, rank in ranks.items()}
    rows = [Agreed(name, whole[name], *_bounds(each)) for name, each in aurocs.items()]
    more = Agreed(
        f"{HEAD} less CCA", whole[HEAD] - whole[CCA], *_bounds(aurocs[HEAD] - aurocs[CCA])
    )
    return [*rows, more]


def _bounds(values: Array) -> tuple[float, float]:
    low, high = np.percentile(values, (LOW, HIGH))
    return float(low), float(high)
