"""Networks that were converted once are read again, and only if they are what was written."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from worker.models.converted import ConvertedFile
from worker.models.plan import Plan
from worker.models.runtimes import Network
from worker.models.settings import ModelSettings

PLAN = Plan("openvino", "float32", 4, 1)
SAMPLE = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)


def file_in(directory: Path, digest: str = "digest") -> ConvertedFile:
    return ConvertedFile.of(ModelSettings("cpu", cache_directory=directory), digest)


def network(file: ConvertedFile, builds: list[str]) -> Network:
    def build() -> torch.nn.Module:
        builds.append("built")
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))

    return Network(build, lambda: (SAMPLE,), file)


def test_a_converted_network_is_not_built_again_and_returns_the_same_bytes(tmp_path: Path) -> None:
    file, builds = file_in(tmp_path / "new"), list[str]()
    first = network(file, builds).start(PLAN)(SAMPLE)
    second = network(file, builds).start(PLAN)(SAMPLE)
    assert builds == ["built"]
    assert first.tobytes() == second.tobytes()
    assert [path.name for path in file.directory.iterdir()] == [file.path.name]


def test_another_digest_is_another_network(tmp_path: Path) -> None:
    builds = list[str]()
    network(file_in(tmp_path), builds).start(PLAN)
    network(file_in(tmp_path, "another"), builds).start(PLAN)
    assert builds == ["built", "built"]


@pytest.mark.parametrize("damage", ["cut", "changed", "no json", "empty", "others may write"])
def test_a_file_that_is_not_as_it_was_written_is_as_good_as_none(
    tmp_path: Path, damage: str
) -> None:
    file, builds = file_in(tmp_path), list[str]()
    network(file, builds).start(PLAN)
    content = file.path.read_bytes()
    match damage:
        case "cut":
            file.path.write_bytes(content[:-4])
        case "changed":
            file.path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "no json":
            file.path.write_bytes(b"{" + content)
        case "empty":
            file.path.write_bytes(b"")
        case _:
            file.path.chmod(0o666)
    assert file.read() is None
    network(file, builds).start(PLAN)
    assert builds == ["built", "built"]
    assert file.read() is not None


def test_a_directory_that_cannot_be_written_costs_a_conversion_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = replace(file_in(tmp_path), directory=tmp_path / "file")
    assert network(file, []).start(PLAN)(SAMPLE).shape == (4, 4)
    assert file.read() is None


def test_the_parts_of_a_worker_are_imported_without_torch() -> None:
    """Its import takes longer than all else of a start, and most of the memory."""
    code = (
        "import sys, worker.cli.service; sys.exit(bool({'torch', 'transformers'} & {*sys.modules}))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
