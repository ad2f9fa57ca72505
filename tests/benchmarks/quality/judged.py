"""Streams as the scorer and the baseline judge them, Moment by Moment, in the order of time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

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
from worker.scoring.scored import ScoringRules
from worker.scoring.scorer import Scorer

BASELINE, NOW = "Fisher, exponential tail", "this worker"
EXPERTS = tuple(name for experts in VOTES.values() for name in experts if name not in PAIRS)
ALPHA = Budget.of(2, 1).alpha


@dataclass(frozen=True, slots=True)
class Judged:
    """What was said of the Moments of one stream after its warm-up, in order.

    `kinds` are those of their incidents, empty where nothing goes on; `p_values` by method (1 where
    nothing could be said yet); `experts` theirs by expert, 1 where it said nothing.
    """

    encoded: Encoded
    kinds: Array
    p_values: dict[str, Array]
    experts: dict[str, Array]
    reasons: list[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of scoring and learning a Moment, microseconds; and bytes of a source at the end."""

    score_us: float
    learn_us: float
    source_bytes: int


def judge(streams: Sequence[Encoded], calibration: int = 200) -> tuple[list[Judged], Cost]:
    """Let the scorer and the baseline see all streams at once, as sources of one partition."""
    text_dim = streams[0].arrays["text"].shape[-1]
    scorer = Scorer(ScoringRules(calibration, 0, ALPHA, text_dim))
    baselines = [FisherBaseline(text_dim) for _ in streams]
    rows: list[list[_Row]] = [[] for _ in streams]
    scoring = learning = 0
    for number in range(max(map(len, streams))):
        at = START + seconds(number)
        for stream, baseline, said in zip(streams, baselines, rows, strict=True):
            if number >= len(stream):
                continue
            features, carried = stream.at(number), bool(stream.carried[number])
            source = stream.stream.source
            before = time.process_time_ns()
            scored = scorer.score(source, features, at, carried=carried)
            between = time.process_time_ns()
            scorer.learn(source, features, at, scored, carried=carried)
            scoring += between - before
            learning += time.process_time_ns() - between
            experts = {n: e.p_value for n, e in scored.assessment.experts.items() if e.p_value}
            other = baseline.judge(features, at, carried=carried)
            said.append(_Row(scored.assessment.p_value, other, experts, scored.reasons))
    moments = sum(map(len, streams)) * 1000
    largest = max(scorer.size_of(each.stream.source) for each in streams)
    cost = Cost(scoring / moments, learning / moments, largest)
    return [_judged(stream, said) for stream, said in zip(streams, rows, strict=True)], cost


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
class _Row:
    p_value: float | None
    baseline: float | None
    experts: dict[str, float]
    reasons: tuple[str, ...]


def _judged(encoded: Encoded, rows: Sequence[_Row]) -> Judged:
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
        experts={name: np.array([row.experts.get(name, 1.0) for row in kept]) for name in EXPERTS},
        reasons=[row.reasons for row in kept],
    )


def _known(p_value: float | None) -> float:
    return 1.0 if p_value is None else p_value
