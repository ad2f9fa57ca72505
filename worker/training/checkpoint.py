"""Where training stands, on disk, so that it can be taken up again after the process was killed."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from worker.errors import FailedRunError, OperatorError
from worker.models.bundles.storing import write_file

NAME = "checkpoint.pt"

State = Mapping[str, torch.Tensor]


@dataclass(slots=True)
class Standing:
    """What training knows after an epoch; `stage` and `epoch` are those that come next.

    `best` is the best state of the stage, part by part, and `best_loss` the loss of each part then.
    """

    stage: int
    epoch: int
    model: State
    optimizer: Mapping[str, Any] | None
    best: dict[str, torch.Tensor]
    best_loss: dict[str, float]
    waited: int
    history: list[dict[str, Any]]


class StateFile:
    """Tensors and plain values by name, on disk; `key` is what the run was begun with."""

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        self._key = key

    def write(self, fields: Mapping[str, Any]) -> None:
        """Replace the file. Raises FailedRunError where that cannot be done."""
        buffer = io.BytesIO()
        torch.save({"key": self._key, **fields}, buffer)
        try:
            write_file(self._path, buffer.getvalue())
        except OSError as error:
            raise FailedRunError(
                f"{self._path} cannot be written ({error.strerror}): make room and go on with"
                " --resume."
            ) from None

    def exists(self) -> bool:
        """Whether anything was written."""
        return self._path.exists()

    def read(self) -> dict[str, Any]:
        """Return what was written last. Raises OperatorError where it is of no use."""
        try:
            content = self._path.read_bytes()
        except OSError:
            raise OperatorError(
                f"there is nothing to go on with in {self._path.parent}: begin without --resume."
            ) from None
        try:  # tensors and plain values alone: nothing in the file can run
            fields: dict[str, Any] = torch.load(
                io.BytesIO(content), map_location="cpu", weights_only=True
            )
            key = fields.pop("key")
        except Exception:  # whatever torch makes of bytes that are no checkpoint
            raise OperatorError(f"{self._path} is no checkpoint: begin without --resume.") from None
        if key != self._key:
            raise OperatorError(
                f"{self._path} was begun with other data or settings: give those again, or begin"
                " without --resume."
            )
        return fields


class Checkpoint:
    """Where the training of fusion stands, in the directory of a run."""

    def __init__(self, directory: Path, key: str) -> None:
        self._file = StateFile(directory / NAME, key)

    def exists(self) -> bool:
        """Whether anything was written."""
        return self._file.exists()

    def write(self, standing: Standing) -> None:
        """Replace the file. Raises FailedRunError where that cannot be done."""
        self._file.write({name: getattr(standing, name) for name in Standing.__slots__})

    def read(self) -> Standing:
        """Return what was written last. Raises OperatorError where it is of no use."""
        return Standing(**self._file.read())
