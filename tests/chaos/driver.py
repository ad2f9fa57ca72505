"""Workers on a real Kafka and Redis that are fed, harmed, and then come to rest."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.auditor import Finding, audit
from tests.chaos.crew import Crew
from tests.chaos.reference import reference_of
from tests.chaos.story import Offsets, story_of
from tests.chaos.stream import Stream, sources
from tests.chaos.watch import OffsetWatch, Positions, ends_of
from tests.e2e.site import Site
from worker.adapters.kafka.sink import KafkaSink
from worker.adapters.kafka.topic_checks import inputs
from worker.core.ports import LogError
from worker.core.rfc3339 import MICROSECONDS
from worker.demo.services import LocalKafka, LocalRedis, local_kafka, local_redis
from worker.errors import OperatorError
from worker.runtime.topics import topic_of_modality

SESSION_SECONDS = 6.0
IDLE_SECONDS = 10.0
RECOVERY_SECONDS = 180.0  # after which a fault counts as not survived
REST_SECONDS = 180.0
TIMEOUT_SLACK_SECONDS = 30.0  # for the broker to find that a transaction is too old
_BROKER = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000"}
_SETTINGS = {
    "kafka.session_timeout_seconds": SESSION_SECONDS,
    "pairing.grace_seconds": 1,
    "pairing.idle_timeout_seconds": IDLE_SECONDS,
    "redis.timeout_seconds": 0.05,
    "scoring.calibration_moments": 20,
    "scoring.false_alarms_per_day": 10_000,
    "scoring.cooldown_seconds": 2,
    "models.threads": 1,
    "models.overload": "off",
    "http.port": 0,
}

STRICT = ("frame", "caption", "audio")  # what a window holds then hangs on no fetch
AS_OF = ("frame", "audio")  # the default: a caption joins the window that closes next

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Setup:
    """The size of a run. `transaction_timeout` in seconds: how long a dead worker's can block."""

    seed: int
    partitions: int = 6
    sources: int = 12
    workers: int = 3
    awaited: tuple[str, ...] = STRICT
    backlog_seconds: int = 40  # of footage that is there before the workers are
    transaction_timeout: float = 25.0  # with 8 s readers hung after the restart of a broker


@dataclass(frozen=True)
class Recovery:
    """A fault, and how long after its end all partitions had made progress; None: never."""

    fault: str
    seconds: float | None


@dataclass
class Chaos:
    """A run under way. Only the thread that began it may call it: services die with that thread."""

    setup: Setup
    kafka: LocalKafka
    redis: LocalRedis
    site: Site
    crew: Crew
    watch: OffsetWatch
    feeder: Feeder
    tell: Tell
    recoveries: list[Recovery] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.setup.seed)
        self.began = time.monotonic()

    def pause(self, seconds: float) -> None:
        """Let time pass; workers that end meanwhile are started again."""
        self.wait_for(lambda: False, seconds)

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Return whether the condition came true in time; workers that end are started again."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.crew.tend()
            time.sleep(0.05)
        self.crew.tend()
        return True

    def recover(self, fault: str) -> None:
        """Wait until all partition indices have made progress, and note how long it took.

        What was committed just before the fault is seen up to half a second later.
        """
        began, looks = time.monotonic(), self.watch.looks
        self.wait_for(lambda: self.watch.looks > looks + 1, RECOVERY_SECONDS)  # one look is all new
        before = self.watch.committed()
        came = self.wait_for(lambda: self._has_gone_on(before), RECOVERY_SECONDS)
        took = time.monotonic() - began if came else None
        self.recoveries.append(Recovery(fault, took))
        how = "no progress" if took is None else f"progress everywhere after {took:.1f} s"
        self.tell(f"{fault}: {how} ({self.crew.kills} kills so far)")

    def audit(self) -> tuple[Finding, ...]:
        """Let all come to rest, stop the workers, and look at what there is."""
        sent = self.feeder.stop()
        self.tell(f"{sent} records were sent; coming to rest")
        rested = self.wait_for(self._is_at_rest, REST_SECONDS)
        self.tell("at rest" if rested else f"not at rest after {REST_SECONDS:.0f} s")
        unclean = self.crew.stop()
        offsets = self._settled_offsets()
        self.watch.stop()
        topics = [*inputs(self.site.config.topics), *self._outputs()]
        records = {topic: self.site.read(topic) for topic in topics}
        self.tell("one worker does the same without faults")
        reference = reference_of(records, self.site.config, self.setup.partitions)
        stuck = [each.fault for each in self.recoveries if each.seconds is None]
        return (
            *audit(story_of(records, self.site.config.topics), reference, offsets),
            Finding("all partitions go on after each fault", len(self.recoveries), tuple(stuck)),
            Finding("workers end cleanly on SIGTERM", self.setup.workers, tuple(unclean)),
        )

    def _settled_offsets(self) -> Offsets:
        """Return the offsets once transactions of dead workers have run into their timeout."""
        deadline = time.monotonic() + self.setup.transaction_timeout + TIMEOUT_SLACK_SECONDS
        while True:
            offsets = self.watch.offsets(inputs(self.site.config.topics), self._outputs())
            if not offsets.open or time.monotonic() > deadline:
                return offsets
            time.sleep(1)

    def _outputs(self) -> tuple[str, ...]:
        topics = self.site.config.topics
        return topics.observations, topics.alerts, topics.late_events, topics.dead_letters

    def _has_gone_on(self, before: Positions) -> bool:
        moved = {
            partition.partition
            for partition, offset in self.watch.committed().items()
            if offset > before.get(partition, 0)
        }
        return len(moved) == self.setup.partitions

    def _is_at_rest(self) -> bool:
        committed = self.watch.committed()
        ends = ends_of(self.site.config, inputs(self.site.config.topics))
        return all(committed.get(each, 0) >= end for each, end in ends.items())


class Feeder:
    """A thread that appends one second of the stream each second, whatever the broker does."""

    def __init__(self, site: Site, stream: Stream, tell: Tell) -> None:
        self._site = site
        self._stream = stream
        self._tell = tell
        self._stop = threading.Event()
        self._sent = 0
        self._second = 0
        self._sink: KafkaSink | None = None
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    def send(self, seconds: int) -> None:
        """Append so many seconds of footage at once."""
        for _ in range(seconds):
            self._send_next()

    def start(self) -> None:
        """Go on in real time."""
        self._thread.start()

    def stop(self) -> int:
        """End; return how many records were sent."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._close()
        return self._sent

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due += 1
            self._send_next()

    def _send_next(self) -> None:
        """Append the next second. What a broker loses by its fault is not sent again."""
        outputs = self._stream.second(self._second)
        self._second += 1
        try:
            if self._sink is None:
                self._sink = KafkaSink(self._site.config.kafka)
            for output in outputs:
                self._sink.append(output)
            self._sink.flush()
            self._sent += len(outputs)
        except (LogError, OperatorError) as error:
            self._tell(f"a second of footage was perhaps not appended: {error}")
            self._close()

    def _close(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            try:
                sink.close()
            except LogError as error:
                self._tell(f"the feeder's producer did not close: {error}")


@contextmanager
def chaos(setup: Setup, directory: Path, tell: Tell) -> Iterator[Chaos]:
    """Start all there is to a run, and end all of it."""
    with ExitStack() as closing:
        kafka = closing.enter_context(local_kafka(properties=_BROKER))
        redis = closing.enter_context(local_redis())
        settings = _SETTINGS | {"redis.url": redis.url, "pairing.await": list(setup.awaited)}
        site = Site(kafka, directory, settings, partitions=setup.partitions)
        start = time.time_ns() // 1000 - setup.backlog_seconds * MICROSECONDS
        names = sources(setup.sources, setup.partitions)
        topics = topic_of_modality(site.config)
        stream = Stream(setup.seed, names, topics, setup.partitions, start)
        feeder = Feeder(site, stream, tell)
        closing.callback(feeder.stop)
        file = directory / "mmworker.yaml"
        crew = Crew(file, directory, setup.workers, setup.transaction_timeout)
        closing.callback(crew.kill_all)
        watch = OffsetWatch(site.config)
        closing.callback(watch.stop)
        yield Chaos(setup, kafka, redis, site, crew, watch, feeder, tell)


def begin(run: Chaos) -> None:
    """Send the backlog, start the workers, go on sending."""
    run.feeder.send(run.setup.backlog_seconds)
    run.crew.tend()
    run.feeder.start()
    run.recover("start")
