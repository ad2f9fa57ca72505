"""How abnormal a Moment is, and why: the assessment part of a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from worker.core.messages.reading import Fields
from worker.core.messages.writing import Document, in_order


class ExpertScore(NamedTuple):
    """What one expert says: `score` and `p_value` in [0, 1]; a higher score is more abnormal.

    `p_value` is None while the expert has too few normal Moments to compare with.
    """

    score: float
    p_value: float | None

    def document(self) -> Document:
        """Return the JSON object."""
        return {"score": self.score, "p_value": self.p_value}


@dataclass(frozen=True, slots=True)
class Warmup:
    """How far a source is from its first p-value: it has seen `have` of `need` Moments."""

    have: int
    need: int

    def document(self) -> Document:
        """Return the JSON object."""
        return {"have": self.have, "need": self.need}


@dataclass(frozen=True, slots=True)
class Assessment:
    """The scores of one Moment. `p_value` and `score` are None where nothing can be said.

    That is while `warming_up`, and where nothing of the Moment was looked at.

    `experts` by expert name, `consistency` by pair such as `frame-caption`, `contributions` by
    modality (higher: it speaks more for an anomaly). `warmup` is None once the source is warm.
    `drifting`: its p-values have not looked like those of usual Moments for a while.
    """

    p_value: float | None
    score: float | None
    warming_up: bool
    experts: Mapping[str, ExpertScore]
    consistency: Mapping[str, ExpertScore]
    contributions: Mapping[str, float]
    warmup: Warmup | None = None
    drifting: bool = False

    def __post_init__(self) -> None:
        check_unit("p_value", self.p_value)
        check_unit("score", self.score)

    @property
    def opinions(self) -> dict[str, ExpertScore]:
        """What all experts say, those on the agreement of modalities included."""
        return {**self.experts, **self.consistency}

    def document(self) -> Document:
        """Return the JSON object; `warm_up` and `drifting` are only written where they apply."""
        document: Document = {
            "p_value": self.p_value,
            "score": self.score,
            "warming_up": self.warming_up,
            "experts": scores_document(self.experts),
            "consistency": scores_document(self.consistency),
            "contributions": in_order(self.contributions),
        }
        if self.warmup is not None:
            document["warm_up"] = self.warmup.document()
        if self.drifting:
            document["drifting"] = True
        return document


def read_assessment(fields: Fields) -> Assessment:
    """Return the assessment in its JSON object. Raises ValueError."""
    return Assessment(
        p_value=fields.nullable("p_value", fields.number),
        score=fields.nullable("score", fields.number),
        warming_up=fields.flag("warming_up"),
        experts=read_scores(fields, "experts"),
        consistency=read_scores(fields, "consistency"),
        contributions=fields.numbers("contributions"),
        warmup=_warmup(fields),
        drifting=fields.optional("drifting", fields.flag) or False,
    )


def scores_document(scores: Mapping[str, ExpertScore]) -> Document:
    """Return the JSON object of scores by name."""
    return in_order({name: score.document() for name, score in scores.items()})


def read_scores(fields: Fields, name: str) -> dict[str, ExpertScore]:
    """Return the scores by name in the field `name`. Raises ValueError."""
    inner = fields.nested(name)
    return {key: _score(inner.nested(key)) for key in inner}


def check_unit(name: str, value: float | None) -> None:
    """Raise ValueError where the value is neither None nor in [0, 1]; NaN is neither."""
    if value is not None and not 0 <= value <= 1:
        raise ValueError(f"{name} must be in 0..1, it is {value}")


def _score(fields: Fields) -> ExpertScore:
    score, p_value = fields.number("score"), fields.nullable("p_value", fields.number)
    check_unit("score", score)
    check_unit("p_value", p_value)
    return ExpertScore(score, p_value)


def _warmup(fields: Fields) -> Warmup | None:
    inner = fields.optional("warm_up", fields.nested)
    if inner is None:
        return None
    return Warmup(have=inner.integer("have"), need=inner.integer("need"))
