"""Where encoders run: on a GPU where there is one."""

from __future__ import annotations

import ctypes
from pathlib import Path

from worker.errors import OperatorError

_AMD = Path("/dev/kfd")  # the device of ROCm


def resolve_device(device: str) -> str:
    """Return `cuda` or `cpu`; `auto` is CUDA where there is one. Raises OperatorError."""
    if device == "cpu":
        return "cpu"
    if _has_driver() and _torch_sees_one():
        return "cuda"
    if device == "cuda":
        raise OperatorError("No CUDA device was found: set models.device to auto or cpu.")
    return "cpu"


def _has_driver() -> bool:
    """Whether a GPU is possible at all: to ask torch takes seconds and hundreds of megabytes."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return _AMD.exists()
    return True


def _torch_sees_one() -> bool:
    import torch

    return torch.cuda.is_available()
