"""Numbers of scorers as named arrays, so that they can be stored and taken up again bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

State = Mapping[str, NDArray[Any]]


def nested(parts: Mapping[str, State]) -> dict[str, NDArray[Any]]:
    """Join the states of several parts; their names stand before the dot.

    >>> sorted(nested({"bank": {"rows": np.zeros(3)}, "": {}}))
    ['bank.rows']
    """
    return {
        f"{part}.{name}": array for part, state in parts.items() for name, array in state.items()
    }


def part(state: State, name: str) -> dict[str, NDArray[Any]]:
    """Return the state of one part, as it was given to `nested`."""
    prefix = f"{name}."
    own = ((key, array) for key, array in state.items() if key.startswith(prefix))
    return {key.removeprefix(prefix): array for key, array in own}


def integers(*values: int) -> NDArray[np.int64]:
    """Return whole numbers as an array (n,)."""
    return np.array(values, dtype=np.int64)
