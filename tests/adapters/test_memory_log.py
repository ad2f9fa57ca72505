"""What the in-memory log does beyond the contract that it shares with Kafka."""

from __future__ import annotations

from worker.adapters.memory_log import MemoryLog
from worker.adapters.memory_ports import MemoryInputLog, MemoryOutbox, MemorySink
from worker.core.ports import Committed, CommitUnit, Output, TopicPartition

FRAMES = TopicPartition("frames", 0)


def test_committed_records_can_be_forgotten_and_the_others_stay() -> None:
    log = MemoryLog({"frames": 1}, clock=lambda: 0)
    sink, reader = MemorySink(log), MemoryInputLog(log, "g", ("frames",))
    for number in range(4):
        sink.append(Output("frames", b"k", f"{number}".encode(), partition=0))
    ownership = reader.poll(0).ownership
    assert ownership is not None
    MemoryOutbox(log, "g").submit(CommitUnit((), {FRAMES: Committed(3)}), ownership).result()

    log.forget("g")
    log.forget("g")

    assert [record.value for record in log.read_all("frames")] == [b"3"]
    sink.append(Output("frames", b"k", b"4", partition=0))
    assert [record.offset for record in log.read_all("frames")] == [3, 4]
