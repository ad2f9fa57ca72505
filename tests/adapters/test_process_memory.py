"""The resident memory that the worker watches is the one that its metric shows."""

from __future__ import annotations

import sys

import pytest

from worker.adapters.process_memory import LinuxMemory
from worker.adapters.prometheus import Metrics

MIB = 1024 * 1024

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it")


def test_it_is_what_the_metric_says_but_for_what_happens_in_between() -> None:
    told = Metrics(()).registry.get_sample_value("process_resident_memory_bytes")
    assert told is not None
    assert LinuxMemory().resident() == pytest.approx(told, abs=32 * MIB)


def test_it_rises_with_what_is_held_and_what_is_freed_is_given_back() -> None:
    memory = LinuxMemory()
    memory.give_back()
    before = memory.resident()
    held = [bytes(20_000) + bytes([place % 256]) for place in range(10_000)]  # 200 MB
    kept = held[::50]
    assert memory.resident() > before + 150 * MIB
    del held
    memory.give_back()
    assert memory.resident() < before + 60 * MIB
    assert len(kept) == 200
