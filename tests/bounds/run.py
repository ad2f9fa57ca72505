"""The proof that memory and waits are bounded: `make bounds`; `--help` tells what can be chosen."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from tests.bounds.backlog import MIB, fill
from tests.bounds.network import proxy
from tests.bounds.scenarios import SCENARIOS, Scenario, Surroundings
from tests.bounds.watched import Seen, watched
from tests.chaos.auditor import audit_alone, audit_offsets
from tests.chaos.story import story_of
from tests.chaos.watch import OffsetWatch
from tests.e2e.footage import long_ago
from tests.e2e.site import Site
from worker.adapters.kafka.reading import TopicReader
from worker.adapters.kafka.topic_checks import inputs
from worker.config import Config
from worker.core.events import Record
from worker.demo.services import LocalKafka, LocalRedis, local_kafka, local_redis
from worker.demo.tally import Tally
from worker.errors import FailedRunError

PARTITIONS = 2


@dataclass(frozen=True)
class Load:
    """The size of a run; bytes and seconds. `gap` is how long may pass between two polls."""

    size: int = 1024 * MIB
    cap: int = 2048 * MIB
    seconds: float = 25.0  # that a fault lasts; commits are given up after 30
    patience: float = 1800.0  # to work the backlog off
    gap: float = 2.0
    small: bool = False  # encoders that cost nothing, in place of the shipped ones


@dataclass(frozen=True)
class Row:
    """What one scenario has shown; `problems` is empty where all bounds hold."""

    scenario: str
    seen: Seen
    inputs: int
    ended: int
    wall_seconds: float
    problems: tuple[str, ...]

    def line(self) -> str:
        """Return the row as text."""
        seen = self.seen
        full = ", ".join(f"{n} {share:.0%}" for n, share in (seen.fullest or {}).items() if share)
        return (
            f"{self.scenario:28} {seen.peak_bytes / MIB:6.0f} MiB {seen.longest_gap:6.2f} s"
            f" {seen.rebalances:4.0f} {self.inputs:8} {self.ended:8} {self.wall_seconds:6.0f} s"
            f"  {'ok' if not self.problems else '; '.join(self.problems)}\n    fullest: {full}"
        )


HEADING = (
    f"{'':28} {'peak RSS':>10} {'poll gap':>8} {'reb.':>4} {'inputs':>8} {'ended':>8} {'took':>8}"
)


class Trial:
    """A broker with a backlog that one worker after the other works off, each in its own group."""

    def __init__(self, kafka: LocalKafka, redis: LocalRedis, directory: Path, load: Load) -> None:
        self._kafka, self._redis, self._directory, self._load = kafka, redis, directory, load
        self._site = Site(kafka, directory, partitions=PARTITIONS)
        start = long_ago(time.time_ns() // 1000, 3600)
        self.inputs = fill(self._site, PARTITIONS, load.size, start)

    def run(self, name: str) -> Row:
        """Let a worker live through a scenario, and audit what it has written."""
        began = time.monotonic()
        directory = self._directory / name.replace(" ", "-")
        directory.mkdir()
        config = self._config(directory)
        watch = OffsetWatch(config)
        try:
            seen, problems = self._live(SCENARIOS[name], config, directory)
            ended, found = self._audited(config, watch)
        finally:
            watch.stop()
        problems += [*self._bounds(seen), *found]
        wall = time.monotonic() - began
        return Row(name, seen, self.inputs, ended, wall, tuple(problems))

    def _live(self, scenario: Scenario, config: Config, directory: Path) -> tuple[Seen, list[str]]:
        """Run a worker until it has worked off everything; return what was seen and what failed."""
        with proxy() as outputs, proxy(_address(self._redis.url)) as cache:
            around = Surroundings(outputs, cache, directory / "slow")
            scenario.before(around)
            settings = _with(config, redis={"url": f"redis://127.0.0.1:{cache.port}/0"})
            with watched(settings, directory, self._arguments(around)) as worker:
                try:
                    worker.await_ready()
                    scenario.during(around, worker, self._load.seconds)
                    worker.wait_for(self._is_settled, self._load.patience, "its rest")
                except FailedRunError as error:
                    return worker.seen, [str(error)]
            return worker.seen, [] if outputs.passed else ["the producer took another way"]

    def _is_settled(self, tally: Tally) -> bool:
        return tally.consumed >= self.inputs and not tally.buffered

    def _arguments(self, around: Surroundings) -> list[str]:
        small = ["--small"] if self._load.small else []
        way = f"http://127.0.0.1:{around.outputs.port}"
        return ["--proxy", way, "--slow-while", str(around.slow), *small]

    def _bounds(self, seen: Seen) -> Iterator[str]:
        if seen.peak_bytes > self._load.cap:
            yield f"resident memory rose to {seen.peak_bytes} bytes"
        if seen.longest_gap > self._load.gap:
            yield f"no poll for {seen.longest_gap:.1f} s"
        if seen.rebalances != 1:
            yield f"{seen.rebalances:.0f} changes of the assignment"
        if seen.commit_failures:
            yield f"{seen.commit_failures:.0f} commits failed"

    def _audited(self, config: Config, watch: OffsetWatch) -> tuple[int, list[str]]:
        """Return how many inputs have ended somewhere, and which invariants do not hold."""
        topics = config.topics
        outputs = (topics.observations, topics.alerts, topics.late_events, topics.dead_letters)
        records = _without_values(config, inputs(topics)) | _read(config, outputs)
        story = story_of(records, topics)
        offsets = watch.offsets(inputs(topics), outputs)
        findings = [*audit_alone(story), *audit_offsets(offsets)]
        own = (each for seen in story.observations for each in seen.inputs if not each.carried)
        ended = sum(1 for _ in own) + len(story.late) + len(story.dead)
        return ended, [line for each in findings if not each.holds for line in each.lines()]

    def _config(self, directory: Path) -> Config:
        """Return settings with the common inputs, and outputs and a group of their own."""
        config = Site(self._kafka, directory, partitions=PARTITIONS).config
        common = self._site.config.topics
        names = {"frames": common.frames, "captions": common.captions, "audio": common.audio}
        return _with(config, topics=names, limits={"max_resident_bytes": self._load.cap})


def _with(config: Config, **sections: Mapping[str, object]) -> Config:
    """Return the configuration with some values of some sections changed."""
    changed = {
        name: getattr(config, name).model_copy(update=dict(values))
        for name, values in sections.items()
    }
    return config.model_copy(update=changed)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0


def _read(config: Config, topics: Sequence[str]) -> dict[str, list[Record]]:
    with TopicReader(config.kafka) as reader:
        return {topic: list(reader.read_all(topic)) for topic in topics}


def _without_values(config: Config, topics: Sequence[str]) -> dict[str, list[Record]]:
    """Read topics that are too large to be held."""
    with TopicReader(config.kafka) as reader:
        return {t: [replace(one, value=None) for one in reader.read_all(t)] for t in topics}


@contextmanager
def trial(load: Load, directory: Path) -> Iterator[Trial]:
    """Start the services and write the backlog."""
    with local_kafka() as kafka, local_redis() as redis:
        yield Trial(kafka, redis, directory, load)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="of backlog")
    parser.add_argument("--cap-mib", type=int, default=2048, help="limits.max_resident_bytes")
    parser.add_argument("--seconds", type=float, default=Load.seconds, help="that a fault lasts")
    parser.add_argument("--only", action="append", default=[], choices=list(SCENARIOS))
    parser.add_argument("--small", action="store_true", help="encoders that cost nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the results go")
    options = parser.parse_args(arguments)
    load = Load(options.mib * MIB, options.cap_mib * MIB, options.seconds, small=options.small)
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="mmworker-bounds-") as directory,
        trial(load, Path(directory)) as tried,
    ):
        _say(f"{tried.inputs} records, {options.mib} MiB, cap {options.cap_mib} MiB\n{HEADING}")
        for name in options.only or SCENARIOS:
            rows.append(tried.run(name))
            _say(rows[-1].line())
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2), "utf-8")
    return 1 if any(row.problems for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
