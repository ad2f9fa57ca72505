"""Tuning of the caption encoder: texts learn to be near to what was seen and heard with them.

    L = mean over m of InfoNCE(P_m e(text), Q_m z_m)

e is the encoder, pooled; z_m are the frozen, standardised inputs of frame and audio. `lora` adds
low-rank updates to all linear layers (Hu et al., LoRA, ICLR 2022) and merges them into the weights
at the end; `full` moves all weights. What comes out is a model directory like any other.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import peft
import safetensors.torch
import torch
from torch import nn

from worker.core.events import Modality
from worker.errors import FailedRunError
from worker.models.bundles.joint import Standardise
from worker.models.consistency.contrastive import Heads, info_nce
from worker.models.families.files import SETTLING
from worker.models.families.from_transformers import Text, open_text
from worker.models.families.loading import open_directory
from worker.models.families.towers import PooledText
from worker.models.settings import ModelSettings
from worker.training.batches import generator
from worker.training.dataset import Dataset
from worker.training.losses import Terms
from worker.training.pretraining import Reader
from worker.training.processes import ALONE, Processes
from worker.training.settings import FitSettings
from worker.training.steps import Stepper, are_numbers

Tuning = Literal["head", "lora", "full"]

RANK = 8  # of the updates
BATCH = 32  # texts
MAX_HELD_OUT = 128  # texts that an epoch is measured on, evenly spread
STAGE = 0  # before those of fusion; decides what is drawn
RATES: Mapping[Tuning, float] = {"lora": 5e-4, "full": 3e-5}
HEAD_RATE = 1e-3


@dataclass(frozen=True, slots=True)
class Tuned:
    """The files of the tuned model by name, how many numbers were moved, losses by epoch."""

    files: Mapping[str, bytes]
    parameters: int
    losses: tuple[float, ...]


class Tuner:
    """Trains the text model of a directory on texts (N), one for each Moment of a data set.

    A Moment without a caption has None. Raises OperatorError for a model that is none of text.
    """

    def __init__(
        self, directory: Path, data: Dataset, texts: Sequence[str | None], settings: ModelSettings
    ) -> None:
        self._directory = directory
        self._text: Text = open_text(open_directory(directory), settings)
        self._texts = texts
        self._data = data
        self._partners = {
            modality: _standard(data, place, modality)
            for place, modality in enumerate(data.z)
            if modality is not Modality.CAPTION
        }

    def pretrain(
        self, epochs: int, settings: FitSettings, processes: Processes = ALONE
    ) -> tuple[float, ...]:
        """Let the model read the distinct texts first; return the losses of `Reader.read`."""
        held = {self._texts[place] for place in self._places(held_out=True).tolist()}
        learned = {self._texts[place] for place in self._places(held_out=False).tolist()}
        texts, unseen = (sorted(filter(None, each)) for each in (learned, held - learned))
        return Reader(self._text, settings, processes).read(texts, unseen or texts, epochs)

    def tune(
        self,
        tuning: Tuning,
        epochs: int,
        settings: FitSettings,
        progress: Callable[[int], None] = lambda _: None,
        processes: Processes = ALONE,
    ) -> Tuned:
        """Return the best of so many epochs on what is held out; with `head` the model as it is.

        Raises FailedRunError where the loss is no number any more.
        """
        if tuning == "head":
            return Tuned(self._files(self._text.model), 0, ())
        torch.manual_seed(settings.seed)
        network = _prepared(self._text.model, tuning)
        module = PooledText(network, self._text.pool)
        heads = self._heads(module)
        learned = [each for each in module.parameters() if each.requires_grad]
        optimizer = torch.optim.AdamW(
            [
                {"params": learned, "lr": RATES[tuning]},
                {"params": heads.parameters(), "lr": HEAD_RATE},
            ]
        )
        stepper = Stepper(optimizer, settings.accumulate, settings.precision, processes)
        best, losses = _moved(module), [math.inf]
        for epoch in range(epochs):
            self._epoch(module, heads, stepper, generator(settings.seed, STAGE, epoch))
            loss = self._measured(module, heads)
            if loss < min(losses):
                best = _moved(module)
            losses.append(loss)
            progress(epoch + 1)
        module.load_state_dict(best, strict=False)
        merged = network.merge_and_unload() if tuning == "lora" else network
        return Tuned(self._files(merged), sum(map(torch.numel, learned)), tuple(losses[1:]))

    def _epoch(
        self,
        module: nn.Module,
        heads: nn.ModuleDict,
        stepper: Stepper,
        draws: torch.Generator,
    ) -> None:
        """Take a step for each batch; networks stay in evaluation mode: nothing else is drawn."""
        kept = self._places(held_out=False)
        order = kept[torch.randperm(len(kept), generator=draws)]

        def terms_of(places: torch.Tensor, _part: int) -> Terms:
            return {"contrastive": self._loss(module, heads, places)}

        for places in torch.split(order, BATCH):
            if not are_numbers(stepper.gradients(places, terms_of)):
                raise FailedRunError(
                    "the loss of the caption encoder is no number any more: use --tuning head."
                )
            stepper.move()

    def _measured(self, module: nn.Module, heads: nn.ModuleDict) -> float:
        held = self._places(held_out=True)
        step = max(1, math.ceil(len(held) / MAX_HELD_OUT))
        with torch.no_grad():
            return float(self._loss(module, heads, held[::step])) if len(held) else 0.0

    def _loss(self, module: nn.Module, heads: nn.ModuleDict, places: torch.Tensor) -> torch.Tensor:
        said = [self._texts[place] or "" for place in places.tolist()]
        ids, mask = self._text.tokenize(said)
        vectors = module(torch.from_numpy(ids), torch.from_numpy(mask))
        losses = []
        for place, modality in enumerate(self._data.z):
            if modality is Modality.CAPTION:
                continue
            there = self._data.present[places, place]
            partner = self._partners[modality][places][there]
            if len(partner) > 1:
                head = cast(Heads, heads[modality])
                x, y = head(vectors[there], partner)
                losses.append(info_nce(x, y, head.tau, partner))
        return torch.stack(losses).mean() if losses else vectors.sum() * 0

    def _places(self, *, held_out: bool) -> torch.Tensor:
        """Return the Moments with a caption on one side of the split."""
        told = torch.tensor([text is not None for text in self._texts])
        return (told & (self._data.held_out == held_out)).nonzero().squeeze(1)

    def _heads(self, module: nn.Module) -> nn.ModuleDict:
        ids, mask = self._text.tokenize(["a"])
        with torch.no_grad():
            size = module(torch.from_numpy(ids), torch.from_numpy(mask)).shape[1]
        dims = self._data.dims
        return nn.ModuleDict({name: Heads(size, dims[name]) for name in self._partners})

    def _files(self, model: Any) -> dict[str, bytes]:
        """Return the directory anew: the tuned tensors, and its small files as they are."""
        state = {name: each.detach().clone() for name, each in model.state_dict().items()}
        small = {
            path.name: path.read_bytes()
            for path in sorted(self._directory.iterdir())
            if path.suffix in SETTLING and not path.name.endswith(".index.json")
        }
        return {**small, "model.safetensors": safetensors.torch.save(state)}


def _standard(data: Dataset, place: int, modality: Modality) -> torch.Tensor:
    standard = Standardise(data.dims[modality])
    standard.fit(data.z[modality][data.present[:, place]])
    rows: torch.Tensor = standard(data.z[modality])
    return rows


def _prepared(model: Any, tuning: Tuning) -> Any:
    """Return the network with what is to be moved marked so, in evaluation mode."""
    if tuning == "lora":
        settings = peft.LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft 0.21 reads what transformers 5 calls deprecated
            return peft.get_peft_model(model, settings).eval()
    return model.requires_grad_(True).eval()


def _moved(module: nn.Module) -> dict[str, torch.Tensor]:
    return {
        name: each.detach().clone()
        for name, each in module.named_parameters()
        if each.requires_grad
    }
