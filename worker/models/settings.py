"""What an operator may say about how the encoders run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


class Unmeasured(Exception):  # noqa: N818 - a state, which its catcher changes
    """How a network runs best here is not known yet."""


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """`auto` and None mean: measured at start (see `worker.models.tuning`).

    `runtime` is one of `worker.models.runtimes.Plan`. `pooling` is for text models without a space
    that they share with another modality; there `auto` is the mean. `cache_directory` is where
    measured choices are kept; None is the user's cache directory. Where it `measures` not, a choice
    that was not made yet is an Unmeasured error instead of seconds of work.

    The dtype `int8` is for frames alone, which are then encoded by the network in `int8_network`,
    a file that `worker.models.int8` has made.
    """

    device: str = "auto"  # or `cpu`, `cuda`, `cuda:1`
    dtype: Literal["auto", "float32", "bfloat16", "float16", "int8"] = "auto"
    runtime: Literal["auto", "torch", "compiled", "graphs", "openvino", "int8"] = "auto"
    batch_size: int | None = None
    threads: int | None = None
    pooling: Literal["auto", "mean", "last", "first"] = "auto"
    allow_hub: bool = False
    cache_directory: Path | None = None
    measures: bool = True
    int8_network: Path | None = None
