"""Weights on disk: safetensors only, read once, so that what was hashed is what is loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import nn

from worker.errors import OperatorError
from worker.models.tensors import State, safetensors_state
from worker.models.weights import joint_digest

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_SETTLING = (".json", ".txt", ".model")  # files beside the weights that decide what a vector is
_MAX_NAMED = 3  # tensors that a sentence names


@dataclass(frozen=True, slots=True)
class Weights:
    """Tensors by name, and the SHA-256 (hex) over all that decides what comes out of them."""

    state: State
    digest: str


def weights_of_file(path: Path) -> Weights:
    """Read one .safetensors file. Raises OperatorError."""
    if path.suffix != ".safetensors":
        raise OperatorError(
            f"{path}: weights are loaded from .safetensors files only; convert them"
            " (safetensors.torch.save_file)."
        )
    content = _read(path)
    return Weights(_state(path, content), hashlib.sha256(content).hexdigest())


def weights_of_directory(directory: Path) -> Weights:
    """Read the shards of a model directory and hash them with its small files.

    Raises OperatorError: no such directory, pickles only, a missing or broken shard.
    """
    if not directory.is_dir():
        raise OperatorError(f"{directory} is not a directory: name the one that holds the model.")
    state: dict[str, Any] = {}
    hashes: dict[str, str] = {}
    for name in _shards(directory):
        shard = weights_of_file(directory / name)
        state |= shard.state
        hashes[name] = shard.digest
    for path in directory.iterdir():
        if path.suffix in _SETTLING and path.is_file():
            hashes[path.name] = hashlib.sha256(_read(path)).hexdigest()
    return Weights(state, joint_digest(*(f"{name} {hashes[name]}" for name in sorted(hashes))))


def small_files(directory: Path) -> dict[str, bytes]:
    """Return the files of a model directory, by name, that decide with its weights what comes out.

    An index of shards is none of them.
    """
    return {
        path.name: _read(path)
        for path in sorted(directory.iterdir())
        if path.suffix in _SETTLING and path.is_file() and path.name != _INDEX
    }


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; an empty one where there is no file."""
    if not path.exists():
        return {}
    try:
        content = json.loads(_read(path))
    except ValueError as error:
        raise OperatorError(f"{path} must be JSON: {error}.") from None
    if not isinstance(content, dict):
        raise OperatorError(f"{path} must hold a JSON object.")
    return content


def load_into(module: nn.Module, weights: Weights, where: str, unused: Iterable[str] = ()) -> None:
    """Load all tensors of a module; those of the modules called `unused` may be left over.

    Raises OperatorError where a tensor is missing, of another shape, or belongs to nothing.
    """
    own = module.state_dict()
    refuse_missing(own.keys() - weights.state.keys(), where)
    skipped = tuple(f"{name}." for name in unused)
    left = {name for name in weights.state.keys() - own.keys() if not name.startswith(skipped)}
    refuse(left, where, "have tensors that belong to another model")
    wrong = {name for name in own if own[name].shape != weights.state[name].shape}
    refuse(wrong, where, "have tensors of another shape")
    module.load_state_dict({name: weights.state[name] for name in own})


def refuse_missing(names: Iterable[str], where: str) -> None:
    """Raise OperatorError where tensors are missing: they would stay random."""
    refuse(names, where, "lack tensors of the model")


def refuse(names: Iterable[str], where: str, complaint: str) -> None:
    """Raise OperatorError if there are any names."""
    told = sorted(names)
    if told:
        more = f" and {len(told) - _MAX_NAMED} more" if len(told) > _MAX_NAMED else ""
        raise OperatorError(
            f"{where}: the weights {complaint}: {', '.join(told[:_MAX_NAMED])}{more}."
        )


def _shards(directory: Path) -> list[str]:
    if (directory / _INDEX).exists():
        return _indexed(directory)
    if (directory / _SINGLE).exists():
        return [_SINGLE]
    pickles = sorted(path.name for path in directory.iterdir() if path.suffix in _PICKLES)
    if pickles:
        raise OperatorError(
            f"{directory} has its weights only as {pickles[0]}, which can run code when it is"
            f" read: convert them to {_SINGLE}."
        )
    raise OperatorError(f"{directory} has no {_SINGLE}.")


def _indexed(directory: Path) -> list[str]:
    """Return the names of the shards; they must lie in the directory itself."""
    places = read_json(directory / _INDEX).get("weight_map")
    names = sorted(set(places.values())) if isinstance(places, Mapping) else []
    if not names or any(Path(str(name)).name != name for name in names):
        raise OperatorError(f"{directory / _INDEX} must map tensors to files beside it.")
    return names


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OperatorError(f"{path} must be a readable file: {error.strerror}.") from None


def _state(path: Path, content: bytes) -> State:
    try:
        return safetensors_state(content)
    except SafetensorError as error:
        raise OperatorError(f"{path} is not a complete safetensors file: {error}.") from None
