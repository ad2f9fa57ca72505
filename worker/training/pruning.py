"""Magnitude pruning: the smallest weights become zero, and stay so while the others are trained.

Han et al., Learning both Weights and Connections for Efficient Neural Networks (NIPS 2015), over
all layers together. Products of dense matrices take no notice of zeros: nothing gets faster here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune
from transformers.pytorch_utils import Conv1D

_PRUNED = (nn.Linear, nn.Conv1d, nn.Conv2d, Conv1D)


@dataclass(frozen=True, slots=True)
class Pruned:
    """Weights (parameters) with their masks, which are 0 where a weight is to be zero."""

    weights: Sequence[tuple[nn.Parameter, torch.Tensor]]

    @classmethod
    def smallest(cls, module: nn.Module, share: float) -> Pruned:
        """Set a share in (0, 1) of the weights of linear and convolutional layers to zero."""
        layers = [(layer, "weight") for layer in module.modules() if _is_prunable(layer)]
        prune.global_unstructured(layers, prune.L1Unstructured, amount=share)
        masks = [layer.get_buffer("weight_mask") for layer, _ in layers]
        for layer, name in layers:
            prune.remove(layer, name)  # type: ignore[no-untyped-call]
        weights = [layer.get_parameter(name) for layer, name in layers]
        return cls(list(zip(weights, masks, strict=True)))

    def stay(self, optimizer: torch.optim.Optimizer) -> None:
        """Keep them at zero, whatever the optimizer does."""

        def again(*_: Any) -> None:
            with torch.no_grad():
                for weight, mask in self.weights:
                    weight.mul_(mask)

        optimizer.register_step_post_hook(again)


def _is_prunable(layer: nn.Module) -> bool:
    """Whether its weight is a parameter of its own: a parametrised one is computed anew."""
    return isinstance(layer, _PRUNED) and "weight" in dict(layer.named_parameters(recurse=False))
