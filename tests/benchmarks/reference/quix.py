"""The job on Quix Streams: `python -m tests.benchmarks.reference.quix`.

Quix reads, writes and commits; the windows are the job's own. Installed by the group `bench`.
"""

from __future__ import annotations

import sys
from typing import Any

from quixstreams import Application

from tests.benchmarks.reference.job import Job, read, say_ready
from tests.benchmarks.reference.models import Models


def main(bootstrap: str, group: str, output: str, *topics: str) -> None:
    """Go on until the process is ended."""
    job = Job(Models())
    application = Application(bootstrap, consumer_group=group, auto_offset_reset="earliest")
    results = application.topic(output, value_serializer="json", key_serializer="bytes")

    def take(value: bytes, _key: Any, _time: int, headers: Any) -> list[dict[str, Any]]:
        return list(job.take(read(dict(headers), value)))

    for name in topics:
        topic = application.topic(name, value_deserializer="bytes", key_deserializer="bytes")
        stream = application.dataframe(topic)
        stream.apply(take, expand=True, metadata=True).to_topic(results)
    say_ready()
    application.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
