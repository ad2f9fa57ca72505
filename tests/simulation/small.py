"""Smaller vectors and an earlier end of the warm-up: the protocol is the same, ten times faster.

These patches hold for the rest of the process, so tests simulate in processes of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from numpy.typing import NDArray

from worker import pipeline
from worker.scoring import conformal, memory
from worker.scoring.experts import Expert, base, grid, moved, nearest, panel, reading, vector

DIM = 8
FEW = ("visual_embedding", "camera_dark", "audio", "text", "fused")
Array = NDArray[Any]
_all_experts = panel.build_experts


def few_experts(text_dim: int, added: Sequence[str] = ()) -> dict[str, Expert]:
    """Return an expert of each kind: on a Gaussian, on the nearest neighbour, on one reading."""
    experts = _all_experts(text_dim, added)
    return {name: experts[name] for name in (*FEW, *added)}


SMALL: dict[str, object] = {
    "VISUAL_DIM": DIM,
    "FUSED_DIM": DIM,
    "ROWS": 3,
    "COLUMNS": 4,
    "WIDENED": 2,
    "MIN_LEARNED": 2,
    "MIN_STANDARD": 4,
    "build_experts": few_experts,
}


def shrink() -> None:
    """Make everything small, and quiet; once is enough, twice does no harm."""
    for module in (pipeline, memory, base, conformal, grid, moved, nearest, panel, reading, vector):
        for name in SMALL.keys() & vars(module).keys():
            setattr(module, name, SMALL[name])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    for name in ("windows", "resize_square", "thumbnail", "sharpness"):
        function = getattr(pipeline, name)
        if not isinstance(function, _Remembered):
            setattr(pipeline, name, _Remembered(function))


class _Remembered:
    """A pure function of an array. There are few different pictures and sounds."""

    def __init__(self, function: Callable[..., Array]) -> None:
        self._function = function
        self._known: dict[tuple[object, ...], Array] = {}

    def __call__(self, content: Array, *rest: int) -> Array:
        key = (content.tobytes(), content.shape, *rest)
        if key not in self._known:
            self._known[key] = self._function(content, *rest)
        return self._known[key]
