"""From the experts' p-values to one p-value, contributions and reasons. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping

from worker.core.triggers import reason_of
from worker.scoring.conformal import SMALLEST
from worker.scoring.experts import (
    DETAILS,
    VOTE_OF_MODALITY,
    VOTE_WEIGHTS,
    VOTES,
    voters,
    weight_of,
)

REASON_SHARE = 0.5  # a vote is a reason where its -log p reaches this share of the strongest one's


def half_cauchy(p_values: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Merge p-values: (2 / pi) arctan2(1, sum w cot(pi p / 2)), with the weights scaled to sum 1.

    The half-Cauchy combination (Liu, Meng and Pillai, 2025): the smallest p-value decides, as one
    cause is usually in one modality, and in the tail it holds however they depend on each other.
    Unlike the Cauchy combination no p-value near 1 takes away what another one says. Without the
    shift by sum w ln(1 / w), which is less than one: of independent p-values it makes at most 5%
    more at 0.01, and next to none below.
    """
    total = sum(weights[name] for name in p_values)
    statistic = sum(weights[name] / total * _surprise(p) for name, p in p_values.items())
    return 2 * math.atan2(1.0, statistic) / math.pi


def votes(expert_p_values: Mapping[str, float]) -> dict[str, float]:
    """Return the p-value of each vote that has an expert which is not cold."""
    merged: dict[str, float] = {}
    for name in VOTES:
        experts = voters(name, expert_p_values)
        heard = {each: expert_p_values[each] for each in experts if each in expert_p_values}
        if heard:
            merged[name] = half_cauchy(heard, {each: weight_of(each) for each in heard})
    return merged


def combined(vote_p_values: Mapping[str, float]) -> float:
    """Return the p-value of the Moment from those of its votes."""
    return half_cauchy(vote_p_values, VOTE_WEIGHTS)


def contributions(vote_p_values: Mapping[str, float]) -> dict[str, float]:
    """Return per modality its share of the surprise, -ln p - 1 where positive; they sum to 1 or 0.

    One nat is what a normal vote says on average.
    """
    surprise = {
        modality.value: max(0.0, _nats(vote_p_values[name]) - 1)
        for modality, name in VOTE_OF_MODALITY.items()
        if name in vote_p_values
    }
    total = sum(surprise.values())
    return {name: value / total if total else 0.0 for name, value in surprise.items()}


def expert_shares(
    expert_p_values: Mapping[str, float], modality_shares: Mapping[str, float]
) -> dict[str, float]:
    """Return per expert its share of its modality's contribution; they sum to what it is.

    An expert's part in the half-Cauchy combination is w cot(pi p / 2).
    """
    shares: dict[str, float] = {}
    for modality, vote in VOTE_OF_MODALITY.items():
        heard = [name for name in voters(vote, expert_p_values) if name in expert_p_values]
        parts = {name: weight_of(name) * _surprise(expert_p_values[name]) for name in heard}
        total = sum(parts.values())
        whole = modality_shares.get(modality, 0.0)
        if total and whole:
            shares |= {name: whole * part / total for name, part in parts.items() if part}
    return shares


def reasons(
    vote_p_values: Mapping[str, float], expert_p_values: Mapping[str, float]
) -> tuple[str, ...]:
    """Return the votes that carry the result, strongest first.

    `fused` is named only where it is the strongest: then no single modality shows it as well.
    Where the expert that carries a vote tells what it is, that is added, as in `visual:covered`;
    where it watches for a phrase, that is the reason, as in `trigger:fire`.
    """
    nats = {name: _nats(p) for name, p in vote_p_values.items()}
    strongest = max(nats.values(), default=0.0)
    ranked = sorted(nats, key=lambda name: -nats[name])
    named = [name for name in ranked if nats[name] >= REASON_SHARE * strongest]
    kept = (name for name in named if name != "fused" or name == ranked[0])
    return tuple(dict.fromkeys(_detailed(name, expert_p_values) for name in kept))


def _detailed(vote: str, expert_p_values: Mapping[str, float]) -> str:
    heard = [name for name in voters(vote, expert_p_values) if name in expert_p_values]
    strongest = min(heard, key=lambda name: expert_p_values[name], default="")
    if (watched := reason_of(strongest)) is not None:
        return watched
    return f"{vote}:{DETAILS[strongest]}" if strongest in DETAILS else vote


def _surprise(p_value: float) -> float:
    """Return cot(pi p / 2), >= 0: as large as a half-Cauchy variable is with probability p."""
    return max(0.0, 1 / math.tan(math.pi / 2 * max(p_value, SMALLEST)))


def _nats(p_value: float) -> float:
    return -math.log(max(p_value, SMALLEST))
