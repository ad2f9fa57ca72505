"""Notices what was done to the topics under a running worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from worker.adapters.kafka.admin import TopicInfo
from worker.core.ports import LogError


class TopicWatch:
    """Compares topics with what they were when the process started, or first seen if later.

    By the client's own knowledge of the cluster, as old as its metadata, each time that it is
    renewed; nobody is asked.
    """

    def __init__(self, cluster: Any, topics: Iterable[str], known: Mapping[str, TopicInfo]) -> None:
        self._cluster = cluster
        self._known = {each: known.get(each) or self._now(each) for each in topics}
        self._looked: float | None = None  # when the metadata was renewed that was looked at

    def check(self) -> None:
        """Raise LogError where a topic is another one now, or has more partitions.

        In both cases going on would leave records out, or take them for misplaced.
        """
        renewed = self._cluster._last_successful_refresh_ms
        if renewed == self._looked:
            return
        self._looked = renewed
        for topic, known in self._known.items():
            now = self._now(topic)
            if known.id and now.id and now.id != known.id:
                raise LogError(
                    "topic_created_anew",
                    f"topic {topic} was deleted and created anew while this worker read it: start"
                    " the workers again, which say how to go on",
                    retriable=False,
                )
            if now.partitions > known.partitions:
                raise LogError(
                    "partitions_added",
                    f"topic {topic} has got {now.partitions} partitions and had {known.partitions}"
                    " when this worker started, so that sources have moved between them: stop the"
                    " producers and start the workers again, which say how to go on",
                    retriable=False,
                )

    def _now(self, topic: str) -> TopicInfo:
        partitions = self._cluster.partitions_for_topic(topic) or ()
        topic_id = self._cluster.topic_id(topic)
        return TopicInfo(len(partitions), id="" if topic_id is None else str(topic_id))
