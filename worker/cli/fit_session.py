"""A run of `mmworker fit`: what was asked for, and what it goes on with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from worker.config import Config
from worker.core.events import Modality
from worker.models.base import Encoder
from worker.training.processes import Processes
from worker.training.settings import TuningSettings


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller asked for; without `data` the topic is read."""

    data: Path | None
    output: Path
    labels: Path | None
    seconds: float | None
    fps: float | None
    tuning: TuningSettings
    resume: bool
    as_json: bool


@dataclass(frozen=True, slots=True)
class Run:
    """A run under way. `work` holds what `--resume` goes on with, until the bundle is written.

    It is one for all processes; what only one of them needs is in `own`.
    """

    config: Config
    wishes: Wishes
    work: Path
    own: Path
    encoders: Mapping[Modality, Encoder]
    model: str  # the digest that Observations name
    console: Console
    processes: Processes
