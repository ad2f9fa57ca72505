"""From bytes of pixels to what a vision network was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


def stacked(frames: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8]]:
    """Return frames, each (S, S, 3), as the one input (B, S, S, 3) of a network."""
    return (np.stack(frames),)


class Normalised(nn.Module):
    """uint8 RGB (B, S, S, 3) -> network((x / 255 - mean) / std), x as (B, 3, S, S)."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the features (B, D) in the dtype of the weights."""
        pixels = frames.permute(0, 3, 1, 2).to(self.mean.dtype)
        features: torch.Tensor = self.network((pixels / 255 - self.mean) / self.std)
        return features
