"""How fast the worker is, measured against the bare loop in the same run: `make bench`.

Rounds are interleaved, so that a busy neighbour slows all contenders of a round alike. Of a
Moment's frames at most `models.frames_per_moment` are encoded, by all contenders; frames/s counts
those read.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.benchmarks import bare_loop, embedded, references
from tests.benchmarks.backlog import Backlog, moments_of, played
from tests.benchmarks.bare_loop import BareLoop
from tests.benchmarks.measure import Run, circumstances
from tests.benchmarks.on_kafka import Stage, stage
from tests.benchmarks.results import Results, Round
from tests.benchmarks.scenario import Scenario
from worker.cli.options import config_of
from worker.config import Config
from worker.core.caution import Care
from worker.core.events import MODALITIES, Modality
from worker.core.moment import Moment
from worker.core.ports import TopicPartition
from worker.demo.services import kafka_available, redis_available
from worker.pipeline import Pipeline
from worker.runtime.assemble import build_encoders, build_pipeline, worker_rules
from worker.runtime.recovery import cold_state
from worker.runtime.shard import Shard
from worker.runtime.state_records import IndexState
from worker.runtime.topics import topic_of_modality

PARTITIONS = 2
IDLE_SECONDS = 20.0


def measure(plays: Scenario, output: Path, rounds: int, *, kafka: bool, as_json: bool) -> None:
    """Replay a backlog through the bare loop, the embedded log, and Kafka with Redis.

    The results go to results.json in `output`, and as JSON or tables to stdout.
    """
    console = Console(stderr=True)
    config = config_of(None, {"models.overload": "off", **plays.settings})
    console.print("Preparing: encoders, records, the best bare loop")
    backlog = played(config, plays)
    pipelines = _pipelines(config)
    moments = list(moments_of(config, backlog, bare_shard(config, pipelines["auto"])))
    loop = bare_loop.best(pipelines, moments, config.models.frames_per_moment)
    console.print(f"{len(moments)} Moments; the bare loop is fastest with {loop.shape}")
    with ExitStack() as stack:
        on_kafka = None
        if _kafka_wanted(kafka, console):
            has_redis = plays.redis == "up"
            opened = stage(config, backlog, PARTITIONS, output, has_redis=has_redis)
            on_kafka = stack.enter_context(opened)
        contenders = Contenders(backlog, moments, loop, pipelines["auto"], on_kafka)
        bench = Bench(config, plays, contenders, console)
        results = bench.results(rounds)
    document = json.dumps(results.document(), indent=2)
    (output / "results.json").write_text(document + "\n", encoding="utf-8")
    if as_json:
        sys.stdout.write(document + "\n")
    else:
        results.show(Console())


@dataclass(frozen=True, slots=True)
class Contenders:
    """All that takes part; `on_kafka` is None where there is none."""

    backlog: Backlog
    moments: Sequence[Moment]
    loop: BareLoop
    pipeline: Pipeline
    on_kafka: Stage | None


class Bench:
    """Runs the contenders in turn."""

    def __init__(
        self, config: Config, plays: Scenario, contenders: Contenders, console: Console
    ) -> None:
        self._config = config
        self._plays = plays
        self._backlog = contenders.backlog
        self._moments = contenders.moments
        self._loop = contenders.loop
        self._pipeline = contenders.pipeline
        self._on_kafka = contenders.on_kafka
        self._console = console

    def results(self, rounds: int) -> Results:
        """Run all rounds, then the single measurements."""
        facts = self._facts(rounds)
        if self._on_kafka is not None and Modality.FRAME in self._plays.modalities:
            cosine = references.least_cosine(self._pipeline, self._moments)
            facts["least_cosine_to_references"] = cosine
        gc.freeze()  # as a worker does once it has started: records and modules stay to the end
        done = [self._round(number) for number in range(rounds)]
        warm = idle = None
        if self._on_kafka is not None:
            self._console.print(f"Once more with a full cache, then {IDLE_SECONDS:.0f} s idle")
            if self._on_kafka.redis is not None:
                warm = self._on_kafka.run("warm", done[-1].bare, cold=False)
            idle = self._on_kafka.idle_share(IDLE_SECONDS)
        return Results(facts, done, warm, idle)

    def _round(self, number: int) -> Round:
        self._console.print(f"Round {number + 1}: bare loop", end="")
        bare = self._loop.run(self._moments)
        self._console.print(f" {bare.moments_per_second:.1f} Moments/s, embedded", end="")
        run = embedded.run(self._config, self._pipeline, self._backlog, PARTITIONS, bare)
        self._console.print(f" {run.moments_per_second:.1f}", end="")
        on_kafka, others = None, {}
        if self._on_kafka is not None:
            on_kafka = self._on_kafka.run(f"round-{number + 1}", bare, cold=True)
            rate = on_kafka.run.moments_per_second
            self._console.print(f", Kafka and Redis {rate:.1f}", end="")
            if self._plays.modalities == MODALITIES:  # which they wait for
                others = self._references(self._on_kafka, number, bare)
        self._console.print()
        return Round(bare, run, on_kafka, others)

    def _references(self, on_kafka: Stage, number: int, bare: Run) -> dict[str, Run]:
        runs = {}
        for place, name in enumerate(references.installed()):
            tag = f"reference-{place}-{number + 1}"
            runs[name] = references.run_reference(on_kafka, name, tag, bare)
            self._console.print(f", {name} {runs[name].moments_per_second:.1f}", end="")
        return runs

    def _facts(self, rounds: int) -> dict[str, Any]:
        plans = {name: repr(getattr(each, "plan", None)) for name, each in self._encoders()}
        return {
            **circumstances(),
            "seed": self._config.scoring.seed,
            "scenario": asdict(self._plays),
            "rounds_asked": rounds,
            "partitions": PARTITIONS,
            "backlog": {
                "records": len(self._backlog.outputs),
                "bytes": self._backlog.size,
                "moments": len(self._moments),
            },
            "plans": plans,
            "bare_loop": repr(self._loop.shape),
        }

    def _encoders(self) -> list[tuple[str, Any]]:
        return [(modality.value, each) for modality, each in self._pipeline.encoders.items()]


def _pipelines(config: Config) -> dict[str, Pipeline]:
    """Return the pipeline as configured, and one whose encoders leave the other cores alone."""
    single = config.models.model_copy(update={"threads": 1})
    configs = {"auto": config, "1": config.model_copy(update={"models": single})}
    return {name: build_pipeline(each, build_encoders(each)) for name, each in configs.items()}


def bare_shard(config: Config, pipeline: Pipeline) -> Shard:
    """Return a shard that knows nothing, of the only partition index."""
    owned = {TopicPartition(name, 0): 0 for name in topic_of_modality(config).values()}
    rules = worker_rules(config, pipeline, 1, {})
    state = cold_state(owned, rules.recovery, IndexState(config.kafka.group_id))
    return Shard("bench", Care(), rules.shard, rules.composer, state)


def _kafka_wanted(wanted: bool, console: Console) -> bool:
    if not wanted:
        return False
    for name, (available, why) in {"Kafka": kafka_available(), "Redis": redis_available()}.items():
        if not available:
            console.print(f"Without Kafka and Redis: {name} cannot be started here: {why}")
            return False
    return True
