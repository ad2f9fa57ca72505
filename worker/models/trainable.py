"""Encoders' networks, open to training, by the names that the configuration has.

What comes out of training is a directory that loads like any other: `names.tuned` says how.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import safetensors.torch
import torch
from torch import nn

from worker.core.events import Modality
from worker.errors import OperatorError
from worker.models.names import TUNED_WEIGHTS, parse
from worker.models.network_encoders import Identity
from worker.models.plan import Array
from worker.models.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class Trainable:
    """`module` takes what `inputs` returns and gives (B, D); it is in evaluation mode.

    `inputs` takes frames, each uint8 (S, S, 3) with S = `input_size`, or texts, or a single clip,
    float32 (N,). `tensors` are the parameters and buffers themselves, whatever becomes of the
    modules around them, by the names that their family knows; `beside` are the other files of a
    directory.
    """

    identity: Identity
    module: nn.Module
    inputs: Callable[..., Any]  # arrays with a common leading axis
    tensors: Mapping[str, torch.Tensor]
    beside: Mapping[str, bytes] = field(default_factory=dict)
    input_size: int = 0

    def runs(self, modality: Modality, contents: Sequence[Any]) -> list[tuple[torch.Tensor, ...]]:
        """Return what the module is to be run on for these contents, in their order.

        Clips of different lengths are run one by one: padding would be heard.
        """
        if modality is not Modality.AUDIO:
            return [_tensors(self.inputs(contents))]
        singly = [_tensors(self.inputs(clip)) for clip in contents]
        if len({tuple(each.shape for each in one) for one in singly}) > 1:
            return singly
        return [tuple(map(torch.cat, zip(*singly, strict=True)))]

    def files(self) -> dict[str, bytes]:
        """Return the directory of the network as it is now."""
        state = {name: each.detach().clone().contiguous() for name, each in self.tensors.items()}
        return {**self.beside, TUNED_WEIGHTS: safetensors.torch.save(state)}


def open_trainable(text: str, modality: Modality, settings: ModelSettings) -> Trainable:
    """Return the network of an encoder. Raises OperatorError as `registry.build`, and for others.

    Others are those without a network, or with one that is not known here.
    """
    check_trainable(text, modality)
    name = parse(text)
    match name.family:
        case "torchvision":
            from worker.models.families.from_torchvision import open_frames

            return open_frames(name)
        case "torchaudio":
            from worker.models.families.from_torchaudio import open_clips

            return open_clips(name)
        case "efficientnet_lite0":
            from worker.models.families import from_efficientnet

            return from_efficientnet.open_frames(name)
    from worker.models.families.from_transformers import open_network

    return open_network(name, modality, settings)


def check_trainable(text: str, modality: Modality) -> None:
    """Raise OperatorError for an encoder whose network is not known here; nothing is loaded."""
    known = {
        "torchvision": (Modality.FRAME,),
        "efficientnet_lite0": (Modality.FRAME,),
        "torchaudio": (Modality.AUDIO,),
        "transformers": tuple(Modality),
    }
    if modality not in known.get(parse(text).family, ()):
        raise OperatorError(
            f"models.{modality} is {text}, which has no network that can be trained: leave"
            f" {modality} out of --tune."
        )


def _tensors(arrays: Sequence[Array]) -> tuple[torch.Tensor, ...]:
    return tuple(map(torch.from_numpy, arrays))
