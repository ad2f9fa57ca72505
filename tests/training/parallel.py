"""One of several that train together: python -m tests.training.parallel DIRECTORY."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

from tests.training.builders import SMALL, labels, rows, training
from worker.training.dataset import assemble
from worker.training.processes import together


def train_together(directory: Path) -> None:
    """Train as the environment says, and keep the model by the rank of this process."""
    with together() as processes:
        found = rows(24)
        data, settings = assemble(found, labels(found)), replace(SMALL, epochs=2)
        run = training(directory / str(processes.rank), data, settings)
        run.processes = processes
        run.run()
        torch.save(run.model.state_dict(), directory / f"{processes.rank}.pt")


if __name__ == "__main__":
    train_together(Path(sys.argv[1]))
