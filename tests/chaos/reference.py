"""One uninterrupted worker, in this process, over the very records that a run has read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from tests.chaos.story import Story, story_of
from tests.runtime.builders import Member, World
from worker.config import Config
from worker.core.events import Record
from worker.core.ports import Output

_PATIENCE = 900.0  # seconds; a long run has tens of thousands of Moments


class _Unwatched(World):
    """A world that is looked at by the auditor, at the end."""

    def check_offsets(self) -> None:
        """Leave it: to read all outputs after each commit takes quadratic time."""


def reference_of(records: Mapping[str, Sequence[Record]], config: Config, partitions: int) -> Story:
    """Return what one worker makes of the input records, with their partitions and append times."""
    world = _Unwatched(config, partitions)
    inputs = tuple(world.inputs.values())
    try:
        for time_, record in _merged(records[topic] for topic in inputs):
            world.clock.now = time_
            world.append_output(
                Output(record.topic, record.key, record.value, record.headers, record.partition)
            )
        member = world.join()
        _come_to_rest(member)
        world.fall_silent()
        _come_to_rest(member)
        member.leave()
    finally:
        world.close()
    return story_of({topic: world.log.read_all(topic) for topic in world.log.topics}, config.topics)


def _merged(topics: Iterable[Sequence[Record]]) -> list[tuple[int, Record]]:
    """Return the records by append time, which never goes back within a partition."""
    newest: dict[tuple[str, int], int] = {}
    timed = []
    for record in (record for topic in topics for record in topic):
        where = (record.topic, record.partition)
        newest[where] = max(newest.get(where, 0), record.timestamp)
        timed.append((newest[where], record))
    return sorted(timed, key=lambda pair: pair[0])


def _come_to_rest(member: Member) -> None:
    deadline = time.monotonic() + _PATIENCE
    while member.worker.step():
        assert time.monotonic() < deadline, "the reference does not come to rest"
        time.sleep(0)  # let the stages have the processor
