"""Low-rank updates of a network's layers, W + (alpha / r) B A, by PEFT.

Hu et al., LoRA (ICLR 2022). Layers are linear ones and convolutions that see all channels. Those
that a network reads the weights of, instead of calling them, cannot be updated: torch's own
attention, and layers with parametrised weights.
"""

from __future__ import annotations

import re
import warnings

import peft
from torch import nn
from transformers.pytorch_utils import Conv1D

from worker.errors import OperatorError

RANK = 8

# Exactly these types: subclasses do other things with their weights.
_LINEAR = frozenset({nn.Linear, Conv1D})
_CONVOLUTIONS = frozenset({nn.Conv1d, nn.Conv2d})


def with_updates(module: nn.Module) -> peft.LoraModel:
    """Put updates into the module, which alone are to be trained. Raises OperatorError.

    `merge_and_unload` of what is returned adds them to the weights and takes them out again.
    """
    targets = [name for name, layer in module.named_modules() if _is_updatable(layer)]
    if not targets:
        raise OperatorError("the network has no layer that LoRA can update: use --tuning full.")
    settings = peft.LoraConfig(
        r=RANK, lora_alpha=2 * RANK, target_modules="|".join(map(re.escape, targets))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft 0.21 reads what transformers 5 calls deprecated
        return peft.LoraModel(module, settings, "default")


def _is_updatable(layer: nn.Module) -> bool:
    if type(layer) in _LINEAR:
        return True
    if type(layer) in _CONVOLUTIONS and isinstance(layer, nn.Conv1d | nn.Conv2d):
        return layer.groups == 1 and set(layer.dilation) == {1}  # PEFT's own have no others
    return False
