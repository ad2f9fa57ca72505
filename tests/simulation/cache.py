"""A cache of embeddings that may forget, fail, and answer nonsense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random


class FaultyCache:
    """An EmbeddingCache, shared by all members. While `ill`, most of its answers are wrong."""

    def __init__(self, random: Random) -> None:
        self.ill = False
        self._random = random
        self._values: dict[bytes, bytes] = {}

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self._answer(key) for key in keys]

    def put_many(self, items: Mapping[bytes, bytes]) -> None:
        if not self.ill or self._random.random() < 0.5:
            self._values.update(items)

    def _answer(self, key: bytes) -> bytes | None:
        value = self._values.get(key)
        if not self.ill or value is None:
            return value
        wrong = (
            None,
            b"",
            bytes(len(value)),
            self._random.randbytes(len(value)),
            b"\xff" * len(value),
        )
        return self._random.choice((*wrong, value[:-2]))
