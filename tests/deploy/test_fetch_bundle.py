"""The init container's script, against a server on loopback."""

from __future__ import annotations

import hashlib
import http.server
import io
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.deploy.chart import CHART


@pytest.fixture
def store(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A directory, and the address under which it is served."""
    directory = tmp_path / "store"
    directory.mkdir()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield directory, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def archive(file: Path, name: str) -> str:
    """Write an archive with one member; return its SHA-256."""
    content = b"weights"
    member = tarfile.TarInfo(name)
    member.size = len(content)
    with tarfile.open(file, "w:gz") as writer:
        writer.addfile(member, io.BytesIO(content))
    return hashlib.sha256(file.read_bytes()).hexdigest()


def fetched(url: str, digest: str, directory: Path) -> subprocess.CompletedProcess[str]:
    script = CHART / "files" / "fetch_bundle.py"
    directory.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-I", script, url, digest, directory],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_bundle_is_unpacked_where_its_digest_is_right(
    store: tuple[Path, str], tmp_path: Path
) -> None:
    directory, address = store
    digest = archive(directory / "b.tar.gz", "model/weights.bin")
    assert fetched(f"{address}/b.tar.gz", digest, tmp_path / "out").returncode == 0
    assert (tmp_path / "out" / "model" / "weights.bin").read_bytes() == b"weights"


def test_nothing_is_unpacked_where_the_digest_is_wrong(
    store: tuple[Path, str], tmp_path: Path
) -> None:
    directory, address = store
    archive(directory / "b.tar.gz", "weights.bin")
    done = fetched(f"{address}/b.tar.gz", "0" * 64, tmp_path / "out")
    assert done.returncode == 1
    assert f"not {'0' * 64}" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_no_member_is_written_outside_the_directory(
    store: tuple[Path, str], tmp_path: Path
) -> None:
    directory, address = store
    digest = archive(directory / "b.tar.gz", "../escaped.bin")
    done = fetched(f"{address}/b.tar.gz", digest, tmp_path / "out")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert not (tmp_path / "escaped.bin").exists()


def test_a_bundle_that_is_not_there_is_told_in_one_sentence(
    store: tuple[Path, str], tmp_path: Path
) -> None:
    done = fetched(f"{store[1]}/none.tar.gz", "0" * 64, tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.startswith("bundle: http://127.0.0.1")
    assert len(done.stderr.splitlines()) == 1
