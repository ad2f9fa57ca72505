"""Where encoders run: on a GPU where there is one."""

from __future__ import annotations

import ctypes
from pathlib import Path

from worker.errors import OperatorError

_AMD = Path("/dev/kfd")  # the device of ROCm


def resolve_device(device: str) -> str:
    """Return `cuda`, `cuda:N` or `cpu`; `auto` is CUDA where there is one. Raises OperatorError."""
    if device == "cpu":
        return "cpu"
    there = _cuda_devices() if _has_driver() else 0
    kind, _, number = device.partition(":")
    if int(number or 0) < there:
        return "cuda" if kind == "auto" else device
    if kind == "cuda":
        raise OperatorError(
            f"No CUDA device {number or 0} was found: set models.device, or that of an encoder, to"
            " auto or cpu."
        )
    return "cpu"


def _has_driver() -> bool:
    """Whether a GPU is possible at all: to ask torch takes seconds and hundreds of megabytes."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return _AMD.exists()
    return True


def _cuda_devices() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
