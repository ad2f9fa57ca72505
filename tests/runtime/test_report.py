"""What a worker logs: one line per decision of note, and nothing about whom it watches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.runtime.builders import World, config, event, footage


@pytest.fixture
def world() -> Iterator[World]:
    made = World(config(scoring__calibration_moments=20, scoring__false_alarms_per_day=2000))
    yield made
    made.close()


def test_partitions_dead_letters_and_alerts_are_logged_without_names_and_texts(
    world: World,
) -> None:
    noise = (np.random.default_rng(1).normal(size=1600) * 8000).astype(">i2").tobytes()
    odd = [event("audio", 80 + second, payload=noise) for second in range(9)]
    odd.append(event("caption", 85, payload=b"zebras on parade"))
    world.append(footage(80))
    world.append([*odd, event("frame", 90, payload=b"no picture")])
    with capture_logs() as lines:
        member = world.join()
        member.run()
        world.fall_silent()
        member.run()
        member.leave()
    told = {line["event"]: line for line in lines}
    assert told["partitions changed"]["owned"] == 3
    assert told["dead letters"]["reason"] == "undecodable_image"
    assert told["alert"]["kind"] in ("open", "update", "close")
    assert "cameras" not in str(lines) and "zebras" not in str(lines)
