"""EfficientNet-Lite0: what a frame shows, as 1280 pooled features of an ImageNet classifier.

Architecture: Tan & Le, EfficientNet (ICML 2019), in the Lite variant of the TensorFlow TPU
models: no squeeze-and-excitation, ReLU6, a stem and a head of fixed width. The weights were
converted from TensorFlow, hence its `SAME` padding (more on the far side where the stride is 2),
its batch-norm epsilon of 1e-3 and its pixel scale (x - 127) / 128.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from worker.models import weights
from worker.models.tensors import torch_state
from worker.models.weights import PinnedFile

DIM = 1280
CLASSES = 1000


class _Stage(NamedTuple):
    """`repeats` blocks of one shape; only the first has the stride and changes the width."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    width: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def _batch_norm(width: int) -> nn.Module:
    return nn.BatchNorm2d(width, eps=1e-3)


def _same_padding(x: torch.Tensor, kernel: int, stride: int) -> torch.Tensor:
    """Pad as TensorFlow's SAME does for a height and width that the stride divides.

    With a stride of 1 the convolution itself pads.
    """
    if stride == 1:
        return x
    total = kernel - stride
    near = total // 2
    return functional.pad(x, (near, total - near, near, total - near))


def _convolution(inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> nn.Conv2d:
    """Return a convolution for an input that `_same_padding` has padded where it has a stride."""
    symmetric = kernel // 2 if stride == 1 else 0
    return nn.Conv2d(inputs, outputs, kernel, stride, symmetric, groups=groups, bias=False)


class _Block(nn.Module):
    """Inverted residual: expand 1 x 1, depthwise, project 1 x 1; names as in the weights file."""

    def __init__(self, inputs: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        wide = inputs * stage.expansion
        self._kernel, self._stride = stage.kernel, stride
        self._expands = stage.expansion > 1
        self._residual = stride == 1 and inputs == stage.width
        if self._expands:
            self._expand_conv = _convolution(inputs, wide, 1, 1)
            self._bn0 = _batch_norm(wide)
        self._depthwise_conv = _convolution(wide, wide, stage.kernel, stride, groups=wide)
        self._bn1 = _batch_norm(wide)
        self._project_conv = _convolution(wide, stage.width, 1, 1)
        self._bn2 = _batch_norm(stage.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, width, H / stride, W / stride)."""
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        y = _same_padding(y, self._kernel, self._stride)
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        result: torch.Tensor = x + y if self._residual else y
        return result


def _blocks() -> nn.ModuleList:
    blocks, width = nn.ModuleList(), 32
    for stage in _STAGES:
        for repeat in range(stage.repeats):
            blocks.append(_Block(width, stage, stage.stride if repeat == 0 else 1))
            width = stage.width
    return blocks


class EfficientNetLite0(nn.Module):
    """uint8 RGB (B, 224, 224, 3) -> float (B, 1280): the mean of the last feature map, >= 0."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _convolution(3, 32, 3, 2)
        self._bn0 = _batch_norm(32)
        self._blocks = _blocks()
        self._conv_head = _convolution(320, DIM, 1, 1)
        self._bn1 = _batch_norm(DIM)
        self._fc = nn.Linear(DIM, CLASSES)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the features in the dtype of the weights."""
        x = frames.permute(0, 3, 1, 2).to(self._conv_stem.weight.dtype)
        x = _same_padding((x - 127.0) / 128.0, 3, 2)
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = functional.relu6(self._bn1(self._conv_head(x)))
        features: torch.Tensor = x.mean((2, 3))
        return features

    def classify(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the ImageNet logits (B, 1000): proof that the features are the trained ones."""
        logits: torch.Tensor = self._fc(self(frames))
        return logits

    def folded(self) -> EfficientNetLite0:
        """Fold every batch norm into its convolution, in place; same output, fewer passes."""
        _fold(self, "_conv_stem", "_bn0")
        _fold(self, "_conv_head", "_bn1")
        for block in self._blocks:
            for convolution, norm in (
                ("_expand_conv", "_bn0"),
                ("_depthwise_conv", "_bn1"),
                ("_project_conv", "_bn2"),
            ):
                if hasattr(block, convolution):
                    _fold(block, convolution, norm)
        return self


def _fold(module: nn.Module, convolution: str, norm: str) -> None:
    fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
    setattr(module, convolution, fused)
    setattr(module, norm, nn.Identity())


def load(file: PinnedFile = weights.EFFICIENTNET_LITE0) -> EfficientNetLite0:
    """Return the network with its trained weights, in evaluation mode. Raises OperatorError."""
    network = EfficientNetLite0()
    network.load_state_dict(torch_state(weights.read_pinned(file)))
    return network.eval()
