"""How encoders run is fixed, so that no test depends on the machine."""

from __future__ import annotations

import pytest

from tests.torch_threads import one_torch_thread
from worker.models.settings import ModelSettings

__all__ = ["model_settings", "one_torch_thread"]


@pytest.fixture(scope="session")
def model_settings(tmp_path_factory: pytest.TempPathFactory) -> ModelSettings:
    cache = tmp_path_factory.mktemp("plans")
    return ModelSettings("cpu", "float32", "torch", batch_size=4, threads=1, cache_directory=cache)
