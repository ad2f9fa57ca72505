"""From the experts' p-values to one p-value, contributions and reasons. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import exp, log
from typing import NamedTuple

from worker.core.triggers import reason_of
from worker.scoring.conformal import SMALLEST
from worker.scoring.experts import (
    DETAILS,
    VOTE_OF_MODALITY,
    VOTE_VOICES,
    VOTES,
    Voice,
    voice_of,
    voters,
)

PIVOT = 0.02  # the p-value at which steepness makes no difference
LOG_PIVOT = log(PIVOT)
_VOTE_OF = {modality.value: vote for modality, vote in VOTE_OF_MODALITY.items()}
REASON_SHARE = 0.5  # a vote is a reason where its -log p reaches this share of the strongest one's


def merged(p_values: Mapping[str, float], voices: Mapping[str, Voice]) -> float:
    """Merge p-values: 1 - prod (1 - r_i), where r_i is the p-value at which i counted as much.

    A p-value counts w (PIVOT / p)^k, with the weight w and the steepness k of its voice, and the
    one that counts most decides: one cause is usually in one modality. All r_i are what that one
    comes to in the other voices, so r_i <= p_i. Of independent p-values the result is exact
    (Sidak, 1967, with weights as in Genovese, Roeder and Wasserman, 2006); however they depend on
    each other, it is at most a with a probability of no more than -ln(1 - a) (Bonferroni). One
    alone stays what it is.
    """
    return _merged(p_values, [_said(name, voices[name]) for name in p_values])


class _Said(NamedTuple):
    """A voice, so that the log of what its p-value p counts is `offset` - `steepness` ln p."""

    name: str
    offset: float
    steepness: float


@lru_cache(maxsize=256)
def _said(name: str, voice: Voice) -> _Said:
    return _Said(name, log(voice.weight) + voice.steepness * LOG_PIVOT, voice.steepness)


def _merged(p_values: Mapping[str, float], said: Sequence[_Said]) -> float:
    if len(said) == 1:
        return p_values[said[0].name]
    strongest = max([offset - k * log(p_values[name] or SMALLEST) for name, offset, k in said])
    union = 0.0  # the probability of one or more of events r_i, precise also where it is tiny
    for _, offset, k in said:
        union += (1 - union) * exp((offset - strongest) / k)
    return min(union, 1.0)


def votes(expert_p_values: Mapping[str, float]) -> dict[str, float]:
    """Return the p-value of each vote that has an expert which is not cold."""
    choir = _choir(tuple(expert_p_values))
    return {vote: _merged(expert_p_values, said) for vote, said in choir}


@lru_cache(maxsize=256)  # there are as many as sets of experts that speak together
def _choir(experts: tuple[str, ...]) -> tuple[tuple[str, Sequence[_Said]], ...]:
    """Return the votes that some of the experts have, with their voices in each."""
    heard = {vote: [each for each in voters(vote, experts) if each in experts] for vote in VOTES}
    return tuple((v, [_said(n, voice_of(n)) for n in names]) for v, names in heard.items() if names)


def combined(vote_p_values: Mapping[str, float]) -> float:
    """Return the p-value of the Moment from those of its votes."""
    return merged(vote_p_values, VOTE_VOICES)


def contributions(vote_p_values: Mapping[str, float]) -> dict[str, float]:
    """Return per modality its share of the surprise, -ln p - 1 where positive; they sum to 1 or 0.

    One nat is what a normal vote says on average.
    """
    surprise = {
        modality: max(0.0, _nats(vote_p_values[name]) - 1)
        for modality, name in _VOTE_OF.items()
        if name in vote_p_values
    }
    total = sum(surprise.values())
    return {name: value / total if total else 0.0 for name, value in surprise.items()}


def expert_shares(
    expert_p_values: Mapping[str, float], modality_shares: Mapping[str, float]
) -> dict[str, float]:
    """Return per expert its share of its modality's contribution; they sum to what it is.

    An expert's part is what its p-value counts.
    """
    shares: dict[str, float] = {}
    for modality, vote in VOTE_OF_MODALITY.items():
        heard = [name for name in voters(vote, expert_p_values) if name in expert_p_values]
        whole = modality_shares.get(modality, 0.0)
        if not heard or not whole:
            continue
        counts = {name: _evidence(expert_p_values[name], voice_of(name)) for name in heard}
        strongest = max(counts.values())
        parts = {name: exp(each - strongest) for name, each in counts.items()}
        shares |= {name: whole * part / sum(parts.values()) for name, part in parts.items()}
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


def _evidence(p_value: float, voice: Voice) -> float:
    """Return the log of what a p-value counts: ln w + k ln (PIVOT / p)."""
    return log(voice.weight) + voice.steepness * (LOG_PIVOT - log(max(p_value, SMALLEST)))


def _nats(p_value: float) -> float:
    return -log(max(p_value, SMALLEST))
