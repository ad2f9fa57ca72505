"""At the cap of resident memory the worker reads no more, says so, and goes on when it can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.runtime.builders import (
    START,
    GatedEncoder,
    Member,
    World,
    config,
    encoders,
    endings_of,
    footage,
    hum,
)
from worker.adapters import memory_ports
from worker.adapters.metric_values import BUFFERS
from worker.adapters.prometheus import Metrics
from worker.core.events import Modality
from worker.core.merge import MAX_RECORDS
from worker.core.pairing import MAX_SILENT_SOURCES
from worker.core.rfc3339 import seconds
from worker.errors import FailedRunError
from worker.runtime import lineup
from worker.runtime import worker as worker_module
from worker.runtime.memory import MemoryWatch
from worker.scoring.sources import MAX_SOURCES

CAP = 1000


@dataclass
class SetMemory:
    """A ProcessMemory that a test sets. Giving back takes off what is `free` in it."""

    bytes: int = 0
    free: int = 0
    given_back: list[int] = field(default_factory=list)

    def resident(self) -> int:
        return self.bytes

    def give_back(self) -> None:
        self.given_back.append(self.free)
        self.bytes, self.free = self.bytes - self.free, 0


@pytest.fixture
def here() -> Iterator[World]:
    world = World(config(limits__max_resident_bytes=CAP))
    yield world
    world.close()


def watch(memory: SetMemory, cap: int = CAP) -> tuple[MemoryWatch, Metrics]:
    metrics = Metrics(())
    return MemoryWatch(cap, memory, metrics), metrics


def degraded(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("mmworker_degraded", {"component": "memory"})


def test_it_is_full_at_the_cap_and_until_there_is_clearly_less() -> None:
    memory = SetMemory()
    watched, metrics = watch(memory)
    seen = []
    for second, size in enumerate((0, 999, 1000, 999, 950, 949, 999)):
        memory.bytes = size
        watched.look(seconds(second), is_idle=False)
        seen.append((watched.is_full, degraded(metrics)))
    assert seen == [(full, float(full)) for full in (False, False, True, True, True, False, False)]


def test_it_looks_once_a_second_whatever_the_clock_does() -> None:
    memory = SetMemory(CAP)
    watched, _ = watch(memory)
    watched.look(seconds(10), is_idle=False)
    memory.bytes = 0
    watched.look(seconds(10.9), is_idle=False)
    assert watched.is_full
    watched.look(seconds(9), is_idle=False)
    assert not watched.is_full


def test_what_is_free_within_the_process_does_not_count() -> None:
    memory = SetMemory(CAP, free=100)
    watched, _ = watch(memory)
    watched.look(0, is_idle=False)
    assert memory.given_back == [100]
    assert not watched.is_full
    assert watched.share == 0.9


def test_without_a_cap_it_is_never_full() -> None:
    watched, _ = watch(SetMemory(10**12), cap=0)
    watched.look(0, is_idle=True)
    assert not watched.is_full
    assert watched.share == 0


def test_a_worker_that_is_too_large_at_rest_ends_with_advice_after_a_minute() -> None:
    watched, _ = watch(SetMemory(CAP + 1))
    watched.look(0, is_idle=True)
    watched.look(seconds(59), is_idle=False)  # something was under way: it may help
    watched.look(seconds(61), is_idle=True)
    watched.look(seconds(120), is_idle=True)
    with pytest.raises(FailedRunError, match=r"1001 bytes.*limits\.max_resident_bytes is 1000"):
        watched.look(seconds(121), is_idle=True)


def test_at_the_cap_polls_and_commits_go_on_but_nothing_more_is_read(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_ports, "_MAX_POLL_RECORDS", 20)
    here.append(footage(100, captions=False))
    memory = SetMemory()
    member = here.join(memory=memory)
    step_for(here, member, 3)
    memory.bytes = CAP
    here.clock.now += seconds(1)  # to the next look
    member.run()
    here.clock.now += seconds(1)  # to the next report
    member.run()
    read = member.tally().consumed
    polled = member.metric("last_poll_timestamp_seconds")
    step_for(here, member, 10)
    assert member.tally().consumed == read < 200
    assert member.metric("last_poll_timestamp_seconds") > polled
    assert member.metric("degraded", component="memory") == 1
    assert member.metric("buffer_fill_ratio", buffer="memory") == 1
    assert not member.inference.in_flight  # what was read is worked off
    memory.bytes = 0
    step_for(here, member, 3)
    assert member.metric("degraded", component="memory") == 0
    come_to_rest(here, member)
    assert endings_of(here) == Counter(observed=200)


def test_at_the_cap_no_source_counts_as_silent_that_is_only_not_read(here: World) -> None:
    memory = SetMemory()
    member = here.join(memory=memory)
    here.append(footage(5, captions=False))
    step_for(here, member, 5)
    memory.bytes = CAP
    step_for(here, member, 2)
    here.clock.now = max(here.clock.now, START + seconds(5))
    here.append(footage(9, captions=False)[10:])  # not read, for longer than the idle timeout
    step_for(here, member, 150)
    memory.bytes = 0
    come_to_rest(here, member)
    closed = [one.closed_by for one in here.observations()]
    assert closed == ["watermark"] * 6 + ["silence"] * 3
    assert endings_of(here) == Counter(observed=18)


def test_what_waits_to_be_merged_is_bounded_for_all_partitions_together(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "MERGED_BYTES", 4 * len(hum(0)))
    monkeypatch.setattr(memory_ports, "_MAX_POLL_RECORDS", 5)
    here.append(footage(60, captions=False))  # of which the log gives all of the audio first
    member = here.join()
    most = 0.0
    for _ in range(60):
        member.worker.step()
        here.clock.now += seconds(1)
        most = max(most, member.metric("buffer_fill_ratio", buffer="merge"))
    assert 5 <= most * MAX_RECORDS <= 10
    come_to_rest(here, member)
    assert endings_of(here) == Counter(observed=120)


def test_moments_under_way_are_bounded_by_the_bytes_of_their_records(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineup, "UNDER_WAY_BYTES", 10 * len(hum(0)))
    slow = GatedEncoder(Modality.FRAME)
    here.append(footage(60, captions=False))
    member = here.join(encoders(frame=slow))
    step_for(here, member, 30)
    assert member.worker.is_full
    assert member.metric("buffer_fill_ratio", buffer="moments") >= 1
    (shard,) = member.worker._shards.values()
    assert 10 * len(hum(0)) <= shard.intake.gate.out_bytes < 12 * len(hum(0))
    slow.gate.set()
    come_to_rest(here, member)
    assert shard.intake.gate.out_bytes == 0
    assert endings_of(here) == Counter(observed=120)


def test_every_buffer_says_how_full_it_is(here: World) -> None:
    member = here.join(memory=SetMemory(CAP // 2))
    here.append([*footage(9), *footage(9, "/cameras/b")])
    step_for(here, member, 20)

    def fill(buffer: str) -> float:
        return member.metric("buffer_fill_ratio", buffer=buffer)

    assert fill("memory") == 0.5
    assert 0 < fill("pairing") < 0.01  # the last windows are open
    assert fill("silent_sources") == 0
    come_to_rest(here, member)
    assert fill("pairing") == 0
    assert fill("silent_sources") == 2 / MAX_SILENT_SOURCES
    assert fill("scorers") == 2 / MAX_SOURCES
    for buffer in BUFFERS:
        assert 0 <= fill(buffer) < 1


def step_for(world: World, member: Member, steps: int) -> None:
    """Step in turn with the clock, a tenth of a second each."""
    for _ in range(steps):
        member.worker.step()
        world.clock.now += seconds(0.1)


def come_to_rest(world: World, member: Member) -> None:
    member.run()
    world.fall_silent()
    member.run()
    member.worker.finish(30)
