"""What was lately looked up or put away in this process, in front of a cache that is shared."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from worker.core.ports import EmbeddingCache, Telemetry

ENTRY_BYTES = 200  # of an entry beside the bytes of key and value


class NearCache:
    """Implements worker.core.ports.EmbeddingCache. Safe to use from several threads.

    It holds `max_bytes` of keys and values; the longest unused give way. What it does not have it
    asks the cache `behind` for, where there is one. A value is given back as it was put away:
    whether the bytes make sense is checked by the caller.
    """

    def __init__(
        self, max_bytes: int, telemetry: Telemetry, behind: EmbeddingCache | None = None
    ) -> None:
        self._max_bytes = max_bytes
        self._telemetry = telemetry
        self._behind = behind
        self._values: OrderedDict[bytes, bytes] = OrderedDict()  # the longest unused one first
        self._size = 0
        self._lock = threading.Lock()

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values in the order of `keys`; None where unknown or not to be had."""
        with self._lock:
            near = {key: self._values[key] for key in keys if key in self._values}
            for key in near:
                self._values.move_to_end(key)
        self._telemetry.cache("near", sum(key in near for key in keys))
        further = [key for key in keys if key not in near]
        if self._behind is None:
            self._telemetry.cache("miss", len(further))
        elif further:
            found = zip(further, self._behind.get_many(further), strict=True)
            fresh = {key: value for key, value in found if value is not None}
            self._keep(fresh)
            near |= fresh
        return [near.get(key) for key in keys]

    def put_many(self, items: Mapping[bytes, bytes]) -> None:
        """Remember here and behind."""
        self._keep(items)
        if self._behind is not None:
            self._behind.put_many(items)

    def _keep(self, items: Mapping[bytes, bytes]) -> None:
        with self._lock:
            for key, value in items.items():
                self._size += _size(key, value)
                if (before := self._values.pop(key, None)) is not None:
                    self._size -= _size(key, before)
                self._values[key] = value
            while self._size > self._max_bytes:
                self._size -= _size(*self._values.popitem(last=False))


def _size(key: bytes, value: bytes) -> int:
    return ENTRY_BYTES + len(key) + len(value)
