"""Two stages of epochs, each ended early; a checkpoint from which a run goes on as if unbroken."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from worker.errors import FailedRunError
from worker.models.bundles.joint import Joint
from worker.training.balance import contributions
from worker.training.batches import batches, generator
from worker.training.checkpoint import Checkpoint, Standing
from worker.training.dataset import Dataset
from worker.training.losses import Terms, class_weights, first_stage, second_stage
from worker.training.modulation import modulate
from worker.training.processes import ALONE, Processes
from worker.training.settings import FitSettings
from worker.training.steps import Stepper, are_numbers

STAGES = (1, 2)
CHECKPOINT_SECONDS = 5.0
# Parts that share no parameters, each with the terms that say when it is at its best: one may be
# there long before the other.
PARTS = {"agreement": ("agreement",), "fusion": ("classes", "unimodal", "views")}
HELD_OUT_ROWS = 512  # that the loss of an epoch is measured on, evenly spread

Progress = Callable[[int], None]  # told the epochs that are done


@dataclass(slots=True)
class Training:
    """One run. `between` are the seconds between two checkpoints; 0 writes one each epoch.

    Of several processes each trains; the one that leads writes.
    """

    model: Joint
    data: Dataset
    settings: FitSettings
    checkpoint: Checkpoint
    progress: Progress = lambda _: None
    between: float = CHECKPOINT_SECONDS
    processes: Processes = ALONE
    _written: float = field(default_factory=time.monotonic)

    def run(self, standing: Standing | None = None) -> list[dict[str, Any]]:
        """Train, from `standing` on where there is one; return what was noted of each epoch.

        The model is then the best one on what is held out. Raises FailedRunError where a loss is
        no number any more.
        """
        standing = standing or self._beginning()
        self.model.load_state_dict(dict(standing.model))
        while standing.stage <= STAGES[-1]:
            self._stage(standing)
            self.model.load_state_dict(dict(standing.best))
            standing = self._next_stage(standing)
            self._write(standing)
        return standing.history

    def _stage(self, standing: Standing) -> None:
        optimizer = self._optimizer(standing.stage)
        if standing.optimizer is not None:
            optimizer.load_state_dict(dict(standing.optimizer))
        kept, held = self._split()
        weights = class_weights(kept)
        while standing.epoch < self.settings.epochs and standing.waited < self.settings.patience:
            trained = self._epoch(standing, kept, weights, optimizer)
            self._note(standing, trained, self._measured(standing.stage, held, weights), held)
            standing.epoch += 1
            self.progress((standing.stage - 1) * self.settings.epochs + standing.epoch)
            if time.monotonic() - self._written >= self.between:
                standing.model, standing.optimizer = _copy(self.model), optimizer.state_dict()
                self._write(standing)
                self._written = time.monotonic()

    def _write(self, standing: Standing) -> None:
        if self.processes.leads:
            self.checkpoint.write(standing)

    def _epoch(
        self,
        standing: Standing,
        kept: Dataset,
        weights: torch.Tensor,
        optimizer: torch.optim.Optimizer,
    ) -> dict[str, float]:
        """Return the mean of each term over the batches."""
        self.model.train()
        settings, at = self.settings, (self.settings.seed, standing.stage, standing.epoch)
        stepper = Stepper(optimizer, settings.accumulate, settings.precision, self.processes)
        noted: list[dict[str, float]] = []
        for number, places in enumerate(batches(kept, settings.batch_size, generator(*at))):

            def terms_of(part: torch.Tensor, place: int, number: int = number) -> Terms:
                draws = generator(*at, number, place)
                return self._terms(standing.stage, kept.rows(part), weights, draws)

            noted.append(self._checked(stepper.gradients(places, terms_of), standing))
            if settings.modulation:
                modulate(self.model, kept.rows(places), generator(*at, number))
            stepper.move()
        names = dict.fromkeys(name for each in noted for name in each)
        return {name: sum(each.get(name, 0.0) for each in noted) / len(noted) for name in names}

    def _terms(
        self, stage: int, batch: Dataset, weights: torch.Tensor, draws: torch.Generator
    ) -> Terms:
        if stage == STAGES[0]:
            return first_stage(self.model, batch, weights, draws)
        return second_stage(self.model, batch, weights, self.settings.dropout, draws)

    def _measured(self, stage: int, held: Dataset, weights: torch.Tensor) -> dict[str, float]:
        """Return the terms on what is held out; what is drawn is the same in each epoch."""
        self.model.eval()
        with torch.no_grad():
            terms = self._terms(stage, held, weights, generator(self.settings.seed))
        return {name: float(term) for name, term in terms.items()}

    def _checked(self, terms: dict[str, float], standing: Standing) -> dict[str, float]:
        if not are_numbers(terms):
            raise FailedRunError(
                f"the loss is no number any more in epoch {standing.epoch + 1} of stage"
                f" {standing.stage}: lower --learning-rate."
            )
        return terms

    def _note(
        self,
        standing: Standing,
        trained: dict[str, float],
        measured: dict[str, float],
        held: Dataset,
    ) -> None:
        standing.history.append(
            {
                "stage": standing.stage,
                "epoch": standing.epoch + 1,
                "trained": trained,
                "held_out": measured,
                "contributions": contributions(self.model, held),
            }
        )
        standing.waited += 1
        for part, terms in PARTS.items():
            loss = sum(measured[name] for name in terms if name in measured)
            if any(name in measured for name in terms) and loss < standing.best_loss[part]:
                state = _copy(self.model).items()
                standing.best |= {name: each for name, each in state if name.startswith(part)}
                standing.best_loss[part], standing.waited = loss, 0

    def _split(self) -> tuple[Dataset, Dataset]:
        """Return what is trained on, and an even choice of what is held out."""
        held = self.data.held_out.nonzero().squeeze(1)
        step = max(1, math.ceil(len(held) / HELD_OUT_ROWS))
        kept = self.data.rows((~self.data.held_out).nonzero().squeeze(1))
        return kept, self.data.rows(held[::step])

    def _optimizer(self, stage: int) -> torch.optim.Optimizer:
        settings = self.settings
        rate = settings.learning_rate / stage  # gentler where all move together
        return torch.optim.AdamW(
            self._learned(stage), lr=rate, weight_decay=settings.weight_decay, fused=True
        )

    def _learned(self, stage: int) -> Iterable[nn.Parameter]:
        """Return what a stage moves: in the first one nothing that joins the modalities."""
        if stage == STAGES[-1]:
            return self.model.parameters()
        fusion = self.model.fusion
        parts = (fusion.tokens, fusion.unimodal_heads, self.model.agreement)
        return [parameter for part in parts for parameter in part.parameters()]

    def _beginning(self) -> Standing:
        return self._standing(STAGES[0], [])

    def _next_stage(self, standing: Standing) -> Standing:
        return self._standing(standing.stage + 1, standing.history)

    def _standing(self, stage: int, history: list[dict[str, Any]]) -> Standing:
        """Return the beginning of a stage with the model as it is."""
        state, worst = _copy(self.model), dict.fromkeys(PARTS, math.inf)
        return Standing(stage, 0, state, None, dict(state), worst, 0, history)


def _copy(model: Joint) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
