"""Writes a directory as a whole: aside, to the disk, and only then under its name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from worker.errors import FailedRunError, OperatorError
from worker.models.bundles.manifest import MANIFEST, with_manifest


def check_target(target: Path) -> None:
    """Raise OperatorError where the place holds something that is no bundle."""
    _recover(target)
    if target.is_dir() and not (target / MANIFEST).exists() and any(target.iterdir()):
        raise OperatorError(f"{target} has files in it but is no bundle: give another --output.")
    if target.exists() and not target.is_dir():
        raise OperatorError(f"{target} is a file: give a directory with --output.")


def write_bundle(target: Path, contents: Mapping[str, bytes]) -> None:
    """Write the files with their manifest; what was there stays until all of it is on the disk.

    Raises FailedRunError, one sentence, where that fails: then nothing has changed.
    """
    check_target(target)
    aside = target.with_name(f".{target.name}.new")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        for name, data in with_manifest(contents).items():
            _write(aside / name, data)
        for directory in (aside, *(path for path in aside.rglob("*") if path.is_dir())):
            _sync(directory)
        _exchange(aside, target)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        kept = "the bundle that was there stays" if target.exists() else "no bundle is there"
        reason = error.strerror or str(error)
        raise FailedRunError(f"{target} cannot be written ({reason}): {kept}.") from None


def write_file(path: Path, data: bytes) -> None:
    """Replace one file: written aside, to the disk, renamed. Raises OSError."""
    aside = path.with_name(f".{path.name}.new")
    try:
        _write(aside, data)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    _sync(path.parent)


def _before(target: Path) -> Path:
    return target.with_name(f".{target.name}.before")


def _exchange(aside: Path, target: Path) -> None:
    """Rename; a directory cannot replace another one that has files, so that one steps aside."""
    before = _before(target)
    shutil.rmtree(before, ignore_errors=True)
    if target.exists():
        target.rename(before)
    try:
        aside.rename(target)
    except OSError:
        _recover(target)
        raise
    _sync(target.parent)
    shutil.rmtree(before, ignore_errors=True)


def _recover(target: Path) -> None:
    """Take the old one back where a process ended between the two renames."""
    if _before(target).exists() and not target.exists():
        _before(target).rename(target)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
