"""Fetches a bundle of models, checks its SHA-256, and unpacks it: URL SHA256 DIRECTORY.

Runs in an init container, with the standard library alone. Nothing is unpacked from a file whose
digest is not the expected one.
"""

from __future__ import annotations

import hashlib
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import IO

CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = 60  # without a byte


def fetch(url: str, file: IO[bytes]) -> str:
    """Write what the URL holds into the file; return its SHA-256 in hexadecimal digits."""
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - http(s) by the chart's schema
        while chunk := response.read(CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def main(url: str, expected: str, directory: Path) -> None:
    """Leave the unpacked bundle in the directory, or end with one sentence."""
    with tempfile.TemporaryFile(dir=directory) as file:
        try:
            found = fetch(url, file)
        except OSError as error:
            sys.exit(f"bundle: {url} cannot be fetched: {error}")
        if found != expected:
            sys.exit(f"bundle: {url} has SHA-256 {found}, not {expected}")
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r:gz") as archive:
                archive.extractall(directory, filter="data")
        except tarfile.TarError as error:
            sys.exit(f"bundle: {url} cannot be unpacked: {error}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
