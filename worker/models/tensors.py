"""Tensors from the bytes of weight files; apart from `weights`, so that torch stays out of it."""

from __future__ import annotations

import io
from collections.abc import Mapping

import safetensors.torch
import torch

State = Mapping[str, torch.Tensor]


def torch_state(content: bytes) -> State:
    """Return the tensors of a .pth file; anything but tensors in it is refused."""
    state: State = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state


def safetensors_state(content: bytes) -> State:
    """Return the tensors of a .safetensors file."""
    return safetensors.torch.load(content)
