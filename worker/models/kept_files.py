"""Small files between starts: written whole or not at all, read only where they are one's own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import platformdirs

_OTHERS_MAY_WRITE = 0o022
_LIBRARIES = ("torch", "openvino", "transformers")


def library_versions() -> dict[str, str]:
    """Return the versions of what runs networks, on which all that is kept of them depends."""
    return {name: version(name) for name in _LIBRARIES}


def kept_directory(configured: Path | None) -> Path:
    """Return where such files are: as configured, or the user's cache directory."""
    return configured or platformdirs.user_cache_path("multimodal-worker")


def can_keep(directory: Path) -> bool:
    """Tell whether files can be kept there."""
    with contextlib.suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
    return os.access(directory, os.W_OK)


def key_name(key: Mapping[str, object]) -> str:
    """Return a file name's part for what a file depends on."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]


def read_own(path: Path) -> bytes | None:
    """Return the content; None where there is none, or where others may have written it."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.geteuid() or status.st_mode & _OTHERS_MAY_WRITE:
                return None
            return file.read()
    except OSError:
        return None


def write_whole(path: Path, parts: Iterable[bytes]) -> None:
    """Write aside, then rename, so that no reader sees half a file; a failure costs nothing."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        aside = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines(parts)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
