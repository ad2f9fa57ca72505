"""How long a successor takes to know what the one before it knew, and what it reads for that."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.drawn_worker import append_inputs, work
from tests.benchmarks.features import DrawnPipeline
from tests.benchmarks.history import History, append_older, commit_state
from tests.benchmarks.measure import Stopwatch, peak_bytes_of
from tests.benchmarks.on_kafka import apart, create, with_process
from tests.benchmarks.process import WorkerProcess
from worker.adapters.kafka.state_log import KafkaStateLog
from worker.config import Config
from worker.core.events import Modality, Record
from worker.core.ports import Committed, StateLog, TopicPartition
from worker.core.rfc3339 import seconds
from worker.errors import FailedRunError
from worker.models.base import Encoder
from worker.runtime.assemble import worker_rules
from worker.runtime.recovery import RecoveryRules, recover
from worker.runtime.topics import topic_of_modality

_SEE_SECONDS = 120.0  # for the last commit to be seen


@dataclass(frozen=True, slots=True)
class Case:
    """What there is to recover; `windows` are judged by a worker, of each source."""

    sources: int
    indices: int
    older: int
    windows: int


@dataclass(slots=True)
class Read:
    """What was read of a topic, in how many seconds."""

    records: int = 0
    bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Recovery:
    """One recovery of all indices, one after the other as a worker does it.

    `decode_seconds`: from records to learned numbers; `relearn_seconds`: to learn Moments again.
    `cpu_seconds` are all that this process used, whoever else uses the machine.
    """

    index_seconds: tuple[float, ...]
    cpu_seconds: float
    snapshots: Read
    observations: Read
    decode_seconds: float
    relearn_seconds: float

    @property
    def seconds(self) -> float:
        """The time for all indices."""
        return sum(self.index_seconds)


@dataclass(frozen=True, slots=True)
class Restart:
    """Worker processes: one that is killed with -9, and the one that is started after it.

    `fresh_seconds` is the start of one that has nothing to recover.
    """

    fresh_seconds: float
    first_seconds: float
    second_seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class RecoveryResult:
    """One case. `older_bytes` are those of the Observations that need not be read."""

    case: Case
    older_bytes: int
    moments: int
    work_seconds: float
    recovery: Recovery
    restart: Restart | None


class MeteredLog:
    """A StateLog that notes what is read, and when the reading of each topic began."""

    def __init__(self, log: StateLog) -> None:
        self._log = log
        self.read_of: dict[str, Read] = {}
        self.began: dict[str, float] = {}

    def committed(
        self, partitions: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, Committed] | None:
        """Return what is committed."""
        return self._log.committed(partitions)

    def bounds(self, partition: TopicPartition) -> tuple[int, int]:
        """Return the bounds."""
        return self._log.bounds(partition)

    def processes(self) -> frozenset[str]:
        """Return the processes."""
        return self._log.processes()

    def read(self, partition: TopicPartition, start: int) -> Iterator[Record]:
        """Yield the records."""
        read = self.read_of.setdefault(partition.topic, Read())
        began = time.monotonic()
        self.began.setdefault(partition.topic, began)
        for record in self._log.read(partition, start):
            read.seconds += time.monotonic() - began
            read.records += 1
            read.bytes += record.size
            yield record
            began = time.monotonic()
        read.seconds += time.monotonic() - began

    def unblock(self) -> None:
        """End transactions."""
        self._log.unblock()

    def close(self) -> None:
        """Disconnect."""
        self._log.close()


def measure(
    config: Config,
    encoders: Mapping[Modality, Encoder],
    case: Case,
    directory: Path,
    *,
    processes: bool,
) -> RecoveryResult:
    """Make the history of a case, and recover from it."""
    indices = case.indices
    name = f"recovery-{case.sources}-{indices}-{case.older}"
    config = with_process(apart(config, name, inputs=True), name)
    create(config, indices)
    pipeline = DrawnPipeline(encoders)
    rules = worker_rules(config, pipeline, indices, {})
    end = time.time_ns() // 1000 - seconds(case.windows + 10)
    history = History(case.sources, indices, case.older, end)
    size = append_older(config, rules, history)
    commit_state(config, rules, history)
    moments = append_inputs(config, history, case.windows)
    began = time.monotonic()
    work(config, pipeline, rules, moments)
    worked = time.monotonic() - began
    recovery = _recovered(config, rules.recovery, indices)
    restart = _restarted(config, indices, directory) if processes else None
    return RecoveryResult(case, size, moments, worked, recovery, restart)


def _recovered(config: Config, rules: RecoveryRules, indices: int) -> Recovery:
    log = MeteredLog(KafkaStateLog(config.kafka))
    taken: list[float] = []
    decode = relearn = 0.0
    watch = Stopwatch()
    try:
        for index in range(indices):
            before = _seconds(log, rules.snapshots), _seconds(log, rules.observations)
            log.began.clear()
            began = time.monotonic()
            _recover(config, log, rules, index)
            ended = time.monotonic()
            middle = log.began.get(rules.observations, ended)
            taken.append(ended - began)
            decode += middle - began - (_seconds(log, rules.snapshots) - before[0])
            relearn += ended - middle - (_seconds(log, rules.observations) - before[1])
    finally:
        log.close()
    read = log.read_of
    return Recovery(
        tuple(taken),
        watch.read()[1],
        read.get(rules.snapshots, Read()),
        read.get(rules.observations, Read()),
        decode,
        relearn,
    )


def _recover(config: Config, log: MeteredLog, rules: RecoveryRules, index: int) -> None:
    """Recover an index, once its last commit can be seen."""
    partitions = [TopicPartition(topic, index) for topic in topic_of_modality(config).values()]
    deadline = time.monotonic() + _SEE_SECONDS
    while (recovered := recover(partitions, log, rules)) is None:
        if time.monotonic() > deadline:
            raise FailedRunError("the last commit cannot be seen")
        time.sleep(0.1)
    if recovered.is_cold:
        raise FailedRunError("nothing was recovered")


def _seconds(log: MeteredLog, topic: str) -> float:
    return log.read_of[topic].seconds if topic in log.read_of else 0.0


def _restarted(config: Config, indices: int, directory: Path) -> Restart:
    empty = with_process(apart(config, "empty", inputs=True), "empty")
    create(empty, indices)
    with WorkerProcess(empty, directory, "fresh") as fresh:
        fresh_seconds = fresh.ready_seconds
    with WorkerProcess(config, directory, "first") as first:
        first_seconds = first.ready_seconds
        first.kill()
    with WorkerProcess(config, directory, "second") as second:
        return Restart(
            fresh_seconds, first_seconds, second.ready_seconds, peak_bytes_of(second.pid)
        )
