"""From the experts' p-values to one p-value, contributions and reasons. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import exp, log
from typing import NamedTuple

from worker.core.triggers import reason_of
from worker.scoring.conformal import SMALLEST
from worker.scoring.experts import (
    DETAILS,
    ON_ONE_CAUSE,
    VOTE_OF_MODALITY,
    VOTE_VOICES,
    VOTES,
    WATCHED,
    Voice,
    modalities_of,
    voice_of,
    voters,
)

PIVOT = 0.02  # the p-value at which steepness makes no difference
LOG_PIVOT = log(PIVOT)
_VOTE_OF = {modality.value: vote for modality, vote in VOTE_OF_MODALITY.items()}
_MODALITY_OF = {vote: modality for modality, vote in _VOTE_OF.items()}
SURE = 1e-3  # the p-value at which an expert on one cause may name it though others say more
DARK_TOO = 0.8  # a covered lens is dark too, and its shapes are gone: so nearly as sure is that
REASON_SHARE = 0.5  # what is named says this share of what the strongest one says, in -log p


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
    heard = {vote: voters(vote, experts) for vote in VOTES}
    return tuple((v, [_said(n, voice_of(n)) for n in names]) for v, names in heard.items() if names)


def combined(vote_p_values: Mapping[str, float]) -> float:
    """Return the p-value of the Moment from those of its votes."""
    return merged(vote_p_values, VOTE_VOICES)


def contributions(
    vote_p_values: Mapping[str, float], expert_p_values: Mapping[str, float]
) -> dict[str, float]:
    """Return per modality its share of the surprise, -ln p - 1 where positive; they sum to 1 or 0.

    One nat is what a normal vote says on average. What an expert on a pair of modalities says is
    half of each. Fusion speaks, for all modalities alike, where nothing else is a surprise.
    """
    shares = dict.fromkeys((each for each, vote in _VOTE_OF.items() if vote in vote_p_values), 0.0)
    surprise = _surprise(vote_p_values)
    heard = tuple(shares)
    for vote, nats in surprise.items():
        for modality, part in _by_modality(vote, nats, expert_p_values, heard):
            shares[modality] = shares.get(modality, 0.0) + part
    total = sum(surprise.values())
    return {name: value / total if total else 0.0 for name, value in shares.items()}


def expert_shares(
    vote_p_values: Mapping[str, float], expert_p_values: Mapping[str, float]
) -> dict[str, float]:
    """Return per expert its share of the contributions, to whatever modalities; they sum as these.

    An expert's part of its vote is what its p-value counts.
    """
    surprise = _surprise(vote_p_values)
    total = sum(surprise.values())
    return {
        name: part / total
        for vote, nats in surprise.items()
        for name, part in _parts(vote, nats, expert_p_values).items()
    }


def _surprise(vote_p_values: Mapping[str, float]) -> dict[str, float]:
    """Return the nats of the votes that say more than a normal one, of fusion if no other does."""
    nats = {name: _nats(p) - 1 for name, p in vote_p_values.items()}
    surprise = {name: each for name, each in nats.items() if each > 0}
    if len(surprise) > 1:
        surprise.pop("fused", None)
    return surprise


def _by_modality(
    vote: str, nats: float, expert_p_values: Mapping[str, float], heard: Sequence[str]
) -> Iterator[tuple[str, float]]:
    """Yield the nats of a vote for the modalities that it speaks for."""
    if vote in _MODALITY_OF:
        yield _MODALITY_OF[vote], nats
    elif vote == "fused":
        yield from ((each, nats / len(heard)) for each in heard)
    else:
        for name, part in _parts(vote, nats, expert_p_values).items():
            modalities = modalities_of(name)
            yield from ((each.value, part / len(modalities)) for each in modalities)


def _parts(vote: str, nats: float, expert_p_values: Mapping[str, float]) -> dict[str, float]:
    """Split the nats of a vote among the experts that are heard in it."""
    heard = voters(vote, expert_p_values)
    counts = {name: _evidence(expert_p_values[name], voice_of(name)) for name in heard}
    strongest = max(counts.values(), default=0.0)
    parts = {name: exp(each - strongest) for name, each in counts.items()}
    whole = sum(parts.values())
    return {name: nats * part / whole for name, part in parts.items()}


def reasons(
    vote_p_values: Mapping[str, float], expert_p_values: Mapping[str, float]
) -> tuple[str, ...]:
    """Return the votes that carry the result, strongest first.

    `fused` is named only where it is the strongest: then no single modality shows it as well.
    Where the expert that carries a vote tells what it is, that is added, as in `visual:covered`,
    and also where one on that cause alone is SURE and says half as much: others see it too, and do
    not know what it is. Of watch phrases all that carry the vote are reasons, as `trigger:fire`.
    """
    nats = {name: _nats(p) for name, p in vote_p_values.items()}
    least = REASON_SHARE * max(nats.values(), default=0.0)
    ranked = sorted(nats, key=lambda name: -nats[name])
    named = [name for name in ranked if nats[name] >= least]
    kept = (name for name in named if name != "fused" or name == ranked[0])
    return tuple(dict.fromkeys(r for name in kept for r in _reasons(name, expert_p_values, least)))


def _reasons(vote: str, expert_p_values: Mapping[str, float], least: float) -> Sequence[str]:
    """Return what a vote is named as: every phrase that counts `least` nats, or what it is."""
    heard = sorted(voters(vote, expert_p_values), key=lambda name: expert_p_values[name])
    if vote == WATCHED:
        loud = (name for name in heard if _nats(expert_p_values[name]) >= least)
        return [reason for name in loud if (reason := reason_of(name)) is not None]
    cause = _cause(heard, expert_p_values)
    return [vote if cause is None else f"{vote}:{DETAILS[cause]}"]


def _cause(heard: Sequence[str], expert_p_values: Mapping[str, float]) -> str | None:
    """Return the expert that tells what it is, if one of a vote's does; `heard` strongest first."""
    if not heard:
        return None
    enough = min(SURE, expert_p_values[heard[0]] ** REASON_SHARE)
    sure = (name for name in heard if name in ON_ONE_CAUSE and expert_p_values[name] <= enough)
    cause = next(sure, heard[0])
    if cause == "camera_dark":
        covered = expert_p_values.get("camera_covered", 1.0)
        cause = "camera_covered" if covered <= expert_p_values[cause] ** DARK_TOO else cause
    return cause if cause in DETAILS else None


def _evidence(p_value: float, voice: Voice) -> float:
    """Return the log of what a p-value counts: ln w + k ln (PIVOT / p)."""
    return log(voice.weight) + voice.steepness * (LOG_PIVOT - log(max(p_value, SMALLEST)))


def _nats(p_value: float) -> float:
    return -log(max(p_value, SMALLEST))
