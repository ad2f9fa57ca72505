"""Which files a bundle has, and their digests: what was hashed is what is loaded.

Files that the manifest does not name are never read, so a volume may have some of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from worker.errors import OperatorError
from worker.models.weights import joint_digest

MANIFEST = "manifest.json"
VERSION = 1
# For people: they may differ where the models are the same.
TOLD = frozenset({"MODEL_CARD.md", "fit.html", "history.json", "events.out.tfevents.0.fit"})


@dataclass(frozen=True, slots=True)
class Files:
    """The bytes of a bundle's files by their names, and where they come from."""

    place: Path
    contents: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over names and contents of all that decides what comes out."""
        return digest_of({name: _sha256(data) for name, data in self.contents.items()})

    def json(self, name: str) -> Any:
        """Return the value in a JSON file. Raises OperatorError."""
        try:
            return json.loads(self.bytes(name))
        except ValueError:
            raise OperatorError(f"{self.place / name} must be JSON.") from None

    def bytes(self, name: str) -> bytes:
        """Return a file's bytes. Raises OperatorError where the bundle has no such file."""
        if name not in self.contents:
            raise OperatorError(f"{self.place} lacks {name}: no such bundle can be used.")
        return self.contents[name]


def digest_of(hashes: Mapping[str, str]) -> str:
    """Return the digest of a bundle from the SHA-256 of its files by name."""
    settling = sorted(hashes.keys() - TOLD)
    return joint_digest(f"bundle {VERSION}", *(f"{name} {hashes[name]}" for name in settling))


def with_manifest(contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files and their manifest."""
    hashes = {name: _sha256(data) for name, data in sorted(contents.items())}
    manifest = {"version": VERSION, "digest": digest_of(hashes), "files": hashes}
    return {**contents, MANIFEST: json.dumps(manifest, indent=2).encode() + b"\n"}


def read_files(place: Path) -> Files:
    """Read and check a bundle. Raises OperatorError, one sentence, for one that is not whole."""
    if not place.is_dir():
        raise OperatorError(
            f"{place} is no directory: give that of a bundle (models.bundle,"
            " scoring.shadow.bundle, --bundle)."
        )
    hashes = _hashes(place)
    contents = {name: _read(place, name) for name in hashes}
    for name, data in contents.items():
        if _sha256(data) != hashes[name]:
            raise OperatorError(
                f"{place / name} does not have the SHA-256 of {MANIFEST}: it was changed or cut"
                " off; copy the bundle anew."
            )
    return Files(place, contents)


def _hashes(place: Path) -> dict[str, str]:
    """Return the digests in the manifest, which fit each other."""
    try:
        manifest = json.loads(_read(place, MANIFEST))
        version, digest, hashes = (manifest[name] for name in ("version", "digest", "files"))
    except (ValueError, LookupError, TypeError):
        raise OperatorError(f"{place / MANIFEST} is not the manifest of a bundle.") from None
    if type(version) is int and version > VERSION:
        raise OperatorError(
            f"{place} is a bundle of version {version}, this worker knows {VERSION}: update it, or"
            " fit the bundle anew."
        )
    if version != VERSION or not _are_names(hashes) or digest_of(hashes) != digest:
        raise OperatorError(f"{place / MANIFEST} is not the manifest of a bundle: it was changed.")
    return dict(hashes)


def _are_names(hashes: object) -> bool:
    """Tell whether it maps relative paths inside a directory to texts."""
    return isinstance(hashes, dict) and all(
        isinstance(digest, str) and _is_inside(name) for name, digest in hashes.items()
    )


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and name not in {"", MANIFEST}


def _read(place: Path, name: str) -> bytes:
    try:
        return (place / name).read_bytes()
    except FileNotFoundError:
        raise OperatorError(f"{place} lacks {name}: it is no whole bundle.") from None
    except OSError as error:
        raise OperatorError(f"{place / name} cannot be read ({error.strerror}).") from None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def names_below(names: Iterable[str], directory: str) -> list[str]:
    """Return the names of the files in a directory of the bundle.

    >>> names_below(["config.json", "encoders/caption/config.json"], "encoders/caption")
    ['encoders/caption/config.json']
    """
    return sorted(name for name in names if name.startswith(f"{directory}/"))
