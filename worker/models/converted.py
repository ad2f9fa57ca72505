"""Networks in OpenVINO's own form on disk, so that a start needs neither torch nor a conversion.

One file per network: a line of JSON, the description (XML), the weights. What cannot be read, was
written by others, or is damaged, is as good as none; the network is then converted again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from worker.models.kept_files import (
    kept_directory,
    key_name,
    library_versions,
    read_own,
    write_whole,
)
from worker.models.openvino_runtime import Model, read_model, write_model
from worker.models.settings import ModelSettings

_FORM = 1  # of the file and of the networks' own code


@dataclass(frozen=True, slots=True)
class ConvertedFile:
    """The place of one network; `key` is all that it depends on."""

    directory: Path
    key: Mapping[str, object]

    @classmethod
    def of(cls, settings: ModelSettings, digest: str) -> ConvertedFile:
        """Return the place for a network, by the digest of its weights and preprocessing."""
        key = {"form": _FORM, "digest": digest, "libraries": library_versions()}
        return cls(kept_directory(settings.cache_directory), key)

    @property
    def path(self) -> Path:
        """The file."""
        return self.directory / f"network-{key_name(self.key)}.bin"

    def read(self) -> Model | None:
        """Return the network, or None where there is none that can be used."""
        content = read_own(self.path)
        return None if content is None else unpacked(content, self.key)

    def write(self, model: Model) -> None:
        """Keep the network; a failure costs nothing but another conversion."""
        with contextlib.suppress(OSError, RuntimeError):
            self.directory.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, packed(model, self.key, self.directory))


def packed(model: Model, key: Mapping[str, object], directory: Path) -> tuple[bytes, ...]:
    """Return the parts of a file that holds a network, by way of files in `directory`.

    Raises OSError and RuntimeError.
    """
    with tempfile.TemporaryDirectory(dir=directory) as aside:
        description, weights = write_model(model, Path(aside))
    head = _head(key, description + weights, len(description))
    return json.dumps(head).encode(), b"\n", description, weights


def unpacked(content: bytes, key: Mapping[str, object]) -> Model | None:
    """Return the network of a file's content; None where it is damaged or has another key."""
    head, _, rest = content.partition(b"\n")
    try:
        described = json.loads(head)
        length = described["description"]
    except (ValueError, LookupError, TypeError):
        return None
    if described != _head(key, rest, length):
        return None
    return read_model(rest[:length], rest[length:])


def _head(key: Mapping[str, object], content: bytes, length: int) -> dict[str, object]:
    checksum = hashlib.sha256(content).hexdigest()
    return {"key": dict(key), "sha256": checksum, "description": length}
