"""Stage 0: the caption encoder reads the captions of a site, by maximum likelihood.

    masked    L = -mean over hidden t of log p(x_t | all that is not hidden)     BERT and its like
    causal    L = -mean over t of log p(x_t | x_1 .. x_(t-1))                    GPT-2 and its like

Of a text 15% of the tokens are hidden: most by a mask, a tenth each by a random token and not at
all (Devlin et al., BERT, NAACL 2019). The language head is that of transformers, tied to the
encoder's own embeddings, and is not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    DataCollatorForLanguageModeling,
)

from worker.errors import FailedRunError, OperatorError
from worker.models.families.files import small_files
from worker.models.families.from_transformers import Text, open_text
from worker.models.families.loading import open_directory
from worker.models.names import TUNED_WEIGHTS
from worker.models.settings import ModelSettings
from worker.training.batches import generator
from worker.training.losses import Terms
from worker.training.processes import ALONE, Processes
from worker.training.settings import FitSettings
from worker.training.steps import Stepper, are_numbers

BATCH = 32  # texts
RATE = 5e-5
HIDDEN = 0.15  # share of tokens
PHASE = 1000  # in the draws, apart from the stages

Encoded = Sequence[Any]  # a text's tokens, as its tokenizer gives them


def read_captions(
    directory: Path,
    texts: Mapping[int, str],
    held_out: torch.Tensor,
    epochs: int,
    settings: FitSettings,
    models: ModelSettings,
    processes: Processes = ALONE,
) -> tuple[dict[str, bytes], tuple[float, ...]]:
    """Let the text model of a directory read texts; return its files anew, and the losses.

    `texts` are by their place in `held_out` (N,). Raises OperatorError for a model of another kind,
    else as `Reader.read`.
    """
    text = open_text(open_directory(directory), models)
    held = {each for place, each in texts.items() if held_out[place]}
    learned = {each for place, each in texts.items() if not held_out[place]}
    unseen = sorted(held - learned) or sorted(learned)
    losses = Reader(text, settings, processes).read(sorted(learned), unseen, epochs)
    weights = safetensors.torch.save(_copy(text.model))
    return {**small_files(directory), TUNED_WEIGHTS: weights}, losses


class Reader:
    """Trains the model of `text` in place. Raises OperatorError where no language head fits it."""

    def __init__(self, text: Text, settings: FitSettings, processes: Processes = ALONE) -> None:
        torch.manual_seed(settings.seed)
        self._text, self._settings, self._processes = text, settings, processes
        self._network, self._is_masked = _with_head(text)
        self._network.requires_grad_(True).eval()  # without dropout: nothing else is drawn

    def read(self, texts: Sequence[str], held_out: Sequence[str], epochs: int) -> tuple[float, ...]:
        """Return the loss on `held_out` (nats per token) before and after each epoch.

        The weights are then those that were best there. Raises FailedRunError where a loss is no
        number any more.
        """
        learned, held = (list(map(self._encode, each)) for each in (texts, held_out))
        optimizer = torch.optim.AdamW(self._network.parameters(), lr=RATE, fused=True)
        settings = self._settings
        stepper = Stepper(optimizer, settings.accumulate, settings.precision, self._processes)
        losses, best = [self._measured(held)], _copy(self._text.model)
        for epoch in range(epochs):
            self._epoch(learned, stepper, epoch)
            losses.append(self._measured(held))
            if losses[-1] == min(losses):
                best = _copy(self._text.model)
        self._text.model.load_state_dict(best)
        return tuple(losses)

    def _epoch(self, learned: Encoded, stepper: Stepper, epoch: int) -> None:
        at = (self._settings.seed, PHASE, epoch)
        order = torch.randperm(len(learned), generator=generator(*at))
        for number, places in enumerate(torch.split(order, BATCH)):

            def terms_of(part: torch.Tensor, place: int, number: int = number) -> Terms:
                chosen = [learned[each] for each in part.tolist()]
                return {"language": self._loss(chosen, generator(*at, number, place))}

            if not are_numbers(stepper.gradients(places, terms_of)):
                raise FailedRunError(
                    "the loss of the language model is no number any more: use --pretrain 0."
                )
            stepper.move()

    def _measured(self, held: Encoded) -> float:
        """Return the mean loss; the same tokens are hidden each time."""
        parts = [held[at : at + BATCH] for at in range(0, len(held), BATCH)]
        with torch.no_grad():
            losses = [float(self._loss(each, generator(PHASE))) * len(each) for each in parts]
        return sum(losses) / max(1, len(held))

    def _loss(self, encoded: Encoded, draws: torch.Generator) -> torch.Tensor:
        seed = int(torch.randint(2**31, (), generator=draws))
        hide = DataCollatorForLanguageModeling(
            self._text.tokenizer,
            mlm=self._is_masked,
            mlm_probability=HIDDEN if self._is_masked else None,
            seed=seed,
        )
        loss: torch.Tensor = self._network(**hide(list(encoded))).loss
        return loss

    def _encode(self, text: str) -> Any:
        return self._text.tokenizer(text, truncation=True, max_length=self._text.length)


def _with_head(text: Text) -> tuple[Any, bool]:
    """Return the model with a language head on it, and whether that one is for hidden tokens."""
    kind = type(text.model.config)
    is_masked = kind in MODEL_FOR_MASKED_LM_MAPPING and text.tokenizer.mask_token is not None
    heads = MODEL_FOR_MASKED_LM_MAPPING if is_masked else MODEL_FOR_CAUSAL_LM_MAPPING
    if kind not in heads:
        raise OperatorError(
            f"there is no language head for models of type {text.model.config.model_type}: use"
            " --pretrain 0."
        )
    network = heads[kind](text.model.config)
    setattr(network, network.base_model_prefix, text.model)
    network.tie_weights()
    return network, is_masked


def _copy(model: Any) -> dict[str, torch.Tensor]:
    return {name: each.detach().clone() for name, each in model.state_dict().items()}
