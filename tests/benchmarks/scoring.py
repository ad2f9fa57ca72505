"""What scoring and learning take, by the number of full-grown sources: `make bench-scoring`.

Each number of sources has a process of its own. Features are drawn in the shapes of the default
encoders; a caption comes with every fifth Moment and is carried in between.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from tests.benchmarks import measure
from tests.benchmarks.command import run
from tests.benchmarks.features import FULL_GROWN, Looks, full_grown
from tests.benchmarks.measure import Stopwatch
from tests.benchmarks.own_process import told_by
from worker.adapters.process_memory import LinuxMemory
from worker.core.policy import Budget
from worker.core.rfc3339 import seconds
from worker.core.source_state import LearnedFrom
from worker.scoring.experts import Features
from worker.scoring.scored import ScoringRules
from worker.scoring.scorer import Scorer

TEXT_DIM = 384  # of the default caption encoder
CAPTION_EVERY = 5  # Moments
DRAWN = 97  # different Moments, which take turns
SOURCES = (1, 32, 1000)
RULES = ScoringRules(200, 0, Budget.of(2, 1).alpha, TEXT_DIM)


@dataclass(frozen=True, slots=True)
class Point:
    """What so many sources took: CPU microseconds of a Moment, bytes of a source.

    `resident_bytes` is what the process grew by, `stored_bytes` the size of its learned numbers.
    """

    sources: int
    moments: int
    score_us: float
    learn_us: float
    resident_bytes: float
    stored_bytes: int


class Play(NamedTuple):
    """A Moment as the scorer is given it."""

    source: str
    features: Features
    time: int
    carried: bool


def main(
    output: Annotated[Path, typer.Option(help="Directory for scoring.json.")] = Path("out/bench"),
    moments: Annotated[int, typer.Option(min=1000, help="Moments of all sources.")] = 4000,
    only: Annotated[int, typer.Option(help="One number of sources, as JSON.")] = 0,
) -> None:
    """Measure 1, 32 and 1000 sources."""
    if only:
        sys.stdout.write(json.dumps(asdict(measured(only, moments))))
        return
    output.mkdir(parents=True, exist_ok=True)
    points = [_in_process(sources, moments) for sources in SOURCES]
    found = {
        "points": [asdict(point) for point in points],
        **measure.circumstances(),
    }
    (output / "scoring.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    columns = ("sources", "score us", "learn us", "both", "resident kB/source", "stored kB")
    table = Table(*columns, title="Full-grown sources, CPU per Moment")
    for each in points:
        both = each.score_us + each.learn_us
        sizes = (each.resident_bytes / 1000, each.stored_bytes / 1000)
        figures = (each.score_us, each.learn_us, both, *sizes)
        table.add_row(str(each.sources), *(f"{figure:.0f}" for figure in figures))
    Console().print(table)


def measured(sources: int, moments: int) -> Point:
    """Score and learn so many Moments of full-grown sources, which take turns."""
    names = [f"/cameras/{number:05d}" for number in range(sources)]
    numbers, scorer = full_grown(TEXT_DIM), Scorer(RULES)
    before = LinuxMemory().resident()
    for name in names:
        scorer.restore(name, LearnedFrom(None, 0, 0), numbers)
    rounds = -(-moments // sources)
    plays = list(_plays(names, 1 + rounds))
    first, others = plays[:sources], plays[sources:]
    _learned(scorer, first)  # what is made once is there from now on
    watch = Stopwatch()
    for each in others:
        scorer.score(each.source, each.features, each.time, carried=each.carried)
    _, scoring = watch.read()
    watch = Stopwatch()
    _learned(scorer, others)
    _, both = watch.read()
    each_us = 1e6 / len(others)
    return Point(
        sources,
        len(others),
        scoring * each_us,
        (both - scoring) * each_us,
        (LinuxMemory().resident() - before) / sources,
        scorer.size_of(names[0]),
    )


def _plays(names: Sequence[str], rounds: int) -> Iterator[Play]:
    looks = Looks(TEXT_DIM)
    drawn = [looks.features([number, 1], captioned=True) for number in range(DRAWN)]
    for number in range(rounds):
        for place, name in enumerate(names):
            features = dict(drawn[(number + 7 * place) % DRAWN])
            carried = number > 0 and (number + place) % CAPTION_EVERY > 0
            yield Play(name, features, seconds(FULL_GROWN + number), carried)


def _learned(scorer: Scorer, plays: Sequence[Play]) -> None:
    for source, features, time, carried in plays:
        scored = scorer.score(source, features, time, carried=carried)
        scorer.learn(source, features, time, scored, carried=carried)


def _in_process(sources: int, moments: int) -> Point:
    arguments = ("--only", str(sources), "--moments", str(moments))
    return Point(**told_by("tests.benchmarks.scoring", *arguments))


if __name__ == "__main__":
    run(main, "bench-scoring")
