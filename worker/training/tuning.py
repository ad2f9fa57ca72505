"""Tuning of one encoder: what it makes of a Moment comes near to what the others made of it.

    L = mean over n of InfoNCE(P_n e(x), Q_n z_n) + CE(C e(x), label)

e is the encoder, its vectors brought to length sqrt(D); z_n are the standardised vectors of the
other modalities, as they were before any tuning; CE is over the labelled Moments, where there are
any. `lora` moves low-rank updates, which are added to the weights in the end, `full` all weights.

Networks stay in evaluation mode: without dropout, and with the batch statistics they were trained
with, so that nothing else is drawn and a vector does not depend on its batch. A batch of pictures
or clips is run in chunks, each once more on the way back (Chen et al., Training Deep Nets with
Sublinear Memory Cost, 2016): memory is that of one chunk, the gradient that of the whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from worker.core.events import Modality
from worker.errors import FailedRunError
from worker.models.bundles.joint import Standardise
from worker.models.consistency.contrastive import Heads, info_nce
from worker.models.trainable import Trainable
from worker.training.batches import generator
from worker.training.checkpoint import StateFile
from worker.training.dataset import Dataset
from worker.training.losses import Terms, class_weights, cross_entropy, total
from worker.training.low_rank import with_updates
from worker.training.processes import ALONE, Processes
from worker.training.pruning import Pruned
from worker.training.settings import FitSettings, Tuning, TuningSettings
from worker.training.steps import Stepper, are_numbers

BATCH = 32  # Moments
CHUNK: Mapping[Modality, int] = {Modality.FRAME: 4, Modality.CAPTION: 32, Modality.AUDIO: 4}
MAX_HELD_OUT = 128  # Moments that an epoch is measured on, evenly spread
STAGE = 0  # before those of fusion; decides what is drawn
RATES: Mapping[Tuning, float] = {"lora": 5e-4, "full": 3e-5}
HEAD_RATE = 1e-3

Contents = Mapping[int, Any]  # what is encoded of a Moment, by its place in the data set
State = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Tuned:
    """The files of the tuned encoder by name, and how it was tuned.

    `parameters` are how many numbers were moved, `zeros` the share that was pruned, `losses` those
    on what is held out, by epoch.
    """

    files: Mapping[str, bytes]
    way: Tuning
    parameters: int
    zeros: float
    losses: tuple[float, ...]


class Tuner:
    """Trains the encoder of one modality, in place, on some of the Moments of a data set."""

    def __init__(
        self, trainable: Trainable, modality: Modality, data: Dataset, contents: Contents
    ) -> None:
        self._trainable = trainable
        self._modality = modality
        self._data = data
        self._contents = contents
        self._class_weights = class_weights(data.rows((~data.held_out).nonzero().squeeze(1)))
        self._partners = {
            other: _standard(data, place, other)
            for place, other in enumerate(data.z)
            if other is not modality
        }

    def tune(
        self,
        wish: TuningSettings,
        epochs: int,
        settings: FitSettings,
        progress: Callable[[int], None] = lambda _: None,
        processes: Processes = ALONE,
        kept: StateFile | None = None,
    ) -> Tuned:
        """Return the best of so many epochs on what is held out; it ends early as stages do.

        Where it stands is `kept` after each epoch, and gone on with. Raises FailedRunError where
        the loss is no number any more, and OperatorError for a network without layers for updates.
        """
        torch.manual_seed(settings.seed)
        module, heads = self._trainable.module.requires_grad_(True), self._heads()
        zeros = Pruned.smallest(module, wish.pruned) if wish.pruned else None
        updates = with_updates(module) if wish.way == "lora" else None
        learned = {name: each for name, each in module.named_parameters() if each.requires_grad}
        groups = ((learned.values(), RATES[wish.way]), (heads.parameters(), HEAD_RATE))
        optimizer = torch.optim.AdamW([{"params": list(each), "lr": rate} for each, rate in groups])
        if zeros is not None:
            zeros.stay(optimizer)
        stepper = Stepper(optimizer, settings.accumulate, settings.precision, processes)
        run = _Run(learned, heads, optimizer, kept if processes.leads else None)
        if kept is not None and kept.exists():
            run.go_on(kept)
            processes.wait()  # nobody may write it anew before all have read it
        while run.epoch < epochs and run.waited < settings.patience:
            self._epoch(heads, stepper, generator(settings.seed, STAGE, run.epoch))
            run.note(self._measured(heads))
            progress(run.epoch)
        run.restore()
        if updates is not None:
            updates.merge_and_unload()
        moved = sum(each.numel() for each in learned.values())
        return Tuned(self._trainable.files(), wish.way, moved, wish.pruned, tuple(run.losses))

    def _epoch(self, heads: nn.ModuleDict, stepper: Stepper, draws: torch.Generator) -> None:
        """Take a step for each batch."""
        kept = self._places(held_out=False)

        def terms_of(places: torch.Tensor, _part: int) -> Terms:
            return self._terms(heads, places)

        for places in torch.split(kept[torch.randperm(len(kept), generator=draws)], BATCH):
            if not are_numbers(stepper.gradients(places, terms_of)):
                raise FailedRunError(
                    f"the loss of the {self._modality} encoder is no number any more: leave it out"
                    " of --tune."
                )
            stepper.move()

    def _measured(self, heads: nn.ModuleDict) -> float:
        held = self._places(held_out=True)
        step = max(1, math.ceil(len(held) / MAX_HELD_OUT))
        with torch.no_grad():
            return float(total(self._terms(heads, held[::step]))) if len(held) else 0.0

    def _terms(self, heads: nn.ModuleDict, places: torch.Tensor) -> Terms:
        """Return the terms of some Moments; 0 where there is nothing to learn from."""
        vectors = self._vectors(places)
        losses = [vectors.sum() * 0]
        for place, other in enumerate(self._data.z):
            there = self._data.present[places, place]
            if other is self._modality or there.sum() < 2:
                continue
            partner, head = self._partners[other][places][there], cast(Heads, heads[other])
            x, y = head(vectors[there], partner)
            losses.append(info_nce(x, y, head.tau, partner))
        terms = {"contrastive": torch.stack(losses).sum() / max(1, len(losses) - 1)}
        if self._data.has_labels:
            label = self._data.label[places]
            terms["unimodal"] = cross_entropy(heads["classes"](vectors), label, self._class_weights)
        return terms

    def _vectors(self, places: torch.Tensor) -> torch.Tensor:
        """Return the vectors (B, D) of some Moments, each of length sqrt(D)."""
        chunks = torch.split(places, CHUNK[self._modality])
        run = self._trainable.module if len(chunks) == 1 else self._twice
        vectors = torch.cat([self._encoded(chunk.tolist(), run) for chunk in chunks])
        return functional.normalize(vectors) * math.sqrt(vectors.shape[1])

    def _twice(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Run the network; what is needed on the way back is computed then."""
        module = self._trainable.module
        return cast(
            torch.Tensor,
            checkpoint(module, *inputs, use_reentrant=False, preserve_rng_state=False),
        )

    def _encoded(self, places: Sequence[int], run: Callable[..., torch.Tensor]) -> torch.Tensor:
        contents: list[Any] = [self._contents[place] for place in places]
        if self._modality is Modality.CAPTION:
            contents = [str(text) for text in contents]
        return torch.cat(
            [run(*inputs) for inputs in self._trainable.runs(self._modality, contents)]
        )

    def _places(self, *, held_out: bool) -> torch.Tensor:
        """Return the Moments with a content on one side of the split."""
        there = torch.tensor(sorted(self._contents), dtype=torch.int64)
        return there[self._data.held_out[there] == held_out]

    def _heads(self) -> nn.ModuleDict:
        with torch.no_grad():
            size = self._encoded([next(iter(self._contents))], self._trainable.module).shape[1]
        heads: dict[str, nn.Module] = {
            other: Heads(size, self._data.dims[other]) for other in self._partners
        }
        if self._data.has_labels:
            heads["classes"] = nn.Linear(size, len(self._data.classes))
        return nn.ModuleDict(heads)


class _Run:
    """Where tuning stands: the best weights on what is held out, and since when."""

    def __init__(
        self,
        learned: Mapping[str, nn.Parameter],
        heads: nn.ModuleDict,
        optimizer: torch.optim.Optimizer,
        kept: StateFile | None,
    ) -> None:
        self._learned, self._heads, self._optimizer = learned, heads, optimizer
        self._kept = kept
        self._best = _copy(learned)
        self.losses: list[float] = []

    @property
    def epoch(self) -> int:
        """The epochs that are done."""
        return len(self.losses)

    @property
    def waited(self) -> int:
        """The epochs since the best one."""
        return self.epoch - 1 - self.losses.index(min(self.losses)) if self.losses else 0

    def note(self, loss: float) -> None:
        """Take notice of an epoch, and keep all on disk."""
        self.losses.append(loss)
        if not self.waited:
            self._best = _copy(self._learned)
        if self._kept is not None:
            self._kept.write(
                {
                    "moved": _copy(self._learned),
                    "heads": self._heads.state_dict(),
                    "optimizer": self._optimizer.state_dict(),
                    "best": self._best,
                    "losses": self.losses,
                }
            )

    def go_on(self, kept: StateFile) -> None:
        """Be where a run was that was ended. Raises OperatorError."""
        fields = kept.read()
        _load(self._learned, fields["moved"])
        self._heads.load_state_dict(fields["heads"])
        self._optimizer.load_state_dict(fields["optimizer"])
        self._best, self.losses = fields["best"], list(fields["losses"])

    def restore(self) -> None:
        """Take the best weights back."""
        _load(self._learned, self._best)


def _copy(learned: Mapping[str, nn.Parameter]) -> State:
    return {name: each.detach().clone() for name, each in learned.items()}


def _load(learned: Mapping[str, nn.Parameter], state: Mapping[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, each in learned.items():
            each.copy_(state[name])


def _standard(data: Dataset, place: int, modality: Modality) -> torch.Tensor:
    """Return the vectors (N, D) of a modality at mean 0 and scale 1."""
    standard = Standardise(data.dims[modality])
    standard.fit(data.z[modality][data.present[:, place]])
    rows: torch.Tensor = standard(data.z[modality])
    return rows
