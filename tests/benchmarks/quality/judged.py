"""Streams as the scorer and the baseline judge them, Moment by Moment, in the order of time."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tests.benchmarks.quality.baseline import FisherBaseline
from tests.benchmarks.quality.features import Encoded
from tests.benchmarks.quality.incidents import WARM_UP
from tests.benchmarks.quality.material import Array
from tests.benchmarks.quality.stream import START
from worker.core.events import PAIRS
from worker.core.policy import Budget
from worker.core.rfc3339 import seconds
from worker.scoring import combine
from worker.scoring.experts import VOTES
from worker.scoring.scored import Scored, ScoringRules
from worker.scoring.scorer import Scorer

BASELINE, NOW = "Fisher, exponential tail", "this worker"
EXPERTS = tuple(name for experts in VOTES.values() for name in experts if name not in PAIRS)
ALPHA = Budget.of(2, 1).alpha
SUSPICIOUS = 0.1  # from which p-value on it is noted where in the picture something is
T = TypeVar("T", bound=Sized)
LOOSE_ALPHA = Budget.of(24, 1).alpha  # of a looser budget, one false alarm per hour


@dataclass(frozen=True, slots=True)
class Judged:
    """What was said of the Moments of one stream after its warm-up, in order.

    `kinds` are those of their incidents, empty where nothing goes on; `p_values` by method (1 where
    nothing could be said yet); `experts` theirs by expert, 1 where it said nothing; `cells` the
    hottest cell, row and column, of each picture that is a reason and SUSPICIOUS.
    """

    encoded: Encoded
    kinds: Array
    p_values: dict[str, Array]
    experts: dict[str, Array]
    reasons: list[tuple[str, ...]]
    cells: list[tuple[int, int] | None]

    def __len__(self) -> int:
        return len(self.kinds)


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU microseconds of scoring and learning a Moment; and bytes of a source at the end."""

    moment_us: float
    source_bytes: int


def judge(
    streams: Sequence[Encoded],
    calibration: int = 200,
    added: tuple[str, ...] = (),
    dropped: Collection[str] = (),
) -> tuple[list[Judged], Cost]:
    """Let the scorer and the baseline see all streams at once, as sources of one partition.

    `added` are experts beside the usual ones, `dropped` features that no Moment has.
    """
    moments = [_moment(stream, number, dropped) for stream, number in in_time_order(streams)]
    text_dim = streams[0].arrays["text"].shape[-1]
    scorer = Scorer(ScoringRules(calibration, 0, ALPHA, text_dim, added))
    before = time.process_time()  # once around all: where the call is slow it would be the cost
    said = [_scored(scorer, moment) for moment in moments]
    spent = time.process_time() - before
    largest = max(scorer.size_of(each.stream.source) for each in streams)
    baselines = {each.stream.source: FisherBaseline(text_dim) for each in streams}
    rows: dict[str, list[_Row]] = {each.stream.source: [] for each in streams}
    for moment, (scored, cell) in zip(moments, said, strict=True):
        baseline = baselines[moment.source]
        other = baseline.judge(moment.features, moment.at, carried=moment.carried)
        p_values = {n: e.p_value for n, e in scored.assessment.opinions.items() if e.p_value}
        row = _Row(scored.assessment.p_value, other, p_values, scored.reasons, cell)
        rows[moment.source].append(row)
    judged = [_judged(stream, rows[stream.stream.source], added) for stream in streams]
    return judged, Cost(1e6 * spent / len(moments), largest)


def without(expert: str, judged: Judged) -> Array:
    """Return the combined p-values if that expert had not been there."""
    names = [name for name in EXPERTS if name != expert]
    columns = np.stack([judged.experts[name] for name in names], axis=1)
    combined = []
    for row in columns:
        heard = {name: float(p) for name, p in zip(names, row, strict=True) if p < 1}
        votes = combine.votes(heard)
        combined.append(combine.combined(votes) if votes else 1.0)
    return np.array(combined)


@dataclass(frozen=True, slots=True)
class _Moment:
    source: str
    at: int
    features: Mapping[str, Array]
    carried: bool


@dataclass(frozen=True, slots=True)
class _Row:
    p_value: float | None
    baseline: float | None
    experts: dict[str, float]
    reasons: tuple[str, ...]
    cell: tuple[int, int] | None


def in_time_order(streams: Sequence[T]) -> Iterator[tuple[T, int]]:
    """Yield each stream with the number of each of its Moments, all first ones first."""
    for number in range(max(map(len, streams))):
        yield from ((stream, number) for stream in streams if number < len(stream))


def _moment(stream: Encoded, number: int, dropped: Collection[str]) -> _Moment:
    features = {n: value for n, value in stream.at(number).items() if n not in dropped}
    carried = bool(stream.carried[number]) and "text" in features
    return _Moment(stream.stream.source, START + seconds(number), features, carried)


def _scored(scorer: Scorer, moment: _Moment) -> tuple[Scored, tuple[int, int] | None]:
    """Score and learn a Moment; also return the hottest cell of an unusual picture."""
    source, features, at = moment.source, moment.features, moment.at
    scored = scorer.score(source, features, at, carried=moment.carried)
    cell, p = None, scored.assessment.p_value
    if p is not None and p <= SUSPICIOUS:
        region = scorer.explain(source, features, scored).region
        if region is not None and region.cells:
            cell = region.cells[0].row, region.cells[0].column
    scorer.learn(source, features, at, scored, carried=moment.carried)
    return scored, cell


def _judged(encoded: Encoded, rows: Sequence[_Row], added: Iterable[str]) -> Judged:
    stream = encoded.stream
    kinds = []
    for number in range(WARM_UP, len(rows)):
        incident = stream.incident(number)
        kinds.append("" if incident is None else incident.kind)
    kept = rows[WARM_UP:]
    return Judged(
        encoded=encoded,
        kinds=np.array(kinds),
        p_values={
            NOW: np.array([_known(row.p_value) for row in kept]),
            BASELINE: np.array([_known(row.baseline) for row in kept]),
        },
        experts={
            name: np.array([row.experts.get(name, 1.0) for row in kept])
            for name in (*EXPERTS, *added)
        },
        reasons=[row.reasons for row in kept],
        cells=[row.cell for row in kept],
    )


def _known(p_value: float | None) -> float:
    return 1.0 if p_value is None else p_value
