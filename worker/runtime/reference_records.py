"""The records of what stands for the frames of sources: how they are written and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from worker.core.references import Remembered
from worker.core.reuse import Array, Glimpse, Look, Reference
from worker.runtime.state_records import VERSION, StateRecordError, check_version
from worker.scoring.state import State, integers


@dataclass(frozen=True, slots=True)
class StoredReference:
    """What stood for a source's frames with the commit `number`, under the digest `model`."""

    number: int
    model: str
    remembered: Remembered


def write_reference(stored: StoredReference) -> bytes:
    """Return the value of its record."""
    reference, vector = stored.remembered.reference, stored.remembered.vector
    numbers = integers(VERSION, stored.number, reference.since, reference.unused, reference.turn)
    arrays = {"record": numbers, "model": _of_bytes(stored.model.encode())}
    if reference.frame is not None:
        arrays |= _written(reference.frame)
    if vector is not None:
        arrays["vector"] = np.ascontiguousarray(vector)
    return safetensors.numpy.save(arrays)


def read_reference(value: bytes) -> StoredReference:
    """Return what was written. Raises StateRecordError."""
    try:
        arrays = safetensors.numpy.load(value)
        version, number, since, unused, turn = map(int, arrays.pop("record"))
        check_version(version)
        model = arrays.pop("model").tobytes().decode()
        frame = _read(arrays, since) if "key" in arrays else None
    except (SafetensorError, KeyError, ValueError) as error:
        raise StateRecordError(f"a reference's record cannot be read ({error})") from None
    reference = Reference(frame, since, unused, turn)
    return StoredReference(number, model, Remembered(reference, arrays.get("vector")))


def read_references(values: Mapping[str, bytes], since: int, model: str) -> dict[str, Remembered]:
    """Return those after the commit `since`, the last cold start, with embeddings of the model.

    Raises StateRecordError.
    """
    found = {source: read_reference(value) for source, value in values.items()}
    return {
        source: each.remembered
        for source, each in found.items()
        if each.number > since and each.model == model
    }


def _written(frame: Glimpse) -> dict[str, Array]:
    look = frame.look
    arrays = {
        "key": _of_bytes(frame.key),
        "kind": _of_bytes(look.kind),
        "cells": np.ascontiguousarray(look.cells),
        "pixels": look.pixels,
    }
    return arrays if look.sharpness is None else {**arrays, "sharpness": look.sharpness}


def _read(arrays: State, time: int) -> Glimpse:
    """Return the frame, whose event time is that since which it is a reference."""
    kind, sharpness = arrays["kind"].tobytes(), arrays.get("sharpness")
    look = Look(kind, arrays["cells"], arrays["pixels"], sharpness)
    return Glimpse(arrays["key"].tobytes(), time, look)


def _of_bytes(content: bytes) -> Array:
    return np.frombuffer(content, np.uint8)
