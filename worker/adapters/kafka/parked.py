"""Keeps a consumer from forgetting what it fetched of a partition before that was paused.

kafka-python 3.0.12 puts such records aside, and takes them up again after the partition is resumed
where no other ones are in line. But it goes by whether there is an object in line, and one that is
used up stays there until something else is fetched. Where nothing else is, as when the other
partitions are paused or at their end, the resumed one stands still for good.
"""

from __future__ import annotations

from typing import Any


def make_way(consumer: Any) -> None:
    """Let the next poll take up what was put aside. Not to be called while a poll is under way."""
    fetcher = consumer._fetcher
    if not fetcher._next_partition_records:
        fetcher._next_partition_records = None
