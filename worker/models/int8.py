"""A frame encoder's network in int8: quantised once, on pictures of the cameras that it will see.

Post-training quantization by NNCF: convolutions and linear layers get int8 weights with a scale per
channel, and activations with a scale from their range over the pictures (Jacob et al., Quantization
and training of neural networks, CVPR 2018), with the bias corrected for what that moves on average.
OpenVINO is then faster where the processor has VNNI or AMX.

The file is made once for all workers of a group. Were each to quantise by what it sees first, the
vectors of two workers would differ, and so would what a source's next owner thinks normal.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from worker.errors import OperatorError
from worker.models.converted import packed, unpacked
from worker.models.openvino_runtime import Model
from worker.models.weights import joint_digest

MIN_PICTURES = 32
_FORM = 1  # of the file

Pictures = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Int8Network:
    """What a file holds. `digest` is that of the vectors: of float network and file."""

    model: Model
    digest: str


def quantise(model: Model, pictures: Pictures) -> Model:
    """Return the network in int8, by pictures (N, S, S, 3), N >= 1. Raises OperatorError."""
    try:
        import nncf
    except ImportError:
        raise OperatorError(
            "to quantise needs NNCF: install multimodal-worker[int8]; workers do without."
        ) from None
    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(sys.stderr):  # where it shows how far it is
        return nncf.quantize(
            model,
            nncf.Dataset([picture[None] for picture in pictures]),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(pictures),
        )


def write_int8(path: Path, model: Model, float_digest: str) -> None:
    """Write the network in int8 of the encoder with that digest. Raises OperatorError."""
    with tempfile.TemporaryDirectory() as aside:
        parts = packed(model, _key(float_digest), Path(aside))
    try:
        path.write_bytes(b"".join(parts))
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be written ({error.strerror}): give another file with --output."
        ) from None


def read_int8(path: Path, name: str, float_digest: str) -> Int8Network:
    """Return the network of the encoder `name`, whose digest in float is given.

    Raises OperatorError where there is none, or it is damaged or made of another network.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OperatorError(
            f"models.int8_network {path} cannot be read ({error.strerror}): make it with"
            " `mmworker models quantise`, or set models.dtype to auto."
        ) from None
    model = unpacked(content, _key(float_digest))
    if model is None:
        raise OperatorError(
            f"models.int8_network {path} is damaged, or not of the encoder {name} as it is"
            " configured: make it anew with `mmworker models quantise`."
        )
    checksum = hashlib.sha256(content).hexdigest()
    return Int8Network(model, joint_digest(float_digest, "int8", checksum))


def _key(float_digest: str) -> Mapping[str, object]:
    return {"form": _FORM, "int8_of": float_digest}
