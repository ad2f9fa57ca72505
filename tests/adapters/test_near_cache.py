"""Equal content is answered in the process, whatever becomes of the cache that is shared."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from worker.adapters.near_cache import ENTRY_BYTES, NearCache
from worker.adapters.prometheus import Metrics

ROOM = 1 << 20


class Shared:
    """A cache behind, which counts what it is asked for."""

    def __init__(self, **known: bytes) -> None:
        self.known = {key.encode(): value for key, value in known.items()}
        self.asked: list[bytes] = []

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self.asked += keys
        return [self.known.get(key) for key in keys]

    def put_many(self, items: Mapping[bytes, bytes]) -> None:
        self.known |= items


def counted(metrics: Metrics, result: str) -> float:
    lines = metrics.render("")[0].decode().splitlines()
    name = f'mmworker_cache_requests_total{{result="{result}"}} '
    return float(next(line for line in lines if line.startswith(name)).removeprefix(name))


def test_what_was_put_or_got_is_not_asked_for_again() -> None:
    metrics, shared = Metrics(()), Shared(b=b"2")
    cache = NearCache(ROOM, metrics, shared)
    cache.put_many({b"a": b"1"})
    for _ in range(2):
        assert cache.get_many([b"b", b"c", b"a", b"a"]) == [b"2", None, b"1", b"1"]
    assert shared.asked == [b"b", b"c", b"c"]
    assert shared.known[b"a"] == b"1"
    assert counted(metrics, "near") == 5


def test_without_a_cache_behind_what_is_not_near_is_a_miss() -> None:
    metrics = Metrics(())
    cache = NearCache(ROOM, metrics)
    cache.put_many({b"a": b"1"})
    assert cache.get_many([b"a", b"b"]) == [b"1", None]
    assert (counted(metrics, "near"), counted(metrics, "miss")) == (1, 1)


def test_the_longest_unused_gives_way() -> None:
    cache = NearCache(3 * (ENTRY_BYTES + 2), Metrics(()))
    cache.put_many({b"a": b"1", b"b": b"2", b"c": b"3"})
    cache.get_many([b"a"])
    cache.put_many({b"d": b"4"})
    assert cache.get_many([b"a", b"b", b"c", b"d"]) == [b"1", None, b"3", b"4"]
    cache.put_many({b"long": bytes(1000)})
    assert cache.get_many([b"a", b"b", b"c", b"d", b"long"]) == [None] * 5


def test_it_takes_no_more_memory_than_it_says() -> None:
    bound, last = 1 << 20, 8_000
    cache = NearCache(bound, Metrics(()))
    tracemalloc.start()
    for number in range(last):
        cache.put_many({number.to_bytes(20, "big"): bytes(256)})
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.8 * bound < taken < 1.05 * bound


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 3000)).map(
            lambda drawn: (bytes([drawn[0]]), bytes(drawn[1]))
        )
    )
)
def test_it_stays_within_its_bound_and_never_returns_an_older_value(
    puts: list[tuple[bytes, bytes]],
) -> None:
    bound = 6000
    cache, last = NearCache(bound, Metrics(())), dict[bytes, bytes]()
    for key, value in puts:
        cache.put_many({key: value})
        last[key] = value
        held = {k: v for k in last if (v := cache.get_many([k])[0]) is not None}
        assert held.items() <= last.items()
        assert sum(ENTRY_BYTES + len(k) + len(v) for k, v in held.items()) <= bound
