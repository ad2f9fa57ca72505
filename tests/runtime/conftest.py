"""Worlds that are closed after their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.runtime.builders import World, config


@pytest.fixture
def world() -> Iterator[Callable[..., World]]:
    """Makes a World by its number of partitions and what is otherwise in the configuration."""
    made: list[World] = []

    def make(partitions: int = 1, *, hears: bool = False, **changes: Any) -> World:
        made.append(World(config(**changes), partitions, hears=hears))
        return made[-1]

    yield make
    for each in made:
        each.close()
