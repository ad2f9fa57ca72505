"""A worker in this process that is fed from files."""

from __future__ import annotations

from tests.runtime.builders import START, config, encoders, footage, in_time_order
from worker.core.rfc3339 import seconds
from worker.demo.embedded import play


def test_progress_is_told_as_event_time_from_the_first_event_on() -> None:
    reached: list[int] = []
    played = play(config(), encoders(), in_time_order(footage(4)), progress=reached.append)
    assert reached[0] == START
    assert reached == sorted(reached)
    assert reached[-1] >= START + seconds(3)
    assert len(played.records["observations"]) == 4
