"""Keeps a consumer from joining its group over and over.

kafka-python 3.0.12 drives a join in the background and asks for its result in `poll`. Where the
join ends between two polls it forgets the result and joins again; when the group's leader does
that, all members rebalance. With short polls and work in between, a group never comes to rest:
measured, 190 generations in 10 s.
"""

from __future__ import annotations

from typing import Any


def keep_finished_joins(consumer: Any) -> None:
    """Let the consumer take the result of a finished join at its next poll, as Java's does."""
    coordinator = consumer._coordinator
    kept = _FinishedJoin(coordinator)
    is_needed = coordinator.need_rejoin
    # Else a leader that is called again for added partitions takes its own assignment, which it
    # makes in the background, for news that it has, and the join is never taken up.
    coordinator.need_rejoin = lambda: coordinator.rejoining or is_needed()
    coordinator._do_join_and_sync_async = kept.join
    coordinator._on_join_complete_async = kept.complete


def announce_partitions(consumer: Any) -> None:
    """Tell the consumer's coordinator about the partitions that the consumer knows of already.

    It listens for news only, and joins again when they come: a tenth of a second after the first
    join, which is just when the first transaction is under way and then fails.
    """
    consumer._coordinator._handle_metadata_update(consumer._coordinator._cluster)


class _FinishedJoin:
    """The two steps of a join. In between the result is kept, unless membership is lost meanwhile.

    Should the group have moved on, the first heartbeat after the join says so, as ever.
    """

    def __init__(self, coordinator: Any) -> None:
        self._coordinator = coordinator
        self._join = coordinator._do_join_and_sync_async
        self._complete = coordinator._on_join_complete_async
        self._generation: object = None
        self._assignment: bytes = b""

    async def join(self) -> bytes:
        """Return this member's assignment as the group's leader encoded it."""
        if self._generation is None or self._coordinator._generation is not self._generation:
            self._assignment = await self._join()
            self._generation = self._coordinator._generation
        return self._assignment

    async def complete(self, *arguments: Any) -> None:
        """Take up the assignment."""
        self._generation = None
        await self._complete(*arguments)
