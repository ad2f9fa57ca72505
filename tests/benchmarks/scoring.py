"""What scoring and learning take, by age and number of the sources: `make bench-scoring`.

Each row of the table has a process of its own. Features are drawn in the shapes of the default
encoders; a caption comes with every fifth Moment and is carried in between.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from tests.benchmarks import measure
from tests.benchmarks.command import run
from tests.benchmarks.features import FULL_GROWN, Looks, grown
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
RULES = ScoringRules(200, 0, Budget.of(2, 1).alpha, TEXT_DIM)


@dataclass(frozen=True, slots=True)
class Point:
    """What so many sources took that were so many Moments old: CPU microseconds of a Moment.

    They got older by `moments` // `sources`. Of a source, `resident_bytes` is what the process grew
    by, `stored_bytes` the size of its learned numbers at the end.
    """

    sources: int
    age: int
    moments: int
    score_us: float
    learn_us: float
    resident_bytes: float
    stored_bytes: int


class Case(NamedTuple):
    """A row: how many sources, how old they are, and their Moments together."""

    sources: int
    age: int
    moments: int


CASES = (
    Case(10, 0, 160),
    Case(10, 16, 480),
    Case(10, 64, 1920),
    Case(10, 256, 2560),
    *(Case(sources, FULL_GROWN, 4000) for sources in (1, 10, 100, 1000)),
)


class Play(NamedTuple):
    """A Moment as the scorer is given it."""

    source: str
    features: Features
    time: int
    carried: bool


def main(
    output: Annotated[Path, typer.Option(help="Directory for scoring.json.")] = Path("out/bench"),
    only: Annotated[int, typer.Option(help="One number of sources, as JSON.")] = 0,
    age: Annotated[int, typer.Option(help="Moments that they have learned before.")] = FULL_GROWN,
    moments: Annotated[int, typer.Option(help="Moments of all of them together.")] = 4000,
) -> None:
    """Measure young and full-grown sources, and more and more of the latter."""
    if only:
        sys.stdout.write(json.dumps(asdict(measured(Case(only, age, moments)))))
        return
    output.mkdir(parents=True, exist_ok=True)
    points = [_in_process(case) for case in CASES]
    found = {
        "points": [asdict(point) for point in points],
        **measure.circumstances(),
    }
    (output / "scoring.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    columns = ("sources", "age", "to", "score us", "learn us", "both", "resident kB", "stored kB")
    table = Table(*columns, title="CPU per Moment, bytes per source")
    for each in points:
        both = each.score_us + each.learn_us
        sizes = (each.resident_bytes / 1000, each.stored_bytes / 1000)
        counts = (each.sources, each.age, each.age + each.moments // each.sources)
        figures = (*counts, each.score_us, each.learn_us, both, *sizes)
        table.add_row(*(f"{figure:.0f}" for figure in figures))
    Console().print(table)


def measured(case: Case) -> Point:
    """Score and learn so many Moments of the sources, which take turns."""
    sources, age, moments = case
    names = [f"/cameras/{number:05d}" for number in range(sources)]
    numbers, scorer = grown(TEXT_DIM, age), Scorer(RULES)
    before = LinuxMemory().resident()
    for name in names:
        scorer.restore(name, LearnedFrom(None, 0, 0), numbers)
    plays = list(_plays(names, age, 1 + -(-moments // sources)))
    first, others = plays[:sources], plays[sources:]
    _learned(scorer, first)  # what is made once is there from now on
    scoring, learning = _learned(scorer, others)
    return Point(
        sources,
        age,
        len(others),
        scoring / len(others),
        learning / len(others),
        (LinuxMemory().resident() - before) / sources,
        scorer.size_of(names[0]),
    )


def _plays(names: Sequence[str], age: int, rounds: int) -> Iterator[Play]:
    looks = Looks(TEXT_DIM)
    drawn = [looks.features([number, 1], captioned=True) for number in range(DRAWN)]
    for number in range(rounds):
        for place, name in enumerate(names):
            features = dict(drawn[(number + 7 * place) % DRAWN])
            carried = number > 0 and (number + place) % CAPTION_EVERY > 0
            yield Play(name, features, seconds(age + number), carried)


def _learned(scorer: Scorer, plays: Sequence[Play]) -> tuple[float, float]:
    """Return the CPU microseconds of scoring and of learning; the clock takes one of a Moment."""
    scoring = learning = 0
    for source, features, when, carried in plays:
        begun = time.process_time_ns()
        scored = scorer.score(source, features, when, carried=carried)
        between = time.process_time_ns()
        scorer.learn(source, features, when, scored, carried=carried)
        learning += time.process_time_ns() - between
        scoring += between - begun
    return scoring / 1000, learning / 1000


def _in_process(case: Case) -> Point:
    sources, age, moments = map(str, case)
    arguments = ("--only", sources, "--age", age, "--moments", moments)
    return Point(**told_by("tests.benchmarks.scoring", *arguments))


if __name__ == "__main__":
    run(main, "bench-scoring")
