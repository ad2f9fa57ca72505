"""The job on plain kafka-python: `python -m tests.benchmarks.reference.plain_kafka`.

Poll, work, send, commit the offsets.
"""

from __future__ import annotations

import json
import sys

from kafka import KafkaConsumer, KafkaProducer

from tests.benchmarks.reference.job import Job, read, say_ready
from tests.benchmarks.reference.models import Models


def main(bootstrap: str, group: str, output: str, *topics: str) -> None:
    """Go on until the process is ended."""
    job = Job(Models())
    consumer = KafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = KafkaProducer(bootstrap_servers=bootstrap, compression_type="lz4")
    say_ready()
    while True:
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                given = read(dict(record.headers), record.value)
                for result in job.take(given):
                    producer.send(output, json.dumps(result).encode(), given.source.encode())
        producer.flush()
        consumer.commit()


if __name__ == "__main__":
    main(*sys.argv[1:])
