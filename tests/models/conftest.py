"""How encoders run is fixed, so that no test depends on the machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from worker.models.settings import ModelSettings


@pytest.fixture(scope="session")
def model_settings(tmp_path_factory: pytest.TempPathFactory) -> ModelSettings:
    cache = tmp_path_factory.mktemp("plans")
    return ModelSettings("cpu", "float32", "torch", batch_size=4, threads=1, cache_directory=cache)


@pytest.fixture(autouse=True)
def _torch_threads() -> Iterator[None]:
    """One thread: on a busy machine a second one spins, and small networks need none."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
