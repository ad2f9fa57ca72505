"""The Observation: the durable record of a Moment, from which a scorer's state can be rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from worker.core import rfc3339
from worker.core.events import MODALITIES
from worker.core.messages import vectors
from worker.core.messages.assessment import Assessment, read_assessment
from worker.core.messages.decision import DecisionRecord, read_decision
from worker.core.messages.explanation import Explanation, read_explanation
from worker.core.messages.features import features_document, read_features, read_scores
from worker.core.messages.feedback import Heeded, read_heeded
from worker.core.messages.parts import (
    InputRef,
    Modalities,
    check_window,
    read_inputs,
    read_modalities,
)
from worker.core.messages.reading import Fields, fields_of
from worker.core.messages.shadow import (
    BundleRecord,
    ShadowRecord,
    read_bundle_of_shadow,
    read_shadow,
)
from worker.core.messages.vectors import Float16Array
from worker.core.messages.writing import Document, in_order, without_none
from worker.core.moment import ClosedBy, Derived


@dataclass(frozen=True, slots=True, eq=False)  # arrays have no single truth value to compare by
class Observation:
    """One Moment as it was seen and judged. Times in microseconds since the epoch.

    `[window_start, window_end)` for windows; for a correlated Moment the earliest and the latest
    event time. `embedding` is the fused vector, (dim,), of dim 0 where no modality could be
    embedded; `features` are the float16 inputs of the experts by name, of any shape, `raw_scores`
    what these said: learning from both again gives the live state. `number` counts the Moments that
    were learned in the source's partition. One that `amends` an earlier Observation, by its id, is
    about an event that was set aside and sent again; such a one is not learned. `silent_after`: the
    source fell silent with it. `heeded` is what people had said, and changed, right before it.
    `explanation` is there where the Moment is unusual; `shadow` is what would have been decided
    by what is tried, if anything is. `derived` are texts that were made from its media. `reused`
    counts the frames that took over the embedding of one before them.
    """

    observation_id: str
    source: str
    window_start: int
    window_end: int
    modalities: Modalities
    embedding: Float16Array
    features: Mapping[str, Float16Array]
    assessment: Assessment
    decision: DecisionRecord
    inputs: tuple[InputRef, ...]
    model: str
    closed_by: ClosedBy
    degraded: tuple[str, ...]
    correlation_id: str | None = None
    traceparent: str | None = None
    number: int = 0
    raw_scores: Mapping[str, float] = field(default_factory=dict)
    amends: str | None = None
    silent_after: bool = False
    heeded: tuple[Heeded, ...] = ()
    explanation: Explanation | None = None
    shadow: ShadowRecord | None = None
    derived: tuple[Derived, ...] = ()
    reused: int = 0

    def __post_init__(self) -> None:
        check_window(self.window_start, self.window_end)
        if self.embedding.ndim != 1:
            raise ValueError(f"the embedding must have one axis, it has {self.embedding.ndim}")

    def document(self) -> Document:
        """Return the JSON object. Raises ValueError where a vector is not finite or not float16."""
        document: Document = {
            "observation_id": self.observation_id,
            "source": self.source,
            "window_start": rfc3339.format(self.window_start),
            "window_end": rfc3339.format(self.window_end),
            "correlation_id": self.correlation_id,
            "amends": self.amends,
            "number": self.number,
            "closed_by": self.closed_by,
            "silent_after": self.silent_after or None,
            "modalities": self.modalities.document(),
            "derived": [_derived_document(each) for each in self.derived] or None,
            "reused": self.reused or None,
            "assessment": self.assessment.document(),
            "raw_scores": in_order(self.raw_scores),
            "explanation": None if self.explanation is None else self.explanation.document(),
            "decision": self.decision.document(),
            "shadow": None if self.shadow is None else self.shadow.document(),
            "feedback": [each.document() for each in self.heeded] or None,
            "inputs": [each.document() for each in self.inputs],
            "model": self.model,
            "degraded": self.degraded,
            "traceparent": self.traceparent,
            "embedding": {"dim": self.embedding.size, "data": vectors.encode(self.embedding)},
            "features": features_document(self.features),
        }
        absent = (
            "correlation_id",
            "amends",
            "silent_after",
            "derived",
            "reused",
            "explanation",
            "shadow",
            "feedback",
            "traceparent",
        )
        return without_none(document, *absent)


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What a scorer learns from an Observation, with the same meaning as there.

    `alert_id` names the alert that it opened or updated; `shadow` is what that of a bundle in
    shadow learns. `model` is the digest of what made the rest.
    """

    number: int
    observation_id: str
    source: str
    window_start: int
    features: Mapping[str, Float16Array]
    assessment: Assessment
    raw_scores: Mapping[str, float]
    carried: bool
    alert_id: str | None
    heeded: tuple[Heeded, ...]
    model: str
    shadow: BundleRecord | None = None


def read_number(value: bytes) -> int:
    """Return the number of the Observation in a record's value. Raises ValueError."""
    return _number(fields_of(value, "observation"))


def read_lesson(value: bytes, is_wanted: Callable[[str, int], bool]) -> Lesson | None:
    """Return what is to be learned from the Observation in a record's value. Raises ValueError.

    None for one that amends another, and where `is_wanted` says no to its source and number: then
    the rest is not looked at.
    """
    fields = fields_of(value, "observation")
    number, source = _number(fields), fields.text("source")
    if fields.optional("amends", fields.text) is not None or not is_wanted(source, number):
        return None
    return Lesson(
        number=number,
        observation_id=fields.text("observation_id"),
        source=source,
        window_start=fields.time("window_start"),
        features=read_features(fields),
        assessment=read_assessment(fields.nested("assessment")),
        raw_scores=read_scores(fields),
        carried=bool(read_modalities(fields).carried),
        alert_id=read_decision(fields.nested("decision")).said_about,
        heeded=_read_heeded(fields, source),
        model=fields.text("model"),
        shadow=read_bundle_of_shadow(fields),
    )


def read_observation(value: bytes) -> Observation:
    """Return the Observation in a record's value. Raises ValueError."""
    fields = fields_of(value, "observation")
    source = fields.text("source")
    return Observation(
        observation_id=fields.text("observation_id"),
        source=source,
        window_start=fields.time("window_start"),
        window_end=fields.time("window_end"),
        modalities=read_modalities(fields),
        embedding=_read_embedding(fields.nested("embedding")),
        features=read_features(fields),
        assessment=read_assessment(fields.nested("assessment")),
        decision=read_decision(fields.nested("decision")),
        inputs=read_inputs(fields),
        model=fields.text("model"),
        closed_by=fields.choice("closed_by", tuple(ClosedBy)),
        degraded=fields.texts("degraded"),
        correlation_id=fields.optional("correlation_id", fields.text),
        traceparent=fields.optional("traceparent", fields.text),
        number=_number(fields),
        raw_scores=read_scores(fields),
        amends=fields.optional("amends", fields.text),
        silent_after=fields.optional("silent_after", fields.flag) or False,
        heeded=_read_heeded(fields, source),
        explanation=read_explanation(fields),
        shadow=read_shadow(fields),
        derived=tuple(map(_read_derived, fields.optional("derived", fields.each) or ())),
        reused=fields.optional("reused", fields.integer) or 0,
    )


def _number(fields: Fields) -> int:
    return fields.optional("number", fields.integer) or 0


def _read_embedding(fields: Fields) -> Float16Array:
    return vectors.decode(fields.text("data"), (fields.integer("dim"),))


def _read_heeded(fields: Fields, source: str) -> tuple[Heeded, ...]:
    each = fields.optional("feedback", fields.each) or ()
    return tuple(read_heeded(one, source) for one in each)


def _derived_document(derived: Derived) -> Document:
    return {"modality": derived.modality, "from": derived.origin, "text": derived.text}


def _read_derived(fields: Fields) -> Derived:
    return Derived(
        modality=fields.choice("modality", MODALITIES),
        origin=fields.choice("from", MODALITIES),
        text=fields.text("text"),
    )
